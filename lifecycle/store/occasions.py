"""The SQL of looking at one email: the customer, their newest message of it, and what started a journey of theirs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Date, Text

from .sql import Statement
from .types import Id, Instant, Json

_CUSTOMER = Statement(
    """
    SELECT id, email, first_name, last_name, birthday, timezone, locale, created_at, traits FROM customer WHERE id = :id
    """,
    returns={"birthday": Date(), "created_at": Instant(), "traits": Json},
)
_MESSAGE = Statement(
    """
    SELECT m.id, m.message_id, m.email, m.journey, m.kind, m.topic, m.state, m.sections, e.trigger
    FROM message m JOIN enrollment e ON e.id = m.enrollment_id
    WHERE e.customer_id = :id AND m.template = :template AND COALESCE(m.counted_at, m.created_at) < :before
    ORDER BY COALESCE(m.counted_at, m.created_at) DESC, m.id DESC LIMIT 1
    """,
    returns={
        "id": Id,
        "message_id": Text(),
        "email": Text(),
        "journey": Text(),
        "kind": Text(),
        "topic": Text(),
        "state": Text(),
        "sections": Json,
        "trigger": Json,
    },
)
_EVENT = Statement(
    """
    SELECT properties FROM event WHERE customer_id = :id AND name = :event AND timestamp < :before
    ORDER BY timestamp DESC, message_id LIMIT 1
    """,
    returns={"properties": Json},
)

_DATE = timedelta(seconds=1)  # a letter's Date has no fractions: what was sent within its second was sent at it


def customer(connection: Connection, id: str) -> Any:
    """The columns of a customer that emails may print, for `facts.customer_traits`; None if there is none."""
    return _CUSTOMER.run(connection, id=id).first()


def newest_message(connection: Connection, id: str, template: str, at: datetime) -> Any:
    """The customer's newest message of that email that was begun by `at`, with its journey's trigger; or None."""
    return _MESSAGE.run(connection, id=id, template=template, before=at + _DATE).first()


def newest_event(connection: Connection, id: str, event: str, at: datetime) -> dict[str, Any] | None:
    """The properties of the customer's newest event of that name by `at`, or None."""
    found: dict[str, Any] | None = _EVENT.run(connection, id=id, event=event, before=at + _DATE).scalar()
    return found
