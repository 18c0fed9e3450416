from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from lifecycle import clock
from lifecycle.client import FIELD, STREAM, Client
from lifecycle.errors import InvalidEvent, NotEmitted
from lifecycle.wire import Identify, Track, parse

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    with clock.use(clock.Fixed(NOW)), Client(redis_url) as client:
        yield client


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


def emitted(redis: Redis, stream: str = STREAM) -> list[bytes]:
    entries: Any = redis.xrange(stream)
    return [fields[FIELD.encode()] for _, fields in entries]


def test_a_tracked_event_is_on_the_stream_as_the_wire_format_says(client: Client, redis: Redis) -> None:
    message_id = client.track("42", "order.completed", {"order_id": "A1"}, traits={"email": "siti@example.com"})
    (raw,) = emitted(redis)
    fact = parse(raw, NOW)
    assert isinstance(fact, Track)
    assert (fact.message_id, fact.customer_id, fact.event, fact.timestamp) == (message_id, "42", "order.completed", NOW)
    assert fact.properties == {"order_id": "A1"}
    assert fact.traits == {"email": "siti@example.com"}


def test_an_identified_customer_is_on_the_stream_as_the_wire_format_says(client: Client, redis: Redis) -> None:
    client.identify(42, {"first_name": "Siti"}, timestamp=NOW - timedelta(days=1), message_id="m-1")
    (raw,) = emitted(redis)
    fact = parse(raw, NOW)
    assert isinstance(fact, Identify)
    assert (fact.message_id, fact.customer_id, fact.timestamp) == ("m-1", "42", NOW - timedelta(days=1))
    assert fact.traits == {"first_name": "Siti"}


def test_the_stream_has_the_name_that_was_given(redis_url: str, redis: Redis) -> None:
    with Client(redis_url, stream="shop:events") as client:
        client.track("42", "signed.up")
    assert len(emitted(redis, "shop:events")) == 1
    assert emitted(redis) == []


def test_numbers_and_dates_are_written_as_json_can_hold_them(client: Client, redis: Redis) -> None:
    client.track(
        "42",
        "order.completed",
        {
            "total": Decimal("125000.10"),
            "big": Decimal("1E+6"),
            "on": date(2026, 2, 28),
            "at": NOW,
            "local": datetime(2026, 11, 22, 17, 0),  # noqa: DTZ001 - an app may well send one
            "items": ({"sku": "a", "price": Decimal("0.1")},),
            "nothing": None,
        },
    )
    properties = json.loads(emitted(redis)[0])["properties"]
    assert properties == {
        "total": 125000.10,
        "big": 1_000_000,
        "on": "2026-02-28",
        "at": "2026-11-22T10:00:00+00:00",
        "local": "2026-11-22T17:00:00",
        "items": [{"sku": "a", "price": 0.1}],
        "nothing": None,
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"user_id": ""}, "userId is empty"),
        ({"event": ""}, "event is empty"),
        ({"properties": {"x": "a\0b"}}, "NUL"),
        ({"properties": {"x": "\ud800"}}, "surrogates"),
        ({"properties": {"x": float("nan")}}, "NaN"),
        ({"properties": {"x": [{"y": float("-inf")}]}}, "NaN and Infinity"),
        ({"properties": {"x": Decimal("NaN")}}, "NaN"),
        ({"properties": {"x": 2**63}}, "64"),
        ({"properties": {"x": 2**80}}, "64"),
        ({"properties": {"x": object()}}, "a object cannot be written as JSON"),
        ({"properties": {1: "x"}}, "str"),
        ({"properties": {"x": "y" * 70_000}}, "bytes are too many"),
        ({"properties": "order A1"}, "properties is a string"),
        ({"timestamp": datetime(2026, 11, 22)}, "no time zone"),  # noqa: DTZ001 - the mistake that is tested
        ({"timestamp": datetime(2100, 1, 1, tzinfo=UTC)}, "in the future"),
        ({"message_id": ""}, "messageId is empty"),
    ],
)
def test_an_event_that_the_engine_would_refuse_is_refused_at_once(
    arguments: dict[str, Any], says: str, client: Client, redis: Redis
) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        client.track(**{"user_id": "42", "event": "order.completed", **arguments})
    assert isinstance(caught.value, InvalidEvent)
    assert "\n" not in str(caught.value)
    assert emitted(redis) == []


def test_ids_are_new_and_in_the_order_of_time(client: Client) -> None:
    ids = [client.track("42", "page.viewed") for _ in range(50)]
    assert len(set(ids)) == 50
    stamps = [message_id[:13] for message_id in ids]
    assert stamps == sorted(stamps)
    assert {message_id[14] for message_id in ids} == {"7"}
    assert {message_id[19] for message_id in ids} <= set("89ab")


def test_a_batch_sends_everything_in_order(client: Client, redis: Redis) -> None:
    with client.batch() as batch:
        ids = [batch.track(str(number), "order.completed") for number in range(1201)]
        assert len(emitted(redis)) == 1000  # chunks are on their way before the end
        ids.append(batch.identify("1", {"vip": True}))
    assert [json.loads(raw)["messageId"] for raw in emitted(redis)] == ids


def test_what_a_batch_gave_an_id_for_is_sent_also_when_the_block_fails(client: Client, redis: Redis) -> None:
    def emit_two() -> None:
        with client.batch() as batch:
            batch.track("42", "order.completed")
            batch.track("", "order.completed")

    with pytest.raises(InvalidEvent, match="userId is empty"):
        emit_two()
    assert len(emitted(redis)) == 1


class Unreliable:
    """A way to the real server that loses the first answers after they were given, as a network may."""

    def __init__(self, url: str, losing: int) -> None:
        self._target = urlsplit(url)
        self._losing = losing
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        credentials = self._target.netloc.rpartition("@")[0]
        netloc = f"{credentials}@127.0.0.1:{port}" if credentials else f"127.0.0.1:{port}"
        self.url = self._target._replace(netloc=netloc).geturl()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        assert self._target.hostname is not None
        with near, socket.create_connection((self._target.hostname, self._target.port or 6379)) as far:
            while request := near.recv(1 << 20):
                far.sendall(request)
                answer = far.recv(1 << 20)
                if b"XADD" in request and self._losing:
                    self._losing -= 1
                    return
                near.sendall(answer)


@pytest.fixture
def unreliable(redis_url: str) -> Iterator[Unreliable]:
    unreliable = Unreliable(redis_url, losing=2)
    yield unreliable
    unreliable.close()


def test_an_event_whose_answer_was_lost_is_sent_again_with_the_same_id(unreliable: Unreliable, redis: Redis) -> None:
    with Client(unreliable.url) as client:
        message_id = client.track("42", "order.completed")
    found = emitted(redis)
    assert len(found) == 3
    assert set(found) == {found[0]}
    assert json.loads(found[0])["messageId"] == message_id


def test_a_batch_whose_answer_was_lost_is_sent_again_with_the_same_ids(unreliable: Unreliable, redis: Redis) -> None:
    with Client(unreliable.url) as client, client.batch() as batch:
        ids = {batch.track("42", "order.completed") for _ in range(20)}
    assert {json.loads(raw)["messageId"] for raw in emitted(redis)} == ids


def test_a_queue_that_is_not_there_is_named_after_a_bounded_time_and_the_batch_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = Client(f"redis://:hunter2@127.0.0.1:{port}/0", attempts=1)
    with pytest.raises(NotEmitted, match="same message ids") as caught:
        client.track("42", "order.completed", message_id="m-1")
    assert caught.value.message_ids == ["m-1"]
    assert isinstance(caught.value, ConnectionError)
    assert "hunter2" not in str(caught.value)
    batch = client.batch()
    batch.track("42", "order.completed", message_id="m-2")
    for _ in range(2):
        with pytest.raises(NotEmitted) as caught:
            batch.flush()
        assert caught.value.message_ids == ["m-2"]


def test_importing_the_client_loads_little() -> None:
    code = """
import sys, time
import redis
started = time.process_time()
import lifecycle.client
seconds = time.process_time() - started
heavy = {"sqlalchemy", "sqlmodel", "dramatiq", "pydantic", "jinja2", "click", "rich", "mjml"} & set(sys.modules)
print(seconds, *heavy)
"""
    found = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(5)
    ]
    assert [modules for _, *modules in found] == [[]] * 5
    assert min(float(seconds) for seconds, *_ in found) < 0.060
