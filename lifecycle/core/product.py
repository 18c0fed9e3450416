"""A product as the catalogue keeps it, read from the cells of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from lifecycle.journey.origin import is_storable
from lifecycle.mail.formats import is_currency

from .copurchase import LONGEST_ID

REQUIRED = ("id", "name", "url", "price")
OPTIONAL = ("image", "category", "currency", "in_stock", "stock")

_LONGEST_NAME, _LONGEST_URL = 500, 2000
_PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,4})?")
_WHOLE = re.compile(r"-?[0-9]{1,12}")
_IN_STOCK = {"true": True, "yes": True, "1": True, "": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Product:
    """A product; `price` is a plain decimal number as text, in `currency` or, where that is None, the policy's."""

    id: str
    name: str
    url: str
    price: str
    image: str | None = None
    category: str | None = None
    currency: str | None = None
    in_stock: bool = True

    @property
    def row(self) -> dict[str, Any]:
        """The product as a row of its table."""
        return asdict(self)


def product_from(cells: Mapping[str, str]) -> Product:
    """The product that a row describes; raises ValueError with what is wrong and how to mend it.

    `stock` is a number of pieces, `in_stock` true or false; without either it is in stock.
    """
    for name, cell in cells.items():
        if not is_storable(cell):
            raise ValueError(f"{name} is no UTF-8 text; save the file as UTF-8")
    return Product(
        id=_text(cells, "id", LONGEST_ID),
        name=_text(cells, "name", _LONGEST_NAME),
        url=_https(cells, "url"),
        price=_price(cells["price"]),
        image=_https(cells, "image") if cells.get("image") else None,
        category=_text(cells, "category", _LONGEST_NAME) if cells.get("category") else None,
        currency=_currency(cells.get("currency", "")),
        in_stock=_in_stock(cells),
    )


def _text(cells: Mapping[str, str], name: str, longest: int) -> str:
    cell = cells[name]
    if not cell:
        raise ValueError(f"{name} is empty; give one")
    if len(cell) > longest:
        raise ValueError(f"{name} has {len(cell):,} characters; shorten it to {longest}")
    return cell


def _https(cells: Mapping[str, str], name: str) -> str:
    url = _text(cells, name, _LONGEST_URL)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    else:
        host = host if parts.scheme == "https" else None
    if not host or any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError(f"{name} {url[:60]!r} is no https address; write https://shop.example/…")
    return url


def _price(cell: str) -> str:
    if not _PRICE.fullmatch(cell):
        raise ValueError(f"price {cell[:40]!r} is no amount; write it like 12.99, with a point and nothing else")
    return cell


def _currency(cell: str) -> str | None:
    if cell and not is_currency(cell):  # emails could not print the price
        raise ValueError(f"currency {cell[:20]!r} is no code; write it like USD")
    return cell or None


def _in_stock(cells: Mapping[str, str]) -> bool:
    cell = cells.get("in_stock", "").lower()
    if cell not in _IN_STOCK:
        raise ValueError(f"in_stock {cell[:20]!r} is neither true nor false")
    stock = cells.get("stock", "")
    if stock and not _WHOLE.fullmatch(stock):
        raise ValueError(f"stock {stock[:20]!r} is no whole number; write how many there are")
    return _IN_STOCK[cell] and (not stock or int(stock) > 0)
