"""A database that crashes forgets records that it had confirmed: nothing is sent twice for that."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from lifecycle.mail.transport import Accepted, Letter, Outcome
from lifecycle.store.database import Database
from tests import servers
from tests.database.test_recorder import crowd
from tests.stage import LEASE, Stage

DIES_AT, MAIL = 60, 100


@pytest.fixture
def mortal() -> Iterator[Database]:
    """A database on a server of its own that may be killed, and that flushes only when somebody waits for it."""
    with servers.share_postgres(secrets.token_hex(4), servers.HASTY | {"wal_writer_delay": "10s"}) as shared:
        server = servers.Postgres(shared.url)
        database = Database(server.create())
        server.close()
        SQLModel.metadata.create_all(database.engine)
        yield database
        database.close()


def crash(database: Database) -> None:
    """Kills one of the server's processes, which takes all others and what is not on disk, and waits for recovery."""
    victim = Database(database.url)
    with victim.reading() as connection:
        life = victim.life(connection)
        os.kill(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one(), signal.SIGKILL)
        connection.invalidate()
    while True:
        try:
            with victim.reading() as connection:
                if victim.life(connection) != life:
                    break
        except OperationalError:
            time.sleep(0.02)
    victim.close()


class WorkerDies(BaseException):
    """Nobody is left to remember."""


def crashing(database: Database, *, worker_dies: bool) -> Stage:
    stage = crowd(database, MAIL)

    def answer(letter: Letter) -> Outcome:
        if len(stage.outbox.letters) == DIES_AT:
            crash(database)
            if worker_dies:
                raise WorkerDies
        return Accepted("ok")

    stage.outbox.answer = answer
    return stage


def run_on(stage: Stage) -> None:
    stage.outbox.answer = lambda letter: Accepted("ok")
    for _ in range(3):
        stage.now += LEASE + timedelta(seconds=1)
        stage.tick()
        stage.work()


def states(stage: Stage) -> Counter[str]:
    return Counter(row["state"] for row in stage.messages())


def test_a_worker_that_outlives_the_crash_records_again_what_the_database_forgot(mortal: Database) -> None:
    stage = crashing(mortal, worker_dies=False)
    stage.work()
    assert states(stage) == {"sent": MAIL}
    run_on(stage)
    assert len(stage.outbox.letters) == MAIL


def test_what_a_worker_sent_that_dies_with_the_database_is_uncertain_and_not_sent_again(
    mortal: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = crashing(mortal, worker_dies=True)
    monkeypatch.setattr("lifecycle.flow.deliver.messages.HAND_BACK", _Nothing())
    with pytest.raises(WorkerDies):
        stage.work()
    mortal.close()
    assert states(stage)["sent"] < DIES_AT  # else the crash took nothing, and this would prove nothing
    run_on(stage)
    assert len(stage.outbox.letters) == len({letter.recipient for letter in stage.outbox.letters}) == DIES_AT
    assert states(stage).keys() <= {"sent", "uncertain"}


def test_on_any_database_a_claim_of_an_earlier_life_is_uncertain_as_a_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = crowd(database, 5)

    def die(letter: Letter) -> Outcome:
        raise WorkerDies

    stage.outbox.answer = die
    monkeypatch.setattr("lifecycle.flow.deliver.messages.HAND_BACK", _Nothing())
    with pytest.raises(WorkerDies):
        stage.work()
    monkeypatch.setattr(Database, "life", lambda self, connection: "another life")
    stage.now += LEASE
    stage.tick()
    assert states(stage) == {"uncertain": 5}


class _Nothing:
    """A worker that dies hands nothing back."""

    def run(self, *_: object, **__: object) -> None:
        pass
