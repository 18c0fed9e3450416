"""The SQL of purchases: whose orders are not in them yet, and taking those in, customer by customer.

Nothing here looks at when an event was received. A customer's purchases are out of date exactly if their activity
counts another number of orders than went into them: an order that comes late, out of order, or in a transaction that
commits after others, is found like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Connection, Text

from .sql import Statement
from .types import Instant, Json

_OUT_OF_DATE = Statement(
    """
    SELECT a.customer_id FROM activity a
    JOIN customer c ON c.id = a.customer_id AND c.erased_at IS NULL
    LEFT JOIN shopper s ON s.customer_id = a.customer_id
    WHERE a.event = :event AND a.count <> COALESCE(s.orders, 0) AND a.customer_id > :after
    ORDER BY a.customer_id LIMIT :most
    """,
    returns={"customer_id": Text()},
)
# An erasure waits for the batch that holds its customer, or goes first: then the customer is not found here.
_HOLD = Statement("SELECT id FROM customer WHERE id IN {keys} AND erased_at IS NULL ORDER BY id {share}")
_ORDERS = Statement(
    "SELECT customer_id, timestamp, properties FROM event WHERE customer_id IN {keys} AND name = :event",
    returns={"customer_id": Text(), "timestamp": Instant(), "properties": Json},
)
_NEWEST = Statement(
    """
    SELECT customer_id, timestamp, properties, stale FROM (
        SELECT e.customer_id, e.timestamp, e.properties,
            row_number() OVER (PARTITION BY e.customer_id ORDER BY e.timestamp DESC, e.message_id DESC) AS place,
            count(*) OVER (PARTITION BY e.customer_id) <> COALESCE(s.orders, 0) AS stale
        FROM event e LEFT JOIN shopper s ON s.customer_id = e.customer_id
        WHERE e.customer_id IN {keys} AND e.name = :event
    ) AS theirs
    WHERE place <= :most OR stale
    ORDER BY customer_id, place
    """,
    returns={"customer_id": Text(), "timestamp": Instant(), "properties": Json, "stale": Boolean()},
)
_DROP = Statement("DELETE FROM purchase WHERE customer_id IN {keys}")
_ADD = Statement(
    """
    INSERT INTO purchase (customer_id, product_id, quantity, last_at, place)
    SELECT rows.customer_id, rows.product_id, rows.quantity, rows.last_at, rows.place FROM {rows} WHERE true
    ORDER BY rows.customer_id, rows.product_id
    ON CONFLICT (customer_id, product_id) DO UPDATE SET
        quantity = excluded.quantity, last_at = excluded.last_at, place = excluded.place
    """,
    rows={
        "customer_id": "text",
        "product_id": "text",
        "quantity": "bigint",
        "last_at": "timestamptz",
        "place": "bigint",
    },
)
_NOTE = Statement(
    """
    INSERT INTO shopper (customer_id, orders) SELECT rows.customer_id, rows.orders FROM {rows} WHERE true
    ORDER BY rows.customer_id
    ON CONFLICT (customer_id) DO UPDATE SET orders = excluded.orders
    """,
    rows={"customer_id": "text", "orders": "bigint"},
)
_LEAVE = Statement("DELETE FROM shopper WHERE customer_id IN {keys}")
_LEAVE_ALL = (Statement("DELETE FROM shopper"), Statement("DELETE FROM purchase"))
_OF = Statement(
    """
    SELECT b.product_id, p.name, b.quantity, b.last_at, b.place
    FROM purchase b LEFT JOIN product p ON p.id = b.product_id
    WHERE b.customer_id = :customer ORDER BY b.place
    """,
    returns={"last_at": Instant()},
)


def out_of_date(connection: Connection, event: str, after: str, most: int) -> list[str]:
    """Up to `most` customers behind the id `after`, by id, whose orders are not all in their purchases."""
    return list(_OUT_OF_DATE.run(connection, event=event, after=after, most=most).scalars())


def hold(connection: Connection, customers: Sequence[str]) -> list[str]:
    """Those of these customers who were not erased, and are not until the transaction ends."""
    return list(_HOLD.run(connection, keys=customers).scalars())


def orders(
    connection: Connection, customers: Sequence[str], event: str
) -> dict[str, list[tuple[datetime, Mapping[str, Any]]]]:
    """All orders of these customers, in no order: when, and what the event says."""
    found: dict[str, list[tuple[datetime, Mapping[str, Any]]]] = {}
    for row in _ORDERS.run(connection, keys=customers, event=event).all():
        found.setdefault(row.customer_id, []).append((row.timestamp, row.properties))
    return found


def newest_orders(
    connection: Connection, customers: Collection[str], event: str, most: int
) -> dict[str, tuple[bool, list[tuple[datetime, Mapping[str, Any]]]]]:
    """The orders of these customers, the newest in front: `most` of each, or all where others than those in their
    purchases are among them, which the first value says."""
    found: dict[str, tuple[bool, list[tuple[datetime, Mapping[str, Any]]]]] = {}
    for row in _NEWEST.run(connection, keys=list(customers), event=event, most=most).all():
        found.setdefault(row.customer_id, (row.stale, []))[1].append((row.timestamp, row.properties))
    return found


def replace(
    connection: Connection,
    histories: Mapping[str, Sequence[tuple[str, int, datetime]]],
    numbers: Mapping[str, int],
) -> None:
    """Keeps what these customers bought, as `copurchase.history` has it, out of so many orders."""
    _DROP.run(connection, keys=list(numbers))
    rows = [
        {"customer_id": customer, "product_id": product, "quantity": quantity, "last_at": at, "place": place}
        for customer, history in histories.items()
        for place, (product, quantity, at) in enumerate(history, 1)
    ]
    if rows:
        _ADD.run(connection, rows=rows)
    _NOTE.run(connection, rows=[{"customer_id": customer, "orders": number} for customer, number in numbers.items()])


def forget(connection: Connection, customers: Collection[str]) -> None:
    """Drops what these customers bought, who are locked."""
    _DROP.run(connection, keys=list(customers))
    _LEAVE.run(connection, keys=list(customers))


def forget_all(connection: Connection) -> None:
    """Drops everybody's purchases, so that all orders are taken in anew."""
    for statement in _LEAVE_ALL:
        statement.run(connection)


def of(connection: Connection, customer: str) -> list[dict[str, Any]]:
    """What one customer bought, the newest in front; `name` is None where the catalogue does not have it."""
    return [dict(row) for row in _OF.run(connection, customer=customer).mappings().all()]
