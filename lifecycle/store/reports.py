"""Reading for people: listings and one person's story. Orders never follow generated ids, so that replays agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Connection, Date, Text
from sqlalchemy.types import TypeEngine

from .database import Database
from .sql import Statement
from .types import Id, Instant, Json

_MESSAGE: Mapping[str, TypeEngine[Any]] = {
    "id": Id,
    "customer_id": Text(),
    "email": Text(),
    "journey": Text(),
    "step": Text(),
    "enrollment_id": Id,
    "key": Text(),
    "template": Text(),
    "locale": Text(),
    "kind": Text(),
    "topic": Text(),
    "priority": Id,
    "state": Text(),
    "reason": Text(),
    "subject": Text(),
    "created_at": Instant(),
    "due_at": Instant(),
    "sent_at": Instant(),
    "attempts": Id,
    "message_id": Text(),
    "digest_id": Id,
}
"""The fields of `messages --json`, in their order; others rely on them."""

_MESSAGE_COLUMNS = ", ".join(f'"{name}"' for name in _MESSAGE)
_MESSAGE_ORDER = ("created_at", "journey", "customer_id", '"key"', "step", "message_id")
_MESSAGE_FILTERS = {
    "states": "state IN {keys}",
    "journey": "journey = :journey",
    # Messages are indexed by enrollment, enrollments by customer.
    "customer": "enrollment_id IN (SELECT id FROM enrollment WHERE customer_id = :customer)",
    "reason": "substr(reason, 1, length(CAST(:reason AS text))) = :reason",
}

_CUSTOMER: Mapping[str, TypeEngine[Any]] = {
    "id": Text(),
    "email": Text(),
    "first_name": Text(),
    "last_name": Text(),
    "birthday": Date(),
    "timezone": Text(),
    "locale": Text(),
    "created_at": Instant(),
    "erased_at": Instant(),
    "traits": Json,
    "pace": Json,
}
_CUSTOMERS = Statement(
    f"""
    SELECT {", ".join(_CUSTOMER)} FROM customer
    WHERE id > :after AND (CAST(:email AS text) IS NULL OR lower(email) LIKE lower(:email) ESCAPE '!')
    ORDER BY id LIMIT :most
    """,
    returns=_CUSTOMER,
)
_CUSTOMER_BY_ID = Statement(f"SELECT {', '.join(_CUSTOMER)} FROM customer WHERE id = :id", returns=_CUSTOMER)
_WHOSE_ADDRESS = Statement(
    "SELECT id FROM customer WHERE lower(email) = lower(CAST(:email AS text)) ORDER BY id LIMIT 1",
    returns={"id": Text()},
)

_EVENTS = Statement(
    """
    SELECT message_id, name, timestamp, received_at, properties, traits FROM event WHERE customer_id = :id
    ORDER BY timestamp, message_id
    """,
    returns={"timestamp": Instant(), "received_at": Instant(), "properties": Json, "traits": Json},
)
_CONSENTS = Statement(
    """
    SELECT topic, granted, source, text_version, at FROM consent WHERE customer_id = :id ORDER BY at, event_id, topic
    """,
    returns={"granted": Boolean(), "at": Instant()},
)
_ENROLLMENTS = Statement(
    """
    SELECT id, journey, "key", entry, state, step, awaiting, due_at, entered_at, ended_at, reason
    FROM enrollment WHERE customer_id = :id ORDER BY entered_at, journey, "key", entry
    """,
    returns={"due_at": Instant(), "entered_at": Instant(), "ended_at": Instant()},
)
_SUPPRESSION = Statement(
    "SELECT address, reason, at, reply FROM suppression WHERE address = lower(CAST(:email AS text))",
    returns={"at": Instant()},
)

_NEWEST_EVENT = Statement(
    """
    SELECT properties FROM event WHERE customer_id = :id AND name = :event ORDER BY timestamp DESC, message_id LIMIT 1
    """,
    returns={"properties": Json},
)

_PARKED = Statement(
    """
    SELECT journey, step, count(*) AS people FROM enrollment WHERE state IN ('active', 'held')
    GROUP BY journey, step ORDER BY journey, step
    """
)
_PEOPLE = Statement("SELECT journey, state, count(*) AS people FROM enrollment GROUP BY journey, state")
_OUTCOMES = Statement("SELECT journey, state, count(*) AS number FROM message GROUP BY journey, state")


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages: in one of `states`, of `journey`, to `customer`, and with a reason that begins with `reason`."""

    states: tuple[str, ...] = ()
    journey: str | None = None
    customer: str | None = None
    reason: str | None = None

    @property
    def where(self) -> str:
        """The condition as SQL."""
        wanted = [sql for name, sql in _MESSAGE_FILTERS.items() if getattr(self, name)]
        return "FROM message WHERE " + " AND ".join(wanted or ["true"])

    @property
    def parameters(self) -> dict[str, Any]:
        """What `where` compares with."""
        given = {name: getattr(self, name) for name in ("journey", "customer", "reason")}
        return {name: value for name, value in given.items() if value} | ({"keys": self.states} if self.states else {})


EVERY_MESSAGE = MessageFilter()


def messages(
    connection: Connection, which: MessageFilter = EVERY_MESSAGE, *, most: int | None = None
) -> Iterator[dict[str, Any]]:
    """Messages in the order of their making, the newest `most` if given; read as they are asked for."""
    order = ", ".join(_MESSAGE_ORDER)
    select = f"SELECT {_MESSAGE_COLUMNS} {which.where}"
    parameters = which.parameters
    if most is not None:
        newest = ", ".join(f"{column} DESC" for column in _MESSAGE_ORDER)
        select = f"SELECT {_MESSAGE_COLUMNS} FROM ({select} ORDER BY {newest} LIMIT :most) AS newest"
        parameters["most"] = most
    reading = connection.execution_options(stream_results=True, max_row_buffer=1000)
    found = Statement(f"{select} ORDER BY {order}", returns=_MESSAGE).run(reading, **parameters)
    return (dict(row) for row in found.mappings())


def count_messages(connection: Connection, which: MessageFilter) -> int:
    """How many messages there are of that kind."""
    count = Statement(f"SELECT count(*) {which.where}")
    return int(count.run(connection, **which.parameters).scalar_one())


def customers(
    connection: Connection, *, email: str | None = None, after: str = "", most: int = 1000
) -> list[dict[str, Any]]:
    """Customers by id, from the one after `after` on; `email` may have `*` for any letters."""
    pattern = email and "".join({"*": "%", "%": "!%", "_": "!_", "!": "!!"}.get(char, char) for char in email)
    return [dict(row) for row in _CUSTOMERS.run(connection, email=pattern, after=after, most=most).mappings()]


def customer(connection: Connection, id: str) -> dict[str, Any] | None:
    """One customer, or None."""
    row = _CUSTOMER_BY_ID.run(connection, id=id).mappings().first()
    return dict(row) if row else None


def whose_address(connection: Connection, email: str) -> str | None:
    """The id of a customer with that address, or None. Reads all customers: for single questions."""
    return _WHOSE_ADDRESS.run(connection, email=email).scalar()


def story(connection: Connection, id: str, email: str | None) -> dict[str, list[dict[str, Any]]]:
    """All that is kept of one customer: events, consents, enrollments, messages and the address's suppression."""
    found = {
        "event": _EVENTS.run(connection, id=id),
        "consent": _CONSENTS.run(connection, id=id),
        "enrollment": _ENROLLMENTS.run(connection, id=id),
        "suppression": _SUPPRESSION.run(connection, email=email),
    }
    return {kind: [dict(row) for row in rows.mappings()] for kind, rows in found.items()} | {
        "message": list(messages(connection, MessageFilter(customer=id)))
    }


def parked(db: Database) -> list[tuple[str, str, int]]:
    """Where people stand: (journey, step, how many)."""
    with db.reading() as connection:
        return [(row.journey, row.step, row.people) for row in _PARKED.run(connection)]


def people(connection: Connection) -> dict[str, dict[str, int]]:
    """How many enrollments and messages there are, by journey and then by state."""
    counts: dict[str, dict[str, int]] = {}
    for row in _PEOPLE.run(connection):
        counts.setdefault(row.journey, {})[row.state] = row.people
    for row in _OUTCOMES.run(connection):
        counts.setdefault(row.journey, {})[row.state] = row.number
    return counts


def newest_trigger(connection: Connection, id: str, event: str) -> dict[str, Any] | None:
    """The properties of a customer's newest event of that name, or None."""
    found: dict[str, Any] | None = _NEWEST_EVENT.run(connection, id=id, event=event).scalar()
    return found
