"""Wall clocks: moments are UTC, but people live by the clock in their zone.

A wall time that a clock change skips means the first moment after the gap; one that comes twice means the first,
but quiet hours end at the last: nobody is disturbed while their clock shows quiet hours.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from lifecycle.journey.durations import Duration
from lifecycle.journey.policy import QuietHours

from .zones import known_zones, load_zone

_SECOND = timedelta(seconds=1)


def zone_named(name: str | None, default: str) -> ZoneInfo:
    """The zone of that IANA name, or the default where it is unknown."""
    return load_zone(name if name in known_zones() else default)


def at_wall(local: datetime, zone: ZoneInfo) -> datetime:
    """The UTC moment at which clocks in `zone` show `local` (naive)."""
    earlier = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if earlier.astimezone(zone).replace(tzinfo=None) == local.replace(fold=0):
        return earlier
    return _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment of the clock change that skips `local`, by bisection: zones have no list of changes to ask."""
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)  # read with the offset that holds after the change
    after = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return (before + _SECOND).replace(microsecond=0)


@lru_cache(maxsize=4096)
def plus(moment: datetime, duration: Duration, zone: ZoneInfo) -> datetime:
    """`moment` and so many calendar days at the same wall time, then so many exact seconds; kept like `quiet_until`."""
    if duration.days:
        local = moment.astimezone(zone)
        moment = at_wall(local.replace(tzinfo=None, fold=0) + timedelta(days=duration.days), zone)
    return moment + timedelta(seconds=duration.seconds)


def next_wall_time(moment: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The first moment, now included, at which clocks in `zone` show `at`; a day that was left out has no such time."""
    day = moment.astimezone(zone).date()
    while True:
        candidate = on_day(day, at, zone)
        if candidate >= moment and candidate.astimezone(zone).date() == day:
            return candidate
        day += timedelta(days=1)


def on_day(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC moment of `at` on that day in `zone`."""
    return at_wall(datetime.combine(day, at), zone)


@lru_cache(maxsize=4096)
def quiet_until(moment: datetime, quiet: QuietHours | None, zone: ZoneInfo) -> datetime | None:
    """When the quiet hours around `moment` end, or None outside them; kept, as a batch asks for one moment again."""
    until = moment
    while quiet is not None and (end := _end_of_night(until, quiet, zone)):
        until = end  # where a day was left out, the next night begins as this one ends
    return until if until > moment else None


def _end_of_night(moment: datetime, quiet: QuietHours, zone: ZoneInfo) -> datetime | None:
    """The end of the one stretch of quiet hours that `moment` is in, or None."""
    today = moment.astimezone(zone).date()
    overnight = timedelta(days=1 if quiet.end <= quiet.start else 0)
    for day in (today - timedelta(days=1), today):
        if on_day(day, quiet.start, zone) <= moment < (end := _last_on_day(day + overnight, quiet.end, zone)):
            return end
    return None


def _last_on_day(day: date, at: time, zone: ZoneInfo) -> datetime:
    """As `on_day`, but the second time where `at` comes twice."""
    second = datetime.combine(day, at, zone).replace(fold=1).astimezone(UTC)
    return max(second, on_day(day, at, zone))
