"""Two outcomes side by side, drawn for the terminal: emails per customer, then journeys, then reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING

from .listing import console, harmless, plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from lifecycle.store.outcomes import Outcome

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ROWS = 14
_LONGEST_BAR = 28


def show_sides(outcomes: Sequence[Outcome], names: Sequence[str]) -> None:
    """Writes both, the present one on the left."""
    out = console()
    out.print(_emails(outcomes, names, _room(out.width)))
    out.print()
    out.print(_journeys(outcomes))
    if any(part.held_back for outcome in outcomes for part in outcome.journeys.values()):
        out.print()
        out.print(_reasons(outcomes))


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Of sorted values the first that so many percent of them do not exceed; None of none."""
    return values[max(0, ceil(len(values) * percent / 100) - 1)] if values else None


def bar(share: float, width: int) -> str:
    """A bar as long as `share` of `width` letters, to an eighth of one; something of anything above nothing."""
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def _room(width: int) -> int:
    return max(8, min(_LONGEST_BAR, (width - 44) // 2))


def _emails(outcomes: Sequence[Outcome], names: Sequence[str], room: int) -> Table:
    """How many customers got how many emails."""
    table = plain_table()
    table.add_column("emails per customer", justify="right", style="dim")
    for name in names:
        table.add_column(harmless(name), min_width=room + 8, overflow="fold")
    bins = _bins(outcomes)
    counts = [[sum(outcome.emails[emails] for emails in numbers) for numbers in bins] for outcome in outcomes]
    longest = max((number for each in counts for number in each), default=0) or 1
    for place, numbers in enumerate(bins):
        label = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
        drawn = (f"{bar(each[place] / longest, room)} {each[place]:,}".strip() for each in counts)
        table.add_row(label, *drawn)
    table.add_section()
    for what, told in _summary(outcomes):
        table.add_row(what, *told)
    return table


def _bins(outcomes: Sequence[Outcome]) -> list[range]:
    """Numbers of emails, one by one if they are few; else in equal steps after 0, the few who got most in one bin."""
    most = max((emails for outcome in outcomes for emails in +outcome.emails), default=0)
    usual = most if most < _ROWS else max(_at_most(outcome.emails, 99) for outcome in outcomes)
    step = ceil(usual / (_ROWS - 2)) if most >= _ROWS else 1
    bins = [range(1), *(range(first, first + step) for first in range(1, usual + 1, step))]
    return bins if bins[-1].stop > most else [*bins, range(bins[-1].stop, most + 1)]


def _summary(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[str]]]:
    yield "sent", [f"{outcome.sent:,}" for outcome in outcomes]
    yield "on average", [f"{outcome.sent / max(outcome.customers, 1):.1f}" for outcome in outcomes]
    yield "19 of 20 got at most", [f"{_at_most(outcome.emails, 95):,}" for outcome in outcomes]
    yield "the most that one got", [f"{max(+outcome.emails, default=0):,}" for outcome in outcomes]
    yield "in any seven days", [f"{outcome.most_in_a_week:,}" for outcome in outcomes]


def _at_most(emails: Counter[int], percent: int) -> int:
    wanted, so_far = emails.total() * percent / 100, 0
    for number in sorted(emails):
        so_far += emails[number]
        if so_far >= wanted:
            return number
    return 0


def _journeys(outcomes: Sequence[Outcome]) -> Table:
    """Sent, put off by a cap and for how long, held back, goals after a send, each before and after."""
    table = plain_table()
    table.add_column("journey")
    for heading in ("sent", "waited", "p50", "held back", "goals", "mailed before"):
        table.add_column(heading, justify="right")
    for journey in sorted({name for outcome in outcomes for name in outcome.journeys}):
        parts = [outcome.part(journey) for outcome in outcomes]
        table.add_row(
            harmless(journey),
            _both([part.sent for part in parts]),
            _both([len(part.waits) for part in parts]),
            _arrow([duration(percentile(part.waits, 50)) for part in parts]),
            _both([part.held_back.total() for part in parts]),
            _both([part.goals for part in parts]),
            _both([part.goals_after_sends for part in parts]),
        )
    return table


def _reasons(outcomes: Sequence[Outcome]) -> Table:
    """What was held back, journey by journey and reason by reason."""
    table = plain_table()
    table.add_column("held back in")
    table.add_column("because of", overflow="fold")
    table.add_column("how many", justify="right")
    for journey in sorted({name for outcome in outcomes for name in outcome.journeys}):
        held = [outcome.part(journey).held_back for outcome in outcomes]
        most = held[0] | held[1]
        for number, reason in enumerate(sorted(most, key=lambda reason: (-most[reason], reason))):
            name = harmless(journey) if not number else ""
            table.add_row(name, harmless(reason), _both([each[reason] for each in held]))
    return table


def _both(numbers: Sequence[int]) -> str:
    return _arrow([f"{number:,}" for number in numbers])


def _arrow(texts: Sequence[str]) -> str:
    """Before and after, or once where nothing changes."""
    before, after = texts
    return before if before == after else f"{before or '-'} → [bold]{after or '-'}[/bold]"


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units: 2d 4h, 35m; nothing of None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    days, hours = divmod(minutes // 60, 24)
    parts = [(days, "d"), (hours, "h"), (minutes % 60, "m")]
    first = next(place for place, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2] if number)
