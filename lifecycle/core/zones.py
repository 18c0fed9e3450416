"""Which of the names that apps give are time zones."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones


@cache
def known_zones() -> frozenset[str]:
    """The names of all zones of the IANA database, spelt exactly so; whatever else an app gives is no zone."""
    return frozenset(available_timezones())


@cache
def load_zone(name: str) -> ZoneInfo:
    """The zone of a known name, kept for good: zoneinfo itself remembers eight."""
    return ZoneInfo(name)
