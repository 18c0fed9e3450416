"""The Dramatiq side: two actors that translate a hint into a call, and the broker they hang on.

A broker message is a hint that carries ids. If it is lost, the lease in SQL ends and the scheduler hints again; if
it comes twice, the second finds nothing due. So nothing here retries for long, delays, or stores results, and
Dramatiq's time limit is left out: it would raise in the middle of recording what a server has accepted.

`dramatiq lifecycle.worker:start` runs it, or `lifecycle worker`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import DramatiqError
from dramatiq.middleware import AgeLimit, Middleware, Retries
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from lifecycle import clock, logs, processes
from lifecycle.engine import Engine
from lifecycle.flow.advance import advance
from lifecycle.flow.deliver import deliver
from lifecycle.settings import Settings
from lifecycle.store.outage import cause, is_outage

log = logging.getLogger(__name__)

_NAMESPACE = "lifecycle:hints"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds between two tries while the database is away


def start() -> None:
    """Sets Dramatiq up in a worker process, from the environment."""
    settings = Settings.load()
    logs.configure(as_json=settings.logs_as_json, level=settings.log_level)
    clock.use(settings.make_clock())
    processes.end_once()
    processes.end_with_parent()
    processes.collect_seldom()
    engine = Engine(settings)
    broker = make_broker(engine)
    dramatiq.set_broker(broker)
    add_actors(broker, engine)


def make_broker(engine: Engine) -> RedisBroker:
    """The broker that hints travel on."""
    lease_ms = int(engine.settings.lease.total_seconds() * 1000)
    return RedisBroker(  # type: ignore[no-untyped-call]
        url=engine.redis_url,
        namespace=_NAMESPACE,
        middleware=[AgeLimit(max_age=lease_ms), Retries(max_retries=1, min_backoff=1000, max_backoff=1000)],
    )


class BrokerHints:
    """Hints over a broker, in messages of at most `most` ids each."""

    def __init__(self, broker: dramatiq.Broker, most: int) -> None:
        self._broker = broker
        self._most = most

    def advance(self, ids: Sequence[int]) -> None:
        """These enrollments are due."""
        self._send("advance", ids)

    def deliver(self, ids: Sequence[int]) -> None:
        """These messages are due."""
        self._send("deliver", ids)

    def _send(self, actor: str, ids: Sequence[int]) -> None:
        self._broker.declare_queue(actor)
        for start_at in range(0, len(ids), self._most):
            few = list(ids[start_at : start_at + self._most])
            message: dramatiq.Message[None] = dramatiq.Message(
                queue_name=actor, actor_name=actor, args=(few,), kwargs={}, options={}
            )
            self._broker.enqueue(message)


class Stopping(Middleware):
    """Notes that the worker shuts down, so that deliveries under way stop after the letter in hand."""

    def __init__(self) -> None:
        self._flag = threading.Event()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Dramatiq's hook."""
        self._flag.set()

    def is_set(self) -> bool:
        """Whether the worker shuts down."""
        return self._flag.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits so long, or until the worker shuts down; returns whether it does."""
        return self._flag.wait(seconds)


class _Tools(threading.local):
    """What each worker thread has for itself: neither transport nor recorder may be shared."""

    def __init__(self, engine: Engine) -> None:
        self.mailer = engine.mailer()
        self.recorder = engine.recorder()


def add_actors(broker: dramatiq.Broker, engine: Engine) -> None:
    """Hangs the two actors on the broker."""
    hints = BrokerHints(broker, engine.settings.hint_batch)
    stopping = Stopping()
    broker.add_middleware(stopping)
    tools: list[_Tools] = []  # made with the first delivery, so after the fork

    @dramatiq.actor(broker=broker, queue_name="advance", actor_name="advance")
    def advance_actor(ids: list[int]) -> None:
        hint(patiently(lambda: advance(engine.db, engine.project, ids, clock.now(), engine.lease), stopping))

    @dramatiq.actor(broker=broker, queue_name="deliver", actor_name="deliver")
    def deliver_actor(ids: list[int]) -> None:
        hint(patiently(lambda: run_delivery(ids), stopping))

    def hint(ids: Sequence[int]) -> None:
        try:
            hints.deliver(ids)
        except (RedisError, OSError, DramatiqError) as error:  # the scheduler finds them when the lease is over
            log.warning("a hint was lost", extra={"messages": len(ids), "error": type(error).__name__})

    def run_delivery(ids: Sequence[int]) -> list[int]:
        if not tools:
            tools.append(_Tools(engine))
        mine = tools[0]
        return deliver(
            engine.db,
            engine.project,
            mine.mailer,
            mine.recorder,
            ids,
            now=clock.now,
            lease=engine.lease,
            stopping=stopping.is_set,
        )


def patiently(work: Callable[[], list[int]], stopping: Stopping) -> list[int]:
    """What `work` returns; while the database is away it is tried again, with growing pauses and one log line each.

    Returns nothing when the worker shuts down meanwhile: the scheduler finds the rest when the lease is over.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return work()
        except DBAPIError as error:
            if not is_outage(error):
                raise
            log.warning("the database is away; trying again", extra={"seconds": pause, "error": cause(error)})
        if stopping.wait(pause):
            return []
        pause = min(2 * pause, _LONGEST_PAUSE)
