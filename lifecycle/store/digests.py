"""The SQL of digests: writing them, linking what went into them, and what is taken out again.

A digest is a message with `sections`. What it gathered has ended, as `skipped` because `digested`, and names it in
`digest_id`; a section that is taken out names it no longer, and says why in its own row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Text

from .sql import Statement
from .types import Id, Instant, Json

_TYPES = {
    "lead": "bigint",
    "customer_id": "text",
    "enrollment_id": "bigint",
    "journey": "text",
    "step": "text",
    "template": "text",
    "kind": "text",
    "topic": "text",
    "priority": "bigint",
    "on_capped": "text",
    "state": "text",
    "due_at": "timestamptz",
    "wake_at": "timestamptz",
    "expires_at": "timestamptz",
    "capped_until": "timestamptz",
    "message_id": "text",
    "attempts": "bigint",
    "position": "bigint",
    "counted_at": "timestamptz",
    "email": "text",
    "locale": "text",
    "sections": "jsonb",
}
COLUMNS = tuple(_TYPES)
"""What `insert` wants of a digest; `lead` is the row of its most important message."""

_INSERT = Statement(
    """
    INSERT INTO message (customer_id, enrollment_id, journey, step, key, template, kind, topic, priority, on_capped,
                         state, created_at, due_at, wake_at, expires_at, capped_until, message_id, attempts, claim,
                         position, lanes, counted_at, email, locale, sections)
    SELECT customer_id, enrollment_id, journey, step, (SELECT key FROM message WHERE id = lead), template, kind, topic,
           priority, on_capped, state, counted_at, due_at, wake_at, expires_at, capped_until, message_id, attempts,
           :claim, position, :lanes, counted_at, email, locale, sections
    FROM {rows}
    RETURNING id, step
    """,
    rows=_TYPES,
)
_LINK = Statement(
    "UPDATE message SET digest_id = rows.digest_id FROM {rows} WHERE message.id = rows.id",
    rows={"id": "bigint", "digest_id": "bigint"},
)
_GATHERED = Statement(
    """
    SELECT m.id, m.digest_id, m.expires_at, e.state, e.reason, e.trigger
    FROM message m JOIN enrollment e ON e.id = m.enrollment_id
    WHERE m.id IN {ids} AND m.digest_id IS NOT NULL
    """,
    returns={
        "id": Id,
        "digest_id": Id,
        "expires_at": Instant(),
        "state": Text(),
        "reason": Text(),
        "trigger": Json,
    },
)
_TAKE_OUT = Statement(
    """
    UPDATE message SET state = rows.state, reason = rows.reason, digest_id = NULL FROM {rows}
    WHERE message.id = rows.id AND message.digest_id = rows.digest_id
    """,
    rows={"id": "bigint", "digest_id": "bigint", "state": "text", "reason": "text"},
)
_REVISE = Statement(
    """
    UPDATE message SET sections = rows.sections, topic = rows.topic FROM {rows}
    WHERE message.id = rows.id AND message.sections IS NOT NULL
    """,
    rows={"id": "bigint", "topic": "text", "sections": "jsonb"},
)


def insert(connection: Connection, rows: Sequence[Mapping[str, Any]], claim: str, lanes: int) -> dict[str, int]:
    """Writes digests that are being sent; returns their ids by step."""
    return {row.step: row.id for row in _INSERT.run(connection, rows=rows, claim=claim, lanes=lanes)}


def link(connection: Connection, digests: Mapping[int, int]) -> None:
    """Notes of gathered messages into which digest they went."""
    rows = [{"id": gathered, "digest_id": digest} for gathered, digest in digests.items()]
    _LINK.run(connection, rows=rows)


def gathered(connection: Connection, ids: Sequence[int]) -> dict[int, Any]:
    """Gathered messages by id: digest_id, expires_at; and of their enrollments state, reason and trigger."""
    return {row.id: row for row in _GATHERED.run(connection, ids=ids)}


def take_out(
    connection: Connection,
    revised: Sequence[Mapping[str, Any]],
    taken: Mapping[int, Sequence[Mapping[str, Any]]],
) -> None:
    """Takes sections out of digests, whose customers are locked.

    `revised`: what the digests are now (id, topic, sections). `taken`: by digest, what becomes of the messages that are
    its sections no longer (id, state, reason).
    """
    rows = [{"digest_id": digest, **message} for digest, those in taken.items() for message in those]
    _TAKE_OUT.run(connection, rows=rows)
    _REVISE.run(connection, rows=revised)
