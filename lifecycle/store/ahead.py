"""The SQL of a replay: what lies ahead of a moment, and what has happened so far."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Boolean, Connection, Text

from .sql import Statement
from .types import Instant

_WAKE = Statement(
    """
    SELECT (SELECT MIN(wake_at) FROM enrollment WHERE wake_at IS NOT NULL) AS enrollment,
           (SELECT MIN(wake_at) FROM message WHERE wake_at IS NOT NULL) AS message,
           (SELECT MIN(wake_at) FROM fatigue WHERE wake_at IS NOT NULL) AS fatigue
    """,
    returns={"enrollment": Instant(), "message": Instant(), "fatigue": Instant()},
)
_LATEST = Statement(
    "SELECT MAX(received_at) AS latest, EXISTS (SELECT 1 FROM message WHERE state = 'sending') AS sending FROM event",
    returns={"latest": Instant(), "sending": Boolean()},
)
_EVENTS = Statement(
    "SELECT customer_id, name, timestamp FROM event WHERE name IN {keys} AND timestamp > :since",
    returns={"timestamp": Instant()},
)
_ENTRIES = Statement(
    """
    SELECT customer_id, MAX(entered_at) AS entered_at FROM enrollment WHERE journey = :journey GROUP BY customer_id
    """,
    returns={"entered_at": Instant()},
)
_STILL_IN = Statement(
    """
    SELECT customer_id FROM enrollment
    WHERE journey = :journey AND customer_id IN {keys} AND ended_at IS NULL AND state IN ('active', 'held')
      AND entered_at < :since
    """
)
_CUSTOMERS = Statement("SELECT id FROM customer WHERE erased_at IS NULL", returns={"id": Text()})
_MOVED = Statement("SELECT DISTINCT customer_id FROM enrollment WHERE id IN {ids}", returns={"customer_id": Text()})
_ZONES = Statement("SELECT DISTINCT timezone FROM customer WHERE id IN {keys}", returns={"timezone": Text()})

_ADDRESSED = Statement("SELECT DISTINCT customer_id FROM message WHERE id IN {ids}", returns={"customer_id": Text()})

_DUE = Statement(
    """
    SELECT EXISTS (SELECT 1 FROM enrollment WHERE wake_at IS NOT NULL AND due_at <= :moment)
        OR EXISTS (SELECT 1 FROM message WHERE wake_at IS NOT NULL AND (due_at <= :moment OR due_at IS NULL)) AS due
    """,
    returns={"due": Boolean()},
)


def next_wakes(connection: Connection) -> tuple[datetime | None, datetime | None, datetime | None]:
    """The next moment at which an enrollment, a message, and somebody's fatigue is to be looked at."""
    row = _WAKE.run(connection).one()
    return row.enrollment, row.message, row.fatigue


def reached(connection: Connection) -> tuple[datetime | None, bool]:
    """When the newest event was taken, and whether a message is being sent, or was by a worker that died."""
    row = _LATEST.run(connection).one()
    return row.latest, row.sending


def events_since(
    connection: Connection, names: Collection[str], since: datetime
) -> Iterator[tuple[str, str, datetime]]:
    """Customer, name and timestamp of the events of these names after `since`."""
    for row in _EVENTS.run(connection, keys=sorted(names), since=since):
        yield row.customer_id, row.name, row.timestamp


def last_entries(connection: Connection, journey: str) -> dict[str, datetime]:
    """When each customer last entered the journey."""
    return {row.customer_id: row.entered_at for row in _ENTRIES.run(connection, journey=journey)}


def still_in(connection: Connection, journey: str, customers: Sequence[str], since: datetime) -> list[str]:
    """Those of the customers who are in the journey and entered it before `since`."""
    return list(_STILL_IN.run(connection, journey=journey, keys=list(customers), since=since).scalars())


def customers(connection: Connection) -> list[str]:
    """The ids of all customers."""
    return list(_CUSTOMERS.run(connection).scalars())


def whose(connection: Connection, enrollments: Sequence[int]) -> list[str]:
    """The customers of these enrollments."""
    return list(_MOVED.run(connection, ids=list(enrollments)).scalars())


def zones(connection: Connection, customers: Sequence[str]) -> list[str | None]:
    """The time zones of these customers, as apps gave them."""
    return list(_ZONES.run(connection, keys=list(customers)).scalars())


def addressed(connection: Connection, messages: Sequence[int]) -> list[str]:
    """The customers of these messages."""
    return list(_ADDRESSED.run(connection, ids=list(messages)).scalars())


def due(connection: Connection, moment: datetime) -> bool:
    """Whether anything that was meant for `moment` or earlier is still to be done, or being done."""
    return bool(_DUE.run(connection, moment=moment).one().due)
