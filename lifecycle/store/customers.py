"""The SQL of customers: making and locking them in the order of their ids, and keeping their traits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Date

from lifecycle.journey.vocabulary import RESERVED

from .sql import Statement
from .types import Instant, Json

# On PostgreSQL whoever is missing is made before anybody is locked: a row that another transaction makes meanwhile is
# waited for here, where no lock is held that it could be waiting for.
_KNOWN = Statement("SELECT id FROM customer WHERE id IN {keys}")
_MAKE = Statement(
    """
    INSERT INTO customer (id, created_at, traits, consents)
    SELECT rows.id, rows.first_at, '{}', '{}' FROM {rows} WHERE true
    ORDER BY rows.id
    ON CONFLICT (id) DO NOTHING
    """,
    rows={"id": "text", "first_at": "timestamptz"},
)
# What is selected is computed after the lock was got, from the row as it then is.
_LOCK = Statement(
    """
    SELECT customer.id, rows.first_at < customer.created_at OR COALESCE(rows.traits_at <= customer.identified_at, false)
        OR customer.erased_at IS NOT NULL AS late
    FROM {rows} JOIN customer ON customer.id = rows.id
    {sorted customer.id} {lock}
    """,
    rows={"id": "text", "first_at": "timestamptz", "traits_at": "timestamptz"},
)
_ERASED = Statement("SELECT id FROM customer WHERE id IN {keys} AND erased_at IS NOT NULL")
_IDENTIFIED = Statement(
    "SELECT id, identified_at FROM customer WHERE id IN {keys} AND erased_at IS NULL",
    returns={"identified_at": Instant()},
)
_READ = Statement(
    """
    SELECT id, email, first_name, last_name, birthday, timezone, locale, created_at, traits
    FROM customer WHERE id IN {keys}
    """,
    returns={"birthday": Date(), "created_at": Instant(), "traits": Json},
)
_WRITE = Statement(
    """
    UPDATE customer
    SET email = rows.email, first_name = rows.first_name, last_name = rows.last_name, birthday = rows.birthday,
        birthday_md = rows.birthday_md, timezone = rows.timezone, locale = rows.locale,
        created_at = rows.created_at, traits = rows.traits, identified_at = rows.identified_at
    FROM {rows} WHERE customer.id = rows.id
    """,
    rows={
        "id": "text",
        "email": "text",
        "first_name": "text",
        "last_name": "text",
        "birthday": "date",
        "birthday_md": "bigint",
        "timezone": "text",
        "locale": "text",
        "created_at": "timestamptz",
        "traits": "jsonb",
        "identified_at": "timestamptz",
    },
)
_ERASE = Statement(
    """
    UPDATE customer SET erased_at = rows.at
    FROM {rows} WHERE customer.id = rows.id AND (customer.erased_at IS NULL OR customer.erased_at > rows.at)
    """,
    rows={"id": "text", "at": "timestamptz"},
)


def lock(connection: Connection, first_seen: Mapping[str, datetime], traits_at: Mapping[str, datetime]) -> set[str]:
    """Makes the customers that are new, and locks all of them in the order of their ids.

    `first_seen`: the earliest timestamp of theirs at hand, by customer id; `traits_at`: the earliest that comes with
    traits. Returns those who are known of since later, and those who were erased: their traits must be read anew from
    the events.
    """
    rows = [
        {"id": customer, "first_at": at, "traits_at": traits_at.get(customer)}
        for customer, at in sorted(first_seen.items())
    ]
    if connection.dialect.name == "postgresql":
        _make(connection, rows, _KNOWN.run(connection, keys=list(first_seen)).scalars().all())
    locked = _LOCK.run(connection, rows=rows).all()
    _make(connection, rows, [row.id for row in locked])  # SQLite's only writer; nothing can be late for whom it makes
    return {row.id for row in locked if row.late}


def _make(connection: Connection, rows: Sequence[Mapping[str, object]], known: Sequence[str]) -> None:
    if len(known) < len(rows):
        missing = {row["id"] for row in rows}.difference(known)
        _MAKE.run(connection, rows=[row for row in rows if row["id"] in missing])


def erased(connection: Connection, customers: Collection[str]) -> list[str]:
    """Those of these customers who asked to be forgotten."""
    return list(_ERASED.run(connection, keys=list(customers)).scalars())


def identified(connection: Connection, customers: Collection[str]) -> dict[str, datetime | None]:
    """When the newest statement about each of these customers was made; those who were erased are absent."""
    return {row.id: row.identified_at for row in _IDENTIFIED.run(connection, keys=list(customers)).all()}


def read(connection: Connection, customers: Collection[str]) -> dict[str, dict[str, object]]:
    """What is known of each: reserved traits typed, free ones as JSON gave them, unknown ones absent."""
    known: dict[str, dict[str, object]] = {}
    for row in _READ.run(connection, keys=list(customers)).mappings().all():
        reserved = {name: row[name] for name in RESERVED if row[name] is not None}
        known[row["id"]] = {**row["traits"], **reserved}
    return known


def write(
    connection: Connection,
    known: Mapping[str, Mapping[str, object]],
    identified_at: Mapping[str, datetime | None],
) -> None:
    """Stores what is known of each; `created_at` must be among it."""
    _WRITE.run(
        connection, rows=[_row(customer, known[customer], identified_at[customer]) for customer in sorted(known)]
    )


def erase(connection: Connection, at: Mapping[str, datetime]) -> None:
    """Notes that these customers asked to be forgotten; what says who they are is for the caller to drop."""
    if connection.dialect.name == "sqlite":
        # For the rest of the transaction: pages that become free are overwritten, too.
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    _ERASE.run(connection, rows=[{"id": customer, "at": moment} for customer, moment in sorted(at.items())])


def _row(customer: str, known: Mapping[str, Any], identified_at: datetime | None) -> dict[str, object]:
    birthday = known.get("birthday")
    return {
        "id": customer,
        **{name: known.get(name) for name in RESERVED},
        "birthday_md": birthday.month * 100 + birthday.day if birthday else None,
        "traits": {name: value for name, value in known.items() if name not in RESERVED},
        "identified_at": identified_at,
    }
