"""The SQL of messages: planning, claiming under the customer's lock, recording outcomes, recovering leases.

The claim is three statements in one transaction, in this order and never fewer: lock the customers, read, write.
The reading statement starts after the lock was won, so that under READ COMMITTED it sees every send that another
worker reserved before; counting in the locking statement itself would read an old snapshot and break caps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Date, Text

from .sql import Statement
from .types import Id, Instant, Json

PLAN = Statement(
    """
    INSERT INTO message (customer_id, enrollment_id, journey, step, key, template, kind, topic, priority, on_capped,
                         state, created_at, due_at, wake_at, expires_at, capped_until, message_id, attempts)
    SELECT customer_id, enrollment_id, journey, step, key, template, kind, topic, priority, on_capped,
           'pending', created_at, created_at, wake_at, expires_at, capped_until, message_id, 0
    FROM {rows}
    WHERE true
    ON CONFLICT (enrollment_id, step) DO UPDATE SET wake_at = excluded.wake_at WHERE message.wake_at IS NULL
    RETURNING id
    """,
    rows={
        "customer_id": "text",
        "enrollment_id": "bigint",
        "journey": "text",
        "step": "text",
        "key": "text",
        "template": "text",
        "kind": "text",
        "topic": "text",
        "priority": "bigint",
        "on_capped": "text",
        "created_at": "timestamptz",
        "wake_at": "timestamptz",
        "expires_at": "timestamptz",
        "capped_until": "timestamptz",
        "message_id": "text",
    },
)
"""A step that was edited to stand behind people who passed it has its message already: it tells them once more."""

CLAIM_DUE = Statement(
    """
    UPDATE message SET wake_at = :lease_ends
    WHERE id IN (
        SELECT id FROM message WHERE wake_at <= :now ORDER BY wake_at LIMIT :most {skip_locked}
    )
    RETURNING id
    """
)
"""Takes due messages for the length of a lease, so that their ids are hinted once."""

RECOVER = Statement(
    """
    UPDATE message
    SET state = CASE WHEN lost.begun AND lost.final THEN 'uncertain' ELSE 'pending' END,
        reason = CASE WHEN NOT lost.begun THEN reason WHEN lost.final THEN 'lease_expired' ELSE 'sent_again' END,
        counted_at = CASE WHEN lost.begun OR reason LIKE 'sent_again%' THEN counted_at END,
        attempts = CASE WHEN lost.begun THEN attempts ELSE attempts - 1 END,
        due_at = :now, wake_at = :now
    FROM (
        SELECT id, claim NOT LIKE '%' || :life
                   OR row_number() OVER (PARTITION BY claim ORDER BY position) <= lanes AS begun,
               kind = 'marketing' OR COALESCE(reason, '') LIKE 'sent_again%' AS final
        FROM message WHERE wake_at <= :now AND state = 'sending'
    ) AS lost
    WHERE message.id = lost.id AND state = 'sending'
    RETURNING message.id, state
    """
)
"""Settles what a dead worker left in `sending`. A claim is sent and recorded in the order of its positions, so
only its first unrecorded rows, as many as the worker had lanes, can be with the server: those are uncertain, the
rest was never begun. If the database crashed since the claim (`life` names the time since, and ends the claim's
name), records that it had not flushed are gone: then any of them may have been sent, and all are uncertain.
A transactional message is sent once more, under the same Message-ID."""

LOCK_CUSTOMERS = Statement(
    """
    SELECT id FROM customer
    WHERE id IN (SELECT customer_id FROM message WHERE id IN {ids})
    ORDER BY id {lock}
    """
)


class Due(NamedTuple):
    """A message that is due, with what judging it and rendering it need of its enrollment and its customer.

    A tuple of its own, because reading a column of a driver's row costs ten times as much, and each is read.
    """

    id: int
    customer_id: str
    enrollment_id: int
    journey: str
    step: str
    template: str
    kind: str
    topic: str
    priority: int
    on_capped: str
    expires_at: datetime
    capped_until: datetime
    message_id: str
    attempts: int
    reason: str | None
    capped_at: datetime | None
    sections: list[dict[str, Any]] | None
    enrollment_state: str
    trigger: dict[str, Any]
    email: str | None
    first_name: str | None
    last_name: str | None
    birthday: date | None
    timezone: str | None
    locale: str | None
    created_at: datetime
    traits: dict[str, Any]
    consents: dict[str, Any]
    erased_at: datetime | None
    pace: dict[str, Any]
    suppressed: str | None
    fatigue: str | None
    sunset_at: datetime | None


_DUE = Statement(
    """
    SELECT m.id, m.customer_id, m.enrollment_id, m.journey, m.step, m.template, m.kind, m.topic, m.priority,
           m.on_capped, m.expires_at, m.capped_until, m.message_id, m.attempts, m.reason, m.capped_at, m.sections,
           e.state, e.trigger,
           c.email, c.first_name, c.last_name, c.birthday, c.timezone, c.locale, c.created_at, c.traits, c.consents,
           c.erased_at, c.pace, s.reason,
           f.state, f.sunset_at
    FROM message m
    JOIN enrollment e ON e.id = m.enrollment_id
    JOIN customer c ON c.id = m.customer_id
    LEFT JOIN suppression s ON s.address = lower(c.email)
    LEFT JOIN fatigue f ON f.customer_id = m.customer_id
    WHERE m.id IN {ids} AND m.state = 'pending' AND m.due_at <= :now
    ORDER BY m.priority DESC, m.expires_at, m.id
    """,
    returns={
        "id": Id,
        "customer_id": Text(),
        "enrollment_id": Id,
        "journey": Text(),
        "step": Text(),
        "template": Text(),
        "kind": Text(),
        "topic": Text(),
        "priority": Id,
        "on_capped": Text(),
        "expires_at": Instant(),
        "capped_until": Instant(),
        "message_id": Text(),
        "attempts": Id,
        "reason": Text(),
        "capped_at": Instant(),
        "sections": Json,
        "enrollment_state": Text(),
        "trigger": Json,
        "email": Text(),
        "first_name": Text(),
        "last_name": Text(),
        "birthday": Date(),
        "timezone": Text(),
        "locale": Text(),
        "created_at": Instant(),
        "traits": Json,
        "consents": Json,
        "erased_at": Instant(),
        "pace": Json,
        "suppressed": Text(),
        "fatigue": Text(),
        "sunset_at": Instant(),
    },
)


def due(connection: Connection, ids: Sequence[int], now: datetime) -> list[Due]:
    """Those among `ids` that are due, in the order in which they are judged and sent."""
    return [Due._make(row) for row in _DUE.run(connection, ids=ids, now=now).all()]


# Materialized, because PostgreSQL, while its statistics lag behind, would begin with all that is due to anybody. No
# journey stands at a digest: those that wait have an index of their own.
_BESIDE = Statement(
    """
    WITH theirs AS MATERIALIZED (
        SELECT m.id, m.kind, m.state, m.due_at, e.awaiting
        FROM enrollment e JOIN message m ON m.enrollment_id = e.id AND m.step = e.step
        WHERE e.customer_id IN {keys} AND e.ended_at IS NULL AND e.state = 'active'
    )
    SELECT id FROM theirs
    WHERE awaiting = 'message' AND state = 'pending' AND due_at <= :now AND id NOT IN {ids}
    UNION ALL
    SELECT id FROM message
    WHERE customer_id IN {keys} AND journey = 'digest' AND wake_at IS NOT NULL
      AND state = 'pending' AND due_at <= :now AND id NOT IN {ids}
    """
)


def beside(connection: Connection, customers: Sequence[str], ids: Sequence[int], now: datetime) -> list[int]:
    """The messages that are due to these customers, who are locked, and not among `ids`."""
    return list(_BESIDE.run(connection, keys=customers, ids=ids, now=now).scalars())


RESERVE = Statement(
    """
    UPDATE message
    SET state = 'sending', due_at = :now, wake_at = :until, counted_at = :now, claim = :claim, lanes = :lanes,
        position = rows.position, attempts = message.attempts + 1, email = rows.email, locale = rows.locale
    FROM {rows}
    WHERE message.id = rows.id AND message.state = 'pending'
    """,
    rows={"id": "bigint", "position": "bigint", "email": "text", "locale": "text"},
)
"""Reserves what goes out, which is nearly all of a claim, with as little for each row as can be."""

KEEP_BACK = Statement(
    """
    UPDATE message
    SET state = rows.state, reason = rows.reason, due_at = rows.due_at, wake_at = rows.wake_at,
        counted_at = CASE WHEN message.reason LIKE 'sent_again%' THEN message.counted_at END, claim = :claim,
        position = NULL,
        email = rows.email,
        capped_at = COALESCE(message.capped_at, rows.capped_at),
        capped_by = COALESCE(message.capped_by, rows.capped_by),
        lost_to = COALESCE(message.lost_to, rows.lost_to)
    FROM {rows}
    WHERE message.id = rows.id AND message.state = 'pending'
    """,
    rows={
        "id": "bigint",
        "state": "text",
        "reason": "text",
        "due_at": "timestamptz",
        "wake_at": "timestamptz",
        "email": "text",
        "capped_at": "timestamptz",
        "capped_by": "text",
        "lost_to": "jsonb",
    },
)
"""Writes what does not go out now, or never will; the cap that held a message first, and to what, stays."""

SETTLE = Statement(
    """
    UPDATE message
    SET state = rows.state, reason = rows.reason, due_at = rows.due_at,
        wake_at = COALESCE(rows.wake_at, message.wake_at),
        sent_at = rows.sent_at, subject = CASE WHEN message.email IS NOT NULL THEN rows.subject END,
        counted_at = CASE WHEN rows.counts THEN COALESCE(rows.counted_at, message.counted_at) END
    FROM {rows}
    WHERE message.id = rows.id AND message.claim = rows.claim AND message.state IN ('sending', 'uncertain')
    """,
    rows={
        "id": "bigint",
        "claim": "text",
        "state": "text",
        "reason": "text",
        "due_at": "timestamptz",
        "wake_at": "timestamptz",
        "sent_at": "timestamptz",
        "subject": "text",
        "counts": "boolean",
        "counted_at": "timestamptz",
    },
)
"""Records outcomes of a claim, also those that come after its lease, with the moment from which such a one counts; none
touches what somebody has claimed since.

The lease stays on final rows (`wake_at`), until the enrollment was told. Whoever was forgotten meanwhile (they have no
`email` then) stays so."""

HAND_BACK = Statement(
    """
    UPDATE message SET state = 'pending', counted_at = CASE WHEN reason LIKE 'sent_again%' THEN counted_at END,
        attempts = attempts - 1, due_at = :now, wake_at = :now
    WHERE id IN {ids} AND state = 'sending' AND claim = :claim
    """
)
"""Gives back what was claimed but not begun; what may have gone out at its first try counts on."""

FINISH = Statement(
    """
    UPDATE message SET wake_at = NULL, due_at = NULL
    WHERE id IN {ids} AND wake_at IS NOT NULL AND state IN ('sent', 'skipped', 'failed', 'uncertain')
    RETURNING enrollment_id, step
    """,
    returns={"enrollment_id": Id, "step": Text()},
)

FORGET = Statement(
    """
    UPDATE message SET email = NULL, subject = NULL
    WHERE enrollment_id IN (SELECT id FROM enrollment WHERE customer_id IN {keys}) AND email IS NOT NULL
    """
)
"""Drops from the messages of customers who asked to be forgotten what says who they were."""

# Materialized for the reason of _BESIDE.
WAKE_HELD = Statement(
    """
    UPDATE message SET due_at = :now, wake_at = :now
    WHERE id IN (
        WITH theirs AS MATERIALIZED (
            SELECT m.id, m.state, m.due_at, m.reason
            FROM enrollment e JOIN message m ON m.enrollment_id = e.id AND m.step = e.step
            WHERE e.customer_id IN {keys} AND e.ended_at IS NULL AND e.state = 'active' AND e.awaiting = 'message'
            UNION ALL
            SELECT id, state, due_at, reason FROM message
            WHERE customer_id IN {keys} AND journey = 'digest' AND wake_at IS NOT NULL
        )
        SELECT id FROM theirs
        WHERE state = 'pending' AND due_at > :now AND substr(reason, 1, length(CAST(:reason AS text))) = :reason
    ) AND state = 'pending'
    """
)
"""Has the messages of these customers looked at at once that wait for a reason that begins with `reason`."""
