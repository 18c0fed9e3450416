"""Forks workers that race for the same few people's messages under caps of every kind, and may be killed.

    python -m tests.acceptance.crowd DATABASE_URL FOLDER

`FOLDER/clock` holds how many seconds the clock is ahead of the machine's, `FOLDER/accepted` what was sent, a line each.
Whoever sends, and whoever makes the clock jump, locks `FOLDER/lock`: while a letter is on its way no hour passes.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from lifecycle import Cap, Fatigue, Journey, Keep, Send, days, hours, on
from lifecycle.flow.deliver import deliver
from lifecycle.flow.schedule import recover
from lifecycle.journey.project import Project
from lifecycle.journey.steps import OnCapped
from lifecycle.mail.transport import Accepted, Letter, Outcome
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder
from lifecycle.store.sql import Statement
from lifecycle.testing import Outbox, mailer_for
from tests.acceptance.zygote import serve
from tests.stage import NOON, Ordered, project_of

LEASE = timedelta(hours=2)  # two jumps: a letter that is begun within half of it is recorded within it
LONGEST_JUMP = timedelta(hours=1)
_AT_ONCE = 60

_DUE = Statement("SELECT id FROM message WHERE wake_at <= :now AND state <> 'sending' ORDER BY wake_at LIMIT 300")

POLICY: dict[str, object] = {
    "caps": [
        Cap(2, per=hours(2)),
        Cap(4, per=days(1), window="calendar"),
        Cap(1, per=hours(3), topic="offers"),
        Cap(1, per=days(1), journey="news"),
        Cap(5, per=hours(4), counts="all", obeyed_by="all"),
        Cap(1, per=hours(5), topic="orders", counts="all"),
        Cap(3, per=hours(6), obeyed_by="all"),
        Cap(3, per=hours(5), keep=Keep(1, priority=80)),
        Cap(3, per=days(2), topic="offers", window="calendar"),
    ],
    "fatigue": Fatigue(saturated=0.5),
}


def crowd() -> Project:
    """Five journeys that compete for the same slots."""

    def journey(name: str, topic: str, priority: int, on_capped: OnCapped, kind: str = "marketing") -> Journey:
        send = Send(name, on_capped=on_capped, send_within=hours(9), expires=hours(12))
        return Journey(
            name=name,
            topic=topic,
            kind=kind,  # type: ignore[arg-type]
            enter=on(Ordered),
            key=Ordered.order_id,
            priority=priority,
            steps=[send],
        )

    return project_of(
        journey("birthday", "offers", 90, "wait"),
        journey("thanks", "orders", 70, "digest"),
        journey("discount", "offers", 50, "digest"),
        journey("news", "news", 80, "skip"),
        journey("receipt", "orders", 60, "wait", "transactional"),
        **POLICY,
    )


class Time:
    """A clock that all processes share, and that jumps."""

    def __init__(self, folder: Path) -> None:
        file = folder / "clock"
        if not file.exists():
            file.write_bytes(struct.pack("d", -time.monotonic()))
        with file.open("r+b") as opened:
            self._ahead = mmap.mmap(opened.fileno(), 8)
        self._lock = (folder / "lock").open("ab")

    def now(self) -> datetime:
        return NOON + timedelta(seconds=time.monotonic() + struct.unpack("d", self._ahead)[0])

    def jump(self, span: timedelta) -> None:
        with self:
            self._ahead[:] = struct.pack("d", struct.unpack("d", self._ahead)[0] + span.total_seconds())

    def close(self) -> None:
        self._ahead.close()
        self._lock.close()

    def __enter__(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)


class Server(Outbox):
    """Writes down what it takes, at once, so that it is known whoever is killed next."""

    def __init__(self, folder: Path, clock: Time) -> None:
        super().__init__()
        self._log = os.open(folder / "accepted", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._clock = clock

    def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
        for letter in letters:
            with self._clock:
                os.write(self._log, f"{letter.message_id} {self._clock.now().isoformat()}\n".encode())
                yield letter, Accepted("250 ok")


def _work(url: str, folder: str) -> None:
    """Takes some of what is due, never asking who else has taken it, for ever."""
    db, clock, project, dice = Database(url), Time(Path(folder)), crowd(), random.Random(os.getpid())
    mailer = mailer_for(project, Outbox())
    mailer.transport = Server(Path(folder), clock)
    recorder = Recorder(db, time.sleep)
    while True:
        recover(db, clock.now())
        with db.reading() as connection:
            ids = list(_DUE.run(connection, now=clock.now()).scalars())
        if ids:
            some = dice.sample(ids, min(len(ids), _AT_ONCE))
            deliver(db, project, mailer, recorder, some, now=clock.now, lease=LEASE)
        else:
            time.sleep(0.01)


if __name__ == "__main__":
    serve(_work, sys.argv[1:])
