"""The SQL of events: taking each once for ever, and counting them by customer and name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from lifecycle.wire import Fact, Track

from .sql import Statement
from .types import Instant, Json

# Sorted by message id, or two consumers that got the same events in another order would wait for each other.
_ADD = Statement(
    """
    INSERT INTO event (message_id, customer_id, name, timestamp, received_at, properties, traits, digest)
    SELECT rows.message_id, rows.customer_id, rows.name, rows.timestamp, :received_at, rows.properties,
           rows.traits, rows.digest
    FROM {rows} WHERE true
    {sorted rows.message_id}
    ON CONFLICT (message_id) DO NOTHING
    RETURNING message_id
    """,
    rows={
        "message_id": "text",
        "customer_id": "text",
        "name": "text",
        "timestamp": "timestamptz",
        "properties": "jsonb",
        "traits": "jsonb",
        "digest": "text",
    },
)
_DIGESTS = Statement("SELECT message_id, digest FROM event WHERE message_id IN {keys}")
_COUNT = Statement(
    """
    INSERT INTO activity (customer_id, event, count, first_at, last_at)
    SELECT rows.customer_id, rows.event, rows.count, rows.first_at, rows.last_at FROM {rows} WHERE true
    {sorted rows.customer_id, rows.event}
    ON CONFLICT (customer_id, event) DO UPDATE SET
        count = activity.count + excluded.count,
        first_at = CASE WHEN excluded.first_at < activity.first_at THEN excluded.first_at ELSE activity.first_at END,
        last_at = CASE WHEN excluded.last_at > activity.last_at THEN excluded.last_at ELSE activity.last_at END
    """,
    rows={
        "customer_id": "text",
        "event": "text",
        "count": "bigint",
        "first_at": "timestamptz",
        "last_at": "timestamptz",
    },
)
_STATEMENTS = Statement(
    """
    SELECT customer_id, timestamp, COALESCE(traits, properties) AS traits
    FROM event WHERE customer_id IN {keys} AND (name IS NULL OR traits IS NOT NULL)
    ORDER BY customer_id, timestamp, message_id
    """,
    returns={"timestamp": Instant(), "traits": Json},
)
_FIRST = Statement(
    "SELECT customer_id, MIN(timestamp) AS first_at FROM event WHERE customer_id IN {keys} GROUP BY customer_id",
    returns={"first_at": Instant()},
)
_FORGET = Statement(
    """
    UPDATE event SET properties = CASE WHEN name IS NULL THEN '{}' ELSE properties END, traits = NULL
    WHERE customer_id IN {keys} AND (name IS NULL OR traits IS NOT NULL)
    """
)


@dataclass(frozen=True, slots=True)
class Said:
    """What apps said of one customer: the traits of each statement, oldest first, and when the newest was made."""

    traits: Sequence[Mapping[str, Any]]
    newest: datetime


def add(connection: Connection, facts: Mapping[str, Fact], received_at: datetime) -> set[str]:
    """Stores those of `facts` (by message id) that are new, and returns their ids."""
    rows = [_row(facts[message_id]) for message_id in sorted(facts)]
    return set(_ADD.run(connection, rows=rows, received_at=received_at).scalars().all())


def digests(connection: Connection, message_ids: Collection[str]) -> dict[str, str]:
    """What the stored events of these ids contain, as digests."""
    return {row.message_id: row.digest for row in _DIGESTS.run(connection, keys=list(message_ids))}


def count(connection: Connection, tracks: Iterable[Track]) -> None:
    """Adds new events to their customers' activity."""
    brief: dict[tuple[str, str], list[Any]] = {}
    for track in tracks:
        at = track.timestamp
        row = brief.setdefault((track.customer_id, track.event), [0, at, at])
        row[0] += 1
        if at < row[1]:
            row[1] = at
        elif at > row[2]:
            row[2] = at
    rows = [
        {"customer_id": customer, "event": event, "count": number, "first_at": first, "last_at": last}
        for (customer, event), (number, first, last) in sorted(brief.items())
    ]
    if rows:
        _COUNT.run(connection, rows=rows)


def statements(connection: Connection, customers: Collection[str]) -> dict[str, Said]:
    """All that was ever said of these customers."""
    traits: dict[str, list[Mapping[str, Any]]] = {}
    newest: dict[str, datetime] = {}
    for row in _STATEMENTS.run(connection, keys=list(customers)):
        if row.traits:  # an identify may say nothing
            traits.setdefault(row.customer_id, []).append(row.traits)
            newest[row.customer_id] = row.timestamp
    return {customer: Said(traits[customer], newest[customer]) for customer in traits}


def first_timestamps(connection: Connection, customers: Collection[str]) -> dict[str, datetime]:
    """When each of these customers was first heard of."""
    return {row.customer_id: row.first_at for row in _FIRST.run(connection, keys=list(customers))}


def forget(connection: Connection, customers: Collection[str]) -> None:
    """Drops from the events of these customers what says who they are; that they happened remains."""
    _FORGET.run(connection, keys=list(customers))


def _row(fact: Fact) -> dict[str, object]:
    if isinstance(fact, Track):
        name, properties, traits = fact.event, fact.properties, fact.traits or None
    else:
        name, properties, traits = None, fact.traits, None
    return {
        "message_id": fact.message_id,
        "customer_id": fact.customer_id,
        "name": name,
        "timestamp": fact.timestamp,
        "properties": properties,
        "traits": traits,
        "digest": fact.digest,
    }
