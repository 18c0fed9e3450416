"""The SQL of dead letters: what could not be taken, or only in part, with the reason and the bytes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, LargeBinary, Row, bindparam, text
from sqlalchemy.types import Text

from .sql import Statement
from .types import Instant, stamp

_KEEP = text(
    """
    INSERT INTO dead_letter (entry_id, reason, raw, received_at)
    VALUES (:entry_id, :reason, :raw, :received_at)
    ON CONFLICT (entry_id) DO UPDATE
    SET reason = excluded.reason, raw = excluded.raw, received_at = excluded.received_at, retried_at = NULL
    """
).bindparams(
    bindparam("entry_id", type_=Text),
    bindparam("reason", type_=Text),
    bindparam("raw", type_=LargeBinary),
    bindparam("received_at", type_=Instant),
)
_RETURNS = {"received_at": Instant(), "retried_at": Instant()}
_COLUMNS = "SELECT id, entry_id, reason, raw, received_at, retried_at FROM dead_letter"
_UNSETTLED = Statement(
    f"{_COLUMNS} WHERE retried_at IS NULL AND id > :after ORDER BY id LIMIT :limit", returns=_RETURNS
)
_NAMED = Statement(f"{_COLUMNS} WHERE id IN {{ids}} ORDER BY id", returns=_RETURNS)
_SETTLE = Statement("UPDATE dead_letter SET retried_at = :now WHERE id IN {ids}")


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter; `entry_id` is the stream entry's id or "file:line", `id` its number for commands."""

    entry_id: str
    reason: str
    raw: bytes
    received_at: datetime
    id: int = 0
    retried_at: datetime | None = None


def keep(connection: Connection, letters: Collection[Letter]) -> None:
    """Keeps letters; one that came before gets the new reason and counts as not retried."""
    if letters:
        rows = [
            {"entry_id": one.entry_id, "reason": one.reason, "raw": one.raw, "received_at": one.received_at}
            for one in sorted(letters, key=lambda one: one.entry_id)
        ]
        connection.execute(_KEEP, rows)


def unsettled(connection: Connection, *, after: int = 0, limit: int = 100) -> list[Letter]:
    """The letters that no retry has settled, oldest first, from the one after number `after` on."""
    return [_letter(row) for row in _UNSETTLED.run(connection, after=after, limit=limit)]


def named(connection: Connection, ids: Sequence[int]) -> list[Letter]:
    """The letters of these numbers, those that do not exist left out."""
    return [_letter(row) for row in _NAMED.run(connection, ids=list(ids))]


def settle(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Notes that what these letters hold was taken after all."""
    _SETTLE.run(connection, ids=list(ids), now=stamp(now))


def _letter(row: Row[Any]) -> Letter:
    return Letter(row.entry_id, row.reason, bytes(row.raw), row.received_at, row.id, row.retried_at)
