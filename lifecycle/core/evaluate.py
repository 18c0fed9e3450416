"""Conditions in Python: whether one holds for the facts of one customer at a moment.

Two-valued: a leaf over something unknown (absent, null, or of another JSON type than declared) is false, and `~`
is plain. `lifecycle.store.segments` says the same in SQL.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias, assert_never, cast

from lifecycle.journey.conditions import (
    After,
    And,
    AttributeRef,
    Compare,
    Condition,
    Count,
    IsSet,
    IsTrue,
    Kind,
    LastSend,
    Node,
    Not,
    OneOf,
    Or,
    PropertyRef,
    Ref,
    Value,
    walk,
)
from lifecycle.journey.durations import Duration

from .facts import Facts, Occurrence

Known: TypeAlias = str | float | bool | datetime

ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_HOLDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(
    condition: Condition,
    facts: Facts,
    now: datetime,
    candidate: Occurrence | None = None,
    candidate_event: str | None = None,
) -> bool:
    """Whether `condition` holds for this customer at `now`.

    `candidate`: the event called `candidate_event` that a `where=` is asked about; its own properties are read
    from it, those of other events from the trigger. Raises LookupError when the facts lack what
    `demands` and `counted` ask for.
    """
    node = closed(condition)
    match node:
        case And(left, right):
            return matches(left, facts, now, candidate, candidate_event) and matches(
                right, facts, now, candidate, candidate_event
            )
        case Or(left, right):
            return matches(left, facts, now, candidate, candidate_event) or matches(
                right, facts, now, candidate, candidate_event
            )
        case Not(inner):
            return not matches(inner, facts, now, candidate, candidate_event)
        case Compare(ref, sign, PropertyRef() as other):
            known = _value(ref, facts, candidate, candidate_event)
            against = _value(other, facts, candidate, candidate_event)
            return known is not None and against is not None and _HOLDS[sign](known, against)
        case Compare(ref, sign, right):
            known = _value(ref, facts, candidate, candidate_event)
            return known is not None and _HOLDS[sign](known, comparable(cast(Value, right)))
        case OneOf(ref, values):
            known = _value(ref, facts, candidate, candidate_event)
            return known is not None and any(known == comparable(value) for value in values)
        case IsSet(ref):
            return _value(ref, facts, candidate, candidate_event) is not None
        case IsTrue(ref):
            return _value(ref, facts, candidate, candidate_event) is True
        case Count():
            return _at_least(node, node.at_least, facts, now) and (
                node.at_most is None or not _at_least(node, node.at_most + 1, facts, now)
            )
        case After(event, other):
            last, undone = _last(event, facts, now), _last(other, facts, now)
            return last is not None and (undone is None or last > undone)
        case LastSend(fate):
            return facts.last_send == fate
        case _:
            assert_never(node)


def closed(condition: Condition) -> Node:
    """The condition as one of the closed set of nodes."""
    node = condition.node()
    assert isinstance(node, (Compare, OneOf, IsSet, IsTrue, Count, After, LastSend, And, Or, Not))
    return node


def comparable(value: Value) -> Known:
    """A constant as it is compared: numbers as double precision, dates as ISO text."""
    match value:
        case bool() | str() | datetime():
            return value
        case int() | float() | Decimal():
            return _double(value)
        case date():
            return value.isoformat()
        case _:
            assert_never(value)


def window_start(now: datetime, last: Duration | None) -> datetime | None:
    """The moment after which events count; None for all time, and for windows that reach before the year 1."""
    if last is None:
        return None
    try:
        return now - last.rolling
    except OverflowError:
        return None


def in_brief(count: Count, at_least: int) -> bool:
    """Whether the activity row (number, first, last) answers "at least so many" without reading the events.

    It does so exactly as long as no event of that name lies in the future (timestamps may be up to a day early);
    where one does, both evaluators and `load_facts` turn to the events.
    """
    return count.where is None and (count.last is None or at_least <= 1)


def counted(*conditions: Condition | None) -> frozenset[str]:
    """The names of the events that the conditions count or compare: whose activity must be known."""
    names: set[str] = set()
    for condition in conditions:
        for node in walk(condition.node()) if condition is not None else ():
            match node:
                case Count(event=event):
                    names.add(event)
                case After(event, other):
                    names |= {event, other}
                case _:
                    pass
    return frozenset(names)


def demands(*conditions: Condition | None) -> dict[str, Duration | None]:
    """The events whose occurrences the conditions need, with the longest window; None is all time."""
    needed: dict[str, Duration | None] = {}
    for condition in conditions:
        for node in walk(condition.node()) if condition is not None else ():
            if isinstance(node, Count) and not all(in_brief(node, limit) for limit in _limits(node)):
                needed[node.event] = _longer(needed[node.event], node.last) if node.event in needed else node.last
    return needed


def _limits(count: Count) -> tuple[int, ...]:
    """The "at least" questions that a count consists of."""
    return (count.at_least,) if count.at_most is None else (count.at_least, count.at_most + 1)


def _longer(one: Duration | None, other: Duration | None) -> Duration | None:
    return None if one is None or other is None else max(one, other, key=lambda span: span.days * 86400 + span.seconds)


def _at_least(count: Count, at_least: int, facts: Facts, now: datetime) -> bool:
    if at_least <= 0:
        return True
    since = window_start(now, count.last)
    activity = facts.activity.get(count.event)
    if activity is None and count.event not in facts.occurrences:
        return False
    if activity is not None:
        if activity.count < at_least or activity.first_at > now or (since and activity.last_at <= since):
            return False
        whole = since is None or activity.first_at > since
        if count.where is None and activity.last_at <= now and (whole or at_least == 1):
            return True
    if count.event not in facts.occurrences:
        raise LookupError(f"the facts lack the occurrences of {count.event!r}, which a condition counts")
    found = 0
    for occurrence in facts.occurrences[count.event]:
        if occurrence.at <= now and (since is None or occurrence.at > since):
            found += count.where is None or matches(count.where, facts, now, occurrence, count.event)
            if found >= at_least:
                return True
    return False


def _last(event: str, facts: Facts, now: datetime) -> datetime | None:
    """When the last event of that name was, by `now`."""
    activity = facts.activity.get(event)
    if activity is not None and activity.last_at <= now:
        return activity.last_at
    if activity is None and event not in facts.occurrences:
        return None
    if event not in facts.occurrences:
        raise LookupError(f"the facts lack the occurrences of {event!r}, of which one lies ahead")
    return max((occurrence.at for occurrence in facts.occurrences[event] if occurrence.at <= now), default=None)


def _value(ref: Ref, facts: Facts, candidate: Occurrence | None, candidate_event: str | None) -> Known | None:
    match ref:
        case AttributeRef(name, kind):
            return known_value(facts.traits.get(name), kind)
        case PropertyRef(event, name, kind):
            if candidate is not None and event == candidate_event:
                return known_value(candidate.properties.get(name), kind)
            return known_value(facts.trigger.get(name), kind) if event == facts.trigger_event else None
        case _:
            assert_never(ref)


def known_value(value: object, kind: Kind) -> Known | None:
    """A trait or property as it is compared, or None when it is unknown or of another type than declared."""
    match kind:
        case "text":
            return value if isinstance(value, str) else None
        case "number":
            return _double(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        case "flag":
            return value if isinstance(value, bool) else None
        case "date":
            if isinstance(value, date) and not isinstance(value, datetime):
                return value.isoformat()
            return value if isinstance(value, str) and ISO_DATE.fullmatch(value) else None
        case "instant":
            return value if isinstance(value, datetime) else None
        case _:
            assert_never(kind)


def _double(value: int | float | Decimal) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
