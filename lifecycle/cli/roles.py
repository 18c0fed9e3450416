"""The three roles, each a process of which any number may run: `consume`, `schedule`, `worker`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from lifecycle import clock, processes

from . import opened

if TYPE_CHECKING:
    from lifecycle.engine import Engine

log = logging.getLogger("lifecycle.roles")

_SHORTEST, _LONGEST = 0.05, 1.0  # real seconds between two looks of the scheduler
_LONGEST_OUTAGE_PAUSE = 30.0
_REPORT_EVERY = 10.0  # real seconds

until_stdin_closes = click.option(
    "--until-stdin-closes", is_flag=True, hidden=True, help="End with the process that holds the other end of stdin."
)


@click.command(
    epilog="""\b
Examples:
  lifecycle consume
  REDIS_URL=redis://queue:6379/0 DATABASE_URL=postgresql://user:password@db/name lifecycle consume"""
)
@until_stdin_closes
def consume(until_stdin_closes: bool) -> None:
    """Take events from the stream into the database, in batches, each event once.

    An event is acknowledged when its transaction has committed. SIGTERM ends it after the batch in hand.
    """
    with _role("consume", until_stdin_closes) as (engine, stop, counts):
        from redis import Redis

        from lifecycle.flow.stream import Consumer
        from lifecycle.worker import BrokerHints, make_broker

        settings = engine.settings
        hints = BrokerHints(make_broker(engine), settings.hint_batch)
        with Redis.from_url(engine.redis_url, socket_timeout=10, socket_connect_timeout=5) as redis:
            Consumer(
                redis,
                engine.db,
                lambda: engine.project,
                hint=hints.advance,
                lease=engine.lease,
                max_lateness=settings.max_lateness,
                stream=settings.stream,
                group=settings.group,
                batch=settings.consume_batch,
                taken=lambda taken: counts.add(accepted=taken.accepted, refused=taken.refused, entered=taken.entered),
            ).run(stop)


@click.command(
    epilog="""\b
Example:
  lifecycle schedule       two of them do no harm, and one can die"""
)
@until_stdin_closes
def schedule(until_stdin_closes: bool) -> None:
    """Find what is due every second, and tell the workers; also enter people by condition and by date.

    SIGTERM ends it after the look in hand.
    """
    with _role("schedule", until_stdin_closes) as (engine, stop, counts):
        from lifecycle.flow.amendments import Amendments
        from lifecycle.flow.poison import apart
        from lifecycle.flow.recommending import Recommending
        from lifecycle.flow.schedule import tick
        from lifecycle.worker import BrokerHints, make_broker

        hints = BrokerHints(make_broker(engine), engine.settings.hint_batch)
        amendments, recommending = Amendments(engine.db), Recommending(engine.db)

        def look() -> None:
            project = engine.project
            with apart("judging anew what another policy held back"):
                amendments.look(project, clock.now())
            with apart("computing what goes with what"):
                recommending.look(project, clock.now(), engine.lease, stop.is_set)
            ticked = tick(engine.db, project, hints, clock.now(), lease=engine.lease, stopping=stop.is_set)
            counts.add(
                entered=ticked.entered,
                enrollments=ticked.enrollments,
                messages=ticked.messages,
                recovered=ticked.recovered,
            )

        _again_and_again(look, stop)


@click.command(
    epilog="""\b
Examples:
  lifecycle worker                       a process per core
  lifecycle worker --processes 4
  lifecycle worker --queues deliver      only send, where others move journeys on"""
)
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    default=lambda: os.cpu_count() or 1,
    show_default="one per core",
    help="How many processes.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", default=1, help="Threads per process; 1 is fastest."
)
@click.option("--queues", multiple=True, type=click.Choice(["advance", "deliver"]), help="Only these; may be repeated.")
@until_stdin_closes
@click.pass_context
def worker(ctx: click.Context, processes: int, threads: int, queues: tuple[str, ...], until_stdin_closes: bool) -> None:
    """Move journeys on and send their emails, as Dramatiq runs them.

    SIGTERM ends it: letters under way are finished, claimed ones handed back.
    """
    with _role("worker", until_stdin_closes) as (engine, stop, _):
        import dramatiq.cli

        from lifecycle.journey.emails import require_emails

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))  # until Dramatiq sets its own
        if stop.is_set():
            return

        # What is missing is told here, once, and not by every message.
        require_emails(engine.project, engine.settings.templates)
        engine.mailer().transport.close()
        engine.db.close()  # nothing is open when the processes are forked
        arguments = ["lifecycle.worker:start", "--processes", str(processes), "--threads", str(threads)]
        arguments += ["--skip-logging", *(["--queues", *queues] if queues else [])]
        dramatiq_itself: Any = dramatiq.cli
        status = dramatiq_itself.main(dramatiq_itself.make_argument_parser().parse_args(arguments))
    ctx.exit(status)


@dataclass(slots=True)
class Counts:
    """What a role did: totals, and a log line now and then about what is new."""

    total: dict[str, int] = field(default_factory=dict)
    fresh: dict[str, int] = field(default_factory=dict)
    reported_at: float = field(default_factory=time.monotonic)

    def add(self, **counts: int) -> None:
        """Counts something in."""
        for name, count in counts.items():
            if count:
                self.total[name] = self.total.get(name, 0) + count
                self.fresh[name] = self.fresh.get(name, 0) + count
        if self.fresh and time.monotonic() - self.reported_at >= _REPORT_EVERY:
            log.info("working", extra=self.fresh)
            self.fresh, self.reported_at = {}, time.monotonic()


@contextmanager
def _role(name: str, until_stdin_closes: bool) -> Iterator[tuple[Engine, threading.Event, Counts]]:
    """An engine with a database that is up to date, an event that SIGTERM and SIGINT set, and log lines."""
    settings = opened.settings(quiet=False)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_stdin_closes:
        processes.end_with_stdin()
    counts, began = Counts(), time.monotonic()
    with opened.engine(settings) as engine:
        _ = engine.project  # a mistake in it is told before anything starts
        log.info("started", extra={"role": name, "pid": os.getpid()})
        try:
            yield engine, stop, counts
        finally:
            seconds = round(time.monotonic() - began, 1)
            log.info("stopped", extra={"role": name, "pid": os.getpid(), "seconds": seconds, **counts.total})


def _again_and_again(look: Callable[[], None], stop: threading.Event) -> None:
    """Looks every second of the clock's time until told to stop; what is away is waited for, with growing pauses."""
    from dramatiq.errors import DramatiqError
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from lifecycle.store.outage import is_outage

    outage = 0.0
    while not stop.is_set():
        try:
            look()
        except (DBAPIError, RedisError, DramatiqError) as error:
            if isinstance(error, DBAPIError) and not is_outage(error):
                raise
            outage = min(outage * 2 or 0.5, _LONGEST_OUTAGE_PAUSE)
            log.warning("cannot look, trying again", extra={"seconds": outage, "error": _line(error)})
            stop.wait(outage)
        else:
            outage = 0.0
            stop.wait(min(max(clock.real_seconds(1.0), _SHORTEST), _LONGEST))


def _line(error: Exception) -> str:
    from .outages import explain

    return explain(error) or f"{type(error).__name__}: {error}".partition("\n")[0]
