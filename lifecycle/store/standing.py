"""The SQL of who has which caps: customers page by page, with what lowers theirs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Text

from .sql import Statement
from .types import Json

_PAGE = Statement(
    """
    SELECT c.id, c.timezone, c.pace, CASE WHEN f.wake_at IS NOT NULL THEN f.state END AS fatigue
    FROM customer c LEFT JOIN fatigue f ON f.customer_id = c.id
    WHERE c.id > :after AND c.erased_at IS NULL ORDER BY c.id LIMIT :most
    """,
    returns={"id": Text(), "timezone": Text(), "pace": Json, "fatigue": Text()},
)


class Standing(NamedTuple):
    """A customer's zone, the pace they asked for, and their fatigue state while it is known."""

    customer_id: str
    timezone: str | None
    pace: dict[str, Any]
    fatigue: str | None


def everybody(connection: Connection, at_once: int) -> Iterator[list[Standing]]:
    """All customers who may get mail, so many at once."""
    after = ""
    while page := [Standing._make(row) for row in _PAGE.run(connection, after=after, most=at_once).all()]:
        yield page
        after = page[-1].customer_id
