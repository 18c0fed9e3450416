"""Sending that operators have stopped: what is paused, and the messages that wait because of it.

A claim reads the pauses while it holds them (`FOR SHARE`), so a resume waits for claims that saw its pause, and
everything that they put off is there to be freed when it looks. Whoever sends asks again at most a quarter of a second
later, for each letter, right before its content leaves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, CursorResult, Text
from sqlalchemy.exc import DBAPIError

from .database import Database
from .outage import cause
from .sql import Statement
from .types import Id, Instant

log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["all", "marketing", "journey", "topic"]

EVERY = 0.25
"""Real seconds after which whoever sends asks again what is paused."""

_COVERS: dict[Kind, str] = {
    "all": "true",
    "marketing": "kind = 'marketing'",
    "journey": "journey = :name",
    "topic": "topic = :name",
}
_HELD = "state = 'pending' AND reason IN ('paused', 'sent_again, paused')"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pause covers; `name` is the journey or topic, and None for the other kinds."""

    kind: Kind
    name: str | None = None

    def __str__(self) -> str:
        match self.kind:
            case "all":
                return "everything"
            case "marketing":
                return "all marketing"
            case _:
                return f"{self.kind} {self.name}"

    @property
    def option(self) -> str:
        """How the commands spell it."""
        return f"--{self.kind}" + (f" {self.name}" if self.name else "")


class Paused:
    """The pauses that are in force at one moment, and the fingerprint of the policy that schedulers follow then."""

    __slots__ = ("_all", "_journeys", "_marketing", "_topics", "policy")

    def __init__(self, scopes: Collection[tuple[str, str | None]], policy: str | None = None) -> None:
        self.policy = policy
        kinds = {kind for kind, _ in scopes}
        self._all = "all" in kinds
        self._marketing = "marketing" in kinds
        self._journeys = {name for kind, name in scopes if kind == "journey"}
        self._topics = {name for kind, name in scopes if kind == "topic"}

    def __bool__(self) -> bool:
        return bool(self._all or self._marketing or self._journeys or self._topics)

    def stops(self, journey: str, topic: str, marketing: bool) -> bool:
        """Whether a message of that journey and topic must wait."""
        return self._all or (marketing and self._marketing) or journey in self._journeys or topic in self._topics


EVERYTHING = Paused([("all", None)])
"""What holds while the database cannot say what is paused."""

_READ = Statement("SELECT scope, name FROM pause WHERE resumed_at IS NULL")
_HOLD = Statement(
    """
    WITH paused AS MATERIALIZED (SELECT scope, name FROM pause WHERE resumed_at IS NULL {share})
    SELECT scope, name FROM paused UNION ALL SELECT 'policy', value FROM fingerprint WHERE name = 'policy'
    """
)
_LIST = Statement(
    "SELECT id, scope, name, reason, paused_at FROM pause WHERE resumed_at IS NULL ORDER BY paused_at, id",
    returns={"id": Id, "scope": Text(), "name": Text(), "reason": Text(), "paused_at": Instant()},
)
_PAUSE = Statement(
    "INSERT INTO pause (scope, name, reason, paused_at) VALUES (:scope, :name, :reason, :now) RETURNING id"
)
_RESUME = Statement(
    """
    UPDATE pause SET resumed_at = :now
    WHERE resumed_at IS NULL AND scope = :scope AND COALESCE(name, '') = COALESCE(:name, '')
    """
)
_SINCE = Statement(
    """
    SELECT min(before.paused_at) AS since
    FROM pause AS this JOIN pause AS before ON before.id = this.id OR before.resumed_at >= this.paused_at
    WHERE this.resumed_at IS NULL AND this.scope = :scope AND COALESCE(this.name, '') = COALESCE(:name, '')
    """,
    returns={"since": Instant()},
)
"""One that ended meanwhile may have held the same messages; if it did not, they only may wait longer."""


def in_force(connection: Connection) -> Paused:
    """What is paused, and which policy is followed; none of these pauses ends before the transaction does."""
    rows = [(row.scope, row.name) for row in _HOLD.run(connection)]
    return Paused(
        [(scope, name) for scope, name in rows if scope != "policy"],
        next((value for scope, value in rows if scope == "policy"), None),
    )


class Pauses:
    """What is paused, for whoever sends: asked again when the answer is older than EVERY.

    While the database cannot say, everything is paused.
    """

    def __init__(
        self, db: Database, paused: Paused, asked: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self.known = paused
        self._asked = asked
        self._monotonic = monotonic

    def now(self) -> Paused:
        """What is paused; the answer is no older than EVERY."""
        moment = self._monotonic()
        if moment - self._asked >= EVERY:
            try:
                with self._db.reading() as connection:
                    self.known = Paused([(row.scope, row.name) for row in _READ.run(connection)])
            except DBAPIError as error:
                log.warning("cannot see what is paused (%s); nothing leaves", cause(error))
                self.known = EVERYTHING
            self._asked = moment
        return self.known


def listed(connection: Connection) -> list[dict[str, Any]]:
    """The pauses in force, the oldest first: id, scope, name, reason, paused_at."""
    return [dict(row) for row in _LIST.run(connection).mappings()]


def begin(connection: Connection, scope: Scope, reason: str, now: datetime) -> None:
    """Pauses from the end of the transaction on."""
    _PAUSE.run(connection, scope=scope.kind, name=scope.name, reason=reason, now=now)


def since(connection: Connection, scope: Scope) -> datetime | None:
    """From when on messages may have been held that the pause of exactly that scope holds; None where there is none."""
    moment: datetime | None = _SINCE.run(connection, scope=scope.kind, name=scope.name).scalar_one()
    return moment


def end(connection: Connection, scope: Scope, now: datetime) -> None:
    """Ends the pauses of exactly that scope."""
    _RESUME.run(connection, scope=scope.kind, name=scope.name, now=now)


@dataclass(frozen=True, slots=True)
class Covered:
    """How many messages a pause concerns: planned, and on their way when it was looked."""

    planned: int
    sending: int


def planned_names(connection: Connection) -> dict[str, set[str]]:
    """The journeys and topics of the messages that are planned or on their way."""
    rows = _NAMES.run(connection).all()
    return {"journey": {row.journey for row in rows}, "topic": {row.topic for row in rows}}


def covered(connection: Connection, scope: Scope) -> Covered:
    """How many messages fall under the scope."""
    row = _COVERED[scope.kind].run(connection, **_named(scope)).one()
    return Covered(row.planned, row.sending)


def held(connection: Connection, scope: Scope) -> list[int]:
    """The ids of the messages that the pause of that scope holds and no other does, the most valuable first."""
    return _by_no_other(connection, scope, _HELD_IDS[scope.kind].run(connection, **_named(scope)))


def held_digests(connection: Connection, scope: Scope) -> list[int]:
    """The same of digests: a pause may cover a section and not the digest's own journey or topic."""
    return _by_no_other(connection, scope, _HELD_DIGESTS.run(connection))


def _by_no_other(connection: Connection, scope: Scope, rows: CursorResult[Any]) -> list[int]:
    others = Paused({(row.scope, row.name) for row in _READ.run(connection)} - {(scope.kind, scope.name)})
    return [row.id for row in rows if not others.stops(row.journey, row.topic, row.kind == "marketing")]


def _named(scope: Scope) -> dict[str, str]:
    return {"name": scope.name} if scope.name is not None else {}


# What is planned or on its way has a moment to wake at, and that index holds little else. Of digests on their way each
# may show what is covered: the operator hears of one too many rather than of one too few.
_COVERED = {
    kind: Statement(
        f"""
        SELECT count(*) FILTER (WHERE state = 'pending' AND {covers}) AS planned,
               count(*) FILTER (WHERE state = 'sending' AND ({covers} OR sections IS NOT NULL)) AS sending
        FROM message
        WHERE wake_at IS NOT NULL AND state IN ('pending', 'sending')
        """
    )
    for kind, covers in _COVERS.items()
}
_NAMES = Statement(
    """
    SELECT DISTINCT journey, topic FROM message WHERE wake_at IS NOT NULL AND state IN ('pending', 'sending')
    """
)
_HELD_IDS = {
    kind: Statement(
        f"""
        SELECT id, journey, topic, kind FROM message
        WHERE wake_at IS NOT NULL AND {_HELD} AND {covers}
        ORDER BY priority DESC, id
        """,
        returns={"id": Id, "journey": Text(), "topic": Text(), "kind": Text()},
    )
    for kind, covers in _COVERS.items()
}
_HELD_DIGESTS = Statement(
    f"""
    SELECT id, journey, topic, kind FROM message
    WHERE wake_at IS NOT NULL AND {_HELD} AND sections IS NOT NULL
    ORDER BY id
    """,
    returns={"id": Id, "journey": Text(), "topic": Text(), "kind": Text()},
)

_PATIENCE_OF = Statement(
    f"SELECT id, created_at, expires_at, capped_until FROM message WHERE id IN {{ids}} AND {_HELD}",
    returns={"id": Id, "created_at": Instant(), "expires_at": Instant(), "capped_until": Instant()},
)
_FREE = Statement(
    """
    UPDATE message
    SET due_at = :now, wake_at = :now, reason = CASE WHEN reason = 'paused' THEN NULL ELSE 'sent_again' END,
        capped_until = rows.capped_until
    FROM {rows}
    WHERE message.id = rows.id
    """,
    rows={"id": "bigint", "capped_until": "timestamptz"},
)
_DROP = Statement(
    f"""
    UPDATE message
    SET state = CASE WHEN reason = 'paused' THEN 'skipped' ELSE 'uncertain' END, wake_at = :now
    WHERE id IN {{ids}} AND {_HELD} AND created_at < :planned_before
      AND (sections IS NULL OR NOT EXISTS (SELECT 1 FROM pause WHERE resumed_at IS NULL AND name IS NOT NULL))
    RETURNING id
    """
)
"""One whose first try may have arrived is uncertain, not skipped. `wake_at` has the journey told.

A digest may show what a pause of another journey or topic covers.
"""


def free(connection: Connection, ids: Sequence[int], since: datetime, now: datetime) -> int:
    """Makes those that are held due at once; their customers are locked. Returns how many they were.

    Held since then, or since they were planned, they waited for no cap: they may wait that much longer for one.
    """
    rows = [
        {"id": row.id, "capped_until": min(row.capped_until, row.expires_at - paused) + paused}
        for row in _PATIENCE_OF.run(connection, ids=ids)
        for paused in [max(now - max(since, row.created_at), timedelta(0))]
    ]
    _FREE.run(connection, rows=rows, now=now)
    return len(rows)


def drop(connection: Connection, ids: Sequence[int], planned_before: datetime, now: datetime) -> int:
    """Skips those that are held and were planned before; their customers are locked. Returns how many they were."""
    return len(_DROP.run(connection, ids=ids, planned_before=planned_before, now=now).all())
