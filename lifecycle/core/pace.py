"""The pace that customers ask for, and the caps that hold for one of them.

Everything here lowers what the policy allows and nothing raises it: a customer's own caps stand beside the policy's,
and a saturated customer's are the policy's with fewer messages, or with longer windows.

A pace, as it is kept: {"caps": {"offers": {"at_most": 1, "per_days": 7, "at": "…Z"}}, "pause": {"until": "2026-12-31",
"at": "…Z"}}; the topic "*" is all. What was taken back stays with nulls, so that older statements that arrive later
do not bring it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from math import ceil
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from lifecycle.journey.caps import Cap, Keep
from lifecycle.journey.durations import LONGEST, Duration
from lifecycle.journey.origin import is_text
from lifecycle.journey.policy import Policy

from .calendar import on_day
from .fatigue import SATURATED

Pace: TypeAlias = Mapping[str, Any]

ALL = "*"
"""The key of what they asked for all topics together."""

MOST_DAYS = 366
"""The longest `per_days`: caps read as far back as their longest window."""

_MOST = 1_000_000
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Preference:
    """What one `frequency.preferred` says: caps by topic, and a pause; each None where it says nothing of it."""

    cap: tuple[str, dict[str, Any]] | None = None
    pause: dict[str, Any] | None = None


def preference(properties: Mapping[str, Any], at: str) -> tuple[Preference, list[str]]:
    """What the event's properties ask for as of `at` (UTC text that sorts as time does), and what is wrong with the
    rest."""
    faults: list[str] = []
    cap, pause = None, None
    if "at_most" in properties:
        cap = _cap(properties, at, faults)
    if "pause_until" in properties:
        pause = _pause(properties["pause_until"], at, faults)
    if "at_most" not in properties and "pause_until" not in properties:
        faults.append("it says neither at_most nor pause_until; the event was taken, the pace is as it was")
    return Preference(cap, pause), faults


def merged(pace: Pace, said: Preference) -> dict[str, Any]:
    """The pace with the newest of what was said; of two at one moment, the slower."""
    caps = dict(pace.get("caps", {}))
    if said.cap is not None:
        topic, cap = said.cap
        caps[topic] = max(caps.get(topic, cap), cap, key=_slowness)
    pause = pace.get("pause")
    if said.pause is not None:
        pause = max(pause or said.pause, said.pause, key=_length)
    return ({"caps": caps} if caps else {}) | ({"pause": pause} if pause else {})


def effective_caps(policy: Policy, pace: Pace, state: str | None) -> tuple[Cap, ...]:
    """The caps that hold for a customer of that pace and fatigue state; never more than the policy's allow.

    The policy's own tuple where they are the same.
    """
    caps = policy.caps
    if state == SATURATED and policy.fatigue is not None:
        caps = saturated(caps, policy.fatigue.saturated)
    if not pace:
        return caps
    own = tuple(cap for cap in personal(pace) if not any(_covers(each, cap) for each in policy.caps))
    return caps + own if own else caps


def personal(pace: Pace) -> Iterator[Cap]:
    """The caps that a customer asked for; what names no topic, as it could be kept once, is passed over."""
    for topic, said in sorted(pace.get("caps", {}).items()):
        if said["at_most"] is not None and is_text(topic):
            per = Duration(days=said["per_days"])
            yield Cap(said["at_most"], per=per, topic=None if topic == ALL else topic).for_one("as they asked")


@lru_cache(maxsize=64)
def saturated(caps: Sequence[Cap], share: float) -> tuple[Cap, ...]:
    """The caps with `share` of their messages; where that is less than one, one in a window as much longer.

    Transactional mail that obeys a cap obeys the cap as it was.
    """
    lowered: list[Cap] = []
    for cap in caps:
        left = Decimal(str(share)) * cap.limit
        if left == cap.limit:
            lowered.append(cap)
            continue
        if cap.obeyed_by == "all":
            lowered.append(cap)
        lowered.append(_lowered(cap, left))
    return tuple(lowered)


def paused_until(pace: Pace, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The moment at which the day begins, in `zone`, until which the customer asked to be left alone; None if not."""
    until = pause_day(pace)
    moment = None if until is None else on_day(until, time(0), zone)
    return moment if moment is not None and moment > now else None


def pause_day(pace: Pace) -> date | None:
    """The day until which the customer asked to be left alone, over or not."""
    until = (pace.get("pause") or {}).get("until")
    return None if until is None else date.fromisoformat(until)


def _cap(properties: Mapping[str, Any], at: str, faults: list[str]) -> tuple[str, dict[str, Any]] | None:
    topic, at_most, per_days = (properties.get(name) for name in ("topic", "at_most", "per_days"))
    if topic is not None and not is_text(topic):
        faults.append("the topic is no text, or has blanks around it; the event was taken, the pace is as it was")
    elif at_most is None:
        return topic or ALL, {"at_most": None, "per_days": None, "at": at}
    elif type(at_most) is not int or not 0 <= at_most <= _MOST:
        faults.append("at_most is no number of messages, nor null; the event was taken, the pace is as it was")
    elif type(per_days) is not int or not 1 <= per_days <= MOST_DAYS:
        faults.append(f"per_days is no whole number from 1 to {MOST_DAYS}; the event was taken, the pace is as it was")
    else:
        return topic or ALL, {"at_most": at_most, "per_days": per_days, "at": at}
    return None


def _pause(until: object, at: str, faults: list[str]) -> dict[str, Any] | None:
    if until is None:
        return {"until": None, "at": at}
    try:
        day = date.fromisoformat(until if isinstance(until, str) else "")
        if day.isoformat() == until and 1990 <= day.year < 9999:  # midnight of that day must exist in every zone
            return {"until": until, "at": at}
    except ValueError:
        pass
    faults.append("pause_until is no date like 2026-12-31, nor null; the event was taken, nothing is paused by it")
    return None


def _slowness(said: Mapping[str, Any]) -> tuple[str, bool, float, int]:
    at_most, per_days = said["at_most"], said["per_days"]
    if at_most is None:
        return said["at"], False, 0.0, 0
    return said["at"], True, -at_most / per_days, per_days


def _length(said: Mapping[str, Any]) -> tuple[str, str]:
    return said["at"], said["until"] or ""


def _covers(cap: Cap, asked: Cap) -> bool:
    """Whether `cap` allows no more than `asked`, which then says nothing new."""
    return (
        cap.window == "rolling"
        and cap.journey is None
        and cap.topic in (None, asked.topic)
        and cap.limit <= asked.limit
        and cap.span >= asked.span
    )


def _lowered(cap: Cap, left: Decimal) -> Cap:
    limit, per = int(left), cap.per
    if limit < 1:
        limit, per = 1, _longer(cap, left)
    keep = cap.keep and Keep(min(cap.keep.slots, limit), cap.keep.priority)
    return Cap(
        limit, per=per, topic=cap.topic, journey=cap.journey, window=cap.window, counts=cap.counts, keep=keep
    ).for_one("saturated")


def _longer(cap: Cap, left: Decimal) -> Duration:
    """The window in which one message is as many as `left` are in the cap's, or the longest there is."""
    if cap.window == "calendar":
        return Duration(days=min(ceil(cap.per.days / left), LONGEST.days))
    longest = LONGEST // timedelta(seconds=1)
    seconds = min(ceil(Decimal(int(cap.span / timedelta(seconds=1))) / left), longest)
    return Duration(days=seconds // _DAY, seconds=seconds % _DAY)
