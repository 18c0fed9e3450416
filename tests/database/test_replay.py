"""Replays of real purchases: the same file gives the same messages, whatever it is replayed on and in what portions."""

from __future__ import annotations

import csv
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import util
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from lifecycle.flow.entries import enter_journey
from lifecycle.flow.mailer import Mailer
from lifecycle.flow.openings import Openings, next_anniversary
from lifecycle.flow.replay import Line, Replayed, read_lines, replay
from lifecycle.journey.load import load
from lifecycle.journey.project import Project
from lifecycle.mail.nowhere import NowhereTransport
from lifecycle.mail.render import Renderer
from lifecycle.mail.unsubscribe import UnsubscribeLinks
from lifecycle.store import reports
from lifecycle.store.database import Database
from lifecycle.store.solo import SoloDatabase

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cdnow"
LATEST = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(minutes=5)


@cache
def project() -> Project:
    loaded, problems = load(ROOT / "journeys")
    assert loaded is not None, problems
    return loaded


@cache
def mailer() -> Mailer:
    links = UnsubscribeLinks("http://localhost:8000", "s" * 32)
    return Mailer(project().policy.sender, Renderer(ROOT / "templates" / "email"), links, NowhereTransport())


@cache
def purchases(customers: int) -> tuple[bytes, ...]:
    """The events of so many customers, spread over the whole file, in the order of their timestamps."""
    spec = util.spec_from_file_location("make_events", EXAMPLE / "make_events.py")
    assert spec is not None
    assert spec.loader is not None
    make_events = util.module_from_spec(spec)
    spec.loader.exec_module(make_events)
    with (EXAMPLE / "cdnow_sample.csv").open() as file:
        numbers = sorted({row["customer_id"] for row in csv.DictReader(file)})
    chosen = set(numbers[:: len(numbers) // customers][:customers])
    return tuple(json.dumps(event).encode() for event in make_events.events() if event["userId"] in chosen)


def history(lines: Sequence[bytes]) -> list[Line]:
    return read_lines(lines, "events.jsonl", LATEST)


def run(db: Database, lines: Sequence[bytes], **options: Any) -> Replayed:
    return replay(db, project(), mailer(), history(lines), lease=LEASE, max_lateness=timedelta(hours=72), **options)


def messages(db: Database) -> list[dict[str, Any]]:
    """What `lifecycle messages --json` shows, but for generated ids."""
    if isinstance(db, SoloDatabase):
        db.commit()
    others = Database(db.url)
    try:
        with others.reading() as connection:
            return [
                {name: value for name, value in row.items() if name not in ("id", "enrollment_id")}
                for row in reports.messages(connection)
            ]
    finally:
        others.close()


@pytest.fixture
def solo(sqlite_database: Database) -> Iterator[SoloDatabase]:
    sqlite_database.close()
    db = SoloDatabase(sqlite_database.url)
    yield db
    db.close()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, _sqlite_with_tables: Path) -> list[dict[str, Any]]:
    """The messages of one replay of fifteen customers, in one go."""
    path = tmp_path_factory.mktemp("replay") / "replay.db"
    path.write_bytes(_sqlite_with_tables.read_bytes())
    db = SoloDatabase(f"sqlite:///{path}")
    run(db, purchases(15))
    found = messages(db)
    db.close()
    return found


def test_the_slice_is_worth_testing_with(expected: list[dict[str, Any]]) -> None:
    journeys = {row["journey"] for row in expected}
    reasons = {row["reason"] for row in expected}

    assert journeys == {"birthday", "onboarding", "post_purchase", "win_back"}
    assert {"no_consent", None} < reasons
    assert len(expected) > 100


def test_the_same_file_gives_the_same_messages_on_every_database(
    database: Database, expected: list[dict[str, Any]]
) -> None:
    run(database, purchases(15))

    assert messages(database) == expected


def test_the_order_of_the_lines_in_the_file_does_not_matter(solo: SoloDatabase, expected: list[dict[str, Any]]) -> None:
    lines = list(purchases(15))
    random.Random(7).shuffle(lines)

    run(solo, lines)

    assert messages(solo) == expected


def test_one_event_at_a_time_gives_what_batches_give(solo: SoloDatabase, expected: list[dict[str, Any]]) -> None:
    run(solo, purchases(15), at_once=1)

    assert messages(solo) == expected


@pytest.mark.parametrize("again", ["the rest", "the whole file"])
def test_a_replay_in_two_parts_gives_what_one_gives(
    solo: SoloDatabase, expected: list[dict[str, Any]], again: str
) -> None:
    until = datetime(1997, 6, 1, 12, 30, tzinfo=UTC)
    lines = purchases(15)

    first = run(solo, lines, until=until)
    second = run(solo, lines if again == "the whole file" else lines[first.lines :])

    assert first.now is not None
    assert first.now < until
    assert first.taken.accepted + second.taken.accepted == len(lines)
    assert messages(solo) == expected


def test_a_file_that_is_no_database_is_left_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "people.csv").write_text("id,name\n" * 1000)
    made: list[sqlite3.Connection] = []

    def connect(*place: Any, **options: Any) -> sqlite3.Connection:
        made.append(sqlite3.Connection(*place, **options))
        return made[-1]

    monkeypatch.setattr("lifecycle.store.solo.sqlite3.connect", connect)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        SoloDatabase(f"sqlite:///{tmp_path / 'people.csv'}")
    (connection,) = made
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_a_replay_leaves_nothing_undone(solo: SoloDatabase) -> None:
    run(solo, purchases(15))

    with solo.reading() as connection:
        undone = connection.execute(
            text("SELECT count(*) AS n FROM message WHERE state NOT IN ('sent', 'skipped')"), {}
        ).scalar_one()
        inside = connection.execute(
            text("SELECT count(*) AS n FROM enrollment WHERE state = 'active'"), {}
        ).scalar_one()

    assert (undone, inside) == (0, 0)


class Sweeps(Openings):
    """Asks everybody, as schedulers do, but every so often only: what openings are to be as good as."""

    every = timedelta(hours=16)
    looked_at: datetime | None = None

    def next(self) -> datetime | None:
        return None if self.looked_at is None else self.looked_at + self.every

    def enter(self, now: datetime) -> list[int]:
        if self.looked_at is not None and now < self.looked_at + self.every:
            return []
        self.looked_at = now
        return [
            number
            for journey in project().journeys.values()
            if journey.name in ("birthday", "win_back")
            for number in enter_journey(self._db, project(), journey, now, lease=LEASE)[1]
        ]


def test_asking_for_single_customers_finds_whom_asking_everybody_finds(
    solo: SoloDatabase, sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given two replays of five months, one of which asks everybody now and then; I expect the same people to enter,
    and never later than there."""
    until = datetime(1997, 5, 28, tzinfo=UTC)
    path = tmp_path / "sweeps.db"
    path.write_bytes((tmp_path / "lifecycle.db").read_bytes())
    sweeping = SoloDatabase(f"sqlite:///{path}")

    run(solo, purchases(40), until=until)
    monkeypatch.setattr("lifecycle.flow.replay.Openings", Sweeps)
    run(sweeping, purchases(40), until=until)

    found, swept = entries(solo), entries(sweeping)
    sweeping.close()
    assert {name for name, _, _ in swept} == {"birthday", "win_back"}
    assert swept.keys() <= found.keys()
    assert all(timedelta(0) <= swept[each] - found[each] <= Sweeps.every for each in swept)
    late = until - Sweeps.every
    assert all(found[each] >= late for each in found.keys() - swept.keys())


def entries(db: Database) -> dict[tuple[str, str, str], datetime]:
    sql = text("SELECT journey, customer_id, key, entered_at FROM enrollment WHERE trigger_id IS NULL")
    with db.reading() as connection:
        return {(row[0], row[1], row[2]): datetime.fromisoformat(row[3]) for row in connection.execute(sql, {})}


def test_what_cannot_be_read_is_kept_and_stops_nothing(solo: SoloDatabase) -> None:
    """Given a broken line, an event of the year 2100 and one without a user between good ones."""
    good = purchases(15)[:40]
    far = json.dumps({"type": "track", "userId": "1", "event": "x", "timestamp": "2100-01-01T00:00:00Z"}).encode()
    lines = [b"{broken", *good[:20], far, b'{"type": "track", "event": "x"}', b"", *good[20:]]

    done = run(solo, lines, until=datetime(1997, 2, 1, tzinfo=UTC))

    with solo.reading() as connection:
        kept = connection.execute(text("SELECT entry_id FROM dead_letter ORDER BY id"), {}).scalars().all()
    assert (done.taken.accepted, done.taken.refused) == (40, 3)
    assert kept == ["events.jsonl:1", "events.jsonl:22", "events.jsonl:23"]


def test_a_line_without_a_timestamp_happens_with_the_line_before_it() -> None:
    lines = [
        b'{"type": "track", "userId": "1", "event": "a", "timestamp": "1997-03-01T00:00:00Z"}',
        b'{"type": "track", "userId": "1", "event": "b"}',
    ]

    assert [line.at for line in history(lines)] == [datetime(1997, 3, 1, tzinfo=UTC)] * 2


@pytest.mark.parametrize(
    ("now", "day", "zone", "leap_day", "expected_moment"),
    [
        ("1997-03-01T00:00", "1960-05-08", "Europe/London", "feb 28", "1997-05-08T08:00"),
        ("1997-05-08T08:00", "1960-05-08", "Europe/London", "feb 28", "1998-05-08T08:00"),
        ("1997-01-01T00:00", "1960-02-29", "America/New_York", "feb 28", "1997-02-28T14:00"),
        ("1997-01-01T00:00", "1960-02-29", "America/New_York", "mar 1", "1997-03-01T14:00"),
        ("1997-01-01T00:00", "1960-02-29", "America/New_York", "skip", "2000-02-29T14:00"),
        ("1996-12-31T23:00", "1960-01-01", "Asia/Jakarta", "feb 28", "1997-01-01T02:00"),
        ("2011-12-01T00:00", "1960-12-30", "Pacific/Apia", "feb 28", "2011-12-30T19:00"),  # a day that Apia skipped
    ],
)
def test_the_next_anniversary_begins_on_the_customers_own_clock(
    now: str, day: str, zone: str, leap_day: Literal["feb 28", "mar 1", "skip"], expected_moment: str
) -> None:
    begins = next_anniversary(datetime.fromisoformat(now).replace(tzinfo=UTC), day, ZoneInfo(zone), time(9), leap_day)

    assert begins == datetime.fromisoformat(expected_moment).replace(tzinfo=UTC)


def test_the_example_is_as_its_note_says() -> None:
    with (EXAMPLE / "cdnow_sample.csv").open() as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == 6919
    assert len({row["customer_id"] for row in rows}) == 2357
    assert date.fromisoformat(min(row["date"] for row in rows)) == date(1997, 1, 1)
