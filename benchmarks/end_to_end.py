"""From the app's event to the accepted email, through all roles as they run in production, on one machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from redis import Redis

from lifecycle import clock
from lifecycle.client import Client
from lifecycle.store.database import Database

from . import seed
from .bars import BOTH, Line, median
from .bench import ROOT, Bench, settle
from .machine import cpu_meter
from .sink import Sink

_PATIENCE = 120.0  # seconds


def run(bench: Bench) -> Iterator[Line]:
    """The rate of each run; the roles stay up, so that starting them is not measured."""
    emails, rounds = bench.sizes.pick(20_000, 3_000), 3
    for kind in bench.wanted(*BOTH):
        with ExitStack() as stack:
            db = stack.enter_context(bench.database(kind))
            sink = stack.enter_context(Sink())
            redis = stack.enter_context(Redis.from_url(bench.redis_url))
            redis.flushdb()
            seed.customers(db, 0, (rounds + 1) * emails, clock.now())
            settle(db)
            roles = stack.enter_context(_roles(bench, db, sink))
            _emails(bench, sink, 0, 500)
            rates, cpu = [], []
            meter = cpu_meter(db)
            for n in range(1, rounds + 1):
                before = _cpu(roles) + (meter.cpu_seconds() if meter else 0.0)
                rates.append(emails / _emails(bench, sink, n * emails, emails))
                cpu.append((_cpu(roles) + (meter.cpu_seconds() if meter else 0.0) - before) / emails * 1000)
            accepted = sink.stat()
            assert accepted["accepted"] == accepted["distinct"] == rounds * emails + 500, accepted
            beside = f"{emails:,} orders, as many emails; roles and database {median(cpu)} CPU s per 1,000"
            yield Line("end_to_end.rate", kind, rates, beside)


def _emails(bench: Bench, sink: Sink, first: int, count: int) -> float:
    """Seconds from the first XADD to the last SMTP reply for that many orders, each by a customer of its own."""
    expected = sink.stat()["accepted"] + count
    app = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.end_to_end", bench.redis_url, str(first), str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + _PATIENCE
    while (found := sink.stat())["accepted"] < expected:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{expected - found['accepted']:,.0f} emails are missing")
        time.sleep(0.05)
    said, _ = app.communicate()
    return found["last"] - float(said)


def _app(url: str, first: int, count: int) -> None:
    """The app: says when it began."""
    with Client(url) as client, client.batch() as batch:
        began = time.time()
        for number in range(first, first + count):
            properties = {"order_id": f"A{number}", "total": 12.5 + number % 90, "quantity": 1 + number % 4}
            batch.track(f"customer-{number}", "order.completed", properties)
    print(f"{began:.6f}")


@contextmanager
def _roles(bench: Bench, db: Database, sink: Sink) -> Iterator[list[psutil.Process]]:
    """Consumer, scheduler and worker, each a process as the Procfile has them; ended after the block."""
    environment = bench.environment(
        DATABASE_URL=db.url,
        REDIS_URL=bench.redis_url,
        SMTP_URL=sink.url,
        LIFECYCLE_JOURNEYS=str(seed.JOURNEYS),
        LIFECYCLE_TEMPLATES=str(seed.EMAILS),
    )
    command = Path(sys.executable).with_name("lifecycle")
    with (bench.folder / "roles.log").open("wb") as log:
        started = [
            subprocess.Popen([command, role], env=environment, stdout=log, stderr=log, cwd=ROOT)
            for role in ("consume", "schedule", "worker")
        ]
        try:
            yield [psutil.Process(one.pid) for one in started]
        finally:
            for one in started:
                one.terminate()
            for one in started:
                one.wait(60)


def _cpu(roles: list[psutil.Process]) -> float:
    """CPU seconds of the roles and of their processes."""
    total = 0.0
    for role in roles:
        for process in (role, *role.children(recursive=True)):
            times = process.cpu_times()
            total += times.user + times.system
    return total


if __name__ == "__main__":
    _app(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
