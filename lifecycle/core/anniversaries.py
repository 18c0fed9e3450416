"""Which anniversaries people may be greeted for at a moment, by the calendar and clock of their zone."""

from __future__ import annotations

from calendar import isleap
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from lifecycle.journey.journey import LeapDay

_NOON = time(12)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Anniversary:
    """A day of the year, as "02-28", in a year, as "2027": the enrollment's key, so that it happens once."""

    day: str
    year: str


def anniversaries(now: datetime, zone: ZoneInfo, at: time, leap_day: LeapDay) -> tuple[Anniversary, ...]:
    """The anniversaries that people in `zone` celebrate now: from `at` to the end of their local day.

    An `at` that a clock change skips is the first moment after the gap. 29 February in other years is as
    `leap_day` says. A day that the zone skipped whole (Apia had no 30 December 2011) is celebrated on the next.
    """
    local = now.astimezone(zone)
    return _celebrated(local.date(), zone, leap_day) if local.time() >= at else ()


@lru_cache(maxsize=8192)
def _celebrated(today: date, zone: ZoneInfo, leap_day: LeapDay) -> tuple[Anniversary, ...]:
    days = [today]
    while days[-1] > date.min and _skipped(days[-1] - _DAY, zone):
        days.append(days[-1] - _DAY)
    return tuple(Anniversary(name, f"{day.year:04}") for day in days for name in _names(day, leap_day))


def _skipped(day: date, zone: ZoneInfo) -> bool:
    """Whether clocks in `zone` never showed noon of that day."""
    noon = datetime.combine(day, _NOON, zone)
    return noon.astimezone(UTC).astimezone(zone).date() != day


def _names(day: date, leap_day: LeapDay) -> list[str]:
    names = [f"{day:%m-%d}"]
    if not isleap(day.year) and names[0] == {"feb 28": "02-28", "mar 1": "03-01", "skip": None}[leap_day]:
        names.append("02-29")
    return names
