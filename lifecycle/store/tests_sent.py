"""The SQL of test sends: each is written down before its letter leaves, in a table that nothing else counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Text
from sqlalchemy.types import TypeEngine

from .sql import Statement
from .types import Id, Instant

_BEGIN = Statement(
    """
    INSERT INTO test_send (template, locale, email, customer_id, subject, message_id, state, created_at)
    SELECT template, locale, email, customer_id, subject, message_id, 'sending', created_at FROM {rows}
    RETURNING id
    """,
    rows={
        "template": "text",
        "locale": "text",
        "email": "text",
        "customer_id": "text",
        "subject": "text",
        "message_id": "text",
        "created_at": "timestamptz",
    },
)
_SETTLE = Statement("UPDATE test_send SET state = :state, reply = :reply WHERE id = :id")

_COLUMNS: Mapping[str, TypeEngine[Any]] = {
    "id": Id,
    "created_at": Instant(),
    "template": Text(),
    "locale": Text(),
    "email": Text(),
    "customer_id": Text(),
    "subject": Text(),
    "message_id": Text(),
    "state": Text(),
    "reply": Text(),
}
"""The fields of `messages --tests --json`, in their order; others rely on them."""

_NEWEST = Statement(
    f"""
    SELECT * FROM (SELECT {", ".join(_COLUMNS)} FROM test_send ORDER BY id DESC LIMIT :most) AS newest ORDER BY id
    """,
    returns=_COLUMNS,
)
_COUNT = Statement("SELECT count(*) FROM test_send")

FORGET = Statement(
    """
    UPDATE test_send SET email = NULL, subject = NULL, customer_id = NULL, reply = NULL
    WHERE customer_id IN {keys} OR lower(email) IN (SELECT lower(email) FROM customer WHERE id IN {keys})
    """
)
"""Drops what says who somebody was who asked to be forgotten; before their traits go, which tell their address."""

_EVERY = 2**62


def begin(connection: Connection, row: Mapping[str, Any]) -> int:
    """Writes down a test that is about to leave; returns its id."""
    return int(_BEGIN.run(connection, rows=[row]).scalar_one())


def settle(connection: Connection, id: int, state: str, reply: str) -> None:
    """Writes down what became of it."""
    _SETTLE.run(connection, id=id, state=state, reply=reply[:1000])


def newest(connection: Connection, most: int | None = None) -> Iterator[dict[str, Any]]:
    """The newest `most` tests, or all, in the order in which they were sent."""
    return (dict(row) for row in _NEWEST.run(connection, most=most or _EVERY).mappings())


def count(connection: Connection) -> int:
    """How many tests there are."""
    return int(_COUNT.run(connection).scalar_one())
