"""Customers from a file, CSV or JSON Lines, as identify facts; consent is none of what a file can say.

Each line is a statement made when the file was last changed: importing one file twice changes nothing, and what an
app said later stays. Lines that cannot be taken become dead letters named "file:line".
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from lifecycle.errors import InvalidFile
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.store import dead_letters
from lifecycle.store.database import Database
from lifecycle.store.dead_letters import Letter

from .consume import Entry, Taken, take

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as an identify message, or what is wrong with it."""

    number: int
    raw: bytes
    wrong: str | None = None


def import_customers(
    db: Database,
    project: Project,
    file: Path,
    now: datetime,
    *,
    lease: timedelta,
    max_lateness: timedelta,
    batch: int = 500,
    progress: Callable[[int], None] | None = None,
) -> Taken:
    """Takes every line of `file`; `progress` is told how many so far. Refused lines are kept as dead letters.

    CSV: a header that names the traits, `id` among them; empty cells say nothing. JSON Lines: one object per line,
    traits beside `id`. Raises InvalidFile when it is neither.
    """
    if not file.is_file():
        raise InvalidFile(f"{file}: no such file")
    said_at = min(datetime.fromtimestamp(file.stat().st_mtime, UTC), now)
    total, done = Taken(), 0
    lines = _lines(file, project.vocabulary, said_at)
    while some := list(itertools.islice(lines, batch)):
        entries = [Entry(f"{file.name}:{line.number}", line.raw, now) for line in some if line.wrong is None]
        total.add(take(db, project, entries, now, lease=lease, max_lateness=max_lateness))
        wrong = [Letter(f"{file.name}:{line.number}", line.wrong, line.raw, now) for line in some if line.wrong]
        with db.transaction() as connection:
            dead_letters.keep(connection, wrong)
        total.refused += len(wrong)
        total.letters += [letter.entry_id for letter in wrong]
        done += len(some)
        if progress is not None:
            progress(done)
    return total


def _lines(file: Path, vocabulary: Vocabulary, said_at: datetime) -> Iterator[_Line]:
    with file.open("rb") as opened:
        start = opened.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{"):
        return _from_json(file, said_at)
    return _from_csv(file, vocabulary, said_at)


def _from_json(file: Path, said_at: datetime) -> Iterator[_Line]:
    with file.open("rb") as opened:
        for number, line in enumerate(opened, 1):
            raw = line.strip().removeprefix(b"\xef\xbb\xbf")
            if not raw:
                continue
            try:
                traits = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                yield _Line(number, raw, f"not JSON: {error.msg}")
                continue
            if not isinstance(traits, dict) or "id" not in traits:
                yield _Line(number, raw, 'no object with an "id"')
            else:
                yield _identify(number, raw, traits.pop("id"), traits, said_at)


def _from_csv(file: Path, vocabulary: Vocabulary, said_at: datetime) -> Iterator[_Line]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as opened:
        reader = csv.reader(opened)
        header = [name.strip() for name in next(reader, [])]
        if "id" not in header:
            raise InvalidFile(f"{file}: the first line must name the columns, `id` among them: id,email,first_name,…")
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield _Line(reader.line_num, b"", f"not CSV: {error}")
                continue
            if cells:
                yield _from_cells(reader.line_num, header, cells, vocabulary, said_at)


def _from_cells(number: int, header: list[str], cells: list[str], vocabulary: Vocabulary, said_at: datetime) -> _Line:
    raw = ",".join(cells).encode(errors="surrogateescape")
    if len(cells) != len(header):
        return _Line(number, raw, f"{len(cells)} cells where the header names {len(header)}")
    traits: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        if cell.strip() and name:
            try:
                traits[name] = _value(name, cell.strip(), vocabulary)
            except ValueError as error:
                return _Line(number, raw, str(error))
    return _identify(number, raw, traits.pop("id", None), traits, said_at)


def _value(name: str, cell: str, vocabulary: Vocabulary) -> str | int | float | bool:
    """A cell as the type that the vocabulary declares, so that conditions can compare it."""
    attribute = vocabulary.attributes.get(name)
    kind = attribute.python_type if attribute is not None else str
    if kind is bool:
        if cell.lower() not in _FLAGS:
            raise ValueError(f"{name} {cell[:40]!r} is neither true nor false")
        return _FLAGS[cell.lower()]
    if kind in (int, float, Decimal):
        try:
            return int(cell) if cell.lstrip("-").isdecimal() else float(cell)
        except ValueError:
            raise ValueError(f"{name} {cell[:40]!r} is no number") from None
    return cell


def _identify(number: int, raw: bytes, customer: object, traits: Mapping[str, Any], said_at: datetime) -> _Line:
    message = {"type": "identify", "userId": customer, "timestamp": said_at, "traits": traits}
    try:
        return _Line(number, orjson.dumps(message))
    except orjson.JSONEncodeError:
        return _Line(number, raw, "not UTF-8; save the file as UTF-8")
