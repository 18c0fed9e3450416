"""The wire format: one JSON message per event, after the Segment spec's `track` and `identify`.

What `parse` accepts, both databases can store; what it refuses, it refuses with one reason that a person
understands. Pure and fast: about 8 microseconds for a usual event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, TypeAlias

import orjson

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_NAME = 255
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(hours=24)
_INTEGERS = range(-(2**63), 2**63)
_LONG_NUMBER = 19
_DIGITS = bytes(ord("0") if 48 <= byte <= 57 else byte for byte in range(256))


@dataclass(frozen=True, slots=True)
class Track:
    """Something that a customer did. `timestamp` is aware and in UTC; `traits` came along in its context."""

    message_id: str
    customer_id: str
    event: str
    timestamp: datetime
    properties: dict[str, Any]
    traits: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class Identify:
    """What is known about a customer. `timestamp` is aware and in UTC."""

    message_id: str
    customer_id: str
    traits: dict[str, Any]
    timestamp: datetime
    digest: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that is not taken, and why, in one line."""

    reason: str


Fact: TypeAlias = Track | Identify


class _Refused(Exception):
    """Carries the reason out of the depth of the parser."""


def parse(raw: bytes, received_at: datetime) -> Fact | Refusal:
    """Read one message; never raises, whatever the bytes.

    `received_at` stands in for a missing timestamp. Let it be the moment of the stream entry and not that of reading
    it: a message without an id and a timestamp then keeps the id derived from both when it is delivered twice.

    `digest` names the content: type, customer, event, timestamp as sent, properties and traits, whatever the order of
    the keys. A repeated message id with the same digest is a repetition, with another one a conflict.
    """
    try:
        return _read(_load(raw), received_at)
    except _Refused as refused:
        return Refusal(str(refused))


def _read(message: dict[str, Any], received_at: datetime) -> Fact:
    kind = message.get("type")
    if kind not in ("track", "identify"):
        raise _Refused(f"unknown type {_shown(kind)}; known are track and identify")
    customer_id = _customer_id(message)
    timestamp = _timestamp(message.get("timestamp"), received_at)
    if kind == "track":
        event = _name(message.get("event"), "event")
        properties = _object(message.get("properties"), "properties")
        traits = _object(_object(message.get("context"), "context").get("traits"), "context.traits")
        digest, message_id = _identity(message, [kind, customer_id, event, properties, traits], timestamp, received_at)
        return Track(message_id, customer_id, event, timestamp or received_at, properties, traits, digest)
    traits = _object(message.get("traits"), "traits")
    digest, message_id = _identity(message, [kind, customer_id, traits], timestamp, received_at)
    return Identify(message_id, customer_id, traits, timestamp or received_at, digest)


def _load(raw: bytes) -> dict[str, Any]:
    if len(raw) > MAX_BYTES:
        raise _Refused(f"{len(raw):,} bytes are too many; send at most {MAX_BYTES:,}")
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        hint = " (a lone surrogate, or not UTF-8)" if "surrogate" in error.msg else ""
        raise _Refused(f"not JSON: {error.msg} at byte {error.pos}{hint}") from None
    if not isinstance(message, dict):
        raise _Refused(f'not an object but {_kind_of(message)}; send {{"type": …}}')
    # Each of these three is a cheap suspicion first, and the exact question only when it is raised.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _depth(message) > MAX_DEPTH:
        raise _Refused(f"nested more than {MAX_DEPTH} deep")
    if b"\\u0000" in raw and _has_nul(message):
        raise _Refused("a NUL character (\\u0000), which a database cannot hold; leave it out")
    if b"0" * _LONG_NUMBER in raw.translate(_DIGITS):
        _refuse_huge_integers(raw)
    return message


def _customer_id(message: dict[str, Any]) -> str:
    user = message.get("userId")
    if isinstance(user, int) and not isinstance(user, bool):
        return str(user)
    if user is None and message.get("anonymousId") is not None:
        raise _Refused("only an anonymousId; events are taken for customers that are known, so send a userId")
    name = _name(user, "userId")
    if not name.isascii() and (octets := len(name.encode())) > MAX_NAME:
        raise _Refused(f"userId has {octets:,} bytes in UTF-8; {MAX_NAME} are the limit, as links in emails carry it")
    return name


def _name(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise _Refused(f"no {field}" if value is None else f"{field} is {_kind_of(value)}, not a string")
    if len(value) > MAX_NAME:
        raise _Refused(f"{field} has {len(value):,} characters; {MAX_NAME} are the limit")
    if not value or value.isspace():
        raise _Refused(f"{field} is empty")
    return value


def _object(value: object, field: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Refused(f"{field} is {_kind_of(value)}, not an object")
    return value


def _timestamp(text: object, received_at: datetime) -> datetime | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise _Refused(f"timestamp is {_kind_of(text)}; write ISO 8601, for example 2026-11-22T09:00:00Z")
    try:
        timestamp = datetime.fromisoformat(text)
        if timestamp.tzinfo is None:
            raise _Refused(f"timestamp {_shown(text)} has no time zone; add Z or an offset, for example +07:00")
        timestamp = timestamp.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Refused(f"timestamp {_shown(text)} is not ISO 8601, for example 2026-11-22T09:00:00Z") from None
    if timestamp < EARLIEST:
        raise _Refused(f"timestamp {_shown(text)} lies before {EARLIEST.year}")
    if timestamp - received_at > LATEST_AHEAD:
        raise _Refused(f"timestamp {_shown(text)} lies more than 24 hours in the future")
    return timestamp


def _identity(
    message: dict[str, Any], content: list[Any], timestamp: datetime | None, received_at: datetime
) -> tuple[str, str]:
    """The digest of the content and the message's id, its own or one derived from the content."""
    digest = _hash([*content, timestamp])
    message_id = message.get("messageId")
    if message_id is not None:
        return digest, _name(message_id, "messageId")
    return digest, f"content-{digest if timestamp else _hash([*content, received_at])}"


def _hash(content: list[Any]) -> str:
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _depth(value: object) -> int:
    deepest, pending = 0, [(value, 1)]
    while pending:
        part, depth = pending.pop()
        if isinstance(part, dict | list):
            deepest = max(deepest, depth)
            pending += [(inner, depth + 1) for inner in (part.values() if isinstance(part, dict) else part)]
    return deepest


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(map(_has_nul, value))


def _refuse_huge_integers(raw: bytes) -> None:
    """orjson turns integers beyond 64 bits into floats, so ask the standard library, which shows their digits."""

    def check(digits: str) -> int:
        if len(digits) > _LONG_NUMBER + 1 or int(digits) not in _INTEGERS:
            raise _Refused(f"the integer {digits[:24]} is beyond 64 bits; send it as a string")
        return 0

    json.loads(raw, parse_int=check)


def _kind_of(value: object) -> str:
    return {
        "dict": "an object",
        "list": "an array",
        "str": "a string",
        "int": "a number",
        "float": "a number",
        "bool": "true or false",
        "NoneType": "null",
    }.get(type(value).__name__, "something else")


def _shown(value: object) -> str:
    """A value in a reason: short, on one line, and storable."""
    if not isinstance(value, str):
        return "missing" if value is None else f"({_kind_of(value)})"
    return repr(value if len(value) <= 40 else value[:39] + "…")
