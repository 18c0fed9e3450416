"""The SQL of what caps count: how many sends, cheaply, and for the few who may be near a cap, which.

Marketing and transactional mail are looked for apart: the latter, of which there may be much, only as far back as it
counts towards any cap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Text

from lifecycle.core.caps import Counted, counted, longest, reach
from lifecycle.journey.caps import Cap
from lifecycle.journey.digest import JOURNEY

from .sql import Statement
from .types import Id, Instant, Json


def _recent(columns: str, whose: str, *, all_mail: bool) -> str:
    """What was claimed since, marketing and, where it counts, transactional mail."""
    found = f"SELECT {columns} FROM message WHERE {whose} AND counted_at IS NOT NULL AND kind = "
    marketing = f"{found}'marketing' AND counted_at > :since"
    return f"{marketing} UNION ALL {found}'transactional' AND counted_at > :since_all" if all_mail else marketing


_HISTORY = Statement(
    _recent(
        "id, customer_id, journey, kind, topic, priority, sections, counted_at, sent_at",
        "customer_id IN {keys}",
        all_mail=True,
    ),
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
    },
)
_NEVER = datetime(9999, 1, 1, tzinfo=UTC)

AHEAD = Statement(
    """
    WITH theirs AS MATERIALIZED (
        SELECT id, customer_id, journey, step, awaiting, due_at FROM enrollment
        WHERE customer_id IN {keys} AND ended_at IS NULL AND state = 'active'
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
    """One scan of a customer's recent sends for all windows, which reads nothing but the index; what a digest is of is
    left to whoever looks closely."""
    columns = ", ".join(f"count(*) FILTER (WHERE {_condition(n, cap)})" for n, cap in enumerate(caps))
    counted, all_mail = "customer_id, kind, counted_at, topic, journey", any(cap.counts == "all" for cap in caps)
    recent = _recent(counted, "customer_id IN {keys}", all_mail=all_mail)
    of_one = _recent(counted, "customer_id = customers.id", all_mail=all_mail)
    return Statement(
        f"SELECT customer_id, {columns} FROM ({recent}) AS recent GROUP BY customer_id",
        # Customer by customer: PostgreSQL would otherwise read the whole table while it takes it for a small one.
        postgresql=f"""
        SELECT customers.id, counts.* FROM {{keys}} AS customers(id)
        CROSS JOIN LATERAL (SELECT {columns} FROM ({of_one}) AS recent) AS counts
        """,
    )


def _condition(n: int, cap: Cap) -> str:
    parts = [f"counted_at > :since_{n}"]
    if cap.counts == "marketing":
        parts.append("kind = 'marketing'")
    if cap.topic is not None:
        parts.append(f"(topic = :topic_{n} OR journey = '{JOURNEY}')")
    if cap.journey is not None:
        parts.append(f"journey IN (:journey_{n}, '{JOURNEY}')")
    return " AND ".join(parts)


def count(
    connection: Connection, caps: tuple[Cap, ...], customers: Sequence[str], now: datetime, lease: timedelta
) -> dict[str, tuple[int, ...]]:
    """How many messages may count under each cap at `now`, at most, by customer; who has none may be absent."""
    if not caps or not customers:
        return {}
    parameters: dict[str, Any] = {"keys": list(customers), "since": now - lease - longest(caps)}
    of_all = [cap for cap in caps if cap.counts == "all"]
    if of_all:
        parameters["since_all"] = now - lease - longest(of_all)
    for n, cap in enumerate(caps):
        parameters[f"since_{n}"] = now - lease - reach(cap)
        if cap.topic is not None:
            parameters[f"topic_{n}"] = cap.topic
        if cap.journey is not None:
            parameters[f"journey_{n}"] = cap.journey
    return {row[0]: tuple(row[1:]) for row in _counting(caps).run(connection, **parameters).all()}


def history(
    connection: Connection, caps: Collection[Cap], customers: Sequence[str], now: datetime, lease: timedelta
) -> Iterator[tuple[str, Counted]]:
    """What may count under any of `caps`, with whose it is.

    What is in flight, or may have gone out, left at the end of its lease at the latest, and not after `now`.
    """
    of_all = [cap for cap in caps if cap.counts == "all"]
    since, since_all = now - lease - longest(caps), now - lease - longest(of_all) if of_all else _NEVER
    for row in _HISTORY.run(connection, keys=customers, since=since, since_all=since_all).all():
        yield row.customer_id, counted(row, row.sent_at or min(row.counted_at + lease, now))
