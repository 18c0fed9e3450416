"""What a server has accepted is recorded, whatever the database does meanwhile."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from lifecycle import Journey, Send, on
from lifecycle.mail.transport import Accepted, Letter, Outcome, Refused
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder
from tests.servers import conninfo
from tests.stage import LEASE, NOON, Ordered, Stage, project_of

THANKS = Journey(name="thanks", topic="orders", enter=on(Ordered), steps=[Send("thanks")])


def crowd(database: Database, n: int, pause: Any = lambda seconds: None) -> Stage:
    """n people whose message is planned and hinted."""
    stage = Stage(database, project_of(THANKS), pause=pause)
    stage.take(*(stage.message("identify", f"c{i}", traits={"email": f"c{i}@example.com"}) for i in range(n)))
    stage.take(
        *(stage.message("track", f"c{i}", event="order.completed", properties={"order_id": "1"}) for i in range(n))
    )
    _, ids = stage.hints.fresh.pop()
    stage.advance(ids)
    return stage


def test_each_message_is_recorded_before_the_one_after_the_next_leaves(database: Database) -> None:
    """What bounds uncertainty: at most one record is on its way, and that one was sent to the database."""
    stage = crowd(database, 8)
    behind: list[int] = []

    def unrecorded() -> int:
        return len(stage.outbox.letters) - 1 - [row["state"] for row in stage.messages()].count("sent")

    def look(letter: Letter) -> Outcome:
        # What was sent to the database is there without another word of ours, though not always at once.
        given_up = time.monotonic() + 5
        while unrecorded() > 1 and time.monotonic() < given_up:
            time.sleep(0.01)
        behind.append(unrecorded())
        return Accepted("ok")

    stage.outbox.answer = look
    stage.work()
    assert max(behind) <= 1
    assert {row["state"] for row in stage.messages()} == {"sent"}


class _Ahead:
    """Pulls all letters before it sends any, and asks again right before the content of each leaves."""

    lanes = 2

    def __init__(self, about_to_leave: Callable[[int], None]) -> None:
        self._about_to_leave = about_to_leave

    def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
        pulled = [*letters]
        for first in range(0, len(pulled), self.lanes):
            together = pulled[first : first + self.lanes]
            for letter in together:
                assert letter.wanted()
                self._about_to_leave(first)
            for letter in together:
                yield letter, Accepted("ok")

    def close(self) -> None: ...


def test_what_was_accepted_is_on_record_before_a_letter_that_was_pulled_earlier_leaves(database: Database) -> None:
    stage = crowd(database, 8)
    unrecorded: list[int] = []

    def look(accepted: int) -> None:
        given_up = time.monotonic() + 5
        while (missing := accepted - [row["state"] for row in stage.messages()].count("sent")) > 0:
            if time.monotonic() >= given_up:
                break
            time.sleep(0.01)
        unrecorded.append(missing)

    stage.mailer.transport = _Ahead(look)
    stage.work()
    assert unrecorded == [0] * 8
    assert {row["state"] for row in stage.messages()} == {"sent"}


def test_a_record_changes_only_what_is_being_sent(database: Database) -> None:
    stage = crowd(database, 2)
    first, _ = [row["id"] for row in stage.messages()]
    recorder = Recorder(database, lambda seconds: None)
    recorder.sent(first, "nobody", NOON, "never claimed")
    recorder.sent(99, "nobody", NOON, "never there")
    recorder.flush()
    recorder.close()
    assert [row["state"] for row in stage.messages()] == ["pending", "pending"]


@contextmanager
def away(database: Database) -> Iterator[None]:
    """Nobody gets at the database: its connections are cut and new ones refused, or its file is locked."""
    if database.is_sqlite:
        other = sqlite3.connect(database.url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
        other.close()
        return
    url = conninfo(database.url)
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(url.replace(f"/{name}", "/postgres"), autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@pytest.mark.parametrize("outcome", [Accepted("ok"), Refused(550, "5.1.1", "550 no such user")])
def test_a_database_that_goes_away_for_a_minute_loses_no_outcome(
    database: Database, outcome: Outcome, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    outage = away(database)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if sum(pauses) >= 60:
            outage.__exit__(None, None, None)

    stage = crowd(database, 5, pause)
    if database.is_sqlite:
        monkeypatch.setattr("lifecycle.store.turn.LONGEST_WAIT", 0.001)

    def answer(letter: Letter) -> Outcome:
        if len(stage.outbox.letters) == 3:
            outage.__enter__()
        return outcome

    stage.outbox.answer = answer
    with caplog.at_level(logging.WARNING):
        stage.work()
    state = "sent" if isinstance(outcome, Accepted) else "failed"
    assert [row["state"] for row in stage.messages()] == [state] * 5
    assert len(stage.outbox.letters) == 5
    assert {row["state"] for row in stage.enrollments()} == {"completed"}
    assert pauses == sorted(pauses)  # growing
    assert len(pauses) < 12
    assert "the database is away" in caplog.text
    assert "example.com" not in caplog.text


def test_a_disk_that_is_full_stops_the_batch_in_one_line_and_nothing_is_half_done(sqlite_database: Database) -> None:
    stage = crowd(sqlite_database, 300)
    before = stage.messages()
    with sqlite_database.transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    limit = _limit_of(sqlite_database, pages + 1)
    with limit, pytest.raises(OperationalError) as failure:
        stage.take(
            *(
                stage.message("track", f"n{i}", event="order.completed", properties={"order_id": "1"})
                for i in range(300)
            )
        )
    assert str(failure.value.orig) == "database or disk is full"
    assert stage.messages() == before
    assert len(stage.enrollments()) == 300
    stage.work()
    assert {row["state"] for row in stage.messages()} == {"sent"}


@contextmanager
def _limit_of(database: Database, pages: int) -> Iterator[None]:
    """The file may not grow past so many pages, which is how SQLite sees a full disk."""
    from sqlalchemy import event

    def limit(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    database.close()
    event.listen(database.engine, "connect", limit)
    yield
    database.close()


def test_on_a_full_disk_what_was_accepted_is_recorded_once_there_is_room(sqlite_database: Database) -> None:
    """Recording needs room in the write-ahead log only, but a full disk refuses that as well."""
    pauses: list[float] = []
    refusing = True

    def pause(seconds: float) -> None:
        nonlocal refusing
        pauses.append(seconds)
        refusing = len(pauses) < 4

    stage = crowd(sqlite_database, 3, pause)
    settle = _FullFor(lambda: refusing)
    stage.outbox.answer = settle.answer
    with settle.installed(sqlite_database):
        stage.work()
    assert len(pauses) == 4
    assert [row["state"] for row in stage.messages()] == ["sent"] * 3
    assert len(stage.outbox.letters) == 3


class _FullFor:
    """Updates of messages fail as on a full disk, from the first letter on, for as long as `refusing` says."""

    def __init__(self, refusing: Any) -> None:
        self._refusing = refusing
        self._begun = False

    def answer(self, letter: Letter) -> Outcome:
        self._begun = True
        return Accepted("ok")

    @contextmanager
    def installed(self, database: Database, where: str = "") -> Iterator[None]:
        from sqlalchemy import event

        def fill(connection: Any, _: Any) -> None:
            connection.create_function("disk_is_full", 0, full)

        def full() -> int:
            if self._begun and self._refusing():
                raise OSError("no space left on device")  # which SQLite reports as an OperationalError
            return 0

        database.close()
        event.listen(database.engine, "connect", fill)
        with database.transaction() as connection:
            connection.exec_driver_sql(
                f"CREATE TRIGGER full BEFORE UPDATE OF state ON message WHEN {where} disk_is_full() "
                "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
        yield
        with database.transaction() as connection:
            connection.exec_driver_sql("DROP TRIGGER full")


def test_time_stands_in_the_record_as_it_was_when_the_server_answered(database: Database) -> None:
    stage = crowd(database, 2)

    def slow(letter: Letter) -> Outcome:
        stage.now += timedelta(seconds=1)
        return Accepted("ok")

    stage.outbox.answer = slow
    stage.work()
    assert [row["sent_at"] - NOON for row in stage.messages()] == [timedelta(seconds=1), timedelta(seconds=2)]


def test_an_acceptance_that_comes_after_the_lease_makes_uncertain_sent(database: Database) -> None:
    stage = crowd(database, 1)

    def dawdle(letter: Letter) -> Outcome:
        stage.now += LEASE
        stage.tick()
        assert stage.only_message()["state"] == "uncertain"
        return Accepted("ok")

    _make_marketing(database)
    stage.outbox.answer = dawdle
    stage.work()
    assert stage.only_message()["state"] == "sent"


@pytest.mark.parametrize("late", [Accepted("ok"), Refused(550, "5.1.1", "550 no such user")])
def test_an_outcome_that_comes_late_does_not_touch_what_another_worker_has_claimed_since(
    database: Database, late: Outcome
) -> None:
    stage = crowd(database, 1)  # transactional or not, a second claim is somebody else's
    (row,) = stage.messages()
    claimed = []

    def dawdle(letter: Letter) -> Outcome:
        with database.transaction() as connection:
            connection.exec_driver_sql("UPDATE message SET claim = 'another', state = 'sending'")
        claimed.append(stage.only_message())
        return late

    stage.outbox.answer = dawdle
    stage.work()
    assert [stage.only_message()] == claimed
    recorder = Recorder(database, lambda seconds: None)
    recorder.sent(row["id"], "mine", NOON, "late")
    recorder.flush()
    recorder.repeat()
    recorder.close()
    assert [stage.only_message()] == claimed


def test_what_no_patience_mends_is_raised_and_takes_no_other_record_with_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    stage = crowd(database, 3)
    pauses: list[float] = []
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE message SET state = 'sending', claim = 'mine', email = 'x@example.com'")
    recorder = Recorder(database, pauses.append)
    with pytest.raises(DBAPIError):
        recorder.settle({"id": stage.messages()[0]["id"], "claim": "mine", "state": None})
    assert not pauses
    assert "cannot be recorded" in caplog.text
    recorder.close()


def test_a_record_that_the_database_cannot_hold_is_raised_about_once_and_the_others_are_kept(
    sqlite_database: Database,
) -> None:
    stage = crowd(sqlite_database, 3)
    with sqlite_database.transaction() as connection:
        connection.exec_driver_sql("UPDATE message SET state = 'sending', claim = 'mine', email = 'x@example.com'")
        connection.exec_driver_sql(
            "CREATE TRIGGER odd BEFORE UPDATE OF state ON message WHEN NEW.subject = 'odd' "
            "BEGIN SELECT RAISE(ABORT, 'nobody foresaw this'); END"
        )
    recorder = Recorder(sqlite_database, lambda seconds: None)
    first, second, third = [row["id"] for row in stage.messages()]
    recorder.sent(first, "mine", NOON, "fine")
    recorder.sent(second, "mine", NOON, "odd")
    with pytest.raises(DBAPIError):
        recorder.write()
    recorder.sent(third, "mine", NOON, "fine")
    recorder.repeat()
    recorder.close()
    assert [row["state"] for row in stage.messages()] == ["sent", "sending", "sent"]


def test_what_was_not_begun_is_handed_back_as_patiently_as_outcomes_are_recorded(sqlite_database: Database) -> None:
    pauses: list[float] = []
    refusing = True

    def pause(seconds: float) -> None:
        nonlocal refusing
        pauses.append(seconds)
        refusing = len(pauses) < 4

    stage = crowd(sqlite_database, 3, pause)
    full = _FullFor(lambda: refusing)
    stage.stopping = lambda: True
    full.answer(Letter(0, "", "", "", b""))
    with full.installed(sqlite_database, "NEW.state = 'pending' AND"):
        stage.work()
    assert len(pauses) == 4
    assert {row["state"] for row in stage.messages()} == {"pending"}


def _make_marketing(database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE message SET kind = 'marketing'")
