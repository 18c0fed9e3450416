"""Claiming: what is due among a million that wait, and messages under caps."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median as middle

from lifecycle import clock
from lifecycle.flow.claim import claim
from lifecycle.flow.mailer import Mailer
from lifecycle.flow.schedule import claim_due
from lifecycle.journey.project import Project
from lifecycle.mail.render import Renderer
from lifecycle.store import enrollments
from lifecycle.store.database import Database
from lifecycle.store.types import stamp

from . import seed
from .bars import BOTH, Line, median, ratios
from .bench import Bench, settle
from .courier import LINKS
from .rivals import Nowhere

_LEASE = timedelta(minutes=5)
_FAR = timedelta(days=400)
_MOST = 500


def run(bench: Bench) -> Iterator[Line]:
    """All lines of the part."""
    for kind in bench.wanted(*BOTH):
        yield from _due(bench, kind)
        yield _caps(bench, kind)


def _due(bench: Bench, kind: str) -> Iterator[Line]:
    """Enrollments whose wake-up times lie a second apart: as the clock goes on, each second one is due."""
    many, few, now = bench.sizes.pick(1_000_000, 50_000), 10_000, clock.now()
    with bench.database(kind) as small, bench.database(kind) as large:
        claims = 15
        for db, waiting in ((small, few), (large, many + 2 * claims * _MOST)):
            _wait(db, waiting, now)
            settle(db)
        of_few, of_many, later = [], [], now
        for _ in range(claims):
            later += timedelta(seconds=_MOST)
            of_few.append(_milliseconds(small, later))
            of_many.append(_milliseconds(large, later))
        beside = f"{median(of_many)} ms of {many:,}, {median(of_few)} ms of {few:,}"
        yield Line("claim.growth", kind, _by_round(of_many, of_few, bench.rounds), beside)
        updates, step = 0, 2_000
        while updates < many:
            later += timedelta(seconds=step)
            updates += len(claim_due(large, enrollments.CLAIM_DUE, later, _FAR, step))
        after = []
        for _ in range(claims):
            later += timedelta(seconds=_MOST)
            after.append(_milliseconds(large, later))
        yield Line(
            "claim.bloat",
            kind,
            _by_round(after, of_many, bench.rounds),
            f"{median(after)} ms after {updates:,} updates, {median(of_many)} ms at first",
        )


def _by_round(ours: list[float], theirs: list[float], rounds: int) -> list[float]:
    """Ratios of the medians of as many rounds."""
    size = max(1, len(ours) // rounds)
    starts = range(0, size * rounds, size)
    return ratios([middle(ours[at : at + size]) for at in starts], [middle(theirs[at : at + size]) for at in starts])


def _milliseconds(db: Database, now: datetime) -> float:
    """What one claim takes; those claimed wait again, as long as a journey's wait may be."""
    start = time.perf_counter()
    ids = claim_due(db, enrollments.CLAIM_DUE, now, _FAR, _MOST)
    taken = (time.perf_counter() - start) * 1000
    assert len(ids) == _MOST, len(ids)
    return taken


def _wait(db: Database, count: int, now: datetime) -> None:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    # Those who wait longest are not those who came last.
    second = f"1 + CAST(i AS bigint) * 7919 % {count}"
    if db.is_sqlite:
        wake = f"strftime('%Y-%m-%dT%H:%M:%S.000000Z', {int(now.timestamp())} + {second}, 'unixepoch')"
    else:
        wake = f"to_timestamp({int(now.timestamp())} + {second})"
    with db.transaction() as connection:
        connection.exec_driver_sql(
            f"""{numbers}
            INSERT INTO enrollment (journey, customer_id, "key", entry, state, step, due_at, wake_at, arrived,
                                    "trigger", entered_at)
            SELECT 'post_purchase', 'customer-' || i, 'A' || i, 1, 'active', 'wait', {wake}, {wake}, false,
                   '{{"order_id": "A1", "total": 12.5, "quantity": 2}}', '{stamp(now)}'
            FROM n""".replace("%", "%" if db.is_sqlite else "%%")
        )


def _caps(bench: Bench, kind: str) -> Line:
    """The transaction in which a worker reserves messages, with four caps and with none, in turn."""
    people, past, rounds = bench.sizes.pick(12_000, 6_000), 20, bench.sizes.pick(24, 12)
    with_caps = seed.project()
    without = dataclasses.replace(with_caps, policy=seed.capped(with_caps.policy, []))
    mailer = Mailer(with_caps.policy.sender, Renderer(seed.EMAILS, bench.templates_cache), LINKS, Nowhere())
    now = clock.now()
    with bench.database(kind) as db:
        seed.customers(db, 0, people, now, past)
        ids = seed.pending(db, 0, people, now)
        settle(db)
        capped, free = [], []
        for n in range(0, rounds * _MOST, 2 * _MOST):
            capped.append(_reserve(db, with_caps, mailer, ids[n : n + _MOST], now))
            free.append(_reserve(db, without, mailer, ids[n + _MOST : n + 2 * _MOST], now))
    beside = f"{median(capped)} µs a message with, {median(free)} without; {past} earlier messages each"
    return Line("claim.caps", kind, _by_round(capped, free, bench.rounds), beside)


def _reserve(db: Database, project: Project, mailer: Mailer, ids: list[int], now: datetime) -> float:
    start = time.perf_counter()
    claimed = claim(db, project, mailer, ids, now, _LEASE)
    taken = (time.perf_counter() - start) / len(ids) * 1e6
    assert len(claimed.letters) == len(ids) == _MOST
    return taken
