"""Taking events with many customers: from the stream to committed, one consumer process.

    python -m benchmarks.events --database postgresql+psycopg://… --customers 1000000

The database must be empty; it is brought to the current schema and filled. Prints events per second, the median of
the runs, with the share of the consumer's own CPU, and what became of the events.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import orjson
from redis import Redis

from benchmarks.enter import populate
from lifecycle import clock, embedded
from lifecycle.client import FIELD, STREAM
from lifecycle.flow.consume import Taken
from lifecycle.flow.stream import Consumer
from lifecycle.journey.load import load
from lifecycle.journey.project import Project
from lifecycle.store import schema
from lifecycle.store.database import Database

LEASE = timedelta(minutes=5)
MAX_LATENESS = timedelta(hours=72)


def messages(number: int, customers: int, seed: int) -> list[bytes]:
    """Events of random customers: half of them orders, which three of four journeys listen to; a tenth identify."""
    dice, now = random.Random(seed), clock.now()
    raws = []
    for n in range(number):
        customer, kind = f"customer-{dice.randint(1, customers)}", dice.random()
        message: dict[str, object] = {
            "messageId": f"{int(now.timestamp() * 1000):x}-{seed}-{n:08d}",
            "userId": customer,
            "timestamp": now - timedelta(microseconds=number - n),
        }
        if kind < 0.5:
            properties = {"order_id": f"A{seed}-{n}", "total": dice.randint(1, 200), "quantity": 1, "channel": "web"}
            message |= {"type": "track", "event": "order.completed", "properties": properties}
        elif kind < 0.9:
            properties = {"path": f"/album/{n}", "referrer": "https://search.example/"}
            message |= {"type": "track", "event": "page.viewed", "properties": properties}
        else:
            traits = {"email": f"{customer}@example.com", "first_name": "Siti", "vip": n % 2 == 0}
            message |= {"type": "identify", "traits": traits}
        raws.append(orjson.dumps(message))
    return raws


def fill(redis: Redis, raws: Sequence[bytes]) -> None:
    """Puts messages onto the stream."""
    for start in range(0, len(raws), 1000):
        pipeline = redis.pipeline(transaction=False)
        for raw in raws[start : start + 1000]:
            pipeline.xadd(STREAM, {FIELD: raw})
        pipeline.execute()


def measure(
    redis: Redis, db: Database, project: Project, raws: Sequence[bytes], batch: int
) -> tuple[float, float, Taken]:
    """Seconds and CPU seconds of one consumer until all of `raws` are committed and acknowledged, and the outcome."""
    fill(redis, raws)
    stop, total = threading.Event(), Taken()

    def taken(one: Taken) -> None:
        total.add(one)
        if total.accepted + total.duplicates + total.refused >= len(raws):
            stop.set()

    ignore: Callable[[Sequence[int]], None] = lambda ids: None
    consumer = Consumer(
        redis, db, project, hint=ignore, lease=LEASE, max_lateness=MAX_LATENESS, batch=batch, taken=taken
    )
    start, cpu = time.perf_counter(), time.process_time()
    consumer.run(stop)
    return time.perf_counter() - start, time.process_time() - cpu, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--database", required=True)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=30_000, help="per run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=500)
    options = parser.parse_args()
    project, problems = load(Path("journeys"))
    assert project is not None, problems
    db = Database(options.database)
    if schema.current(db) is None:
        schema.upgrade(db)
        start = time.perf_counter()
        populate(db, options.customers)
        print(f"{options.customers:,} customers made in {time.perf_counter() - start:.0f} s")
    rates, seed = [], random.randrange(10**9)
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        embedded.start(Path(home)) as server,
        Redis.from_url(server.url) as redis,
    ):
        for run in range(options.runs):
            raws = messages(options.events, options.customers, seed + run)
            seconds, cpu, taken = measure(redis, db, project, raws, options.batch)
            rates.append(len(raws) / seconds)
            print(
                f"{rates[-1]:>8,.0f} events/s, {cpu / len(raws) * 1e6:.0f} µs of own CPU each; "
                f"{taken.accepted:,} accepted, {taken.entered:,} entered, {taken.ignored:,} ignored"
            )
    print(f"{statistics.median(rates):>8,.0f} events/s in the median, {options.customers:,} customers")
    db.close()


if __name__ == "__main__":
    main()
