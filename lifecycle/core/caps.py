"""Frequency caps: rolling windows, counted to the second.

A window is half-open: a message at `t` counts against another at `t'` while `t' - window < t`, so that no span
of the window's length ever holds more than the limit. With the history fixed, counts only fall as time
passes: the next free moment is a maximum over caps, computed and not searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.journey.caps import Cap


@dataclass(frozen=True, slots=True)
class Counted:
    """An earlier message as caps see it: when it went out, at the latest, and its topic then."""

    at: datetime
    topic: str


def full(caps: Sequence[Cap], counts: Sequence[int], topic: str) -> Cap | None:
    """The first cap that has no room for a message of `topic`, given how many count under each cap now."""
    for cap, count in zip(caps, counts, strict=True):
        if count >= cap.limit and cap.concerns(topic):
            return cap
    return None


def counts_now(caps: Sequence[Cap], history: Sequence[Counted], now: datetime) -> list[int]:
    """How many messages of `history` count under each cap at `now`."""
    return [sum(1 for past in history if past.at > now - cap.span and cap.concerns(past.topic)) for cap in caps]


def next_free(caps: Sequence[Cap], history: Sequence[Counted], topic: str, now: datetime) -> datetime | None:
    """The first moment from `now` on at which every cap has room for `topic`; None if one never has."""
    moment = now
    for cap in caps:
        if not cap.concerns(topic):
            continue
        if cap.limit == 0:
            return None
        moments = sorted((past.at for past in history if cap.concerns(past.topic)), reverse=True)
        if len(moments) >= cap.limit:
            moment = max(moment, moments[cap.limit - 1] + cap.span)
    return moment


def longest(caps: Sequence[Cap]) -> timedelta:
    """The longest window; nothing without caps."""
    return max((cap.span for cap in caps), default=timedelta(0))
