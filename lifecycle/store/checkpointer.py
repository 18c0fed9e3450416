"""Moves SQLite's log into its file beside whoever writes."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from sqlalchemy.exc import SQLAlchemyError

from .database import Database

log = logging.getLogger(__name__)


class Checkpointer:
    """Moves the log of a SQLite database when it is told to, for the length of a with block.

    On a thread and a connection of its own. A pool that it shared would hand the writer now one connection and now
    another, and SQLite forgets what one of them keeps in memory when another has written.
    """

    def __init__(self, url: str) -> None:
        self._db = Database(url)
        self._thread = ThreadPoolExecutor(1, "checkpointer")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown()
        self._db.close()

    def begin(self) -> None:
        """Has it moved, without waiting for that, unless it is being moved already; nothing on PostgreSQL."""
        if self._under_way is None or self._under_way.done():
            self._under_way = self._thread.submit(self._move)

    def _move(self) -> None:
        try:
            self._db.checkpoint()
        except (SQLAlchemyError, self._db.driver_error) as error:  # a commit that finds the log long does the same
            log.info("SQLite's log could not be moved now", extra={"error": type(error).__name__})
