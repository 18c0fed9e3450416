"""What caps cost: ten of them against one, customers with a long past against new ones, and many against few."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from lifecycle import Cap, Journey, Keep, Send, days, hours, manually
from lifecycle import clock as real_clock
from lifecycle.flow.claim import claim
from lifecycle.flow.deliver import deliver
from lifecycle.flow.mailer import Mailer
from lifecycle.journey.project import Project
from lifecycle.mail.render import Renderer
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder
from lifecycle.store.tables import Message
from lifecycle.store.types import stamp
from lifecycle.testing import Outbox

from . import seed
from .bars import BOTH, SQLITE, Line, median, ratios
from .bench import Bench, settle
from .courier import LINKS

_LEASE = timedelta(minutes=5)
_MOST = 500
_ONE = [Cap(8, per=days(30))]
_TEN = [
    *_ONE,
    Cap(1, per=days(1)),
    Cap(3, per=days(7)),
    Cap(1, per=days(1), window="calendar"),
    Cap(6, per=days(21), window="calendar"),
    Cap(2, per=days(7), topic="orders"),
    Cap(4, per=days(14), journey=seed.JOURNEY),
    Cap(2, per=hours(12), counts="all", obeyed_by="all"),
    Cap(7, per=days(28), keep=Keep(1, priority=80)),
    Cap(1, per=days(7), topic="offers"),
]


def run(bench: Bench) -> Iterator[Line]:
    """All lines of the part."""
    for kind in bench.wanted(*BOTH):
        yield from _ten(bench, kind)
        yield _heavy(bench, kind)
        yield from _growth(bench, kind)


def _ten(bench: Bench, kind: str) -> Iterator[Line]:
    """Batches under ten caps and under one, in turn: of people with room, and of people of whom every second has none.

    Who has none has had eight in the month, so either policy holds them back, and looks closely at their past.
    """
    rounds = bench.sizes.pick(10, 3)
    one, ten = _project(_ONE), _project(_TEN)
    mailer, now = _mailer(bench, ten), real_clock.now()
    people = 2 * rounds * _MOST
    with bench.database(kind) as db:
        _customers(db, 0, 2 * people, now)
        _past(db, 0, 2 * people, 3, now, timedelta(days=8), timedelta(days=10))
        _past(db, people, people // 2, 8, now, timedelta(days=8), timedelta(days=2))
        for what, numbers in (("with room", range(people)), ("every second at a cap", range(people, 2 * people))):
            mixed = [*numbers]
            random.Random(7).shuffle(mixed)
            ids = seed.pending_for(db, mixed, now)
            settle(db)
            under_ten, under_one = [], []
            for n in range(0, people, 2 * _MOST):
                under_ten.append(_microseconds(db, ten, mailer, ids[n : n + _MOST], now))
                under_one.append(_microseconds(db, one, mailer, ids[n + _MOST : n + 2 * _MOST], now))
            beside = f"people {what}: {median(under_ten)} µs a message under ten, {median(under_one)} under one"
            yield Line("caps.ten", kind, ratios(under_ten, under_one), beside)


def _heavy(bench: Bench, kind: str) -> Line:
    """Customers of one database: five emails within the month for all, for some 4,995 more over five years.

    Those with five are from anywhere among many, as in life, so that their rows are no more together than others'.
    """
    at_once, rounds, past = 100, bench.sizes.pick(6, 3), bench.sizes.pick(5_000, 500)
    usual = bench.sizes.pick(50_000, 5_000)
    project = _project(_TEN)
    mailer, now = _mailer(bench, project), real_clock.now()
    people = at_once * rounds
    with bench.database(kind) as db:
        _customers(db, 0, people + usual, now)
        _past(db, 0, people + usual, 5, now, timedelta(days=8), timedelta(days=4))
        # What caps would have let through, so that the month holds no more of it for them than for others, and
        # transactional mail, which goes on as it did.
        rest = past - 5
        step = timedelta(days=5 * 365) / rest
        _past(db, 0, people, rest, now, timedelta(days=1), step, receipts_for=timedelta(days=40))
        _over(db, 0, people, past // 5, now)
        chosen = random.Random(5).sample(range(people, people + usual), people)
        ids = seed.pending_for(db, [*range(people), *chosen], now)
        settle(db)
        heavy, light = [], []
        for n in range(0, people, at_once):
            heavy.append(_microseconds(db, project, mailer, ids[n : n + at_once], now))
            light.append(_microseconds(db, project, mailer, ids[people + n : people + n + at_once], now))
    beside = f"{median(heavy)} µs a message with {past:,} earlier ones, {median(light)} with 5"
    return Line("caps.heavy", kind, ratios(heavy, light), beside)


def _growth(bench: Bench, kind: str) -> Iterator[Line]:
    """Batches of people from anywhere among many, and among few; everybody has had fifty emails over two years.

    From the claim to the journey's next step: all of a send but the network.
    """
    rounds, each, few = bench.sizes.pick(10, 3), 50, bench.sizes.pick(10_000, 5_000)
    many = bench.sizes.pick(1_000_000, 20_000) // (10 if kind == SQLITE and not bench.sizes.quick else 1)
    project = _project(_TEN)
    mailer, now = _mailer(bench, project), real_clock.now()
    with bench.database(kind) as small, bench.database(kind) as large:
        start = time.perf_counter()
        waiting = []
        for db, people in ((small, few), (large, many)):
            _customers(db, 0, people, now)
            _past(db, 0, people, each, now, timedelta(days=8), timedelta(days=14))
            chosen = random.Random(11).sample(range(people), min(people, rounds * _MOST))
            waiting.append(seed.pending_for(db, chosen, now))
            settle(db)
        made = time.perf_counter() - start
        of_few, of_many = [], []
        for n in range(0, rounds * _MOST, _MOST):
            of_few.append(_sent(small, project, mailer, waiting[0][n : n + _MOST]))
            of_many.append(_sent(large, project, mailer, waiting[1][n : n + _MOST]))
    beside = f"{median(of_many)} µs a send with {many:,} customers, {median(of_few)} with {few:,}; {each} mails each"
    yield Line("caps.growth", kind, ratios(of_many, of_few), beside)
    yield Line(None, kind, [made], what=f"to make {many * each:,} past messages", unit="s")


def _project(caps: Sequence[Cap]) -> Project:
    """The shop under these caps, with a journey that outranks the others, so that arbitration has something to ask."""
    shop = seed.project()
    vip = Journey(name="vip", topic="orders", priority=90, enter=manually(), steps=[Send(seed.STEP)])
    return dataclasses.replace(shop, policy=seed.capped(shop.policy, caps), journeys={**shop.journeys, vip.name: vip})


def _mailer(bench: Bench, project: Project) -> Mailer:
    return Mailer(project.policy.sender, Renderer(seed.EMAILS, bench.templates_cache), LINKS, Outbox())


def _microseconds(db: Database, project: Project, mailer: Mailer, ids: Sequence[int], now: datetime) -> float:
    """What judging and reserving takes, a message."""
    start = time.perf_counter()
    claim(db, project, mailer, ids, now, _LEASE)
    return (time.perf_counter() - start) / len(ids) * 1e6


def _sent(db: Database, project: Project, mailer: Mailer, ids: Sequence[int]) -> float:
    """What sending takes, a message."""
    start, recorder = time.perf_counter(), Recorder(db, time.sleep)
    deliver(db, project, mailer, recorder, ids, now=real_clock.now, lease=_LEASE)
    recorder.close()
    return (time.perf_counter() - start) / len(ids) * 1e6


# Making the past, without a row going through Python


def _run(db: Database, sql: str) -> None:
    with db.transaction() as connection:
        connection.exec_driver_sql(sql.replace("%", "%" if db.is_sqlite else "%%"))


def _numbers(db: Database, count: int) -> str:
    """A table `n(i)` of 0 to `count` - 1."""
    if not db.is_sqlite:
        return f"generate_series(0, {count - 1}) AS n(i)"
    return (
        f"(WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < {count - 1}) SELECT i FROM c) AS n"
    )


def _before(db: Database, now: datetime, seconds: str) -> str:
    """The moment so many seconds before `now`."""
    if db.is_sqlite:
        return f"strftime('%Y-%m-%dT%H:%M:%S.000000Z', {int(now.timestamp())} - ({seconds}), 'unixepoch')"
    return f"to_timestamp({int(now.timestamp())} - ({seconds}))"


def _customers(db: Database, first: int, count: int, now: datetime) -> None:
    """Customers from number `first` on, who agreed to mail."""
    agreed = f'{{"orders": {{"granted": true, "at": "{stamp(now - timedelta(days=30))}"}}}}'
    _run(
        db,
        f"""
        INSERT INTO customer (id, email, first_name, timezone, created_at, traits, consents)
        SELECT 'customer-' || (i + {first}), 'siti.' || (i + {first}) || '@example.com', 'Siti',
               '{seed.daytime(now)}', '{stamp(now - timedelta(days=2000))}', '{{}}', '{agreed}'
        FROM {_numbers(db, count)}
        """,
    )


def _past(
    db: Database,
    first: int,
    people: int,
    each: int,
    now: datetime,
    newest: timedelta,
    apart: timedelta,
    receipts_for: timedelta = timedelta(0),
) -> None:
    """`each` mails to so many people, the oldest first, as they would have come to lie in the table.

    The newest is `newest` old; those younger than `receipts_for` are transactional.
    """
    nth = f"({each} - 1 - i / {people})"
    # Not all at one moment.
    age = f"CAST({newest.total_seconds()} + {nth} * {apart.total_seconds()} + i % 997 AS bigint)"
    kind = f"CASE WHEN {age} < {receipts_for.total_seconds()} THEN 'transactional' ELSE 'marketing' END"
    at, long_ago = _before(db, now, age), stamp(now - timedelta(days=2000))
    with _without_indexes(db):
        _run(
            db,
            f"""
            INSERT INTO message (customer_id, enrollment_id, journey, step, "key", template, kind, topic, priority,
                                 on_capped, state, created_at, expires_at, capped_until, message_id, attempts,
                                 counted_at, sent_at)
            SELECT 'customer-' || ({first} + i % {people}), -({first} + i % {people}) * CAST(100000 AS bigint) - {nth},
                   '{seed.JOURNEY}', '{apart.total_seconds():.0f}', '', '{seed.STEP}',
                   {kind if receipts_for else "'marketing'"}, 'orders', 50, 'wait', 'sent',
                   '{long_ago}', '{long_ago}', '{long_ago}', 'past', 1, {at}, {at}
            FROM {_numbers(db, each * people)}
            """,
        )


@contextmanager
def _without_indexes(db: Database) -> Iterator[None]:
    """Drops what the past is found by while it is made, and makes it again at once: a third of the time.

    Of few rows as of many, because an index made at once is fuller than one that has grown.
    """
    (index,) = [index for index in Message.__table__.indexes if index.name == "message_counted"]  # type: ignore[attr-defined]
    once = "ALTER TABLE message ADD CONSTRAINT message_once UNIQUE (enrollment_id, step)"
    with db.transaction() as connection:
        index.drop(connection)
        if not db.is_sqlite:
            connection.exec_driver_sql("ALTER TABLE message DROP CONSTRAINT message_once")
    yield
    with db.transaction() as connection:
        if not db.is_sqlite:
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
            connection.exec_driver_sql(once)
        index.create(connection)


def _over(db: Database, first: int, people: int, each: int, now: datetime) -> None:
    """`each` journeys that so many people have gone through."""
    _run(
        db,
        f"""
        INSERT INTO enrollment (journey, customer_id, "key", entry, state, step, arrived, "trigger", entered_at,
                                ended_at)
        SELECT '{seed.JOURNEY}', 'customer-' || ({first} + i % {people}), 'past-' || (i / {people}), 1, 'completed',
               '{seed.STEP}', false, '{{}}', '{stamp(now - timedelta(days=400))}', '{stamp(now - timedelta(days=390))}'
        FROM {_numbers(db, each * people)}
        """,
    )
