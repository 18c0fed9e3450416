"""Settling uncertain messages: an operator says what the server's log says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from lifecycle.store import messages
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement
from lifecycle.store.types import Id, Instant

_UNCERTAIN = Statement(
    "SELECT id, counted_at, created_at FROM message WHERE id IN {ids} AND state = 'uncertain'",
    returns={"id": Id, "counted_at": Instant(), "created_at": Instant()},
)
_SETTLE = Statement(
    """
    UPDATE message
    SET state = :state, reason = 'settled by hand',
        sent_at = CASE WHEN :state = 'sent' THEN rows.latest END,
        counted_at = CASE WHEN :state = 'sent' THEN message.counted_at END,
        due_at = CASE WHEN :state = 'pending' THEN :now END,
        wake_at = CASE WHEN :state = 'pending' THEN :now ELSE wake_at END
    FROM {rows}
    WHERE message.id = rows.id AND state = 'uncertain'
    """,
    rows={"id": "bigint", "latest": "timestamptz"},
)


def settle(db: Database, ids: Sequence[int], state: str, now: datetime, lease: timedelta) -> list[int]:
    """Gives the uncertain ones among `ids` the state sent, skipped or pending; returns their ids, ascending.

    `sent` is dated at the latest moment at which it can have gone out, so that no cap opens early: the end of the
    lease for which it was claimed. Of transactional mail, which nobody counts, it is when it was planned. `pending`
    goes through the policy again, and out under the same Message-ID.
    """
    with db.transaction() as connection:
        messages.LOCK_CUSTOMERS.run(connection, ids=list(ids))
        found = _UNCERTAIN.run(connection, ids=list(ids)).all()
        if found:
            latest = {row.id: min(row.counted_at + lease, now) if row.counted_at else row.created_at for row in found}
            rows = [{"id": number, "latest": moment} for number, moment in latest.items()]
            _SETTLE.run(connection, rows=rows, state=state, now=now)
        return sorted(row.id for row in found)
