"""The SQL of enrollments that listen: those that an event can end or wake."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Boolean, Connection

from lifecycle.core.listen import Enrolled

from .sql import Statement
from .types import Instant, Json, stamp

_OPEN = Statement(
    """
    SELECT id, journey, customer_id, key, step, awaiting, arrived, due_at, "trigger", entered_at
    FROM enrollment WHERE customer_id IN {keys} AND ended_at IS NULL AND state IN ('active', 'held')
        AND (awaiting IN (SELECT event FROM {rows}) OR journey IN (SELECT journey FROM {rows}))
    ORDER BY id
    """,
    rows={"event": "text", "journey": "text"},
    returns={"due_at": Instant(), "arrived": Boolean(), "trigger": Json, "entered_at": Instant()},
)
_WAKE = Statement(
    """
    UPDATE enrollment SET arrived = true, due_at = :now, wake_at = :lease_ends
    WHERE id IN {ids} AND state = 'active'
    """
)
_END = Statement(
    """
    UPDATE enrollment
    SET state = rows.state, reason = rows.reason, ended_at = :now, due_at = NULL, wake_at = NULL, awaiting = NULL
    FROM {rows} WHERE enrollment.id = rows.id
    """,
    rows={"id": "bigint", "state": "text", "reason": "text"},
)
# Whoever delivers then looks at once, and skips it with the reason.
_LOOK = Statement("UPDATE message SET due_at = :now, wake_at = :now WHERE enrollment_id IN {ids} AND state = 'pending'")


def open_enrollments(
    connection: Connection, customers: Collection[str], events: Collection[str], journeys: Collection[str]
) -> dict[str, list[Enrolled]]:
    """The enrollments of these customers that await one of `events` or are in one of `journeys`, by customer id.

    Only those that are not over. Customers are locked.
    """
    rows = [{"event": event} for event in sorted(events)] + [{"journey": journey} for journey in sorted(journeys)]
    found: dict[str, list[Enrolled]] = {}
    for row in _OPEN.run(connection, keys=list(customers), rows=rows).mappings().all():
        found.setdefault(row["customer_id"], []).append(Enrolled(**row))
    return found


def wake(connection: Connection, ids: Sequence[int], now: datetime, lease: timedelta) -> None:
    """What these enrollments awaited has come; the caller hints them, the scheduler does when `lease` is over."""
    _WAKE.run(connection, ids=list(ids), now=stamp(now), lease_ends=stamp(now + lease))


def end(connection: Connection, ended: Mapping[int, tuple[str, str]], now: datetime) -> None:
    """Ends enrollments, by id with (state, reason); their pending messages come up at once, to be skipped."""
    rows = [
        {"id": enrollment, "state": state, "reason": reason} for enrollment, (state, reason) in sorted(ended.items())
    ]
    _END.run(connection, rows=rows, now=stamp(now))
    _LOOK.run(connection, ids=sorted(ended), now=stamp(now))
