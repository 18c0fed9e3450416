"""SQLite's log is moved into the file beside those who write, and stays short."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lifecycle.store.checkpointer import Checkpointer
from lifecycle.store.database import Database


def test_a_log_that_became_long_begins_anew_although_there_is_always_somebody_who_writes(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.store.database._LONG_LOG", 100)  # pages
    log, lengths = Path(f"{sqlite_database.url.removeprefix('sqlite:///')}-wal"), []
    with sqlite_database.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE filling (content BLOB)")
    for _ in range(12):
        with sqlite_database.transaction() as connection:
            beside = threading.Thread(target=sqlite_database.checkpoint)
            beside.start()
            beside.join(0.05)
            connection.exec_driver_sql("INSERT INTO filling VALUES (zeroblob(100000))")  # 50 pages
        beside.join()
        lengths.append(log.stat().st_size)
    assert max(lengths) < 5 * 100_000, lengths


def test_moving_the_log_waits_for_nobody_while_it_is_short(database: Database) -> None:
    with database.transaction():
        database.checkpoint()


def test_the_log_is_moved_by_a_connection_of_its_own(sqlite_database: Database) -> None:
    """On one that its writer uses too, it would cost that what it keeps in memory."""
    used: set[int] = set()
    with Checkpointer(sqlite_database.url) as checkpointer:
        for _ in range(20):
            checkpointer.begin()
            with sqlite_database.transaction(wide=True) as connection:
                used.add(id(connection.connection.dbapi_connection))
                time.sleep(0.005)
    assert len(used) == 1


def test_a_log_that_cannot_be_moved_troubles_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "no.db").write_text("This is no database, and nothing in it can be moved anywhere. " * 20)
    caplog.set_level("INFO")
    with Checkpointer(f"sqlite:///{tmp_path}/no.db") as checkpointer:
        checkpointer.begin()
    assert [record.message for record in caplog.records] == ["SQLite's log could not be moved now"]
