"""The catalogue from a CSV file: every row is read before any is kept, and all good ones are kept at once."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from lifecycle.core.product import OPTIONAL, REQUIRED, Product, product_from
from lifecycle.errors import InvalidFile
from lifecycle.store import products
from lifecycle.store.database import Database

_TOLD_EVERY = 1000
_LONGEST_HEADER = 10_000  # characters
_EXAMPLE = "id,name,url,image,price,category"


@dataclass(slots=True)
class Imported:
    """What became of a file: how many products are new, changed and as they were, and how many went out of stock;
    of each row that was refused its place and why; and the columns that mean nothing."""

    new: int = 0
    changed: int = 0
    same: int = 0
    sold_out: int = 0
    refused: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def import_catalogue(
    db: Database,
    file: Path,
    now: datetime,
    *,
    replace: bool = False,
    progress: Callable[[int], None] = lambda rows: None,
) -> Imported:
    """Keeps the products of `file`; `progress` is told of rows as they are read.

    Products that it does not name stay as they are; with `replace` they go out of stock, unless a row was refused,
    which might name one. Raises InvalidFile, with nothing kept, when it is no catalogue.
    """
    done = Imported()
    found = _read(file, done, progress)
    if replace and done.refused:
        return done
    if replace and not found:
        raise InvalidFile(f"{file}: it names no product, and --replace would put all there are out of stock")
    with db.transaction() as connection:
        done.new, done.changed = products.put(connection, found, now)
        if replace:
            done.sold_out = products.sell_out(connection, [product.id for product in found], now)
    done.same = len(found) - done.new - done.changed
    return done


def _read(file: Path, done: Imported, progress: Callable[[int], None]) -> list[Product]:
    """The products of the good rows; what is wrong with the others goes into `done`."""
    found: dict[str, tuple[int, Product]] = {}
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
        _check_form(file, opened.readline(_LONGEST_HEADER))
        opened.seek(0)
        reader = csv.reader(opened, strict=True)
        header, number = _header(file, reader, done), 0
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
                if cells is None:
                    break
                number += 1
                if number % _TOLD_EVERY == 0:
                    progress(_TOLD_EVERY)
                if not any(map(str.strip, cells)):
                    continue
                product = _product(header, cells)
                if product.id in found:
                    raise ValueError(f"id {product.id!r} is in row {found[product.id][0]} already; drop one of the two")
                found[product.id] = line, product
            except (ValueError, csv.Error) as error:
                done.refused.append(f"{file.name}:{line}: {error}")
    progress(number % _TOLD_EVERY)
    return [product for _, product in found.values()]


def _check_form(file: Path, first: str) -> None:
    """Raises InvalidFile where a spreadsheet has saved something else than CSV with commas in UTF-8."""
    if "\0" in first:
        raise InvalidFile(f"{file}: this is no text in UTF-8; save it as CSV, in UTF-8")
    if "," not in first:
        for mark, name in ((";", "semicolons"), ("\t", "tabs")):
            if mark in first:
                raise InvalidFile(f"{file}: its columns are separated by {name}; save it with commas")


def _product(header: Sequence[str], cells: Sequence[str]) -> Product:
    if len(cells) != len(header):
        raise ValueError(f"{len(cells)} cells where the header names {len(header)}; quote cells that hold a comma")
    return product_from({name: cell.strip() for name, cell in zip(header, cells, strict=True)})


def _header(file: Path, rows: Iterator[list[str]], done: Imported) -> list[str]:
    """The names of the columns; raises InvalidFile where one that is needed is not among them."""
    try:
        names = [name.strip().lower() for name in next(rows, [])]
    except csv.Error as error:
        raise InvalidFile(f"{file}: this is no CSV file: {error}") from None
    for name in REQUIRED:
        if name not in names:
            close = get_close_matches(name, names, 1)
            hint = f"rename {close[0]!r}" if close else f"the first line must name the columns: {_EXAMPLE}"
            raise InvalidFile(f"{file}: there is no column {name!r}; {hint}")
    known = {*REQUIRED, *OPTIONAL}
    for name in known:
        if names.count(name) > 1:
            raise InvalidFile(f"{file}: there are {names.count(name)} columns {name!r}; drop all but one")
    done.ignored = [name for name in names if name and name not in known]
    return names
