"""A replay asks for single customers at single moments; schedulers ask for everybody. Both let the same people in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from lifecycle import Journey, Set, Wait, days, hours, on, on_date, when
from lifecycle.flow.entries import enter_journey
from lifecycle.flow.openings import Openings
from lifecycle.flow.replay import read_lines, replay
from lifecycle.store.database import Database
from lifecycle.testing import Outbox, mailer_for
from tests.stage import LEASE, Ordered, Reviewed, customer, project_of

START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(days=14)
EVERY = timedelta(hours=3)

PROJECT = project_of(
    # a trait that a journey sets opens another journey
    Journey(
        name="marks", topic="t", enter=on(Reviewed), steps=[Wait("a while", hours(5)), Set(customer.vip, value=True)]
    ),
    Journey(name="vips", topic="t", enter=when(customer.vip), steps=[Wait("on", days(1))]),
    # again and again, also where the journey is longer than the interval
    Journey(
        name="quiet",
        topic="t",
        enter=when(Ordered.happened() & ~Ordered.happened(last=days(2))),
        again_after=days(3),
        steps=[Wait("long", hours(100))],
    ),
    # a date, with a condition whose window moves on
    Journey(
        name="fair",
        topic="t",
        enter=on_date(3, 9, at=time(9)),
        only=Ordered.happened(last=days(6)),
        steps=[Wait("on", days(1))],
    ),
)


class Sweeps(Openings):
    """Asks everybody, every three hours."""

    looked_at: datetime | None = None

    def next(self) -> datetime | None:
        return None if self.looked_at is None else self.looked_at + EVERY

    def enter(self, now: datetime) -> list[int]:
        if self.looked_at is not None and now < self.looked_at + EVERY:
            return []
        self.looked_at = now
        timed = [PROJECT.journeys[name] for name in ("fair", "quiet", "vips")]
        return [id for journey in timed for id in enter_journey(self._db, PROJECT, journey, now, lease=LEASE)[1]]


def events() -> Iterator[bytes]:
    zones = ("UTC", "America/New_York", "Asia/Jakarta", None)
    for number in range(12):
        user, at = f"c{number:02}", START + timedelta(hours=7 * number)
        yield _event("identify", user, at, traits={"timezone": zones[number % 4]})
        for n in range(number % 3):
            ordered = at + timedelta(hours=31 * n)
            yield _event("track", user, ordered, event="order.completed", properties={"order_id": f"{user}-{n}"})
        if number % 2:
            yield _event("track", user, at + timedelta(hours=20), event="review.posted", properties={"order_id": user})


def _event(kind: str, user: str, at: datetime, **more: object) -> bytes:
    return orjson.dumps({"type": kind, "userId": user, "timestamp": at, **more})


def _replay(path: Path, tables: Path) -> dict[tuple[str, str, int], datetime]:
    path.write_bytes(tables.read_bytes())
    db = Database(f"sqlite:///{path}")
    lines = read_lines(events(), "events", END)
    replay(
        db,
        PROJECT,
        mailer_for(PROJECT, Outbox()),
        lines,
        lease=LEASE,
        max_lateness=timedelta(hours=72),
        until=END,
    )
    with db.reading() as connection:
        rows = connection.execute(
            text("SELECT journey, customer_id, entry, entered_at FROM enrollment WHERE trigger_id IS NULL")
        ).all()
    db.close()
    return {(row[0], row[1], row[2]): datetime.fromisoformat(row[3]) for row in rows}


def test_asking_at_turning_points_finds_whom_sweeps_find(
    tmp_path: Path, sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given two replays of two weeks, one of which sweeps; I expect the same entries, and none of them later."""
    sqlite_database.close()
    empty = Path(sqlite_database.url.removeprefix("sqlite:///"))
    found = _replay(tmp_path / "openings.db", empty)
    monkeypatch.setattr("lifecycle.flow.replay.Openings", Sweeps)
    swept = _replay(tmp_path / "sweeps.db", empty)

    assert {journey for journey, _, _ in swept} == {"vips", "quiet", "fair"}
    assert max(entry for _, _, entry in swept) >= 2
    assert swept.keys() <= found.keys()
    for each, at in found.items():
        latest = at + EVERY * each[2]  # `again_after` counts from the entry before, which was late itself
        assert at <= swept.get(each, END) <= latest or latest >= END, each
