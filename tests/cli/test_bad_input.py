"""Whatever is missing, away or broken around a command: one line that says so, an exit code, never a traceback."""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.acceptance.test_bad_input import BAD_EVENTS
from tests.cli.conftest import Shop

QUERIES = [
    "db check", "journeys enter invitation --customer 1", "events dead list", "events dead show 1",
    "events dead retry --all", "messages", "messages settle 1 --as sent", "customers list", "customers show 1",
    "customers import people.csv", "send-test thanks --to a@b.example",
]  # fmt: skip
ROLES = ["consume", "schedule", "worker", "up"]
CHANGES = ["db upgrade", "db downgrade 0001 --yes"]
EMITS = ["emit order.completed --customer 1 -p order_id=1", "emit --file events.jsonl"]
OF_JOURNEYS = [
    "check", "journeys list", "journeys show thanks", "journeys graph thanks", "replay events.jsonl",
    "customers import people.csv", "preview thanks",
]  # fmt: skip
OF_EMAILS = ["check", "preview thanks", "send-test thanks --to a@b.example", "worker", "up"]

AWAY: dict[str, tuple[dict[str, str], list[str]]] = {
    "PostgreSQL": ({"DATABASE_URL": "postgresql://u:geheim@localhost:1/x"}, [*QUERIES, *CHANGES, *ROLES]),
    "a folder as database": ({"DATABASE_URL": "sqlite:///journeys"}, [*QUERIES, *CHANGES, *ROLES]),
    "a text file as database": ({"DATABASE_URL": "sqlite:///people.csv"}, [*QUERIES, *CHANGES, *ROLES]),
    "Redis": ({"REDIS_URL": "redis://:geheim@localhost:1/0"}, EMITS),
    "the journeys": ({"LIFECYCLE_JOURNEYS": "nowhere"}, [*OF_JOURNEYS, *ROLES]),
    "the emails": ({"LIFECYCLE_TEMPLATES": "nowhere"}, OF_EMAILS),
    "the home": ({"LIFECYCLE_HOME": "people.csv/home"}, [*QUERIES, *CHANGES, *ROLES, *EMITS, "replay events.jsonl"]),
    "the home of a worker": (
        {"LIFECYCLE_HOME": "people.csv/home", "DATABASE_URL": "sqlite:///.lifecycle/lifecycle.db"},
        ["worker", "preview thanks", "send-test thanks --to a@b.example"],
    ),
    "the relay's URL": (
        {"SMTP_URL": "smtp://u:geheim@mail.example?starttls=yes"},
        ["worker", "send-test thanks --to a@b.example"],
    ),
    "the relay": ({"SMTP_URL": "smtp://u:geheim@localhost:1"}, ["send-test thanks --to a@b.example"]),
}


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """Roles set handlers for their process; here they share it with pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("what", AWAY)
def test_what_is_away_is_one_line_from_every_command(shop: Shop, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr("redis.backoff.ExponentialWithJitterBackoff.compute", lambda *_: 0)
    (shop.folder / "people.csv").write_text("id,email\n1,a@b.example\n" * 100)
    (shop.folder / "events.jsonl").write_text('{"type": "track", "userId": "1", "event": "x"}\n')
    environment, commands = AWAY[what]
    shop.environment |= environment

    for command in commands:
        result = shop.run(*command.split(), exit_code=None)

        assert isinstance(result.exception, SystemExit), (command, result.exception)
        assert result.exit_code in (1, 2), command
        said = [line for line in result.stderr.splitlines() if " lifecycle.roles: " not in line]
        if command != "check":  # which lists what it finds
            assert len(said) == 1, (command, said)
            assert said[0].startswith("error: "), (command, said)
        assert "geheim" not in result.output


def test_a_file_of_bad_events_is_emitted_but_for_them(shop: Shop, redis_url: str) -> None:
    shop.environment["REDIS_URL"] = redis_url
    good = [f'{{"type": "track", "userId": "{n}", "event": "x"}}'.encode() for n in range(20)]
    bad = [raw for what, (raw, _) in BAD_EVENTS.items() if what != "a conflicting repeat"]
    (shop.folder / "events.jsonl").write_bytes(_mixed(good, bad))

    result = shop.run("emit", "--file", "events.jsonl", exit_code=1)

    assert result.stdout == f"20 emitted, {len(bad)} refused\n"
    _each_named(result.stderr, [reason for what, (_, reason) in BAD_EVENTS.items() if what != "a conflicting repeat"])
    with Redis.from_url(redis_url) as redis:
        assert redis.xlen("lifecycle:events") == 20


def _mixed(good: list[bytes], bad: list[bytes]) -> bytes:
    return b"\n".join(line for pair in zip(good, [*bad, *[b""] * len(good)], strict=False) for line in pair) + b"\n"


def _each_named(said: str, reasons: list[str]) -> None:
    """A line for each, with the number of the line in the file and the reason."""
    lines = said.splitlines()
    assert len(lines) == len(reasons)
    for number, (line, reason) in enumerate(zip(lines, reasons, strict=True), 1):
        assert line.startswith(f"error: events.jsonl:{2 * number}: "), line
        assert reason in line


def test_bad_events_do_not_stop_a_replay(shop: Shop) -> None:
    good = [
        b'{"type": "track", "userId": "%d", "event": "order.completed", "timestamp": "2026-11-22T09:00:00Z", '
        b'"properties": {"order_id": "A", "total": 1}, "context": {"traits": {"email": "a%d@b.example"}}}' % (n, n)
        for n in range(20)
    ]
    bad = [raw for raw, _ in BAD_EVENTS.values()]
    (shop.folder / "events.jsonl").write_bytes(_mixed(good, bad))

    result = shop.run("replay", "events.jsonl", exit_code=None)

    assert isinstance(result.exception, SystemExit | None), result.exception
    assert result.exit_code in (0, 1)
    shop.environment["DATABASE_URL"] = f"sqlite:///{shop.folder}/.lifecycle/replay.db"
    assert {row["state"] for row in shop.json("messages")} == {"sent"}
    assert len(shop.json("messages")) == 20


PEOPLE_AS_CSV = (
    b"id,email,first_name,birthday,vip\n"
    b"1,ann@example.com,Ann,1990-01-01,yes\n"
    b'2,"bob@example.com\r\nBcc: thief@example.com",Bob,,\n'
    b"3,caf\xe9@example.com,Caf\xe9,,\n"
    b"4,dora@example.com,{{ 7*7 }},0000-00-00,\n"
    b"5,too,many,,cells,here\n"
    b"6,eva@example.com,E\x00va,,\n"
    b"7,fritz@example.com,Fritz,,perhaps\n"
    b",nobody@example.com,No,,\n"
    b"8," + b"x" * 300 + b"@example.com,Long,,\n"
    b"9,gus@example.com," + b"G" * 10_000 + b",1900-01-01,\n"
    b"10,hugo@example.com," + b"H" * 200_000 + b",,\n"
    b"11,ina@example.com,Ina,,no\n"
)


def test_bad_lines_do_not_stop_an_import(any_shop: Shop) -> None:
    (any_shop.folder / "people.csv").write_bytes(PEOPLE_AS_CSV)

    result = any_shop.run("customers", "import", "people.csv", exit_code=1)

    taken = {row["id"] for row in any_shop.json("customers", "list")}
    assert taken == {"1", "2", "4", "8", "9", "11"}, result.output
    reasons = {row["entry_id"]: row["reason"] for row in any_shop.json("events", "dead", "list")}
    assert len(reasons) == 7, json.dumps(reasons, indent=1)
    assert all("\n" not in reason for reason in reasons.values())


def test_a_home_that_is_read_only_is_one_line(shop: Shop) -> None:
    if not Path("/proc/version").exists():
        pytest.skip("there is no folder here that nobody, root included, may write to")
    shop.environment["LIFECYCLE_HOME"] = "/proc/lifecycle"

    result = shop.run("db", "upgrade", exit_code=1)

    assert result.stderr.startswith("error: /proc/lifecycle: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("damage", ["cut short", "altered"])
@pytest.mark.parametrize("command", ["emit --file", "replay"])
def test_a_damaged_archive_is_one_line(shop: Shop, redis_url: str, command: str, damage: str) -> None:
    shop.environment["REDIS_URL"] = redis_url
    lines = b"".join(b'{"type": "track", "userId": "%d", "event": "x"}\n' % n for n in range(1000))
    packed = gzip.compress(lines)
    whole = packed[:1000] + (b"" if damage == "cut short" else b"\xff" * 100 + packed[1100:])
    (shop.folder / "events.jsonl.gz").write_bytes(whole)

    result = shop.run(*command.split(), "events.jsonl.gz", exit_code=1)

    assert result.stderr.startswith("error: events.jsonl.gz is cut short or damaged: ")
    assert result.stderr.count("\n") == 1
