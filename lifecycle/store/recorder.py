"""Records accepted messages as fast as the transport accepts them.

Every record is sent to the database before the next message's content leaves, which is what bounds what a crash can
leave uncertain; those that the server accepted together go in one transaction. To cost no round trip each:

- PostgreSQL: libpq's pipeline mode on a connection of its own, the replies read some records later, and
  `synchronous_commit=off`: a record survives the death of this process; only a crash of the database can lose those
  of its last half second. So whenever the connection is lost, all of them are written again, up to the last commit
  that was waited for; if this process dies as well, they are uncertain (`messages.RECOVER`), not sent twice.
- SQLite: UPDATEs in WAL mode with `synchronous=NORMAL`, which wait for no disk.

A database that is away is waited for: what was accepted must be recorded, and nothing else is sent meanwhile.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import psycopg
from psycopg import pq
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from . import digests, messages, suppressions
from .database import Database
from .outage import cause, is_outage
from .suppressions import Suppressed
from .turn import execute_in_turn
from .types import stamp

log = logging.getLogger(__name__)

Sent: TypeAlias = tuple[int, str, datetime, str]
"""Row id, name of the claim, moment of acceptance, subject."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds


class _Line(Protocol):
    """A connection that records some messages after the other."""

    def write(self, sent: Sequence[Sent]) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Recorder:
    """Writes `sent` for one message after the other.

    What `sent` notes is on its way to the database when `write` returns: call it before anything else leaves. `flush`
    returns when all of them are in the database; `forget` is for when a commit after it was waited for.
    """

    def __init__(self, db: Database, pause: Callable[[float], None]) -> None:
        self._db = db
        self._pause = pause
        self._line: _Line | None = None
        self._recorded: list[Sent] = []
        self._written = 0  # so many of `_recorded` were written

    def sent(self, id: int, claim: str, at: datetime, subject: str) -> None:
        """Notes that message `id` of that claim was accepted at `at`."""
        self._recorded.append((id, claim, at, subject))

    def write(self) -> None:
        """Sends what was noted to the database; waits for it if it is away."""
        if self._written == len(self._recorded):
            return
        noted, self._written = self._recorded[self._written :], len(self._recorded)
        try:
            line = self._line = self._line or _open_line(self._db)
            line.write(noted)
        except self._lost as error:
            self._again(error)

    def settle(self, row: dict[str, Any], suppressed: Sequence[Suppressed] = ()) -> None:
        """Records any other outcome (a row of `messages.SETTLE`); waits for the database if it is away."""
        self._settle([row], suppressed)

    def take_out(self, taken: Sequence[Mapping[str, Any]], digest: Mapping[str, Any]) -> None:
        """Records that a digest goes out without some sections (rows of `digests.take_out`)."""

        def write(connection: Connection) -> None:
            messages.LOCK_CUSTOMERS.run(connection, ids=[digest["id"]])
            digests.take_out(connection, [digest], {digest["id"]: taken})

        self._insist(write, len(taken))

    def hand_back(self, ids: Sequence[int], claim: str, now: datetime) -> None:
        """Gives back what was claimed but not begun; waits for the database if it is away."""
        self._insist(lambda connection: messages.HAND_BACK.run(connection, ids=ids, claim=claim, now=now), len(ids))

    def flush(self) -> None:
        """Waits until everything is recorded."""
        self.write()
        try:
            if self._line is not None:
                self._line.flush()
        except self._lost as error:
            self._again(error)

    def repeat(self) -> None:
        """Writes again what is not forgotten: for whoever lost the database before it could be."""
        if self._recorded:
            try:
                self._settle([_row(*each) for each in self._recorded])
            except DBAPIError:
                self._each_alone()

    def forget(self) -> None:
        """Forgets what was recorded: a later transaction was committed durably, and so these are."""
        self._recorded.clear()
        self._written = 0

    def close(self) -> None:
        """Drops the connection; call `flush` first."""
        if self._line is not None:
            self._line.close()
            self._line = None

    @property
    def _lost(self) -> tuple[type[Exception], ...]:
        return psycopg.Error, DBAPIError, OSError, self._db.driver_error

    def _again(self, error: Exception) -> None:
        """Writes all records once more: a crash also takes those that the database had confirmed."""
        self.close()
        log.warning("records were lost on their way to the database (%s); writing them again", _cause(error))
        self.repeat()

    def _settle(self, rows: list[dict[str, Any]], suppressed: Sequence[Suppressed] = ()) -> None:
        def write(connection: Connection) -> None:
            messages.SETTLE.run(connection, rows=rows)
            suppressions.add(connection, suppressed)

        self._insist(write, len(rows))

    def _each_alone(self) -> None:
        """So that a record that the database cannot hold takes none with it; it is raised about, and not kept."""
        failure: DBAPIError | None = None
        for each in [*self._recorded]:
            try:
                self._settle([_row(*each)])
            except DBAPIError as error:
                self._recorded.remove(each)
                self._written = len(self._recorded)
                failure = error
        if failure is not None:
            raise failure

    def _insist(self, write: Callable[[Connection], object], outcomes: int) -> None:
        """Has it written, however long the database is away; what waiting does not mend is logged and raised."""
        pause = _FIRST_PAUSE
        while True:
            try:
                with self._db.transaction() as connection:
                    write(connection)
                return
            except DBAPIError as error:
                if not is_outage(error):
                    log.error("%d outcomes cannot be recorded (%s)", outcomes, cause(error))
                    raise
                log.warning("the database is away (%s); %d outcomes wait to be recorded", _cause(error), outcomes)
                self._pause(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)


def _cause(error: Exception) -> str:
    """The driver's own words, without the parameters that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error).partition("\n")[0][:200]


def _row(id: int, claim: str, at: datetime, subject: str) -> dict[str, Any]:
    return {"id": id, "claim": claim, "state": "sent", "sent_at": at, "subject": subject, "counts": True}


def _open_line(db: Database) -> _Line:
    return _SqliteLine(db) if db.is_sqlite else _PostgresLine(db)


# The name of the claim has served its purpose. Without it the row is no longer than it was, so that SQLite moves none
# to another page: a third of what a record costs there.
class _SqliteLine:
    _SQL = (
        "UPDATE message SET state = 'sent', sent_at = ?, subject = CASE WHEN email IS NOT NULL THEN ? END, "
        "reason = NULL, claim = NULL WHERE id = ? AND claim = ? AND state IN ('sending', 'uncertain')"
    )

    def __init__(self, db: Database) -> None:
        self._connection = db.engine.raw_connection()
        self._connection.detach()  # nobody else shall get a connection that waits for no disk
        self._driver: sqlite3.Connection = self._connection.dbapi_connection  # type: ignore[assignment]
        self._driver.execute("PRAGMA synchronous=NORMAL")
        self._driver.execute("PRAGMA busy_timeout=0")

    def write(self, sent: Sequence[Sent]) -> None:
        rows = [(stamp(at), subject, id_, claim) for id_, claim, at, subject in sent]
        if len(rows) == 1:
            execute_in_turn(self._driver, self._SQL, rows[0])
            return
        execute_in_turn(self._driver, "BEGIN IMMEDIATE")
        self._driver.executemany(self._SQL, rows)
        self._driver.execute("COMMIT")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._connection.close()


class _PostgresLine:
    _MOST_UNCONFIRMED = 32
    """So that reading costs no wait, and one look at the socket serves several replies."""

    _SQL = (
        b"UPDATE message SET state = 'sent', sent_at = $1::timestamptz, subject = CASE WHEN email IS NOT NULL THEN $2 "
        b"END, reason = NULL, claim = NULL WHERE id = $3::bigint AND claim = $4 AND state IN ('sending', 'uncertain')"
    )

    def __init__(self, db: Database) -> None:
        self._unconfirmed = 0
        self._together: deque[int] = deque()  # how many records stand before each sync
        self._connection = psycopg.connect(
            db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False),
            autocommit=True,
            options="-c synchronous_commit=off",
            connect_timeout=10,
        )
        self._pg = self._connection.pgconn
        _expect(self._pg.prepare(b"sent", self._SQL), pq.ExecStatus.COMMAND_OK)
        self._pg.enter_pipeline_mode()

    def write(self, sent: Sequence[Sent]) -> None:
        for id_, claim, at, subject in sent:
            self._pg.send_query_prepared(b"sent", (stamp(at).encode(), subject.encode(), b"%d" % id_, claim.encode()))
        self._pg.pipeline_sync()
        self._pg.flush()
        self._together.append(len(sent))
        self._unconfirmed += len(sent)
        if self._unconfirmed >= self._MOST_UNCONFIRMED:
            while self._unconfirmed > self._MOST_UNCONFIRMED // 2:
                self._confirm()

    def flush(self) -> None:
        while self._unconfirmed:
            self._confirm()

    def _confirm(self) -> None:
        """Reads the replies to the oldest records: of each its result and the end of its results; then the sync."""
        together = self._together.popleft()
        for _ in range(together):
            _expect(self._pg.get_result(), pq.ExecStatus.COMMAND_OK)
            self._pg.get_result()
        _expect(self._pg.get_result(), pq.ExecStatus.PIPELINE_SYNC)
        self._unconfirmed -= together

    def close(self) -> None:
        self._connection.close()


def _expect(result: Any, status: pq.ExecStatus) -> None:
    if result is None or result.status != status:
        detail = result.error_message.decode("utf-8", "replace").strip() if result is not None else "connection lost"
        raise psycopg.OperationalError(detail)
