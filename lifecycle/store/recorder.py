"""Records accepted messages one by one, as fast as the transport accepts them.

One record per message, sent to the database before the next message's content leaves, is what bounds what a crash
can leave uncertain. To cost no round trip each:

- PostgreSQL: libpq's pipeline mode on a connection of its own, the reply read one record later, and
  `synchronous_commit=off`: a record survives the death of this process; only a crash of the database host within
  its last half second can lose it, and then the message is uncertain, not sent twice.
- SQLite: a single UPDATE in WAL mode with `synchronous=NORMAL`, which waits for no disk.

A database that is away is waited for: what was accepted must be recorded, and nothing else is sent meanwhile.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import psycopg
from psycopg import pq
from sqlalchemy.exc import DBAPIError

from . import suppressions
from .database import Database
from .messages import SETTLE
from .suppressions import Suppressed
from .types import stamp

log = logging.getLogger(__name__)

Sent: TypeAlias = tuple[int, datetime, str]
"""Row id, moment of acceptance, subject."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds


class _Line(Protocol):
    """A connection that records one message after the other; `unconfirmed` may be lost with it."""

    unconfirmed: deque[Sent]

    def write(self, sent: Sent) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Recorder:
    """Writes `sent` for one message after the other; `flush` returns when all of them are in the database."""

    def __init__(self, db: Database, pause: Callable[[float], None]) -> None:
        self._db = db
        self._pause = pause
        self._line: _Line | None = None

    def sent(self, id: int, at: datetime, subject: str) -> None:
        """Records that message `id` was accepted at `at`; waits for the database if it is away."""
        self._do([(id, at, subject)])

    def settle(self, row: dict[str, Any], suppressed: Sequence[Suppressed] = ()) -> None:
        """Records any other outcome (a row of `messages.SETTLE`); waits for the database if it is away."""
        self._insist([row], suppressed)

    def flush(self) -> None:
        """Waits until everything is recorded."""
        self._do([])

    def close(self) -> None:
        """Drops the connection; call `flush` first."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _do(self, sent: list[Sent]) -> None:
        try:
            line = self._line = self._line or _open_line(self._db)
            for each in sent:
                line.write(each)
            if not sent:
                line.flush()
        except (psycopg.Error, DBAPIError, OSError, self._db.driver_error) as error:
            lost = [*(self._line.unconfirmed if self._line else ()), *sent]
            self.close()
            if lost:
                log.warning("a record was lost on its way to the database (%s); writing it again", _cause(error))
                self._insist([_row(*each) for each in dict.fromkeys(lost)])

    def _insist(self, rows: list[dict[str, Any]], suppressed: Sequence[Suppressed] = ()) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                with self._db.transaction() as connection:
                    SETTLE.run(connection, rows=rows)
                    suppressions.add(connection, suppressed)
                return
            except DBAPIError as error:
                log.warning("the database is away (%s); %d outcomes wait to be recorded", _cause(error), len(rows))
                self._pause(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)


def _cause(error: Exception) -> str:
    """The driver's own words, without the parameters that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0][:200]


def _row(id: int, at: datetime, subject: str) -> dict[str, Any]:
    return {"id": id, "state": "sent", "sent_at": at, "subject": subject, "counts": True}


def _open_line(db: Database) -> _Line:
    return _SqliteLine(db) if db.is_sqlite else _PostgresLine(db)


class _SqliteLine:
    _SQL = (
        "UPDATE message SET state = 'sent', sent_at = ?, subject = ?, reason = NULL "
        "WHERE id = ? AND state IN ('sending', 'uncertain')"
    )

    def __init__(self, db: Database) -> None:
        self.unconfirmed: deque[Sent] = deque()
        self._connection = db.engine.raw_connection()

    def write(self, sent: Sent) -> None:
        id_, at, subject = sent
        self._connection.driver_connection.execute(self._SQL, (stamp(at), subject, id_))  # type: ignore[union-attr]

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._connection.close()


class _PostgresLine:
    _SQL = (
        b"UPDATE message SET state = 'sent', sent_at = $1::timestamptz, subject = $2, reason = NULL "
        b"WHERE id = $3::bigint AND state IN ('sending', 'uncertain')"
    )

    def __init__(self, db: Database) -> None:
        self.unconfirmed: deque[Sent] = deque()
        self._connection = psycopg.connect(
            db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
            autocommit=True,
            options="-c synchronous_commit=off",
            connect_timeout=10,
        )
        self._pg = self._connection.pgconn
        _expect(self._pg.prepare(b"sent", self._SQL), pq.ExecStatus.COMMAND_OK)
        self._pg.enter_pipeline_mode()

    def write(self, sent: Sent) -> None:
        id_, at, subject = sent
        self.unconfirmed.append(sent)
        self._pg.send_query_prepared(b"sent", (stamp(at).encode(), subject.encode(), b"%d" % id_))
        self._pg.pipeline_sync()
        self._pg.flush()
        if len(self.unconfirmed) > 1:
            self._confirm()

    def flush(self) -> None:
        while self.unconfirmed:
            self._confirm()

    def _confirm(self) -> None:
        """Reads the reply to the oldest record: its result, the end of its results, the sync."""
        _expect(self._pg.get_result(), pq.ExecStatus.COMMAND_OK)
        self._pg.get_result()
        _expect(self._pg.get_result(), pq.ExecStatus.PIPELINE_SYNC)
        self.unconfirmed.popleft()

    def close(self) -> None:
        self._connection.close()


def _expect(result: Any, status: pq.ExecStatus) -> None:
    if result is None or result.status != status:
        detail = result.error_message.decode("utf-8", "replace").strip() if result is not None else "connection lost"
        raise psycopg.OperationalError(detail)
