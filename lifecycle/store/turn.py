"""Waiting for one's turn to write to SQLite.

SQLite's own waiting sleeps 1, 2, 5, 10 … 100 ms between two looks, for a lock that a record holds for 15 µs and a
claim for 20 ms: two workers on one file then hinder each other as much as they help. This one looks again after a
fifth of a millisecond at first, which is also fairer to whoever waits longest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from time import monotonic, sleep
from typing import Any

LONGEST_WAIT = 30.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.005  # seconds


def execute_in_turn(driver: sqlite3.Connection, sql: str, parameters: Sequence[Any] = ()) -> None:
    """Executes a statement that takes the write lock, as soon as nobody else holds it.

    The connection must not wait by itself (`PRAGMA busy_timeout=0`). Raises sqlite3.OperationalError after 30 s.
    """
    try:
        driver.execute(sql, parameters)
    except sqlite3.OperationalError as error:
        if not _held_by_another(error):
            raise
        _insist(driver, sql, parameters)


def _insist(driver: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> None:
    pause, end = _FIRST_PAUSE, monotonic() + LONGEST_WAIT
    while True:
        sleep(pause)
        try:
            driver.execute(sql, parameters)
            return
        except sqlite3.OperationalError as error:
            if not _held_by_another(error) or monotonic() >= end:
                raise
        pause = min(1.5 * pause, _LONGEST_PAUSE)


def _held_by_another(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
