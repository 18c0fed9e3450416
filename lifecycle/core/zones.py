"""Which of the names that apps give are time zones."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones


@cache
def known_zones() -> frozenset[str]:
    """The names of all zones of the IANA database, spelt exactly so; whatever else an app gives is no zone."""
    return frozenset(available_timezones())


def zone_named(name: str | None, default: ZoneInfo) -> ZoneInfo:
    """The zone of that name, or `default` when there is none."""
    return _zone(name) if name is not None and name in known_zones() else default


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
