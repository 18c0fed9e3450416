"""The law of conditions: SQL finds exactly the customers for whom Python says yes, on both databases.

One world of customers with every kind of value and history (null, wrongly typed, unicode, events on the edges of
windows and in the future) meets thousands of random trees at moments on those edges.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text

from lifecycle.core.evaluate import counted, demands, matches
from lifecycle.errors import DefinitionError
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
    Not,
    OneOf,
    Or,
    PropertyRef,
    Ref,
)
from lifecycle.journey.durations import days, hours
from lifecycle.store.database import Database
from lifecycle.store.facts import load_facts
from lifecycle.store.segments import where_sql
from lifecycle.store.tables import Activity, Customer, Event
from lifecycle.store.types import stamp

CUSTOMERS = 80
EXAMPLES, TREES = 250, 12  # 3,000 trees at each run

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
WINDOWS = [hours(1), days(1), days(7)]
MOMENTS = [NOON + edge for edge in (-TICK, timedelta(), TICK)]
EVENTS = ["bought", "read", "left"]

TEXTS = ["", "a", "A", "b", "ä", "a\u0308", "日本", "😀", "\uffff", 'a"b', "\\", "%_", "10", "9", "2026-01-31", " a"]
NUMBERS = [0, -0.0, 1, 1.0, 0.1, 0.1 + 0.2, 0.3, -5, 9, 10, 99.99, 2**53, 2**53 + 1, 2**63 - 1, 1e300, -1e-300]
DATES = ["2026-01-31", "2026-02-30", "2024-02-29", "0001-01-01", "9999-12-31", "2026-06-01"]
NOT_DATES = ["2026-1-31", "2026-01-31\n", "２０２６-01-31", "2026-01-31T00:00:00Z", ""]
VALUES: Mapping[Kind, Sequence[Any]] = {"text": TEXTS, "number": NUMBERS, "flag": [True, False], "date": DATES}
STRANGE = [None, "x", 5, 0, True, False, [], [1], {}, {"a": 1}, *NOT_DATES]

FREE: Mapping[str, Kind] = {"city": "text", "spent": "number", "vip": "flag", "joined": "date"}
RESERVED: Mapping[str, Kind] = {"first_name": "text", "timezone": "text", "birthday": "date", "created_at": "instant"}
CONSTANTS: Mapping[Kind, Sequence[Any]] = {
    "text": TEXTS,
    "number": [*NUMBERS, Decimal("0.1"), Decimal("99.99"), 10**400],
    "flag": [True, False],
    "date": [date(2026, 1, 31), date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31)],
    "instant": [NOON + edge - window.rolling for edge in (-TICK, timedelta(), TICK) for window in WINDOWS],
}


def _document(dice: random.Random) -> dict[str, Any]:
    """Free traits or properties: absent, strange, or of the declared type."""
    document: dict[str, Any] = {}
    for name, kind in FREE.items():
        chance = dice.random()
        if chance > 0.2:
            document[name] = dice.choice(VALUES[kind]) if chance > 0.4 else dice.choice(STRANGE)
    return document


def _moments(dice: random.Random) -> list[datetime]:
    """Up to five moments: on the edges of windows before each moment of asking, some in the future."""
    return [
        dice.choice(MOMENTS) - dice.choice(WINDOWS).rolling + dice.choice([-TICK, timedelta(), TICK])
        if dice.random() < 0.6
        else NOON + dice.choice([-TICK, timedelta(), TICK, timedelta(hours=1), timedelta(days=-400)])
        for _ in range(dice.choice([0, 1, 1, 2, 3, 5]))
    ]


def _populate(database: Database) -> None:
    dice = random.Random(20261123)
    customers, events, activity = [], [], []
    for number in range(CUSTOMERS):
        customer_id = f"c{number:03}"
        born = dice.choice([None, date(1990, 1, 31), date(2024, 2, 29), date(1, 1, 1)])
        customers.append(
            {
                "id": customer_id,
                "first_name": dice.choice([None, *TEXTS]),
                "timezone": dice.choice([None, "Asia/Jakarta", "Mars/Base"]),
                "birthday": born,
                "created_at": dice.choice(CONSTANTS["instant"]),
                "traits": _document(dice),
                "consents": {},
            }
        )
        for name in EVENTS:
            at = _moments(dice)
            if at:
                brief = {"count": len(at), "first_at": min(at), "last_at": max(at)}
                activity.append({"customer_id": customer_id, "event": name, **brief})
            for position, moment in enumerate(at):
                event = {"customer_id": customer_id, "name": name, "timestamp": moment, "received_at": NOON}
                event |= {"message_id": f"{customer_id}-{name}-{position}", "properties": _document(dice), "digest": ""}
                events.append(event)
    with database.transaction() as connection:
        for model, rows in ((Customer, customers), (Event, events), (Activity, activity)):
            connection.execute(insert(model), rows)


def _refs(event: str | None) -> st.SearchStrategy[Ref]:
    attributes = [AttributeRef(name, kind) for name, kind in {**FREE, **RESERVED}.items()]
    properties = [PropertyRef(event, name, kind) for name, kind in FREE.items()] if event else []
    return st.sampled_from([*attributes, *properties, *properties])


@st.composite
def _leaves(draw: st.DrawFn, event: str | None) -> Condition:
    ref = draw(_refs(event))
    shape = draw(st.sampled_from(["compare", "compare", "other", "one of", "is set", "is true"]))
    signs = ["==", "!="] if ref.kind == "flag" else ["==", "!=", "<", "<=", ">", ">="]
    if shape == "is true" and ref.kind == "flag":
        return IsTrue(ref)
    if shape == "other" and event and ref.kind != "instant":
        same = [PropertyRef(event, name, kind) for name, kind in FREE.items() if kind == ref.kind]
        return Compare(ref, draw(st.sampled_from(signs)), draw(st.sampled_from(same)))
    constants = st.sampled_from(CONSTANTS[ref.kind])
    if shape == "one of":
        return OneOf(ref, tuple(draw(st.lists(constants, min_size=1, max_size=3))))
    if shape == "is set":
        return IsSet(ref)
    return Compare(ref, draw(st.sampled_from(signs)), draw(constants))


@st.composite
def _counts(draw: st.DrawFn, depth: int) -> Condition:
    event = draw(st.sampled_from(EVENTS))
    least = draw(st.sampled_from([0, 1, 1, 2, 3]))
    most = draw(st.sampled_from([None, least, least + 1]))
    last = draw(st.sampled_from([None, *WINDOWS, days(36_525)]))
    where = draw(_trees(depth - 1, event)) if depth > 0 and draw(st.booleans()) else None
    return Count(event, least, most, last, where)


def _afters() -> st.SearchStrategy[Condition]:
    pairs = st.permutations(EVENTS).map(lambda names: names[:2])
    return pairs.map(lambda pair: After(*pair))


def _trees(depth: int, event: str | None = None) -> st.SearchStrategy[Condition]:
    """Trees of at most so many levels; leaves may ask for properties of `event`."""
    leaf = st.one_of(_leaves(event), _counts(min(depth, 2)), _afters())
    if depth == 0:
        return leaf
    inner = st.deferred(lambda: _trees(depth - 1, event))
    return st.one_of(leaf, st.builds(And, inner, inner), st.builds(Or, inner, inner), st.builds(Not, inner))


@dataclass(frozen=True)
class Worlds:
    """The same customers on both databases."""

    databases: tuple[Database, ...]


@pytest.fixture
def worlds(sqlite_database: Database, postgres_database: Database) -> Worlds:
    """The same customers on both databases."""
    for database in (sqlite_database, postgres_database):
        _populate(database)
    return Worlds((sqlite_database, postgres_database))


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(trees=st.lists(_trees(3), min_size=TREES, max_size=TREES), now=st.sampled_from(MOMENTS))
def test_sql_finds_exactly_those_for_whom_python_says_yes(
    worlds: Worlds, trees: list[Condition], now: datetime
) -> None:
    for database in worlds.databases:
        asked, read = _asked_in_sql(database, trees, now), _asked_in_python(database, trees, now)

        for tree, by_sql, by_python in zip(trees, asked, read, strict=True):
            assert by_sql == by_python, (database.engine.dialect.name, now, tree)


def _asked_in_sql(database: Database, trees: Sequence[Condition], now: datetime) -> list[set[str]]:
    """Who is found by each tree, all of them in one round trip."""
    selects, parameters = [], {}
    for number, tree in enumerate(trees):
        segment = where_sql(tree, dialect=database.engine.dialect.name, now=now)
        select = f"SELECT {number}, c.id FROM customer c {segment.joins} WHERE {segment.where}"
        selects.append(re.sub(r":w(\d+)", rf":t{number}w\1", select))
        for name, value in segment.parameters.items():
            instant = isinstance(value, datetime) and database.is_sqlite
            parameters[f"t{number}{name}"] = stamp(value) if instant else value
    found: list[set[str]] = [set() for _ in trees]
    with database.reading() as connection:
        for number, customer_id in connection.execute(text(" UNION ALL ".join(selects)), parameters):
            found[number].add(customer_id)
    return found


def _asked_in_python(database: Database, trees: Sequence[Condition], now: datetime) -> list[set[str]]:
    ids = [f"c{number:03}" for number in range(CUSTOMERS)]
    with database.reading() as connection:
        facts = load_facts(
            connection, ids, demands=demands(*trees), events=counted(*trees), now=now, default_zone="UTC"
        )
    return [{id_ for id_, theirs in facts.items() if matches(tree, theirs, now)} for tree in trees]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_a_property_of_a_trigger_is_refused_where_nothing_triggers(dialect: str) -> None:
    condition = Compare(PropertyRef("bought", "spent", "number"), ">", 5)

    with pytest.raises(DefinitionError, match=r"journeys/x\.py:7: bought\.spent is a property of the trigger"):
        where_sql(condition, dialect=dialect, now=NOON, defined_at="journeys/x.py:7")


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_last_email_is_refused_where_nobody_is_in_a_journey(dialect: str) -> None:
    with pytest.raises(DefinitionError, match=r"journeys/x\.py:7: last_send is something that only those"):
        where_sql(Not(LastSend("sent")), dialect=dialect, now=NOON, defined_at="journeys/x.py:7")
