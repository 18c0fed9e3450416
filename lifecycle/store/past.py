"""The SQL that lets a replay begin in the middle: a database's events as they came, and where people stood."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection, Text

from .sql import Statement
from .types import Id, Instant, Json

_AT_ONCE = 1000

_EVENTS = Statement(
    """
    SELECT message_id, customer_id, name, traits, timestamp, properties FROM event ORDER BY timestamp, message_id
    """,
    returns={"timestamp": Instant(), "properties": Json, "traits": Json},
)

_OF_ENROLLMENTS = {
    "id": "bigint",
    "journey": "text",
    "customer_id": "text",
    "key": "text",
    "entry": "bigint",
    "state": "text",
    "step": "text",
    "entered_at": "timestamptz",
    "ended_at": "timestamptz",
    "reason": "text",
}
_OF_MESSAGES = {
    "id": "bigint",
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
    "state": "text",
    "created_at": "timestamptz",
    "expires_at": "timestamptz",
    "capped_until": "timestamptz",
    "message_id": "text",
    "attempts": "bigint",
    "counted_at": "timestamptz",
    "sent_at": "timestamptz",
    "sections": "jsonb",
}
_TYPES = {"bigint": Id, "text": Text(), "timestamptz": Instant(), "jsonb": Json}

_ENROLLMENTS = Statement(
    """
    SELECT id, journey, customer_id, "key", entry, step, entered_at, reason,
           CASE WHEN ended_at <= :since THEN state ELSE 'exited' END AS state,
           CASE WHEN ended_at <= :since THEN ended_at ELSE :since END AS ended_at
    FROM enrollment WHERE entered_at < :since
    """,
    returns={name: _TYPES[kind] for name, kind in _OF_ENROLLMENTS.items()},
)
_MESSAGES = Statement(
    f"""
    SELECT {", ".join(f'm."{name}"' for name in _OF_MESSAGES)} FROM customer c CROSS JOIN message m
    WHERE m.customer_id = c.id AND m.counted_at > :counted_since AND m.counted_at < :since
      AND m.state IN ('sent', 'uncertain') AND COALESCE(m.sent_at, m.counted_at) < :since
    """,
    returns={name: _TYPES[kind] for name, kind in _OF_MESSAGES.items()},
)


def _putting(table: str, columns: dict[str, str], more: dict[str, str]) -> Statement:
    names = ", ".join(f'"{name}"' for name in [*columns, *more])
    values = ", ".join([*(f'rows."{name}"' for name in columns), *more.values()])
    return Statement(f"INSERT INTO {table} ({names}) SELECT {values} FROM {{rows}} WHERE true", rows=columns)


_PUT_ENROLLMENTS = _putting("enrollment", _OF_ENROLLMENTS, {"arrived": "false", "trigger": "'{}'"})
_PUT_MESSAGES = _putting("message", _OF_MESSAGES, {})


def events(connection: Connection) -> Iterator[tuple[datetime, bytes]]:
    """Every event that was accepted, with its timestamp, in the wire format and in the order of timestamps."""
    reading = connection.execution_options(stream_results=True, max_row_buffer=_AT_ONCE)
    for row in _EVENTS.run(reading):
        told: dict[str, Any] = {"messageId": row.message_id, "userId": row.customer_id, "timestamp": row.timestamp}
        if row.name is None:
            told |= {"type": "identify", "traits": row.properties}
        else:
            told |= {"type": "track", "event": row.name, "properties": row.properties}
            if row.traits:
                told["context"] = {"traits": row.traits}
        yield row.timestamp, orjson.dumps(told, option=orjson.OPT_UTC_Z)


def copy_standing(source: Connection, target: Connection, since: datetime, counted: timedelta) -> None:
    """Copies what was before `since`: who had entered what, as ended then at the latest, and what was sent in the
    `counted` before it.
    """
    reading = source.execution_options(stream_results=True, max_row_buffer=_AT_ONCE)
    for statement, put, bound in (
        (_ENROLLMENTS, _PUT_ENROLLMENTS, {}),
        (_MESSAGES, _PUT_MESSAGES, {"counted_since": since - counted}),
    ):
        rows = (dict(row) for row in statement.run(reading, since=since, **bound).mappings())
        while some := list(islice(rows, _AT_ONCE)):
            put.run(target, rows=some)
