"""The SQL of enrollments: who is due, where they stand, where they go."""

from __future__ import annotations

from sqlalchemy import Text

from .sql import Statement
from .types import Id, Instant, Json

_STANDING = {
    "id": Id,
    "journey": Text(),
    "customer_id": Text(),
    "key": Text(),
    "entry": Id,
    "step": Text(),
    "awaiting": Text(),
    "arrived": Id,
    "trigger": Json,
    "entered_at": Instant(),
}
# By id first, whatever is known of the other columns: without statistics PostgreSQL takes state and awaiting for rare
# and reads the whole table for them, 130 ms a batch in place of 2.
_MINE = "WITH mine AS MATERIALIZED (SELECT * FROM enrollment WHERE id IN {ids})"
_COLUMNS = ", ".join(f'"{name}"' for name in _STANDING)

CLAIM_DUE = Statement(
    """
    UPDATE enrollment SET wake_at = :lease_ends
    WHERE id IN (
        SELECT id FROM enrollment WHERE wake_at <= :now ORDER BY wake_at LIMIT :most {skip_locked}
    )
    RETURNING id
    """
)
"""Takes due enrollments for the length of a lease, so that their ids are hinted once."""

LOCK_CUSTOMERS = Statement(
    """
    SELECT id FROM customer
    WHERE id IN (SELECT customer_id FROM enrollment WHERE id IN {ids})
    ORDER BY id {lock}
    """
)

DUE = Statement(
    f"""
    {_MINE}
    SELECT {_COLUMNS} FROM mine WHERE state = 'active' AND due_at <= :now ORDER BY id
    """,
    returns=_STANDING,
)

AWAITING_MESSAGE = Statement(
    f"""
    {_MINE}
    SELECT {_COLUMNS} FROM mine WHERE state = 'active' AND awaiting = 'message' ORDER BY id
    """,
    returns=_STANDING,
)

MOVE = Statement(
    """
    UPDATE enrollment
    SET state = rows.state, step = rows.step, due_at = rows.due_at, wake_at = rows.due_at,
        awaiting = rows.awaiting, arrived = (rows.state = 'held' AND enrollment.arrived),
        ended_at = rows.ended_at, reason = rows.reason
    FROM {rows}
    WHERE enrollment.id = rows.id
    """,
    rows={
        "id": "bigint",
        "state": "text",
        "step": "text",
        "due_at": "timestamptz",
        "awaiting": "text",
        "ended_at": "timestamptz",
        "reason": "text",
    },
)

END = Statement(
    """
    UPDATE enrollment
    SET state = :state, reason = :reason, ended_at = :now, due_at = NULL, wake_at = NULL, awaiting = NULL
    WHERE id IN {ids} AND state = 'active'
    """
)

HELD = Statement("SELECT journey, step, count(*) AS people FROM enrollment WHERE state = 'held' GROUP BY journey, step")

HELD_AT = Statement(
    "SELECT id FROM enrollment WHERE state = 'held' AND journey = :journey AND step = :step ORDER BY id LIMIT :most"
)

RELEASE_HELD = Statement(
    """
    UPDATE enrollment SET state = 'active', reason = NULL, due_at = :now, wake_at = :now
    WHERE id IN {ids} AND state = 'held'
    """
)
"""Sets people going again whose step is back, or was renamed with `was=`."""
