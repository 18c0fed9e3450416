"""`lifecycle emit` and `events dead`: what an operator puts onto the stream, and what was refused there."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis

from tests.cli.conftest import Shop

LINES = [
    {"type": "identify", "messageId": "i1", "userId": "1", "timestamp": "2026-11-22T08:00:00Z",
     "traits": {"vip": True}},
    {"type": "track", "userId": "1", "event": "order.completed", "timestamp": "2026-11-22T09:00:00Z",
     "properties": {"order_id": "A1", "total": 12.5}},
]  # fmt: skip


@pytest.fixture
def queue(shop: Shop, redis_url: str) -> Redis:
    """The queue that commands emit to."""
    shop.environment["REDIS_URL"] = redis_url
    return Redis.from_url(redis_url)


def _emitted(queue: Redis) -> list[dict[str, Any]]:
    entries: Any = queue.xrange("lifecycle:events")
    queue.close()
    return [json.loads(fields[b"message"]) for _, fields in entries]


def test_values_are_what_the_vocabulary_declares(shop: Shop, queue: Redis) -> None:
    shop.run(
        *[
            "emit",
            "order.completed",
            "--customer",
            "7",
            "-p",
            "order_id=007",
            "-p",
            "total=12.5",
            "-p",
            "gift=yes",
            "--id",
            "m1",
        ],
        *[
            "--at",
            "2026-11-22T16:00:00+07:00",
            "-t",
            "vip=true",
            "-t",
            "points=3",
            "-t",
            "birthday=1994-02-28",
            "-t",
            "first_name=12",
        ],
    )

    (message,) = _emitted(queue)
    assert message["properties"] == {"order_id": "007", "total": 12.5, "gift": True}
    assert message["context"]["traits"] == {"vip": True, "points": 3, "birthday": "1994-02-28", "first_name": "12"}
    assert (message["userId"], message["messageId"]) == ("7", "m1")
    assert datetime.fromisoformat(message["timestamp"]) == datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_values_that_nobody_declared_are_json_or_text(shop: Shop, queue: Redis) -> None:
    shop.run(
        "emit", "page.seen", "--customer", "7", "-p", "n=3", "-p", 'tags=["a"]', "-p", "url=https://x.example/?a=b"
    )

    (message,) = _emitted(queue)
    assert message["properties"] == {"n": 3, "tags": ["a"], "url": "https://x.example/?a=b"}


def test_traits_alone_are_an_identify(shop: Shop, queue: Redis) -> None:
    given = shop.run("emit", "--customer", "7", "-t", "email=a@b.example").stdout.strip()

    (message,) = _emitted(queue)
    assert (message["type"], message["traits"]) == ("identify", {"email": "a@b.example"})
    assert message["messageId"] == given


def test_a_word_that_is_not_in_the_vocabulary_is_noted_and_emitted(shop: Shop, queue: Redis) -> None:
    result = shop.run("emit", "order.complete", "--customer", "7")

    assert "did you mean 'order.completed'?" in result.stderr
    assert len(_emitted(queue)) == 1
    assert "note" not in shop.run("emit", "subscription.granted", "--customer", "7", "-p", "topic=orders").stderr


@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_is_emitted_twice_keeps_its_ids(shop: Shop, queue: Redis, zipped: bool) -> None:
    raw = "".join(json.dumps(line) + "\n" for line in LINES).encode()
    file = shop.folder / "events.jsonl"
    file.write_bytes(gzip.compress(raw) if zipped else raw)

    assert shop.run("emit", "--file", str(file)).stdout == "2 emitted\n"
    shop.run("emit", "--file", str(file))

    messages = _emitted(queue)
    assert messages[:2] == messages[2:]
    assert messages[0]["messageId"] == "i1"
    assert messages[1]["messageId"].startswith("content-")


def test_bad_lines_are_named_and_do_not_stop_the_rest(shop: Shop, queue: Redis) -> None:
    lines = [json.dumps(LINES[0]), "{broken", "", json.dumps(LINES[1])]

    result = shop.run("emit", "--file", "-", stdin="\n".join(lines), exit_code=1)

    assert result.stdout == "2 emitted, 1 refused\n"
    assert result.stderr.startswith("error: standard input:2: not JSON")
    assert len(_emitted(queue)) == 2


def test_a_damaged_archive_is_one_line(shop: Shop, queue: Redis) -> None:
    file = shop.folder / "events.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(LINES[0]).encode() * 100)[:-20])

    result = shop.run("emit", "--file", str(file), exit_code=1)

    assert "cut short or damaged" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_queue_that_is_away_is_one_line_without_its_password(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redis.backoff.ExponentialWithJitterBackoff.compute", lambda *_: 0)
    shop.environment["REDIS_URL"] = "redis://:geheim@localhost:1/0"

    result = shop.run("emit", "order.completed", "--customer", "7", "-p", "order_id=1", exit_code=1)

    assert result.stderr.count("\n") == 1
    assert "geheim" not in result.output


def _add_letter(shop: Shop, number: int, raw: bytes) -> None:
    shop.add(
        "dead_letter",
        id=number,
        entry_id=f"17-{number}",
        reason="not JSON",
        raw=raw,
        received_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


def test_dead_letters_are_listed_and_shown_with_their_bytes(any_shop: Shop) -> None:
    _add_letter(any_shop, 1, b"{\xff\x00broken\x1b[31m")

    (row,) = any_shop.json("events", "dead")
    assert any_shop.json("events", "dead", "list") == [row]
    shown = any_shop.run("events", "dead", "show", "1").stdout

    assert list(row) == ["id", "entry_id", "reason", "received_at", "retried_at", "raw"]
    assert "not JSON" in any_shop.run("events", "dead").stdout
    assert "\\xff" in shown
    assert "\x1b" not in shown


def test_retrying_settles_what_can_be_taken_and_keeps_the_rest(any_shop: Shop) -> None:
    _add_letter(any_shop, 1, b"{broken")
    _add_letter(any_shop, 2, json.dumps(LINES[1]).encode())

    result = any_shop.run("events", "dead", "retry", "--all", exit_code=1)

    assert result.stdout == "1 settled, 1 refused again\n"
    assert [row["id"] for row in any_shop.json("events", "dead", "list")] == [1]
    assert [row["id"] for row in any_shop.json("customers", "list")] == ["1"]


def test_a_dead_letter_that_does_not_exist_is_named(shop: Shop) -> None:
    assert "no dead letter 9" in shop.run("events", "dead", "retry", "9", exit_code=1).stderr
    assert "no dead letter 9" in shop.run("events", "dead", "show", "9", exit_code=1).stderr
