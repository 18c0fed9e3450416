"""Law 1: any number of consumers, schedulers and workers at once, events doubled and shuffled, hints doubled and lost:
each order has exactly one thank-you, no step has two messages, and no cap is exceeded in any window, for anyone."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from benchmarks.sink import Sink
from lifecycle import clock
from lifecycle.client import STREAM, Client
from lifecycle.engine import Engine
from lifecycle.flow.advance import advance
from lifecycle.settings import Settings
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement
from lifecycle.store.types import Instant
from lifecycle.worker import BrokerHints, make_broker
from tests.acceptance import racer
from tests.acceptance.installation import Installation
from tests.stage import Stage

CAPS: Sequence[tuple[int, timedelta, str | None]] = (
    (2, timedelta(minutes=4), None),
    (5, timedelta(minutes=20), None),
    (1, timedelta(minutes=8), "offers"),
)
POLICY = """\
from lifecycle import Cap, Policy, Sender, minutes

policy = Policy(
    sender=Sender("Shop", "hello@shop.example", postal_address="1 Main Street"),
    consent="opt_out",
    caps=[Cap(2, per=minutes(4)), Cap(5, per=minutes(20)), Cap(1, per=minutes(8), topic="offers")],
)
"""
JOURNEYS = """\
from lifecycle import Exit, Journey, Send, Wait, WaitFor, always, minutes, on

from .vocabulary import Ordered, Reviewed

thanks = Journey(
    name="thanks",
    topic="orders",
    enter=on(Ordered),
    key=Ordered.order_id,
    priority=70,
    steps=[
        Send("thanks", send_within=minutes(6)),
        WaitFor(
            "review", Reviewed, up_to=minutes(4), where=Reviewed.order_id == Ordered.order_id, then=[Exit("reviewed")]
        ),
        Send("please", on_capped="skip"),
    ],
)
offers = Journey(
    name="offers",
    topic="offers",
    enter=on(Ordered),
    goal=Reviewed,
    again_after=always(minutes(5)),
    steps=[Send("offer", send_within=minutes(6)), Wait("a while", minutes(3)), Send("another", on_capped="skip")],
)
receipt = Journey(
    name="receipt", topic="receipts", kind="transactional", enter=on(Ordered), key=Ordered.order_id,
    steps=[Send("receipt")],
)
"""
EMAILS = ["thanks", "please", "offer", "another", "receipt"]
_ROOT = Path(__file__).resolve().parents[2]
SPEED = 60.0  # a minute of the clock in a second

_MESSAGES = Statement(
    "SELECT customer_id, enrollment_id, step, key, kind, topic, state, reason, counted_at, sent_at, message_id "
    "FROM message",
    returns={"counted_at": Instant(), "sent_at": Instant()},
)


@contextmanager
def installation(
    tmp_path: Path, database: Database, redis_url: str, sink: Sink
) -> Iterator[tuple[Installation, BrokerHints]]:
    with Installation(
        tmp_path,
        database,
        redis_url,
        sink.url,
        policy=POLICY,
        journeys=JOURNEYS,
        emails=EMAILS,
        speed=SPEED,
    ) as shop:
        broker = make_broker(Engine(Settings.load(redis_url=redis_url, home=tmp_path / "home")))
        clock.use(shop.clock)
        yield shop, BrokerHints(broker, 15)
        broker.close()


def emit(redis_url: str, customers: int, orders: Mapping[str, int], dice: random.Random) -> None:
    """Everything two or three times, in any order, from one app after the other."""
    with Client(redis_url) as client, client.batch() as batch:
        for n in range(customers):
            batch.identify(f"c{n}", {"email": f"c{n}@example.com"}, message_id=f"identify-{n}")
    at = clock.now()
    events = [(kind, order) for order in orders for kind in ("order.completed",) * dice.randint(2, 3)]
    events += [("review.posted", order) for order in dice.sample(sorted(orders), len(orders) // 3) for _ in range(2)]
    dice.shuffle(events)
    for start in range(0, len(events), 50):
        with Client(redis_url) as client, client.batch() as batch:
            for kind, order in events[start : start + 50]:
                # Late or early by up to a minute, but a repetition says the same as its first.
                moment = at + timedelta(seconds=hash_of(kind, order) % 60)
                batch.track(
                    f"c{orders[order]}", kind, {"order_id": order}, message_id=f"{kind}-{order}", timestamp=moment
                )


def hash_of(kind: str, order: str) -> int:
    return sum(map(ord, kind + order))


def disturb(shop: Installation, hints: BrokerHints, redis_url: str, stop: threading.Event, dice: random.Random) -> None:
    """Hints that nobody asked for, of anything there is, and hints that are lost."""
    with Redis.from_url(redis_url) as redis:
        while not stop.wait(0.25):
            messages = shop.count("SELECT COALESCE(max(id), 0) FROM message")
            enrollments = shop.count("SELECT COALESCE(max(id), 0) FROM enrollment")
            for _ in range(3):
                hints.deliver(dice.sample(range(1, messages + 1), min(messages, 40)))
                hints.advance(dice.sample(range(1, enrollments + 1), min(enrollments, 40)))
            if dice.random() < 0.2:
                redis.delete("lifecycle:hints:deliver.msgs", "lifecycle:hints:advance")


def most_in_a_window(moments: Sequence[datetime], window: timedelta) -> int:
    """Brute force: the most that any half-open window of that length holds."""
    return max((sum(start <= moment < start + window for moment in moments) for start in moments), default=0)


def judge(database: Database, orders: Mapping[str, int], sink_ids: Sequence[str]) -> None:
    """Looks at nothing but the rows and at what the server took."""
    with database.reading() as connection:
        rows = _MESSAGES.run(connection).all()

    thanks = Counter((row.customer_id, row.key) for row in rows if row.step == "thanks")
    assert thanks == Counter((f"c{customer}", order) for order, customer in orders.items())
    receipts = Counter(row.key for row in rows if row.step == "receipt" and row.state != "skipped")
    assert receipts == Counter(orders.keys())
    assert max(Counter((row.enrollment_id, row.step) for row in rows).values()) == 1

    # On a machine so busy that a worker stands still for a whole lease, what it had in flight is uncertain.
    assert {row.state for row in rows} <= {"sent", "skipped", "uncertain"}
    assert all(row.reason for row in rows if row.state != "sent")
    accepted, uncertain = Counter(sink_ids), {row.message_id for row in rows if row.state == "uncertain"}
    assert len(uncertain) <= 8
    assert accepted.keys() - uncertain == {row.message_id for row in rows if row.state == "sent"} - uncertain
    again = {row.message_id for row in rows if row.kind == "transactional"}
    assert all(count == 1 or (count == 2 and message_id in again) for message_id, count in accepted.items())

    theirs = defaultdict(list)
    for row in rows:
        if row.state != "skipped" and row.kind == "marketing":
            theirs[row.customer_id].append(row)
    assert theirs
    for customer, sent in theirs.items():
        for limit, window, topic in CAPS:
            for moments in (
                [row.counted_at for row in sent if topic in (None, row.topic)],
                [row.sent_at for row in sent if topic in (None, row.topic) and row.sent_at],
            ):
                assert most_in_a_window(moments, window) <= limit, (customer, limit, window, topic, sorted(moments))
    assert any(row.reason and row.reason.startswith("capped") for row in rows), "no cap was ever met: nothing is shown"


def race(database: Database, tmp_path: Path, redis_url: str, *, customers: int, orders: int, seed: int) -> None:
    dice = random.Random(seed)
    whose = {f"o{n}": dice.randrange(customers) for n in range(orders)}
    log = tmp_path / "accepted.txt"
    with Sink(log=log) as sink, installation(tmp_path, database, redis_url, sink) as (shop, hints):
        shop.start("worker", "worker", "--processes", "4")
        for n in range(2):
            shop.start(f"consume{n}", "consume")
            shop.start(f"schedule{n}", "schedule")
        emit(redis_url, customers, whose, dice)
        stop = threading.Event()
        disturber = threading.Thread(target=disturb, args=(shop, hints, redis_url, stop, dice))
        disturber.start()
        try:
            with Redis.from_url(redis_url) as redis:
                shop.wait_until(lambda: redis.xlen(STREAM) == 0, "taking all events")
            shop.wait_until(shop.done, "settling everything")
        finally:
            stop.set()
            disturber.join()
    judge(database, whose, [line.strip("<>") for line in log.read_text().split()])


@pytest.mark.xdist_group("races")
def test_four_workers_two_consumers_and_two_schedulers_race_and_keep_every_promise(
    migrated: Database, tmp_path: Path, redis_url: str
) -> None:
    race(migrated, tmp_path, redis_url, customers=40, orders=160, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 5))
def test_a_crowd_races_for_longer(migrated: Database, tmp_path: Path, redis_url: str, seed: int) -> None:
    race(migrated, tmp_path, redis_url, customers=300, orders=2500, seed=seed)


@pytest.mark.xdist_group("races")
def test_four_workers_given_all_messages_of_the_same_few_people_exceed_no_cap(migrated: Database) -> None:
    """Every id is hinted to all four, in another order to each: only the customer's lock keeps the count true."""
    customers, orders = 20, 20
    stage = Stage(migrated, racer.shop(), now=clock.now())
    for n in range(customers):
        events = [
            stage.message(
                "track", f"c{n}", event="order.completed", properties={"order_id": str(order)}, messageId=f"{n}-{order}"
            )
            for order in range(orders)
        ]
        stage.take(stage.message("identify", f"c{n}", traits={"email": f"c{n}@example.com"}), *events)
    for _, ids in stage.hints.fresh:
        advance(migrated, stage.project, ids, stage.now, timedelta(minutes=5))

    command = [sys.executable, "-m", "tests.acceptance.racer", migrated.url]
    workers = [
        subprocess.Popen([*command, str(seed)], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    assert [worker.stdout.readline() for worker in workers if worker.stdout] == ["ready\n"] * 4
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    sent = [message_id for worker in workers for message_id in worker.communicate(timeout=60)[0].split()]

    assert [worker.returncode for worker in workers] == [0] * 4
    assert len(sent) == len(set(sent)) == customers * racer.LIMIT
    rows = stage.messages()
    theirs = Counter(row["customer_id"] for row in rows if row["state"] == "sent")
    assert theirs == {f"c{n}": racer.LIMIT for n in range(customers)}
    assert Counter(row["state"] for row in rows)["skipped"] == customers * (orders - racer.LIMIT)
