"""The SQL of entering a journey by an event."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Boolean, Connection

from lifecycle.core.decide import START
from lifecycle.core.listen import Entering, Key, Visit

from .sql import Statement
from .types import Instant

_VISITS = Statement(
    """
    SELECT enrollment.journey, enrollment.customer_id, enrollment.key, MAX(enrollment.entry) AS entry,
           MAX(enrollment.entered_at) AS entered_at,
           MAX(CASE WHEN enrollment.state IN ('active', 'held') THEN 1 ELSE 0 END) AS open
    FROM {rows} JOIN enrollment ON enrollment.journey = rows.journey AND enrollment.customer_id = rows.customer_id
        AND enrollment.key = rows.key
    GROUP BY enrollment.journey, enrollment.customer_id, enrollment.key
    """,
    rows={"journey": "text", "customer_id": "text", "key": "text"},
    returns={"entered_at": Instant(), "open": Boolean()},
)
_ENTER = Statement(
    """
    INSERT INTO enrollment (journey, customer_id, key, entry, state, step, due_at, wake_at, awaiting, arrived,
                            trigger_id, "trigger", entered_at)
    SELECT rows.journey, rows.customer_id, rows.key, rows.entry, 'active', rows.step, :now, :lease_ends, :awaiting,
           false, rows.trigger_id, rows.properties, rows.entered_at
    FROM {rows} WHERE true
    ORDER BY rows.customer_id, rows.journey
    ON CONFLICT (journey, customer_id, key, entry) DO NOTHING
    RETURNING id
    """,
    rows={
        "journey": "text",
        "customer_id": "text",
        "key": "text",
        "entry": "bigint",
        "step": "text",
        "entered_at": "timestamptz",
        "trigger_id": "text",
        "properties": "jsonb",
    },
)


def visits(connection: Connection, keys: Collection[Key]) -> dict[Key, Visit]:
    """The last entry under each of these keys, where there was one. Customers are locked."""
    rows = [{"journey": journey, "customer_id": customer, "key": key} for journey, customer, key in keys]
    return {
        (row.journey, row.customer_id, row.key): Visit(row.entry, row.entered_at, row.open)
        for row in _VISITS.run(connection, rows=rows).all()
    }


def enter(connection: Connection, entering: Sequence[Entering], now: datetime, lease: timedelta) -> list[int]:
    """Makes enrollments and returns their ids, to be hinted; the scheduler hints them when `lease` is over."""
    rows = [
        {
            "journey": one.journey,
            "customer_id": one.customer_id,
            "key": one.key,
            "entry": one.entry,
            "step": one.step,
            "entered_at": one.entered_at,
            "trigger_id": one.trigger_id,
            "properties": one.trigger,
        }
        for one in entering
    ]
    entered = _ENTER.run(connection, rows=rows, now=now, lease_ends=now + lease, awaiting=START)
    return list(entered.scalars().all())
