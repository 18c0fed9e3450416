"""The SQL of the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Connection

from lifecycle.core.product import Product

from .sql import Statement
from .types import Instant

_AT_ONCE = 1000

_FIELDS = ("id", "name", "url", "image", "price", "currency", "category", "in_stock")
_COLUMNS = ", ".join(_FIELDS)
_KNOWN = Statement(f"SELECT {_COLUMNS} FROM product WHERE id IN {{keys}}", returns={"in_stock": Boolean()})
_PUT = Statement(
    """
    INSERT INTO product (id, name, url, image, price, currency, category, in_stock, imported_at, buyers, lately)
    SELECT rows.id, rows.name, rows.url, rows.image, rows.price, rows.currency, rows.category, rows.in_stock, :now, 0, 0
    FROM {rows} WHERE true ORDER BY rows.id
    ON CONFLICT (id) DO UPDATE SET
        name = excluded.name, url = excluded.url, image = excluded.image, price = excluded.price,
        currency = excluded.currency, category = excluded.category, in_stock = excluded.in_stock,
        imported_at = excluded.imported_at
    """,
    rows={**dict.fromkeys(_FIELDS, "text"), "in_stock": "boolean"},
)
_SELL_OUT = Statement(
    "UPDATE product SET in_stock = false, imported_at = :now WHERE in_stock AND id NOT IN {keys} RETURNING id"
)
_LIST = Statement(
    f"""
    SELECT {_COLUMNS}, buyers, lately, imported_at FROM product
    WHERE id > :after AND (:category = '' OR category = :category) ORDER BY id LIMIT :most
    """,
    returns={"in_stock": Boolean(), "imported_at": Instant()},
)
_SHOW = Statement(
    f"SELECT {_COLUMNS}, buyers, lately, popularity, imported_at FROM product WHERE id = :id",
    returns={"in_stock": Boolean(), "imported_at": Instant()},
)
_NAMES = Statement("SELECT id, name FROM product WHERE id IN {keys}")
_COUNTED = Statement("SELECT id, in_stock, buyers, lately, popularity FROM product", returns={"in_stock": Boolean()})
_COUNT = Statement(
    """
    UPDATE product SET buyers = rows.buyers, lately = rows.lately, popularity = rows.popularity
    FROM {rows} WHERE product.id = rows.id
    """,
    rows={"id": "text", "buyers": "bigint", "lately": "bigint", "popularity": "bigint"},
)


def put(connection: Connection, products: Sequence[Product], now: datetime) -> tuple[int, int]:
    """Adds products, or brings those that are known up to date; returns how many are new and how many changed."""
    new = changed = 0
    for start in range(0, len(products), _AT_ONCE):
        some = [product.row for product in products[start : start + _AT_ONCE]]
        known = {row["id"]: dict(row) for row in _KNOWN.run(connection, keys=[row["id"] for row in some]).mappings()}
        other = [row for row in some if known.get(row["id"]) != row]
        added = sum(row["id"] not in known for row in other)
        new, changed = new + added, changed + len(other) - added
        if other:
            _PUT.run(connection, rows=other, now=now)
    return new, changed


def sell_out(connection: Connection, but: Collection[str], now: datetime) -> int:
    """Marks all products that are not in `but` as out of stock; returns how many were not."""
    return len(_SELL_OUT.run(connection, keys=list(but), now=now).all())


def listed(connection: Connection, *, category: str, after: str, most: int) -> list[dict[str, Any]]:
    """Up to `most` products behind the id `after`, by id; of one category unless that is ""."""
    found = _LIST.run(connection, category=category, after=after, most=most)
    return [_priced(dict(row)) for row in found.mappings().all()]


def show(connection: Connection, id: str) -> dict[str, Any] | None:
    """One product with what is counted of it, or None."""
    row = _SHOW.run(connection, id=id).mappings().first()
    return None if row is None else _priced(dict(row))


def names(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """The names of these products, as far as the catalogue has them."""
    return {row.id: row.name for row in _NAMES.run(connection, keys=list(ids)).all()}


def counted(connection: Connection) -> list[Any]:
    """What was counted of every product: id, in_stock, buyers, lately, popularity."""
    return list(_COUNTED.run(connection).all())


def count(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keeps what is counted now of these products: id, buyers, lately, popularity."""
    _COUNT.run(connection, rows=list(rows))


def _priced(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "price": Decimal(row["price"])}
