"""Conditions, entries and moments as a person would say them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, assert_never

from .conditions import (
    After,
    And,
    Compare,
    Condition,
    Count,
    IsSet,
    IsTrue,
    LastSend,
    Not,
    OneOf,
    Or,
    PropertyRef,
    Value,
)
from .entries import EachYear, Entry, Manually, On, OnDate, When
from .steps import Until


def entry_in_words(entry: Entry) -> str:
    """The way into a journey."""
    match entry:
        case On(event, where):
            return f"on {event_in_words(event, where)}"
        case When(condition):
            return f"when {in_words(condition)}"
        case EachYear(attribute, at):
            return f"each year on {attribute} at {at:%H:%M}"
        case OnDate(month, day, at):
            return f"each year on {date(2024, month, day):%-d %B} at {at:%H:%M}"
        case Manually():
            return "by hand"
        case _:
            assert_never(entry)


def moment_in_words(until: Until | None, at: time) -> str:
    """What a Wait waits for; `at` is the time on a day."""
    match until:
        case time():
            return f"{until:%H:%M}"
        case datetime():
            return f"{until:%Y-%m-%d %H:%M}"
        case _:
            return f"{until} at {at:%H:%M}"


def event_in_words(event: str, where: Condition | None) -> str:
    """An event and what it must be like."""
    return event if where is None else f"{event} with {in_words(where)}"


def in_words(condition: Condition) -> str:
    """The condition as a person would say it."""
    match condition:
        case And(left, right):
            return f"{_part(left, Or)} and {_part(right, Or)}"
        case Or(left, right):
            return f"{_part(left, And)} or {_part(right, And)}"
        case Not(Count(at_least=1, at_most=None) as count):
            return in_words(replace(count, at_least=0, at_most=0))
        case Not(After(event, other)):
            return f"no {event} without {other} since"
        case Not(inner):
            return f"not {_part(inner, And | Or)}"
        case _:
            return _leaf(condition)


def _leaf(condition: Condition) -> str:
    match condition:
        case Compare(left, operator, right):
            return f"{left} {_SIGNS[operator]} {right if isinstance(right, PropertyRef) else value_in_words(right)}"
        case OneOf(left, values):
            return f"{left} is one of {', '.join(map(value_in_words, values))}"
        case IsSet(left):
            return f"{left} is known"
        case IsTrue(left):
            return str(left)
        case Count():
            return _count(condition)
        case After(event, other):
            return f"any {event} without {other} since"
        case LastSend(fate):
            return f"the last email {_FATES[fate]}"
        case _:
            raise AssertionError(f"no node: {condition!r}")


def _part(condition: Condition, bracketed: Any) -> str:
    return f"({in_words(condition)})" if isinstance(condition, bracketed) else in_words(condition)


def _count(count: Count) -> str:
    events = event_in_words(count.event, count.where)
    last = "" if count.last is None else f" in the last {count.last}"
    match count.at_least, count.at_most:
        case 1, None:
            return f"any {events}{last}"
        case 0, 0:
            return f"no {events}{last}"
        case least, None:
            return f"{least} or more {events}{last}"
        case 0, most:
            return f"at most {most} {events}{last}"
        case least, most:
            return f"{least} to {most} {events}{last}"


def value_in_words(value: Value) -> str:
    """A constant."""
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return f"“{value}”"
        case Decimal():
            return f"{value:f}"
        case _:
            return str(value)


_FATES = {"sent": "was sent", "skipped": "was skipped", "digested": "went into a digest"}
_SIGNS = {"==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}
