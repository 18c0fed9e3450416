"""Law: whatever races, whoever is killed, and however the clock jumps, no cap of any kind is exceeded for anyone.

The judge looks at what was taken by the server and at the rows, with the caps written down once more, by hand.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lifecycle.flow.advance import advance
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement
from lifecycle.store.types import Instant, Json
from tests.acceptance.crowd import LEASE, LONGEST_JUMP, Time, crowd
from tests.acceptance.test_law_crash import Zygote
from tests.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
RACERS, ORDERS, JOURNEYS = 4, 4, 5  # so each customer has 20 messages
ZONES = ["UTC", "Asia/Jakarta", "America/New_York", "Asia/Kathmandu"]
HOUR = timedelta(hours=1)

_SENT = Statement(
    """
    SELECT id, customer_id, journey, topic, kind, state, message_id, counted_at, sent_at, sections
    FROM message WHERE state NOT IN ('pending', 'skipped')
    """,
    returns={"counted_at": Instant(), "sent_at": Instant(), "sections": Json},
)
_TIRE = Statement(
    """
    INSERT INTO fatigue (customer_id, sent, opened, clicked, bought, complained, state, computed_at, wake_at)
    SELECT id, 0, 0, 0, 0, 0, 'saturated', :now, :later FROM {rows} WHERE true
    """,
    rows={"id": "text"},
)


@dataclass(frozen=True)
class Limit:
    """A cap, as the policy of the crowd has it: `span` in hours, or in the customer's days."""

    most: int
    span: timedelta
    days: int = 0
    topic: str | None = None
    journey: str | None = None
    counts_receipts: bool = False
    binds_receipts: bool = False


LIMITS = [
    Limit(2, 2 * HOUR),
    Limit(4, 24 * HOUR, days=1),
    Limit(1, 3 * HOUR, topic="offers"),
    Limit(1, 24 * HOUR, journey="news"),
    Limit(5, 4 * HOUR, counts_receipts=True, binds_receipts=True),
    Limit(1, 5 * HOUR, topic="orders", counts_receipts=True),
    Limit(3, 6 * HOUR, binds_receipts=True),
    Limit(3, 5 * HOUR),
    Limit(3, 48 * HOUR, days=2, topic="offers"),
]
TIRED = [  # half of each; half of one is one in twice the time
    Limit(1, 2 * HOUR),
    Limit(2, 24 * HOUR, days=1),
    Limit(1, 6 * HOUR, topic="offers"),
    Limit(1, 48 * HOUR, journey="news"),
    Limit(2, 4 * HOUR, counts_receipts=True),
    Limit(1, 10 * HOUR, topic="orders", counts_receipts=True),
    Limit(1, 6 * HOUR),
    Limit(1, 5 * HOUR),
    Limit(1, 48 * HOUR, days=2, topic="offers"),
]
ASKED = [Limit(1, 24 * HOUR, topic="offers")]


@dataclass(frozen=True)
class Sent:
    """`decided`: when it was claimed; `at`: when it left, at the latest where that is not known."""

    decided: datetime
    at: datetime
    topics: frozenset[str]
    journeys: frozenset[str]
    receipt: bool


def is_tired(n: int) -> bool:
    return n % 5 == 0


def has_asked(n: int) -> bool:
    return n % 7 == 0


def orders(stage: Stage, customers: int, wave: int) -> None:
    """Four orders each, which start five journeys; all their messages are due now."""
    events = []
    for n in range(customers):
        if wave == 0:
            traits = {"email": f"c{n}@example.com", "timezone": ZONES[n % len(ZONES)]}
            events.append(stage.message("identify", f"c{n}", traits=traits))
            if has_asked(n):
                asked = {"topic": "offers", "at_most": 1, "per_days": 1}
                events.append(stage.message("track", f"c{n}", event="frequency.preferred", properties=asked))
        for order in range(ORDERS):
            ordered = {"order_id": f"{wave}-{order}"}
            events.append(
                stage.message(
                    "track", f"c{n}", event="order.completed", properties=ordered, messageId=f"{n}-{wave}-{order}"
                )
            )
    for start in range(0, len(events), 500):
        stage.take(*events[start : start + 500])
    if wave == 0:
        tired = [{"id": f"c{n}"} for n in range(customers) if is_tired(n)]
        with stage.db.transaction() as connection:
            _TIRE.run(connection, rows=tired, now=stage.now, later=stage.now + timedelta(days=1000))
    for _, ids in stage.hints.fresh:
        advance(stage.db, stage.project, ids, stage.now, timedelta(0))
    stage.hints.fresh.clear()


@contextmanager
def racing(database: Database, folder: Path) -> Iterator[Zygote]:
    command = [sys.executable, "-m", "tests.acceptance.crowd", database.url, str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield Zygote(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def left(database: Database, now: datetime | None = None) -> int:
    """How many messages are not final; with `now`, how many are due."""
    due = Statement("SELECT count(*) FROM message WHERE wake_at <= :now AND state <> 'sending'")
    everything = Statement("SELECT count(*) FROM message WHERE wake_at IS NOT NULL")
    with database.reading() as connection:
        found = due.run(connection, now=now) if now else everything.run(connection)
        return int(found.scalar_one())


def race(database: Database, folder: Path, *, customers: int, waves: int, kills: int, seed: int) -> None:
    """Four workers for ever on what is due; meanwhile the clock jumps and one after the other is killed."""
    dice = random.Random(seed)
    with closing(Time(folder)) as clock, racing(database, folder) as zygote:
        stage = Stage(database, crowd(), now=clock.now())
        for wave in range(waves):
            stage.now = clock.now()
            orders(stage, customers, wave)
            racers = [zygote.fork() for _ in range(RACERS)]
            to_kill, deadline = kills, time.monotonic() + 120
            while left(database):
                assert time.monotonic() < deadline, "not done within two minutes"
                time.sleep(dice.uniform(0.02, 0.1))
                if to_kill and dice.random() < 0.3:
                    to_kill -= 1
                    zygote.kill(racers.pop(0))
                    racers.append(zygote.fork())
                # Sometimes while they are at it, else when there is nothing to do before it jumps.
                if dice.random() < 0.1 or not left(database, clock.now()):
                    clock.jump(LONGEST_JUMP * dice.random())
            for racer in racers:
                zygote.kill(racer)
    judge(database, folder, customers, customers * waves * ORDERS * JOURNEYS)


def judge(database: Database, folder: Path, customers: int, messages: int) -> None:
    lines = [line.split() for line in (folder / "accepted").read_text().splitlines()]
    taken = {message_id: datetime.fromisoformat(at) for message_id, at in lines}
    with database.reading() as connection:
        rows = _SENT.run(connection).all()
        states = Counter(
            connection.exec_driver_sql("SELECT state FROM message WHERE journey <> 'digest'").scalars().all()
        )

    assert sum(states.values()) == messages
    assert states.keys() <= {"sent", "skipped", "uncertain"}
    assert taken.keys() <= {row.message_id for row in rows}, "something was sent that the rows do not know of"
    assert {row.message_id for row in rows if row.state == "sent"} <= taken.keys()

    theirs: dict[int, list[Sent]] = defaultdict(list)
    for row in rows:
        sections = row.sections or [{"topic": row.topic, "journey": row.journey}]
        at = row.sent_at or taken.get(row.message_id) or row.counted_at + LEASE
        theirs[int(row.customer_id[1:])].append(
            Sent(
                row.counted_at,
                at,
                frozenset(each["topic"] for each in sections),
                frozenset(each["journey"] for each in sections),
                row.kind == "transactional",
            )
        )
    assert len(theirs) == customers
    held = {
        (n, limit): filling(limit, sent, ZoneInfo(ZONES[n % len(ZONES)]))
        for n, sent in theirs.items()
        for limit in limits_of(n)
    }
    broken = [(n, limit, theirs[n]) for (n, limit), most in held.items() if most > limit.most]
    assert not broken, f"{len(broken)} violations, the first: {broken[0]}"
    reached = {limit for (_, limit), most in held.items() if most == limit.most}
    unmet = {*LIMITS, *ASKED} - reached
    assert not unmet, f"nobody was ever at {unmet}: nothing is shown of them"
    assert len(reached & {*TIRED}) > len(TIRED) / 2


def limits_of(n: int) -> Sequence[Limit]:
    return [*LIMITS, *(TIRED if is_tired(n) else ()), *(ASKED if has_asked(n) else ())]


def filling(limit: Limit, sent: Sequence[Sent], zone: ZoneInfo) -> int:
    """Brute force: the most that any window of the cap held when one went out that it binds, that one included."""
    concerned = [
        each for each in sent if limit.topic in (None, *each.topics) and limit.journey in (None, *each.journeys)
    ]
    counted = [each for each in concerned if limit.counts_receipts or not each.receipt]
    bound = [each for each in concerned if limit.binds_receipts or not each.receipt]
    if set(counted) <= set(bound):
        # All that counts obeys: no window whatever may hold more.
        return max(
            (
                sum(one.at <= other.at and together(limit, one.at, other.at, zone) for other in counted)
                for one in counted
            ),
            default=0,
        )
    # What counts without obeying may come at any time: of it only that is held against one that had gone before.
    return max(
        (
            1 + sum(other.at < one.decided and together(limit, other.at, one.decided, zone) for other in counted)
            for one in bound
        ),
        default=0,
    )


def together(limit: Limit, earlier: datetime, later: datetime, zone: ZoneInfo) -> bool:
    if limit.days:
        return (later.astimezone(zone).date() - earlier.astimezone(zone).date()).days < limit.days
    return later - earlier < limit.span


@pytest.mark.xdist_group("caps")
def test_four_workers_that_are_killed_while_the_clock_jumps_exceed_no_cap_of_any_kind(
    migrated: Database, tmp_path: Path
) -> None:
    race(migrated, tmp_path, customers=250, waves=1, kills=6, seed=1)


@pytest.mark.long
def test_over_a_hundred_thousand_messages_no_cap_of_any_kind_is_exceeded(migrated: Database, tmp_path: Path) -> None:
    race(migrated, tmp_path, customers=200, waves=26, kills=6, seed=2)
