"""Frequency caps: what counts, whether there is room, and when there will be.

A rolling window is half-open: a message at `t` counts against another at `t'` while `t' - window < t`, so that no span
of the window's length ever holds more than the limit. A calendar window of n days holds the customer's local day and
the n - 1 before it. Either way the next free moment is computed from the moments at which something stops counting,
and not searched for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from lifecycle.journey.caps import Cap
from lifecycle.journey.policy import QuietHours

from .calendar import on_day, quiet_until

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Counted:
    """A message as caps see it: when it went out at the latest, or is to go out, and of what it was then.

    Of a digest: the topics and journeys of all its sections. `id`: its row, 0 while there is none.
    """

    at: datetime
    topics: frozenset[str]
    journeys: frozenset[str]
    marketing: bool = True
    priority: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class Full:
    """A cap without room, and the messages that fill it, those it keeps slots for included."""

    cap: Cap
    by: tuple[Counted, ...]
    kept_for: tuple[Counted, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """The rows of what fills it."""
        return tuple(sorted({each.id for each in (*self.by, *self.kept_for) if each.id}))


@dataclass(slots=True)
class Slots:
    """One customer's slots: their caps, what went out, and what is known to come (`ahead`), at its `at`.

    What is ahead matters only to caps that keep slots. An earlier try of a message takes no slot from it.
    """

    caps: Sequence[Cap]
    zone: ZoneInfo
    past: list[Counted] = field(default_factory=list)
    ahead: list[Counted] = field(default_factory=list)

    def full(self, message: Counted, now: datetime) -> Full | None:
        """The first cap that has no room for `message` at `now`, or None."""
        for cap in self.caps:
            if len(self.past) < cap.limit and cap.keep is None:
                continue
            if obeys(cap, message):
                by, kept_for = self._taken(cap, message, now)
                if len(by) + _kept(cap, kept_for) >= cap.limit:
                    return Full(cap, tuple(by), tuple(kept_for))
        return None

    def next_free(self, message: Counted, now: datetime, quiet: QuietHours | None = None) -> datetime | None:
        """The first moment from `now` on at which every cap has room for `message` and no quiet hours are.

        What is ahead counts as sent when it is due. None if a cap never has room.
        """
        moment = now
        while True:
            moment = quiet_until(moment, quiet, self.zone) or moment
            full = self.full(message, moment)
            if full is None:
                return moment
            # At least so many must stop counting before there is room: until then nothing is to be looked at.
            leaving = sorted(stops_counting(full.cap, each, self.zone) for each in (*full.by, *full.kept_for))
            needed = len(full.by) + _kept(full.cap, full.kept_for) - full.cap.limit + 1
            if needed > len(leaving):
                return None
            moment = leaving[needed - 1]

    def without_ahead(self) -> Slots:
        """The same, as if nothing were known to come."""
        return Slots(self.caps, self.zone, self.past)

    def _taken(self, cap: Cap, message: Counted, now: datetime) -> tuple[list[Counted], list[Counted]]:
        """What counts under `cap` at `now`, and what `message` must leave slots for."""
        if cap.window == "rolling":
            since = now - cap.span
            by = [each for each in self.past if each.at > since and counts(cap, each) and not _is_one(each, message)]
        else:
            by = [
                each
                for each in self.past
                if counts(cap, each) and now < stops_counting(cap, each, self.zone) and not _is_one(each, message)
            ]
        kept_for: list[Counted] = []
        if cap.keep is not None and message.priority < cap.keep.priority:
            for each in self.ahead:
                if each.priority < cap.keep.priority or not counts(cap, each) or _is_one(each, message):
                    continue
                if each.at < now:
                    if now < stops_counting(cap, each, self.zone):
                        by.append(each)
                elif starts_counting(cap, each, self.zone) <= now:
                    kept_for.append(each)
        return by, kept_for


def _is_one(one: Counted, other: Counted) -> bool:
    """Whether both are tries of one message."""
    return one.id == other.id != 0


def _kept(cap: Cap, kept_for: Sequence[Counted]) -> int:
    """How many slots `cap` keeps for these."""
    return 0 if cap.keep is None else min(cap.keep.slots, len(kept_for))


def counted(row: Any, at: datetime) -> Counted:
    """A row with id, kind, topic, journey, priority and sections (of a digest) as caps see it."""
    sections: Sequence[Mapping[str, Any]] = row.sections or ({"topic": row.topic, "journey": row.journey},)
    return Counted(
        at,
        frozenset(section["topic"] for section in sections),
        frozenset(section["journey"] for section in sections),
        row.kind == "marketing",
        row.priority,
        row.id,
    )


def counts(cap: Cap, message: Counted) -> bool:
    """Whether `message` counts towards `cap`."""
    return (message.marketing or cap.counts == "all") and _concerns(cap, message)


def obeys(cap: Cap, message: Counted) -> bool:
    """Whether `message` may only go out while `cap` has room."""
    return (message.marketing or cap.obeyed_by == "all") and _concerns(cap, message)


def _concerns(cap: Cap, message: Counted) -> bool:
    return (cap.topic is None or cap.topic in message.topics) and (
        cap.journey is None or cap.journey in message.journeys
    )


def stops_counting(cap: Cap, message: Counted, zone: ZoneInfo) -> datetime:
    """The first moment at which `message` no longer counts."""
    if cap.window == "rolling":
        return message.at + cap.span
    return _midnight(message.at.astimezone(zone).date() + cap.span, zone)


def starts_counting(cap: Cap, message: Counted, zone: ZoneInfo) -> datetime:
    """The first moment in whose window, looking ahead, `message` lies."""
    if cap.window == "rolling":
        return message.at - cap.span
    return _midnight(message.at.astimezone(zone).date() - cap.span + _DAY, zone)


@lru_cache(maxsize=4096)  # a batch asks for the same few days again and again
def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return on_day(day, time(0), zone)


def longest(caps: Iterable[Cap]) -> timedelta:
    """How far back anything can count at most; nothing without caps."""
    return max((reach(cap) for cap in caps), default=timedelta(0))


def reach(cap: Cap) -> timedelta:
    """How far back anything can count under `cap` at most, in any zone."""
    return cap.span if cap.window == "rolling" else cap.span + _DAY
