"""Law 2: a worker may die at any moment of delivering. Nothing is lost, nothing is sent twice, and what can have been
in flight is uncertain and listed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from redis import Redis

from benchmarks.sink import Sink
from lifecycle import clock
from lifecycle.client import STREAM, Client
from lifecycle.clock import Real
from lifecycle.store.database import Database
from tests.acceptance.installation import Installation
from tests.acceptance.zygote import shop
from tests.stage import Stage

LANES, LEASE = 3, 1.5  # seconds
JOURNEYS = """\
from lifecycle import Journey, Send, on

from .vocabulary import Ordered

thanks = Journey(name="thanks", topic="orders", enter=on(Ordered), key=Ordered.order_id,
                 steps=[Send("thanks"), Send("more")])
"""
POLICY = """\
from lifecycle import Policy, Sender

policy = Policy(sender=Sender("Shop", "hello@shop.example", postal_address="1 Main Street"), consent="opt_out")
"""
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Zygote:
    """The process that forks workers."""

    process: subprocess.Popen[str]

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def fork(self) -> int:
        return int(self.ask("fork"))

    def kill(self, worker: int) -> None:
        os.kill(worker, signal.SIGKILL)
        self.ask(f"reap {worker}")


@contextmanager
def zygote_of(database: Database, sink: Sink) -> Iterator[Zygote]:
    command = [sys.executable, "-m", "tests.acceptance.zygote", database.url, sink.url, str(LANES), str(LEASE)]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield Zygote(process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def orders(database: Database, first: int, n: int) -> None:
    """n customers who ordered: a letter of marketing and a receipt for each, due now."""
    stage = Stage(database, shop(), now=Real().now())
    events = []
    for i in range(first, first + n):
        events.append(stage.message("identify", f"c{i}", traits={"email": f"c{i}@example.com"}, messageId=f"i{i}"))
        ordered = {"event": "order.completed", "properties": {"order_id": "1"}, "messageId": f"o{i}"}
        events.append(stage.message("track", f"c{i}", **ordered))
    taken = stage.take(*events)
    with database.transaction() as connection:  # nobody hints: the schedulers find them
        connection.exec_driver_sql(f"UPDATE enrollment SET wake_at = due_at WHERE id >= {min(taken.advance)}")


def rows(database: Database) -> list[tuple[str, str, str]]:
    """(message id, kind, state) of all messages."""
    with database.reading() as connection:
        found = connection.exec_driver_sql("SELECT message_id, kind, state FROM message").all()
        return [(row[0], row[1], row[2]) for row in found]


def open_work(database: Database) -> int:
    with database.reading() as connection:
        return int(
            connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM message WHERE wake_at IS NOT NULL)"
                " + (SELECT count(*) FROM enrollment WHERE state = 'active')"
            ).scalar_one()
        )


def wait_until_done(database: Database, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (left := open_work(database)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"{left} enrollments and messages are not final after {seconds} seconds"


def crash(database: Database, tmp_path: Path, *, kills: int, seed: int) -> None:
    """A worker after the other is killed, each with more to do than it could in its time."""
    dice = random.Random(seed)
    log = tmp_path / "accepted.txt"
    customers = 0
    with Sink(latency=0.004, log=log) as sink, zygote_of(database, sink) as zygote:
        for _ in range(kills):
            if open_work(database) < 1000:
                orders(database, customers, 500)
                customers += 500
            worker = zygote.fork()
            time.sleep(dice.uniform(0.02, 0.3))
            zygote.kill(worker)
            assert open_work(database), "it was all done before the kill: give it more to do"
        zygote.fork()
        wait_until_done(database, 60)
    judge(database, log, customers, kills)


def judge(database: Database, log: Path, customers: int, kills: int) -> None:
    """Compares what the server took with what the database says."""
    accepted = Counter(line.strip("<>") for line in log.read_text().split())
    messages = {message_id: (kind, state) for message_id, kind, state in rows(database)}
    assert len(messages) == 2 * customers
    assert accepted.keys() <= messages.keys()

    # Lost: none.
    assert {state for _, state in messages.values()} <= {"sent", "uncertain"}
    sent = {message_id for message_id, (_, state) in messages.items() if state == "sent"}
    assert sent <= accepted.keys()

    # Doubled: no marketing; receipts at most once more, where they were in flight.
    doubled = {message_id: count for message_id, count in accepted.items() if count > 1}
    assert {messages[message_id][0] for message_id in doubled} <= {"transactional"}
    assert set(doubled.values()) <= {2}
    assert len(doubled) <= LANES * kills

    # Uncertain: at most what was in flight.
    uncertain = messages.keys() - sent
    assert len(uncertain) <= LANES * kills
    assert uncertain, "no kill met a worker with letters in flight: nothing is shown"


@pytest.mark.xdist_group("crash")
def test_a_worker_killed_thirty_times_loses_nothing_and_sends_nothing_twice(migrated: Database, tmp_path: Path) -> None:
    crash(migrated, tmp_path, kills=30, seed=1)
    assert_listed(migrated)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 7))
def test_a_worker_killed_a_hundred_times_loses_nothing_and_sends_nothing_twice(
    migrated: Database, tmp_path: Path, seed: int
) -> None:
    crash(migrated, tmp_path, kills=100, seed=seed)


def assert_listed(database: Database) -> None:
    """Every uncertain message is in the operator's list."""
    listing = subprocess.run(
        [sys.executable, "-m", "lifecycle.cli", "messages", "--state", "uncertain", "--json"],
        cwd=_ROOT,
        env=os.environ | {"DATABASE_URL": database.url},
        capture_output=True,
        text=True,
        check=True,
    )
    listed = {orjson.loads(line)["message_id"] for line in listing.stdout.splitlines()}
    assert listed == {message_id for message_id, _, state in rows(database) if state == "uncertain"}


@pytest.mark.xdist_group("races")
def test_a_queue_that_loses_everything_again_and_again_loses_nothing_that_was_accepted(
    migrated: Database, tmp_path: Path, redis_url: str
) -> None:
    log = tmp_path / "accepted.txt"
    with (
        Sink(log=log, latency=0.002) as sink,
        Installation(
            tmp_path,
            migrated,
            redis_url,
            sink.url,
            policy=POLICY,
            journeys=JOURNEYS,
            emails=["thanks", "more"],
            speed=1.0,
            lease=1.0,
        ) as shop,
        Redis.from_url(redis_url) as redis,
    ):
        clock.use(shop.clock)
        for role in ("consume", "schedule", "worker"):
            shop.start(role, role, *(["--processes", "1"] if role == "worker" else []))
        shop.wait_until(lambda: redis.exists(STREAM) == 1, "the consumer making its group")
        with Client(redis_url) as client, client.batch() as batch:
            for n in range(400):
                batch.identify(n, {"email": f"c{n}@example.com"}, message_id=f"identify-{n}")
                batch.track(n, "order.completed", {"order_id": f"o{n}"}, message_id=f"order-{n}")
        shop.wait_until(lambda: shop.count("SELECT count(*) FROM event") > 0, "accepting an event")
        for _ in range(10):
            redis.flushdb()
            time.sleep(0.1)
        shop.wait_until(lambda: shop.count("SELECT count(*) FROM message") > 0 and shop.done(), "settling everything")
        accepted = shop.count("SELECT count(*) FROM event WHERE name = 'order.completed'")
    states = Counter(state for _, _, state in rows(migrated))
    assert accepted > 0
    assert states == {"sent": 2 * accepted}
    assert len(set(log.read_text().split())) == len(log.read_text().split()) == 2 * accepted
