"""One day with every role as its own process, as in production, only faster: the demo's second act."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from redis import Redis

from lifecycle import embedded
from lifecycle.cli.foreman import Foreman, role
from lifecycle.clock import Scaled
from lifecycle.errors import LifecycleError
from lifecycle.settings import Settings
from lifecycle.store import ahead
from lifecycle.store.database import Database

from .board import Board

_GETTING_READY = 4.0  # real seconds from starting the roles to the beginning of the day
_LONGEST_DRAIN = 60.0
_PATIENCE = 5.0
_LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Day:
    """What is lived through: from `start` to `end`, `speed` times as fast as real time."""

    start: datetime
    end: datetime
    speed: float


def live_through(day: Day, settings: Settings, app: list[str], board: Board) -> datetime:
    """Runs all roles and the app through the day until nothing is left to do; returns where the clock then stands.

    Leaves no process behind, however it ends. Raises LifecycleError when a role does not work.
    """
    clock = Scaled(day.start, time.time() + _GETTING_READY, day.speed)
    home = settings.home
    with embedded.start(home) as queue, _log(home / "roles.log") as note:
        settings = settings.model_copy(
            update={
                "redis_url": queue.url,
                "smtp_url": f"smtp://127.0.0.1:{embedded.free_port()}",
                "clock": str(clock),
            }
        )
        with _roles(settings, note), _app(app, day, clock, queue.url, home) as emitting:
            db = Database(settings.database)
            try:
                _watch(day, clock, db, board, lambda: emitting.poll() is None or _queued(queue.url, settings.stream))
            except TimeoutError:
                raise LifecycleError(
                    f"the day's work does not end; what the roles say is in {home}/roles.log"
                ) from None
            finally:
                db.close()
    return max(clock.now(), day.end)


def _watch(day: Day, clock: Scaled, db: Database, board: Board, more_to_come: Callable[[], bool]) -> None:
    """Shows the day until it is over and everything of it is done; raises TimeoutError if that never comes."""
    deadline = clock.real + (day.end - day.start).total_seconds() / day.speed + _LONGEST_DRAIN
    while True:
        time.sleep(_LOOK_EVERY)
        now = clock.now()
        with db.reading() as connection:
            if now < day.end and board.wants(now):
                board.look(connection, now)
            elif now >= day.end and not more_to_come() and not ahead.due(connection, day.end):
                board.look(connection, day.end)
                return
        if time.time() > deadline:
            raise TimeoutError


def _queued(url: str, stream: str) -> bool:
    """Whether events, or hints for workers, wait in the queue."""
    with Redis.from_url(url, socket_timeout=10) as redis:
        return bool(redis.xlen(stream))


@contextmanager
def _roles(settings: Settings, note: Callable[[str, str], None]) -> Iterator[None]:
    """Consumer, scheduler, worker and mailbox, each a process, until the end of the block."""
    assert settings.smtp_url is not None
    port = settings.smtp_url.rpartition(":")[2]
    mailbox = [sys.executable, "-m", "lifecycle.mail.mailbox", "--folder", str(settings.home / "mail"), "--port", port]
    commands = {
        "mailbox": [*mailbox, "--until-stdin-closes"],
        "consume": role("consume"),
        "schedule": role("schedule"),
        "worker": role("worker", "--processes", "1"),
    }
    stop = threading.Event()
    foreman = Foreman(commands, note, settings.environment())
    thread = threading.Thread(target=foreman.run, args=(stop,), kwargs={"patience": _PATIENCE}, name="foreman")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _app(command: list[str], day: Day, clock: Scaled, queue: str, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The app, which gets the queue's address and the day, and nothing else."""
    options = ["--start", day.start.isoformat(), "--end", day.end.isoformat()]
    options += ["--speed", str(day.speed), "--began", str(clock.real)]
    with (home / "app.log").open("wb") as log:
        app = subprocess.Popen(
            [sys.executable, *command, *options],
            env={"REDIS_URL": queue},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield app
        finally:
            app.terminate()
            app.wait()


@contextmanager
def _log(path: Path) -> Iterator[Callable[[str, str], None]]:
    """A file for what the roles say."""
    with path.open("a", encoding="utf-8", buffering=1) as file:
        yield lambda name, line: print(f"{name:<8} | {line}", file=file)
