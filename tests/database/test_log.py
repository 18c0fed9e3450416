"""SQLite's log is moved into the file beside those who write, and stays short."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

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
