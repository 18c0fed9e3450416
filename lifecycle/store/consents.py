"""The SQL of consents: an append-only history, and the newest statement by topic at the customer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from .sql import Statement
from .types import Json, stamp

ALL = "*"
"""The key of a statement on all topics."""

_APPEND = Statement(
    """
    INSERT INTO consent (customer_id, topic, granted, source, text_version, at, event_id)
    SELECT rows.customer_id, rows.topic, rows.granted, rows.source, rows.text_version, rows.at, rows.event_id
    FROM {rows} WHERE true ORDER BY rows.customer_id, rows.at
    """,
    rows={
        "customer_id": "text",
        "topic": "text",
        "granted": "boolean",
        "source": "text",
        "text_version": "text",
        "at": "timestamptz",
        "event_id": "text",
    },
)
_READ = Statement("SELECT id, consents FROM customer WHERE id IN {keys}", returns={"consents": Json})
_WRITE = Statement(
    "UPDATE customer SET consents = rows.consents FROM {rows} WHERE customer.id = rows.id",
    rows={"id": "text", "consents": "jsonb"},
)


@dataclass(frozen=True, slots=True)
class Stated:
    """What somebody agreed to or withdrew; `topic` None is all."""

    customer_id: str
    topic: str | None
    granted: bool
    source: str | None
    text_version: str | None
    at: datetime
    event_id: str


def state(connection: Connection, stated: Sequence[Stated]) -> None:
    """Appends the statements and keeps the newest by topic; of two at one moment, the refusal. Customers are locked."""
    rows = [
        {
            "customer_id": one.customer_id,
            "topic": one.topic,
            "granted": one.granted,
            "source": one.source,
            "text_version": one.text_version,
            "at": one.at,
            "event_id": one.event_id,
        }
        for one in stated
    ]
    _APPEND.run(connection, rows=rows)
    newest = _read(connection, {one.customer_id for one in stated})
    for one in stated:
        topics = newest[one.customer_id]
        said = {"granted": one.granted, "at": stamp(one.at)}
        topics[one.topic or ALL] = max(topics.get(one.topic or ALL, said), said, key=_recency)
    _WRITE.run(connection, rows=[{"id": customer, "consents": topics} for customer, topics in sorted(newest.items())])


def _read(connection: Connection, customers: Collection[str]) -> dict[str, dict[str, Any]]:
    return {row.id: dict(row.consents) for row in _READ.run(connection, keys=list(customers))}


def _recency(said: Mapping[str, Any]) -> tuple[str, bool]:
    return said["at"], not said["granted"]
