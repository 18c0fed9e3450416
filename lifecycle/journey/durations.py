"""Lengths of time as a marketer means them: calendar days or exact hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lifecycle.errors import DefinitionError

from .origin import here

LONGEST = timedelta(days=36_525)
"""A hundred years: what is added to a moment, or taken from it, must still be a moment."""


@dataclass(frozen=True, slots=True)
class Duration:
    """`days` calendar days (the same wall time in the customer's zone) and `seconds` exact seconds.

    Raises DefinitionError where that is more than a hundred years.
    """

    days: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        if self.days * 86_400 + self.seconds > LONGEST // timedelta(seconds=1):
            raise DefinitionError(
                here(), "a duration of more than 100 years", f"give at most days({LONGEST.days}), or drop it"
            )

    @property
    def rolling(self) -> timedelta:
        """The length as an exact span, a day being 24 hours: what rolling windows count in."""
        return timedelta(days=self.days, seconds=self.seconds)

    def __str__(self) -> str:
        parts = [_counted(self.days, "day")] if self.days else []
        hours, rest = divmod(self.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        parts += [_counted(n, unit) for n, unit in ((hours, "hour"), (minutes, "minute"), (seconds, "second")) if n]
        return " ".join(parts) or "no time"


def _counted(n: int, unit: str) -> str:
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"


def days(n: int) -> Duration:
    """`n` calendar days: the same wall time in the customer's zone, 23 or 25 hours across a clock change."""
    return Duration(days=_whole(n, "days"))


def weeks(n: int) -> Duration:
    """`n` times seven calendar days."""
    return Duration(days=7 * _whole(n, "weeks"))


def hours(n: int) -> Duration:
    """`n` exact hours."""
    return Duration(seconds=3600 * _whole(n, "hours"))


def minutes(n: int) -> Duration:
    """`n` exact minutes."""
    return Duration(seconds=60 * _whole(n, "minutes"))


def as_span(value: object, wanted_by: str) -> Duration:
    """`value` if it is a duration; raises DefinitionError, naming who wanted it, otherwise."""
    if not isinstance(value, Duration):
        raise DefinitionError(
            here(), f"{wanted_by} wants a duration, not {value!r}", "write days(3), hours(2) or minutes(30)"
        )
    return value


def _whole(n: int, unit: str) -> int:
    if isinstance(n, bool) or not isinstance(n, int):
        raise DefinitionError(here(), f"{unit}({n!r}) wants a whole number", f"write {unit}(3), say")
    if n <= 0:
        raise DefinitionError(here(), f"{unit}({n}) is no time at all", "give at least 1, or drop it")
    return n
