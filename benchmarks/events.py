"""Taking events: from the stream to committed, by one consumer."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import orjson
from redis import Redis

from lifecycle import clock
from lifecycle.client import FIELD, STREAM
from lifecycle.flow.consume import Taken
from lifecycle.flow.stream import Consumer
from lifecycle.journey.project import Project
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
        redis, db, lambda: project, hint=ignore, lease=LEASE, max_lateness=MAX_LATENESS, batch=batch, taken=taken
    )
    start, cpu = time.perf_counter(), time.process_time()
    consumer.run(stop)
    return time.perf_counter() - start, time.process_time() - cpu, total
