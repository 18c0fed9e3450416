"""For apps: emit events onto the queue, and know nothing else.

    from lifecycle.client import Client

    client = Client("redis://localhost:6379/0")
    client.identify("42", {"email": "siti@example.com", "first_name": "Siti", "timezone": "Asia/Jakarta"})
    client.track("42", "order.completed", {"order_id": "A1", "total": Decimal("125000")})

    with client.batch() as batch:
        for order in orders:
            batch.track(order.customer_id, "order.completed", {"order_id": order.id}, timestamp=order.at)

The stream is never trimmed from here: an entry that no consumer has taken yet must not vanish because another came.
Whoever runs the consumers removes what has been taken.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from types import TracebackType
from typing import Any
from uuid import UUID

import orjson
from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from lifecycle import clock
from lifecycle.errors import InvalidEvent, NotEmitted
from lifecycle.wire import Refusal, parse

STREAM = "lifecycle:events"
FIELD = "message"
_CHUNK = 500


class _Words:
    """`track` and `identify`, which a client and a batch have in common."""

    def track(
        self,
        user_id: str | int,
        event: str,
        properties: Mapping[str, Any] | None = None,
        *,
        timestamp: datetime | None = None,
        message_id: str | None = None,
        traits: Mapping[str, Any] | None = None,
    ) -> str:
        """Say that a customer did something; return the message id.

        `timestamp` is when it happened, with a time zone (now, if not given). `message_id` makes it idempotent: the
        same id is taken once for ever, so give your own (an order's id, say) where the app itself may repeat the call;
        the one that is made otherwise only covers the retries in here. `traits` are taken as by `identify`.

        In properties, `Decimal` becomes a number, `date` and `datetime` ISO 8601.
        Raises InvalidEvent for what the engine would refuse, and NotEmitted when the queue cannot be reached.
        """
        message: dict[str, Any] = {"type": "track", "userId": user_id, "event": event, "properties": properties}
        if traits is not None:
            message["context"] = {"traits": traits}
        return self._emit(message, timestamp, message_id)

    def identify(
        self,
        user_id: str | int,
        traits: Mapping[str, Any],
        *,
        timestamp: datetime | None = None,
        message_id: str | None = None,
    ) -> str:
        """Say what is known about a customer; return the message id. Arguments and errors as for `track`.

        Reserved traits: email, first_name, last_name, birthday, timezone, locale, created_at; others are free JSON.
        """
        return self._emit({"type": "identify", "userId": user_id, "traits": traits}, timestamp, message_id)

    def _emit(self, message: dict[str, Any], timestamp: datetime | None, message_id: str | None) -> str:
        now = clock.now()
        message_id = _new_id() if message_id is None else message_id
        raw = _encode(message | {"messageId": message_id, "timestamp": timestamp or now})
        fact = parse(raw, now)
        if isinstance(fact, Refusal):
            raise InvalidEvent(f"{message['type']} of {message_id} is not sent: {fact.reason}")
        self._put(message_id, raw)
        return message_id

    def _put(self, message_id: str, raw: bytes) -> None:
        raise NotImplementedError


class Client(_Words):
    """Emits events onto one Redis stream. Safe to share between threads.

    A lost connection is retried `attempts` times with growing pauses, always with the same message id, so that an
    event whose first try did arrive is still taken once. `timeout` is in seconds, per try.
    """

    def __init__(
        self, url: str = "redis://localhost:6379/0", stream: str = STREAM, *, attempts: int = 5, timeout: float = 5.0
    ) -> None:
        self.stream = stream
        self._redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=2.0), attempts),
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        )

    def batch(self) -> Batch:
        """Collect many events and send them in few round trips; use it with `with`."""
        return Batch(self._redis, self.stream)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._redis.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, message_id: str, raw: bytes) -> None:
        try:
            self._redis.xadd(self.stream, {FIELD: raw})
        except (RedisError, OSError) as error:
            raise NotEmitted([message_id], error) from error


class Batch(_Words):
    """Events on their way; not to be shared between threads.

    They are sent in chunks of 500 and at the end of the block, also when the block ends with an error: what `track`
    has returned an id for is sent. After NotEmitted the events are still here, and `flush` tries again.
    """

    def __init__(self, redis: Redis, stream: str) -> None:
        self._redis = redis
        self._stream = stream
        self._waiting: list[tuple[str, bytes]] = []

    def flush(self) -> None:
        """Send what waits now. Raises NotEmitted when the queue cannot be reached."""
        if not self._waiting:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for _, raw in self._waiting:
            pipeline.xadd(self._stream, {FIELD: raw})
        try:
            pipeline.execute()
        except (RedisError, OSError) as error:
            raise NotEmitted([message_id for message_id, _ in self._waiting], error) from error
        self._waiting.clear()

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def _put(self, message_id: str, raw: bytes) -> None:
        self._waiting.append((message_id, raw))
        if len(self._waiting) >= _CHUNK:
            self.flush()


def _new_id() -> str:
    """A UUID of version 7 (RFC 9562): it begins with the time, so that new ids lie side by side in an index."""
    milliseconds = time.time_ns() // 1_000_000
    bits = (milliseconds << 80) | int.from_bytes(os.urandom(10))
    return str(UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62)))


def _encode(message: dict[str, Any]) -> bytes:
    try:
        raw = orjson.dumps(message, default=_as_json)
    except TypeError as error:  # orjson's own errors are TypeErrors
        raise InvalidEvent(
            f"{message['type']} of {message['messageId']} is not sent: {error.__cause__ or error}"
        ) from None
    if b"null" in raw and _has_non_finite(message):
        raise InvalidEvent(f"{message['type']} of {message['messageId']} is not sent: NaN and Infinity are not JSON")
    return raw


def _as_json(value: object) -> Any:
    match value:
        case Decimal():
            if not value.is_finite():
                raise InvalidEvent("NaN and Infinity are not JSON")
            return orjson.Fragment(format(value, "f"))
        case Mapping():
            return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON; send a string, a number or a date")


def _has_non_finite(value: object) -> bool:
    """orjson writes NaN and Infinity as null, silently."""
    match value:
        case float():
            return not isfinite(value)
        case Mapping():
            return any(map(_has_non_finite, value.values()))
        case list() | tuple():
            return any(map(_has_non_finite, value))
    return False
