"""The consumer on a real Redis-protocol server: nothing is lost, nothing is taken twice, nothing stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import OperationalError

from lifecycle import clock
from lifecycle.client import STREAM
from lifecycle.flow import stream as stream_module
from lifecycle.flow.consume import Taken, take
from lifecycle.flow.stream import Consumer
from lifecycle.store.database import Database
from tests.database.shop import LEASE, MAX_LATENESS, SHOP, letters, order, rows, track, unforeseen

GROUP = "lifecycle"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses as in production, but shorter."""
    monkeypatch.setattr(stream_module, "_PAUSES", (0.01, 0.02))
    monkeypatch.setattr(stream_module, "_BLOCK", 20)


class Until:
    """Stops a consumer when so many events were taken, and gathers what it was told."""

    def __init__(self, events: int) -> None:
        self.stop = threading.Event()
        self.total = Taken()
        self.hints: list[int] = []
        self._events = events

    def taken(self, one: Taken) -> None:
        self.total.add(one)
        if self.total.accepted + self.total.duplicates + self.total.refused >= self._events:
            self.stop.set()

    def hint(self, ids: Sequence[int]) -> None:
        self.hints += ids


def emit(redis: Redis, *raws: bytes) -> None:
    for raw in raws:
        redis.xadd(STREAM, {"message": raw})


def consumer(redis: Redis, db: Database, until: Until, name: str = "one", **options: object) -> Consumer:
    return Consumer(
        redis,
        db,
        lambda: SHOP,
        hint=until.hint,
        lease=LEASE,
        max_lateness=MAX_LATENESS,
        name=name,
        taken=until.taken,
        **options,  # type: ignore[arg-type]
    )


@contextmanager
def running(one: Consumer, until: Until) -> Iterator[None]:
    """The consumer in a thread; ends when `until` says so, or with the block."""
    thread = threading.Thread(target=one.run, args=(until.stop,))
    thread.start()
    try:
        yield
        assert until.stop.wait(60), f"only {until.total} were taken"
    finally:
        until.stop.set()
        thread.join()


def orders(first: int, last: int) -> list[bytes]:
    return [order(str(n), f"c{n % 7}", clock.now()) for n in range(first, last)]


def test_events_are_taken_hinted_acknowledged_and_deleted(redis: Redis, sqlite_database: Database) -> None:
    emit(redis, *orders(0, 5), b"{", track("a", "ann", "customer.registered", clock.now()))
    until = Until(7)
    with running(consumer(redis, sqlite_database, until), until):
        pass
    assert (until.total.accepted, until.total.refused) == (6, 1)
    ids = rows(sqlite_database, "SELECT id FROM enrollment ORDER BY id")
    assert sorted(until.hints) == [id for (id,) in ids]
    assert redis.xlen(STREAM) == 0
    assert redis.xpending(STREAM, GROUP)["pending"] == 0
    assert redis.xinfo_consumers(STREAM, GROUP) == [], "a graceful stop leaves no name behind"


def test_an_entry_without_a_message_is_kept_with_all_it_has(redis: Redis, sqlite_database: Database) -> None:
    redis.xadd(STREAM, {"payload": "x"})
    until = Until(1)
    with running(consumer(redis, sqlite_database, until), until):
        pass
    assert rows(sqlite_database, "SELECT raw FROM dead_letter") == [(b'{"payload":"x"}',)]


def test_an_event_without_a_timestamp_happened_when_it_was_put_there(redis: Redis, sqlite_database: Database) -> None:
    redis.xadd(STREAM, {"message": b'{"type":"track","userId":"1","event":"x"}'}, id="1700000000000-0")
    until = Until(1)
    with running(consumer(redis, sqlite_database, until), until):
        pass
    assert rows(sqlite_database, "SELECT timestamp FROM event") == [("2023-11-14T22:13:20.000000Z",)]


def test_what_was_read_but_not_acknowledged_is_finished_after_a_restart(
    redis: Redis, sqlite_database: Database
) -> None:
    emit(redis, *orders(0, 6))
    redis.xgroup_create(STREAM, GROUP, id="0")
    redis.xreadgroup(GROUP, "one", {STREAM: ">"}, count=4)  # and then it was killed
    until = Until(6)
    with running(consumer(redis, sqlite_database, until, batch=3), until):
        pass
    assert until.total.accepted == 6
    assert redis.xlen(STREAM) == 0


def test_a_dead_consumers_entries_are_taken_over(redis: Redis, sqlite_database: Database) -> None:
    emit(redis, *orders(0, 6))
    redis.xgroup_create(STREAM, GROUP, id="0")
    redis.xreadgroup(GROUP, "dead", {STREAM: ">"}, count=4)
    until = Until(6)
    with running(consumer(redis, sqlite_database, until, claim_idle=timedelta(milliseconds=50), batch=3), until):
        pass
    assert until.total.accepted == 6
    assert redis.xpending(STREAM, GROUP)["pending"] == 0


def test_a_living_consumers_entries_are_left_to_it(redis: Redis, sqlite_database: Database) -> None:
    emit(redis, *orders(0, 6))
    redis.xgroup_create(STREAM, GROUP, id="0")
    redis.xreadgroup(GROUP, "busy", {STREAM: ">"}, count=4)
    until = Until(2)
    with running(consumer(redis, sqlite_database, until), until):
        pass
    assert until.total.accepted == 2
    assert redis.xpending(STREAM, GROUP)["pending"] == 4


def test_a_flushed_queue_loses_only_what_was_not_taken(redis: Redis, sqlite_database: Database) -> None:
    until, first = Until(10), Until(5)

    def taken(one: Taken) -> None:
        first.taken(one)
        until.taken(one)

    emit(redis, *orders(0, 5))
    one = consumer(redis, sqlite_database, until)
    one._taken = taken
    with running(one, until):
        assert first.stop.wait(60)
        redis.flushdb()
        emit(redis, *orders(5, 10))
    assert rows(sqlite_database, "SELECT count(*) FROM event") == [(10,)]


def failing(times: int, error: Callable[[], Exception], whole: Callable[..., object]) -> Callable[..., object]:
    left = [times]

    def maybe(*args: object, **kwargs: object) -> object:
        if left[0]:
            left[0] -= 1
            raise error()
        return whole(*args, **kwargs)

    return maybe


def test_while_the_database_is_away_nothing_is_acknowledged_and_then_it_goes_on(
    redis: Redis, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    emit(redis, *orders(0, 5))
    pending: list[int] = []

    def away() -> Exception:
        pending.append(redis.xpending(STREAM, GROUP)["pending"])
        return OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(stream_module, "take", failing(3, away, take))
    until = Until(5)
    with running(consumer(redis, sqlite_database, until, batch=3), until):
        pass
    assert pending == [3, 3, 3], "nothing more is read meanwhile"
    assert (until.total.accepted, letters(sqlite_database)) == (5, {})
    assert caplog.text.count("the database is away") == 3


def test_while_the_queue_is_away_it_waits_and_then_goes_on(
    redis: Redis, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    emit(redis, *orders(0, 5))
    lost = failing(3, lambda: RedisConnectionError("Connection refused"), redis.xreadgroup)
    monkeypatch.setattr(redis, "xreadgroup", lost)
    until = Until(5)
    with running(consumer(redis, sqlite_database, until), until):
        pass
    assert until.total.accepted == 5
    assert caplog.text.count("the queue is away") == 3


def test_an_acknowledgement_that_is_lost_makes_a_repetition_and_no_more(
    redis: Redis, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit(redis, *orders(0, 5))
    monkeypatch.setattr(redis, "pipeline", failing(1, lambda: RedisConnectionError("reset"), redis.pipeline))
    until = Until(5)
    with running(consumer(redis, sqlite_database, until), until):
        pass
    assert (until.total.accepted, until.total.duplicates) == (0, 5)
    assert rows(sqlite_database, "SELECT sum(count) FROM activity") == [(5,)]
    assert redis.xlen(STREAM) == 0


def test_a_hint_that_is_lost_does_not_stop_it(redis: Redis, sqlite_database: Database) -> None:
    emit(redis, *orders(0, 5))
    until = Until(5)
    until.hint = failing(9, lambda: RedisConnectionError("reset"), len)  # type: ignore[assignment]
    with running(consumer(redis, sqlite_database, until), until):
        pass
    assert until.total.accepted == 5


def test_a_stop_finishes_what_was_read_and_reads_no_more(
    redis: Redis, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit(redis, *orders(0, 9))
    until = Until(99)

    def told_to_stop_meanwhile(*args: object, **kwargs: object) -> Taken:
        until.stop.set()
        return take(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(stream_module, "take", told_to_stop_meanwhile)
    with running(consumer(redis, sqlite_database, until, batch=4), until):
        pass
    assert until.total.accepted == 4, "the batch in hand"
    assert redis.xlen(STREAM) == 5


def test_a_batch_that_is_halved_reads_ahead_once(
    redis: Redis, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read ahead a second time would be forgotten until a restart."""
    unforeseen(monkeypatch, "order-5")
    emit(redis, *orders(0, 20))
    until = Until(20)
    with running(consumer(redis, sqlite_database, until, batch=4), until):
        pass
    assert (until.total.accepted, until.total.refused) == (19, 1)
    assert (redis.xlen(STREAM), redis.xpending(STREAM, GROUP)["pending"]) == (0, 0)
