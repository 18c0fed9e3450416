"""The SQL of what caps count: how many sends, cheaply, and for the few who may be near a cap, which."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Text

from lifecycle.core.caps import longest, reach
from lifecycle.journey.caps import Cap

from .sql import Statement
from .types import Id, Instant, Json

HISTORY = Statement(
    """
    SELECT id, customer_id, journey, kind, topic, priority, sections, counted_at, sent_at, state FROM message
    WHERE customer_id IN {keys} AND counted_at IS NOT NULL AND counted_at > :since
    """,
    returns={
        "id": Id,
        "customer_id": Text(),
        "journey": Text(),
        "kind": Text(),
        "topic": Text(),
        "priority": Id,
        "sections": Json,
        "counted_at": Instant(),
        "sent_at": Instant(),
        "state": Text(),
    },
)
"""What was claimed since."""

AHEAD = Statement(
    """
    WITH theirs AS MATERIALIZED (
        SELECT id, customer_id, journey, step, awaiting, due_at FROM enrollment
        WHERE customer_id IN {keys} AND state = 'active'
    )
    SELECT theirs.customer_id, theirs.journey, theirs.step, theirs.due_at AS ends_at,
           m.id, m.kind, m.topic, m.priority, m.sections, m.due_at
    FROM theirs
    LEFT JOIN message m ON awaiting = 'message' AND m.enrollment_id = theirs.id AND m.step = theirs.step
    WHERE (awaiting IS NULL AND theirs.due_at <= :until) OR (m.state = 'pending' AND m.due_at <= :until)
    """,
    returns={
        "customer_id": Text(),
        "journey": Text(),
        "step": Text(),
        "ends_at": Instant(),
        "id": Id,
        "kind": Text(),
        "topic": Text(),
        "priority": Id,
        "sections": Json,
        "due_at": Instant(),
    },
)
"""What is planned until then: messages that wait, and enrollments whose Wait ends (those have no `id`)."""


@lru_cache(maxsize=64)
def _counting(caps: tuple[Cap, ...]) -> Statement:
    """One scan of a customer's recent sends for all windows; what a digest is of is left to whoever looks closely."""
    columns = ", ".join(f"count(*) FILTER (WHERE {_condition(n, cap)})" for n, cap in enumerate(caps))
    return Statement(
        f"""
        SELECT customer_id, {columns} FROM message
        WHERE customer_id IN {{keys}} AND counted_at IS NOT NULL AND counted_at > :since
        GROUP BY customer_id
        """,
        # Customer by customer: PostgreSQL would otherwise read the whole table while it takes it for a small one.
        postgresql=f"""
        SELECT customers.id, counts.* FROM {{keys}} AS customers(id) CROSS JOIN LATERAL (
            SELECT {columns} FROM message
            WHERE customer_id = customers.id AND counted_at IS NOT NULL AND counted_at > :since
        ) AS counts
        """,
    )


def _condition(n: int, cap: Cap) -> str:
    parts = [f"counted_at > :since_{n}"]
    if cap.counts == "marketing":
        parts.append("kind = 'marketing'")
    if cap.topic is not None:
        parts.append(f"(topic = :topic_{n} OR sections IS NOT NULL)")
    if cap.journey is not None:
        parts.append(f"(journey = :journey_{n} OR sections IS NOT NULL)")
    return " AND ".join(parts)


def count(
    connection: Connection, caps: tuple[Cap, ...], customers: Sequence[str], now: datetime
) -> dict[str, tuple[int, ...]]:
    """How many messages may count under each cap at `now`, at most, by customer; customers without any may be absent."""
    if not caps or not customers:
        return {}
    parameters: dict[str, Any] = {"keys": list(customers), "since": now - longest(caps)}
    for n, cap in enumerate(caps):
        parameters[f"since_{n}"] = now - reach(cap)
        if cap.topic is not None:
            parameters[f"topic_{n}"] = cap.topic
        if cap.journey is not None:
            parameters[f"journey_{n}"] = cap.journey
    return {row[0]: tuple(row[1:]) for row in _counting(caps).run(connection, **parameters).all()}
