from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from lifecycle.store.database import Database
from lifecycle.wire import Fact, Identify, Refusal, Track, parse

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
TRACK: dict[str, Any] = {
    "type": "track",
    "messageId": "m-1",
    "userId": "42",
    "event": "order.completed",
    "timestamp": "2026-11-22T09:00:00Z",
    "properties": {"order_id": "A1", "total": 125000},
    "context": {"traits": {"email": "siti@example.com"}},
}
IDENTIFY: dict[str, Any] = {
    "type": "identify",
    "messageId": "m-2",
    "userId": "42",
    "timestamp": "2026-11-22T16:00:00.5+07:00",
    "traits": {"email": "siti@example.com", "birthday": "1994-02-28"},
}


def take(message: Any, received_at: datetime = NOW) -> Fact | Refusal:
    return parse(json.dumps(message).encode(), received_at)


def accepted(message: Any, received_at: datetime = NOW) -> Fact:
    fact = take(message, received_at)
    assert not isinstance(fact, Refusal), fact.reason
    return fact


def test_a_track_becomes_a_fact_with_its_time_in_utc() -> None:
    fact = accepted(TRACK)
    assert isinstance(fact, Track)
    assert (fact.message_id, fact.customer_id, fact.event) == ("m-1", "42", "order.completed")
    assert fact.timestamp == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert fact.properties == {"order_id": "A1", "total": 125000}
    assert fact.traits == {"email": "siti@example.com"}


def test_an_identify_becomes_a_fact_with_its_time_in_utc() -> None:
    fact = accepted(IDENTIFY)
    assert isinstance(fact, Identify)
    assert fact.traits == {"email": "siti@example.com", "birthday": "1994-02-28"}
    assert fact.timestamp.isoformat() == "2026-11-22T09:00:00.500000+00:00"


def test_what_is_left_out_is_empty_and_the_time_is_that_of_reception() -> None:
    fact = accepted({"type": "track", "userId": 42, "event": "signed.up"})
    assert isinstance(fact, Track)
    assert (fact.customer_id, fact.timestamp, fact.properties, fact.traits) == ("42", NOW, {}, {})
    assert isinstance(accepted({"type": "identify", "userId": "42", "traits": None}), Identify)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"type": NaN}', "not JSON"),
        (b'{"type": "track", "userId": 1, "event": "e", "properties": {"x": 1e999}}', "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b'{"type": "track", "userId": "\\ud800", "event": "e"}', "lone surrogate"),
        (b'{"type": "track", "userId": "a\x00b", "event": "e"}', "not JSON"),
        (b'{"type": "track", "userId": "a\\u0000b", "event": "e"}', "NUL"),
        (b'{"type": "identify", "userId": "a", "traits": {"deep": [{"k\\u0000": 1}]}}', "NUL"),
        (b"[]", "not an object but an array"),
        (b"null", "not an object but null"),
        (b'{"type": "track", "pad": "%s"}' % (b"x" * 65_536), "65,564 bytes are too many"),
        (b'{"type": "track", "userId": 1, "event": "e", "properties": {"x": 9223372036854775808}}', "64 bits"),
        (b'{"type": "track", "userId": 1, "event": "e", "properties": {"x": -9223372036854775809}}', "64 bits"),
        (b'{"type": "track", "userId": 1%s, "event": "e"}' % (b"0" * 300), "64 bits"),
        (b'{"type": "identify", "userId": 1, "traits": {"x": %s}}' % (b"[" * 31 + b"]" * 31), "32 deep"),
        (b"[" * 30_000, "not JSON"),
    ],
)
def test_bytes_that_cannot_be_kept_as_data_are_refused(raw: bytes, says: str) -> None:
    refusal = parse(raw, NOW)
    assert isinstance(refusal, Refusal)
    assert says in refusal.reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": None}, "unknown type missing"),
        ({"type": "page"}, "unknown type 'page'"),
        ({"type": ["track"]}, "unknown type (an array)"),
        ({"userId": None}, "no userId"),
        ({"userId": None, "anonymousId": "x"}, "anonymousId"),
        ({"userId": ""}, "userId is empty"),
        ({"userId": " \t"}, "userId is empty"),
        ({"userId": True}, "userId is true or false"),
        ({"userId": 4.2}, "userId is a number"),
        ({"userId": "x" * 256}, "256 characters"),
        ({"event": None}, "no event"),
        ({"event": ""}, "event is empty"),
        ({"event": 7}, "event is a number"),
        ({"event": "e" * 256}, "256 characters"),
        ({"messageId": ""}, "messageId is empty"),
        ({"messageId": 7}, "messageId is a number"),
        ({"messageId": "m" * 256}, "256 characters"),
        ({"properties": []}, "properties is an array"),
        ({"properties": "x"}, "properties is a string"),
        ({"context": 1}, "context is a number"),
        ({"context": {"traits": []}}, "context.traits is an array"),
        ({"timestamp": "yesterday"}, "not ISO 8601"),
        ({"timestamp": ""}, "not ISO 8601"),
        ({"timestamp": 1_790_000_000}, "timestamp is a number"),
        ({"timestamp": "2026-11-22T09:00:00"}, "no time zone"),
        ({"timestamp": "2026-11-22"}, "no time zone"),
        ({"timestamp": "1900-01-01T00:00:00Z"}, "before 1990"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "not ISO 8601"),
        ({"timestamp": "2100-01-01T00:00:00Z"}, "in the future"),
        ({"timestamp": "2026-11-23T10:00:01Z"}, "in the future"),
        ({"timestamp": "2" * 5000}, "not ISO 8601"),
    ],
)
def test_a_message_of_the_wrong_shape_is_refused_with_one_clear_reason(change: dict[str, Any], says: str) -> None:
    refusal = take(TRACK | change)
    assert isinstance(refusal, Refusal)
    assert says in refusal.reason
    assert len(refusal.reason) < 200


@pytest.mark.parametrize(
    "properties",
    [
        {"x": 9_223_372_036_854_775_807, "y": -9_223_372_036_854_775_808},
        {"x": "12345678901234567890123"},
        {"x": 0.1234567890123456789012345},
        {"x": "a \\u0000 that is only written out"},
        {"x": "{[" * 100},
        {"x": [[]] * 100},
        {"name": "{{ 7*7 }} <script> \u202e مرحبا 👩‍👩‍👧 " + "x" * 10_000},
    ],
)
def test_what_only_looks_dangerous_is_taken(properties: dict[str, Any]) -> None:
    fact = accepted(TRACK | {"properties": properties})
    assert isinstance(fact, Track)
    assert fact.properties == properties


def test_customer_ids_are_limited_in_bytes_because_links_carry_them() -> None:
    accepted(TRACK | {"userId": "é" * 127 + "e"})
    refusal = parse(orjson.dumps(TRACK | {"userId": "é" * 128}), NOW)
    assert refusal == Refusal("userId has 256 bytes in UTF-8; 255 are the limit, as links in emails carry it")


def test_the_limits_themselves_are_taken() -> None:
    accepted(TRACK | {"userId": "x" * 255, "event": "e" * 255, "messageId": "m" * 255})
    accepted(TRACK | {"timestamp": "2026-11-23T10:00:00Z"})
    accepted(TRACK | {"timestamp": "1990-01-01T00:00:00Z"})
    nested: Any = 1
    for _ in range(30):  # the message and its properties are two levels themselves
        nested = [nested]
    accepted(TRACK | {"properties": {"x": nested}})
    padding = 64 * 1024 - len(json.dumps(TRACK | {"properties": {"x": ""}}))
    accepted(TRACK | {"properties": {"x": "x" * padding}})


def test_a_repetition_has_the_same_digest_however_it_is_written() -> None:
    again = {key: TRACK[key] for key in reversed(TRACK)} | {
        "timestamp": "2026-11-22T16:00:00+07:00",
        "properties": {"total": 125000, "order_id": "A1"},
        "sentAt": "2026-11-22T09:05:00Z",
    }
    assert accepted(again).digest == accepted(TRACK).digest
    assert accepted(TRACK | {"userId": 42}).digest == accepted(TRACK).digest
    untimed = {key: value for key, value in TRACK.items() if key != "timestamp"}
    assert accepted(untimed).digest == accepted(untimed, NOW + timedelta(minutes=1)).digest


@pytest.mark.parametrize(
    "change",
    [
        {"userId": "43"},
        {"event": "order.cancelled"},
        {"timestamp": "2026-11-22T09:00:00.000001Z"},
        {"timestamp": None},
        {"properties": {"order_id": "A1", "total": 125001}},
        {"properties": {"order_id": "A1", "total": "125000"}},
        {"context": {"traits": {"email": "other@example.com"}}},
        {"type": "identify", "traits": {"email": "siti@example.com"}},
    ],
)
def test_other_content_under_the_same_id_has_another_digest(change: dict[str, Any]) -> None:
    assert accepted(TRACK | change).digest != accepted(TRACK).digest


def test_a_missing_id_is_derived_from_the_content() -> None:
    anonymous = {key: value for key, value in TRACK.items() if key != "messageId"}
    derived = accepted(anonymous).message_id
    assert accepted(anonymous, NOW + timedelta(hours=1)).message_id == derived
    assert accepted(anonymous | {"event": "order.cancelled"}).message_id != derived


def test_two_messages_with_neither_id_nor_time_are_two_events_unless_they_are_one_delivery() -> None:
    bare = {"type": "track", "userId": "42", "event": "page.viewed"}
    assert accepted(bare).message_id == accepted(bare).message_id
    assert accepted(bare).message_id != accepted(bare, NOW + timedelta(seconds=1)).message_id


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "track", "identify", "page"]),
        "userId": st.text(max_size=8) | st.integers() | json_values,
        "event": st.text(min_size=1, max_size=8) | json_values,
        "messageId": st.text(max_size=8) | st.none(),
        "timestamp": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.just("2026-11-22T09:00:00Z"),
        "properties": st.dictionaries(st.text(max_size=8), json_values, max_size=4) | json_values,
        "traits": st.dictionaries(st.text(max_size=8), json_values, max_size=4) | json_values,
        "context": st.fixed_dictionaries({"traits": json_values}) | json_values,
    },
).map(lambda message: json.dumps(message).encode())


@settings(max_examples=500)
@given(st.binary() | messages | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"type": "track", "userId": "\\udc00", "event": "e"}')
@example(b'{"type": "identify", "userId": 18446744073709551615}')
def test_no_bytes_make_the_parser_raise_and_what_it_takes_can_be_stored(raw: bytes) -> None:
    fact = parse(raw, NOW)
    if isinstance(fact, Refusal):
        assert fact.reason
        assert fact.reason.isprintable()
        return
    assert fact.timestamp.tzinfo is UTC
    assert datetime(1990, 1, 1, tzinfo=UTC) <= fact.timestamp <= NOW + timedelta(hours=24)
    values = [fact.properties, fact.traits] if isinstance(fact, Track) else [fact.traits]
    names = [fact.customer_id, fact.message_id] + ([fact.event] if isinstance(fact, Track) else [])
    assert all(0 < len(name) <= 255 for name in names)
    for value in _all_values([names, values]):
        if isinstance(value, str):
            assert "\0" not in value
            value.encode()
        elif isinstance(value, int):
            assert -(2**63) <= value < 2**63
    assert parse(raw, NOW) == fact


def test_what_is_taken_is_the_same_after_a_database_had_it(database: Database) -> None:
    kept = {
        "text": "é\u202e👩‍👩‍👧\x7f\ufffe",
        "int": 2**63 - 1,
        "float": 1e300,
        "deep": [[{"": None}]],
        "\U0010ffff": True,
    }
    fact = accepted(TRACK | {"userId": "é👩‍👩‍👧" * 12, "properties": kept})
    assert isinstance(fact, Track)
    kind = "TEXT" if database.is_sqlite else "JSONB"
    with database.transaction() as connection:
        connection.execute(text(f"CREATE TABLE kept (id TEXT PRIMARY KEY, body {kind})"))
        connection.execute(
            text(f"INSERT INTO kept VALUES (:id, CAST(:body AS {kind}))"),
            {"id": fact.customer_id, "body": orjson.dumps(fact.properties).decode()},
        )
        found_id, body = connection.execute(text("SELECT id, body FROM kept")).one()
    assert found_id == fact.customer_id
    assert (orjson.loads(body) if isinstance(body, str) else body) == kept


def test_reading_a_usual_event_is_cheap() -> None:
    raw = json.dumps(TRACK).encode()
    best = min(_seconds_for_a_hundred(raw) for _ in range(20))
    assert best < 100 * 60e-6  # 12 µs each is the aim; five times that is a defect on any machine


def _seconds_for_a_hundred(raw: bytes) -> float:
    started = time.thread_time()
    for _ in range(100):
        parse(raw, NOW)
    return time.thread_time() - started


def _all_values(value: Any) -> list[Any]:
    match value:
        case dict():
            return [inner for pair in value.items() for part in pair for inner in _all_values(part)]
        case list():
            return [inner for part in value for inner in _all_values(part)]
    return [value]
