"""The report on caps as tables, and as one object per line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from .listing import console, harmless, plain_table
from .sides import duration

if TYPE_CHECKING:
    from rich.table import Table

    from lifecycle.flow.cap_report import CapReport, Line
    from lifecycle.store.capped import Held

_NUMBERS = ("held", "waited", "skipped", "digested", "waiting", "otherwise")
_HEADINGS = ("sent", "held back", "waited", "p50", "p95", "skipped", "digested", "waiting", "other")
_ALWAYS = 2
_WHOLE = ("sent", "waited", "p50", "p95")
_NAMES = 22  # letters


def records(report: CapReport) -> Iterator[dict[str, Any]]:
    """The period; then each cap and journey, who is at a cap, and who lost to whom. Waits are in seconds."""
    yield {"record": "period", "since": report.since, "until": report.until}
    for line in report.lines:
        yield {
            "record": "cap",
            "cap": line.cap,
            "journey": line.journey,
            "sent": line.sent,
            **_numbers(line.held),
            "wait_p50": line.held and line.held.p50,
            "wait_p95": line.held and line.held.p95,
        }
    for cap, at in report.at_caps.items():
        first = [{"customer_id": customer, "next_free": moment} for moment, customer in at.first]
        yield {"record": "at_cap", "cap": cap, "customers": at.customers, "first": first}
    for one in report.paid:
        told = {"journey": one.journey, "to": one.winner, "messages": one.messages, "slots": one.slots}
        yield {"record": "lost_to", "cap": one.cap, **told}


def show_report(report: CapReport) -> None:
    """Writes the tables."""
    out = console()
    out.print(f"[bold]from {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC[/bold]\n")
    if not report.lines:
        out.print("nothing was sent that counts under a cap, and nothing was held back by one")
    else:
        out.print(_lines(report))
    for wanted, table in ((report.at_caps, _at_caps), (report.paid, _matrix)):
        if wanted:
            out.print()
            out.print(table(report))


def _numbers(held: Held | None) -> dict[str, int]:
    if held is None:
        return dict.fromkeys(_NUMBERS, 0)
    otherwise = held.held - held.waited - held.skipped - held.digested - held.waiting
    return dict(
        zip(
            _NUMBERS,
            (held.held, held.waited, held.skipped, held.digested, held.waiting, otherwise),
            strict=True,
        )
    )


def _lines(report: CapReport) -> Table:
    """What each cap let through and held back, its journeys below it; columns in which nothing stands are left out."""
    caps = [(cap, [(line.journey, [*_cells(line)]) for line in lines]) for cap, lines in _by_cap(report)]
    rows = [cells for _, journeys in caps for _, cells in journeys]
    shown = [place for place in range(len(_HEADINGS)) if place < _ALWAYS or any(cells[place] for cells in rows)]
    table = plain_table()
    table.add_column("cap, and journey", overflow="fold", min_width=_NAMES)
    for place in shown:
        table.add_column(_HEADINGS[place], justify="right", no_wrap=_HEADINGS[place] in _WHOLE)
    for cap, journeys in caps:
        table.add_row(f"[bold]{harmless(cap)}[/bold]")
        for journey, cells in journeys:
            table.add_row(f"  {harmless(journey)}", *(cells[place] for place in shown))
    return table


def _by_cap(report: CapReport) -> Iterator[tuple[str, Iterator[Line]]]:
    return groupby(report.lines, key=lambda line: line.cap)


def _cells(line: Line) -> Iterator[str]:
    numbers = {name: f"{number:,}" if number else "" for name, number in _numbers(line.held).items()}
    yield "" if line.sent is None else f"{line.sent:,}"
    yield numbers["held"]
    yield numbers["waited"]
    yield duration(line.held and line.held.p50)
    yield duration(line.held and line.held.p95)
    for name in _NUMBERS[2:]:
        yield numbers[name]


def _at_caps(report: CapReport) -> Table:
    """Who has no slot left now."""
    table = plain_table()
    table.add_column("at their cap now")
    table.add_column("customers", justify="right")
    table.add_column("the first with a slot again (UTC)", overflow="fold")
    for cap, at in report.at_caps.items():
        first = ", ".join(f"{harmless(customer)} {moment:%m-%d %H:%M}" for moment, customer in at.first)
        table.add_row(harmless(cap), f"{at.customers:,}", first + (", …" if at.customers > len(at.first) else ""))
    return table


def _matrix(report: CapReport) -> Table:
    """Of what caps held back of the row's journey, in how many cases one of the column's had a slot."""
    lost: Counter[tuple[str, str]] = Counter()
    for one in report.paid:
        lost[one.journey, one.winner] += one.messages
    winners = sorted({winner for _, winner in lost})
    table = plain_table()
    table.add_column("held back, while a slot was taken by")
    for winner in winners:
        table.add_column(harmless(winner), justify="right")
    for journey in sorted({journey for journey, _ in lost}):
        row = (lost[journey, winner] for winner in winners)
        table.add_row(harmless(journey), *(f"{number:,}" if number else "" for number in row))
    return table
