"""The consumer: reads the Redis stream in a group, takes batch after batch, acknowledges after the commit.

    while not told to stop:
        1. once at first, and after any trouble: what was read under this name and never acknowledged
        2. now and then: what a consumer that died has left lying for longer than `claim_idle`
        3. what is new; the next batch is read and parsed while one is committed, and under load SQLite moves what
           the last ones wrote from its log into its file: else a commit would wait for that

Entries are acknowledged *and deleted* together once their transaction has committed: SQL holds them for ever, and a
stream that is never trimmed would fill the server's memory. So the stream belongs to this one group; whoever else
wants the events reads the table. Redis losing its data loses only what was not yet taken; the group is made anew.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
from dramatiq.errors import DramatiqError
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lifecycle import clock
from lifecycle.client import FIELD, STREAM
from lifecycle.journey.project import Project
from lifecycle.store.checkpointer import Checkpointer
from lifecycle.store.database import Database
from lifecycle.wire import parse

from .consume import Entry, Taken, take

log = logging.getLogger(__name__)

_BLOCK = 1000  # milliseconds, below the client's socket timeout; also the longest that a stop waits for
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_LONG_GONE = timedelta(days=1)
_PLAUSIBLE = range(946_684_800_000, 4_102_444_800_000)  # the years 2000 to 2099, in milliseconds
_NO_GROUP = ("NOGROUP", "UNBLOCKED")


class Consumer:
    """One consumer of the group; run as many as you like, each under a name of its own.

    `project` is asked for before each batch, because its policy may change. `hint` is given the ids of enrollments
    that are due, after the commit; `taken`, if given, what became of each batch. `claim_idle`: how long an entry may
    lie with another consumer before that one counts as dead.
    """

    def __init__(
        self,
        redis: Redis,
        db: Database,
        project: Callable[[], Project],
        *,
        hint: Callable[[Sequence[int]], None],
        lease: timedelta,
        max_lateness: timedelta,
        stream: str = STREAM,
        group: str = "lifecycle",
        name: str | None = None,
        batch: int = 1_500,
        claim_idle: timedelta = timedelta(seconds=60),
        taken: Callable[[Taken], None] | None = None,
    ) -> None:
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self._redis = redis
        self._db = db
        self._project = project
        self._hint = hint
        self._lease = lease
        self._max_lateness = max_lateness
        self._stream = stream
        self._group = group
        self._batch = batch
        self._claim_idle = claim_idle
        self._taken = taken
        self._next_claim = 0.0
        self._failures = 0

    def run(self, stop: threading.Event) -> None:
        """Takes events until `stop` is set; what was read is finished first, which is two batches at most.

        While the database or Redis is away it waits with growing pauses, one log line each, and goes on.
        """
        own_first = True
        with _tuned(), ThreadPoolExecutor(1, "reader") as reader, Checkpointer(self._db.url) as checkpointer:
            while not stop.is_set():
                try:
                    if own_first:
                        self._make_group()
                        self._finish_own(stop)
                        own_first = False
                    self._claim_abandoned(stop)
                    self._take_new(stop, reader, checkpointer)
                    self._failures = 0
                except RedisError as error:
                    own_first = True
                    if not _group_is_gone(error):
                        self._pause("the queue is away", error, stop)
                except SQLAlchemyError as error:
                    own_first = True
                    self._pause("the database is away", error, stop)
        self._leave()

    def _take_new(self, stop: threading.Event, reader: ThreadPoolExecutor, checkpointer: Checkpointer) -> None:
        """What is new, until there is nothing more for the moment or something else is to be done."""
        entries = self._read(">", _BLOCK)
        while entries:
            ahead = _Ahead(reader, partial(self._read, ">"), unless=lambda: stop.is_set() or self._claim_is_due())
            if len(entries) == self._batch:
                checkpointer.begin()
            try:
                self._process(entries, ahead.begin)
            finally:  # if the database is away too: what was read ahead is this consumer's own, and comes first then
                entries = ahead.entries()

    def _read(self, after: str, block: int | None = None) -> list[Entry]:
        reply: Any = self._redis.xreadgroup(
            self._group, self.name, {self._stream: after}, count=self._batch, block=block
        )
        return self._entries(entry for _, entries in _by_stream(reply) for entry in entries)

    def _finish_own(self, stop: threading.Event) -> None:
        """What an earlier run under this name, or a moment of trouble, left unacknowledged."""
        while not stop.is_set() and (entries := self._read("0")):
            self._process(entries)

    def _claim_is_due(self) -> bool:
        return time.monotonic() >= self._next_claim

    def _claim_abandoned(self, stop: threading.Event) -> None:
        if not self._claim_is_due():
            return
        cursor, idle = "0-0", int(self._claim_idle.total_seconds() * 1000)
        while not stop.is_set():
            reply: Any = self._redis.xautoclaim(self._stream, self._group, self.name, idle, cursor, count=self._batch)
            cursor, entries = _text(reply[0]), self._entries(reply[1])
            if entries:
                log.info("taking over what a dead consumer left", extra={"entries": len(entries)})
                self._process(entries)
            if cursor == "0-0":
                break
        self._forget_dead()
        self._next_claim = time.monotonic() + self._claim_idle.total_seconds() / 2

    def _process(self, entries: Sequence[Entry], committing: Callable[[], None] = lambda: None) -> None:
        if not entries:
            return
        taken = take(
            self._db,
            self._project(),
            entries,
            clock.now(),
            lease=self._lease,
            max_lateness=self._max_lateness,
            committing=committing,
        )
        self._acknowledge([entry.id for entry in entries])
        if taken.refused:
            log.warning("events refused; see `lifecycle events dead`", extra={"events": taken.refused})
        if taken.advance:
            self._send_hint(taken.advance)
        if self._taken is not None:
            self._taken(taken)

    def _acknowledge(self, ids: Sequence[str]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.xack(self._stream, self._group, *ids)
        pipeline.xdel(self._stream, *ids)
        pipeline.execute()

    def _send_hint(self, ids: Sequence[int]) -> None:
        try:
            self._hint(ids)
        except (RedisError, OSError, DramatiqError) as error:  # the scheduler finds them when the lease is over
            log.warning("a hint was lost", extra={"enrollments": len(ids), "error": type(error).__name__})

    def _entries(self, entries: Iterable[tuple[bytes, Mapping[bytes, bytes] | None]]) -> list[Entry]:
        """Entries as they are taken; of one that was deleted meanwhile only the id is left: it is acknowledged."""
        found, gone = [], []
        now = clock.now()
        for id, fields in entries:
            if fields:
                raw, put_at = _raw(fields), _put_at(_text(id))
                found.append(Entry(_text(id), raw, put_at, parse(raw, put_at or now)))
            else:
                gone.append(_text(id))
        if gone:
            self._redis.xack(self._stream, self._group, *gone)
        return found

    def _make_group(self) -> None:
        try:
            self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def _forget_dead(self) -> None:
        """Names of consumers that went long ago and left nothing."""
        consumers: Any = self._redis.xinfo_consumers(self._stream, self._group)
        for one in consumers:
            if one["pending"] == 0 and one["idle"] > _LONG_GONE.total_seconds() * 1000:
                self._redis.xgroup_delconsumer(self._stream, self._group, one["name"])

    def _leave(self) -> None:
        """Takes this name out of the group, unless something read under it is still to be done."""
        try:
            pending: Any = self._redis.xpending_range(
                self._stream, self._group, min="-", max="+", count=1, consumername=self.name
            )
            if not pending:
                self._redis.xgroup_delconsumer(self._stream, self._group, self.name)
        except RedisError as error:
            log.info("the queue is away while leaving it", extra={"error": type(error).__name__})

    def _pause(self, what: str, error: Exception, stop: threading.Event) -> None:
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        cause = error.orig if isinstance(error, DBAPIError) else error
        line = str(cause).strip().partition("\n")[0]
        log.warning("%s; trying again", what, extra={"seconds": pause, "error": f"{type(cause).__name__}: {line}"})
        stop.wait(pause)


class _Ahead:
    """The next batch, read beside the commit of this one.

    A commit of SQLite's is long and needs nothing of Python. Any earlier, both threads would have work for the one
    interpreter, which takes a tenth to a fifth of all time; on PostgreSQL either is as good.
    """

    def __init__(self, thread: ThreadPoolExecutor, read: Callable[[], list[Entry]], unless: Callable[[], bool]) -> None:
        self._thread = thread
        self._read = read
        self._unless = unless
        self._reading: Future[list[Entry]] | None = None

    def begin(self) -> None:
        """Has it read, unless something else comes first; once only, as what is read is this consumer's to finish."""
        if self._reading is None and not self._unless():
            with suppress(RuntimeError):  # no thread is to be had: then it is read later
                self._reading = self._thread.submit(self._read)

    def entries(self) -> list[Entry]:
        """Waits for it; nothing where it was not begun."""
        return self._reading.result() if self._reading else []


@contextmanager
def _tuned() -> Iterator[None]:
    """Two of Python's defaults fit no consumer; they are put back afterwards."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(0.0005)  # or a statement that is done waits up to 5 ms while the next batch is parsed
    gc.set_threshold(50_000, *threshold[1:])  # a batch makes thousands of objects, and no cycles among them
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)


def _group_is_gone(error: RedisError) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith(_NO_GROUP)


def _by_stream(reply: Any) -> Iterable[tuple[bytes, Any]]:
    """The reply of XREADGROUP: pairs under RESP2, a map under RESP3, nothing when nothing came."""
    return reply.items() if isinstance(reply, dict) else reply or ()


def _raw(fields: Mapping[bytes, bytes]) -> bytes:
    """The message; of an entry without one all that it has, so that its dead letter shows it."""
    raw = fields.get(FIELD.encode())
    if raw is not None:
        return raw
    return orjson.dumps({_text(name): _text(value) for name, value in fields.items()})


def _put_at(id: str) -> datetime | None:
    """When an entry was put into the stream, from its id; unknown where somebody chose ids of their own."""
    if not isinstance(clock.current(), clock.Real):
        return None  # the id is of real time, and nothing else is
    milliseconds = int(id.partition("-")[0])
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds in _PLAUSIBLE else None


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
