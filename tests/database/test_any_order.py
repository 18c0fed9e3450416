"""The same events in any order, in any batches, doubled and by many at once, leave the same rows."""

from __future__ import annotations

import json
import multiprocessing
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from lifecycle.flow.consume import take
from lifecycle.store.database import Database

from .shop import FACTS, LEASE, MAX_LATENESS, NOW, SHOP, entries, identify, order, snapshot, taking, track

TABLES = ("customer", "activity", "event", "consent", "suppression", "enrollment", "dead_letter", "tally")
MINUTE = timedelta(minutes=1)


def empty(db: Database) -> None:
    with db.transaction() as connection:
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))


moments = st.integers(0, 6).map(lambda n: NOW - n * MINUTE)
names = st.sampled_from(["Ann", "Anna", "", None, 7])
traits = st.fixed_dictionaries(
    {},
    optional={
        "first_name": names,
        "birthday": st.sampled_from(["1990-02-28", "0000-00-00", None]),
        "created_at": st.sampled_from(["2020-01-01T00:00:00Z", "bad", None]),
        "vip": st.booleans(),
        "deep": st.sampled_from([{"a": [1, None]}, None]),
    },
)
topics = st.sampled_from([None, "offers", "orders", 3])
paces: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.sampled_from([None, "offers", 3]),
        "at_most": st.sampled_from([None, 0, 1, 2, "many"]),
        "per_days": st.sampled_from([None, 7, 14]),
        "pause_until": st.sampled_from([None, "2026-12-31", "2027-01-01", "soon"]),
    },
)


@st.composite
def messages(draw: st.DrawFn) -> list[bytes]:
    """Up to a dozen different events of two customers, many at the same moments."""
    made = []
    for n in range(draw(st.integers(1, 12))):
        message_id, who, at = f"m{draw(st.integers(0, 99))}-{n}", draw(st.sampled_from(["ann", "ben"])), draw(moments)
        match draw(st.integers(0, 9)):
            case 0 | 1 | 2:
                made.append(identify(message_id, who, at, **draw(traits)))
            case 3 | 4:
                name = draw(st.sampled_from(["subscription.granted", "subscription.withdrawn"]))
                made.append(track(message_id, who, name, at, topic=draw(topics)))
            case 5:
                name = draw(st.sampled_from(["email.bounced", "email.complained"]))
                made.append(track(message_id, who, name, at, hard=draw(st.booleans()), address="Ann@b.c"))
            case 6:
                made.append(track(message_id, who, "frequency.preferred", at, **draw(paces)))
            case 7 if draw(st.booleans()):
                made.append(track(message_id, who, "customer.erased", at))
            case _:
                made.append(track(message_id, who, "page.viewed", at, traits=draw(traits), page=n))
    return made


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), some=messages())
def test_any_order_and_any_batches_leave_the_same_customers(
    database: Database, data: st.DataObject, some: list[bytes]
) -> None:
    empty(database)
    taking(database, *some)
    expected = snapshot(database, *FACTS)

    empty(database)
    shuffled = data.draw(st.permutations(some + some[::2]))
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        taking(database, *shuffled[:size])
        shuffled = shuffled[size:]

    assert snapshot(database, *FACTS) == expected


CONCURRENT = replace(SHOP, journeys={name: SHOP.journeys[name] for name in ("loyal", "post_purchase", "win_back")})


def crowd() -> list[bytes]:
    """Events of forty customers, some of them new in each batch; each id appears twice."""
    dice, made = random.Random(7), []
    for n in range(300):
        who, at = f"c{dice.randrange(40)}", NOW - dice.randrange(600) * MINUTE
        match n % 5:
            case 0 | 1:
                made.append(order(str(n), who, at))
            case 2:
                made.append(identify(f"i{n}", who, at, first_name=f"name {n}", vip=n % 2 == 0))
            case 3:
                granted = dice.choice(["subscription.granted", "subscription.withdrawn"])
                made.append(track(f"s{n}", who, granted, at, topic="offers"))
            case _:
                bounce: dict[str, Any] = {"hard": True, "address": f"a{n % 3}@b.c"}
                made.append(track(f"b{n}", who, "email.bounced", at, **bounce))
    return made * 2


def take_all(url: str, seed: int, start: Any, outcome: Any) -> None:
    """One of several processes that all take everything, each in an order of its own."""
    db, raws, troubles, total = Database(url), crowd(), [], 0
    random.Random(seed).shuffle(raws)
    start.wait(60)
    for first in range(0, len(raws), 40):
        batch = entries(*raws[first : first + 40])
        try:
            total += take(db, CONCURRENT, batch, NOW, lease=LEASE, max_lateness=MAX_LATENESS).accepted
        except SQLAlchemyError as error:
            troubles.append(str(error)[:200])
    outcome.put(json.dumps([total, troubles]))
    db.close()


@pytest.fixture
def alone(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What one taker leaves; the database is empty again."""
    take(database, CONCURRENT, entries(*crowd()), NOW, lease=LEASE, max_lateness=MAX_LATENESS)
    return snapshot(database, *FACTS, "enrollment")


def test_four_processes_with_shuffled_batches_leave_what_one_leaves_and_never_deadlock(
    database: Database, alone: dict[str, list[tuple[Any, ...]]]
) -> None:
    empty(database)
    context = multiprocessing.get_context("spawn")
    start, outcome = context.Barrier(4), context.Queue()
    processes = [context.Process(target=take_all, args=(database.url, seed, start, outcome)) for seed in range(4)]
    for process in processes:
        process.start()
    outcomes = [json.loads(outcome.get(timeout=120)) for _ in processes]
    for process in processes:
        process.join()

    assert [troubles for _, troubles in outcomes] == [[]] * 4
    assert sum(total for total, _ in outcomes) == len(crowd()) // 2
    assert snapshot(database, *FACTS, "enrollment") == alone
