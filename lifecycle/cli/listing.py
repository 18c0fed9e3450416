"""Listings: a table for people, or one JSON object per line for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

as_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object per line, for programs.")

_LINES_AT_ONCE = 500
_WIDE = 130
_STYLES = {
    "sent": "green",
    "completed": "green",
    "goal_reached": "green",
    "active": "cyan",
    "pending": "cyan",
    "sending": "cyan",
    "skipped": "yellow",
    "held": "yellow",
    "failed": "red",
    "uncertain": "bold red",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: the field it shows, its heading, on which side it stands; `wide` wants a wide terminal."""

    field: str
    heading: str = ""
    right: bool = False
    wide: bool = False


def write_json(rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes one JSON object per line, moments as UTC; returns how many."""
    import orjson

    left, count = iter(rows), 0
    while some := list(islice(left, _LINES_AT_ONCE)):
        lines = (orjson.dumps(row, default=_plain, option=orjson.OPT_UTC_Z).decode() for row in some)
        click.echo("\n".join(lines))
        count += len(some)
    return count


def _plain(value: object) -> object:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def write_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, empty: str) -> int:
    """Writes a table, or the sentence `empty` where there are no rows; returns how many there were."""
    from rich import box
    from rich.table import Table

    out = console()
    columns = [column for column in columns if out.width >= _WIDE or not column.wide]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        heading = column.heading or column.field.replace("_", " ")
        whole = column.field in ("id", "name") or column.field.endswith("_at")
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(cell(row[column.field], column.field) for column in columns))
    if not table.row_count:
        click.echo(empty)
        return 0
    with out.capture() as drawn:
        out.print(table)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()), color=out.is_terminal)
    return table.row_count


def plain_table() -> Table:
    """A table with a line under its headings and no frame, for whoever fills it themselves."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", show_edge=False)


def write(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool, empty: str = "none") -> int:
    """Writes a listing either way; returns how many rows it has."""
    return write_json(rows) if as_json else write_table(rows, columns, empty=empty)


def console(*, stderr: bool = False) -> Console:
    """The terminal, or, where output goes elsewhere, lines that are as long as they need to be."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 400, soft_wrap=False, highlight=False)


def cell(value: object, field: str = "") -> Text:
    """A value as it stands in a table: short, on one line, and without anything that steers a terminal."""
    from rich.text import Text

    match value:
        case None:
            return Text("")
        case bool():
            return Text("yes" if value else "no")
        case datetime():
            return Text(f"{value:%Y-%m-%d %H:%M}")
        case date():
            return Text(value.isoformat())
        case int():
            return Text(f"{value:,}" if field not in ("id", "entry") else str(value))
        case float():
            return Text(f"{value:g}")
    text = harmless(str(value))
    return Text(text, style=_STYLES.get(text, "") if field == "state" else "")


def harmless(text: str) -> str:
    """The text on one line, without control characters."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """The text without control characters, blanks as they are."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr where that is a terminal: `with progress("emitting") as advance: advance(1)`."""
    if not sys.stderr.isatty():
        yield _nothing
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)

        def advance(amount: int) -> None:
            bar.advance(task, amount)

        yield advance


def _nothing(amount: int) -> None:
    """Output is not a terminal: no bar."""
