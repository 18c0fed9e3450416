"""What must be reached, and what was: each bar of the specification is one entry here, each measurement one `Line`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
BOTH = (SQLITE, POSTGRESQL)


@dataclass(frozen=True, slots=True)
class Bar:
    """`limit` is the least that is good enough, or, with `at_most`, the most; `on`: the databases that it holds for."""

    what: str
    limit: float
    unit: str = "×"
    at_most: bool = False
    on: Sequence[str] = BOTH

    def met_by(self, value: float) -> bool:
        """Whether `value` is good enough."""
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {_figure(self.limit)} {self.unit}"


BARS: dict[str, Bar] = {
    "deliver.smtplib": Bar("delivering ÷ a bare smtplib loop over ready-made bytes", 1.0),
    "deliver.usual": Bar("delivering ÷ the usual way", 8.0),
    "deliver.blast": Bar("delivering ÷ a pipelined blast of ready-made bytes", 0.5),
    "deliver.cpu": Bar("worker and database per 1,000 emails", 0.5, "CPU s", at_most=True),
    "deliver.two": Bar("two worker processes ÷ one", 1.1),
    "memory.peak": Bar("one worker's memory after 100,000 emails", 150, "MB", at_most=True),
    "events.rate": Bar("taking events with a million customers", 8_000, "events/s"),
    "events.growth": Bar("an event with a million customers ÷ with ten thousand", 1.4, at_most=True),
    "claim.growth": Bar("claiming 500 of a million waiting ÷ of ten thousand", 3.0, at_most=True),
    "claim.bloat": Bar("the same after a million updates ÷ at first", 2.0, at_most=True),
    "claim.caps": Bar("claiming messages with caps ÷ without", 1.4, at_most=True),
    "caps.ten": Bar("deciding under ten caps ÷ under one", 1.5, at_most=True),
    "caps.heavy": Bar("a customer with 5,000 earlier messages ÷ with 5", 1.3, at_most=True),
    "caps.growth": Bar("a send with a million customers, 50 million messages ÷ ten thousand", 1.3, at_most=True),
    "enter.when": Bar("a pass of when(…) over a million customers", 2.0, "s", at_most=True, on=(POSTGRESQL,)),
    "enter.each_year": Bar("a pass of each_year(…) over a million customers", 2.0, "s", at_most=True, on=(POSTGRESQL,)),
    "enter.reads": Bar("plans that read all events", 0, "plans", at_most=True),
    "end_to_end.rate": Bar("from the first XADD to the last SMTP reply", 1_000, "emails/s", on=(POSTGRESQL,)),
    "replay.cdnow": Bar("replaying the CDNOW sample", 60, "s", at_most=True, on=(SQLITE,)),
    "rendering.bare": Bar("rendering one recipient ÷ Jinja alone on the same sources", 1.5, at_most=True, on=("",)),
    "rendering.cold": Bar("compiling all shipped emails", 2.0, "s", at_most=True, on=("",)),
    "rendering.cached": Bar("the same from the cache on disk", 50, "ms", at_most=True, on=("",)),
    "start.help": Bar("lifecycle --help", 250, "ms", at_most=True, on=("",)),
    "start.check": Bar("lifecycle check", 1_500, "ms", at_most=True, on=("",)),
    "preview.warm": Bar("lifecycle preview, the email compiled before", 1_000, "ms", at_most=True, on=("",)),
    "preview.cold": Bar("lifecycle preview, nothing compiled yet", 1_000, "ms", at_most=True, on=("",)),
    "gallery.paint": Bar("first paint of the gallery", 1_000, "ms", at_most=True, on=("",)),
}


@dataclass(frozen=True, slots=True)
class Line:
    """What was measured of one bar on one database, in every run; `beside`: the absolute figures, in words.

    Without a `bar` it only informs.
    """

    bar: str | None
    database: str
    values: Sequence[float]
    beside: str = ""
    what: str = ""
    unit: str = ""

    @property
    def value(self) -> float:
        """The median of the runs."""
        return statistics.median(self.values)

    @property
    def missed(self) -> bool:
        """Whether there is a bar and it is not reached."""
        return self.bar is not None and self.database in BARS[self.bar].on and not BARS[self.bar].met_by(self.value)

    def __str__(self) -> str:
        bar = BARS[self.bar] if self.bar is not None else None
        counts = bar is not None and self.database in bar.on
        mark = ("✗" if self.missed else "✓") if counts else "·"
        what, unit = (bar.what, bar.unit) if bar is not None else (self.what, self.unit)
        spread = f" ({_figure(min(self.values))} to {_figure(max(self.values))})" if len(self.values) > 1 else ""
        limit = f"  [{bar}]" if counts else ""
        beside = f"\n      {self.beside}" if self.beside else ""
        return f"{mark} {self.database or '–':<10}  {what}: {_figure(self.value)} {unit}{spread}{limit}{beside}"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Run by run, because only what ran in the same minute compares."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def per_second(count: int, seconds: Iterable[float]) -> list[float]:
    """Rates of runs that each did `count`."""
    return [count / each for each in seconds]


def median(values: Sequence[float]) -> str:
    """The median, as a figure to read."""
    return _figure(statistics.median(values))


def exit_code(lines: Iterable[Line]) -> int:
    """1 if any bar is missed, else 0."""
    return int(any(line.missed for line in lines))


def _figure(value: float) -> str:
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
