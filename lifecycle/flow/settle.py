"""Settling uncertain messages: an operator says what the server's log says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifecycle.store import messages
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement

_SETTLE = Statement(
    """
    UPDATE message
    SET state = :state, reason = 'settled by hand',
        sent_at = CASE WHEN :state = 'sent' THEN COALESCE(counted_at, created_at) END,
        counted_at = CASE WHEN :state = 'sent' THEN counted_at END,
        due_at = CASE WHEN :state = 'pending' THEN :now END,
        wake_at = CASE WHEN :state = 'pending' THEN :now ELSE wake_at END
    WHERE id IN {ids} AND state = 'uncertain'
    RETURNING id
    """
)


def settle(db: Database, ids: Sequence[int], state: str, now: datetime) -> list[int]:
    """Gives the uncertain ones among `ids` the state sent, skipped or pending; returns their ids, ascending.

    `sent` is dated when it was claimed for sending or, as nobody counts transactional mail, when it was planned;
    `pending` goes through the policy again, and out under the same Message-ID.
    """
    with db.transaction() as connection:
        messages.LOCK_CUSTOMERS.run(connection, ids=list(ids))
        return sorted(row.id for row in _SETTLE.run(connection, ids=list(ids), state=state, now=now))
