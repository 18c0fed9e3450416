"""A small shop for tests: words, journeys, and events as apps would send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, text

from lifecycle import (
    Attribute,
    Event,
    Exit,
    Flag,
    Journey,
    Policy,
    Property,
    Send,
    Sender,
    Wait,
    WaitFor,
    days,
    hours,
    on,
    when,
)
from lifecycle.flow.consume import Entry, Taken, take
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.store import events
from lifecycle.store.database import Database
from lifecycle.wire import Fact

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)
MAX_LATENESS = timedelta(hours=72)


class customer:  # noqa: N801 - the noun of the language
    vip = Flag()
    lifetime_value = Attribute[Decimal]()


class Order(Event, name="order.completed"):
    order_id = Property[str]()
    total = Property[float]()


class Review(Event, name="review.posted"):
    order_id = Property[str]()


class Signup(Event, name="customer.registered"):
    source = Property[str]()


POST_PURCHASE = Journey(
    name="post_purchase",
    topic="orders",
    enter=on(Order),
    key=Order.order_id,
    steps=[
        WaitFor("review", Review, up_to=days(10), where=Review.order_id == Order.order_id, then=[Exit("reviewed")]),
        Send("post_purchase/ask_review"),
    ],
)
WIN_BACK = Journey(
    name="win_back",
    topic="offers",
    enter=when(Order.times(at_least=2) & ~Order.happened(last=days(90))),
    goal=Order,
    again_after=days(180),
    steps=[Send("win_back/news"), Wait("consider", days(7)), Send("win_back/note")],
)
FIRST_ORDER = Journey(
    name="first_order",
    topic="orders",
    enter=on(Order, where=Order.total >= 10.0),
    only=Order.times(at_most=1),
    steps=[Send("first_order/thanks")],
)
LOYAL = Journey(
    name="loyal",
    topic="offers",
    enter=on(Signup),
    goal=Order,
    again_after=hours(1),
    exit_when=customer.vip,
    steps=[Wait("a while", days(30)), Send("loyal/hello")],
)
SHOP = Project(
    Vocabulary(
        attributes={"vip": customer.vip, "lifetime_value": customer.lifetime_value},
        events={event.event_name: event for event in (Order, Review, Signup)},
    ),
    {journey.name: journey for journey in (FIRST_ORDER, LOYAL, POST_PURCHASE, WIN_BACK)},
    Policy(sender=Sender("Toko Kopi", "halo@tokokopi.example", postal_address="Jl. Braga 1, Bandung")),
)


def track(
    message_id: str,
    customer_id: str,
    event: str,
    at: datetime = NOW,
    traits: dict[str, Any] | None = None,
    **properties: Any,
) -> bytes:
    """A track as it stands in the stream."""
    message: dict[str, Any] = {"type": "track", "messageId": message_id, "userId": customer_id, "event": event}
    context = {"context": {"traits": traits}} if traits else {}
    return orjson.dumps(message | {"timestamp": at, "properties": properties} | context)


def identify(message_id: str, customer_id: str, at: datetime = NOW, **traits: Any) -> bytes:
    """An identify as it stands in the stream."""
    message = {"type": "identify", "messageId": message_id, "userId": customer_id, "timestamp": at, "traits": traits}
    return orjson.dumps(message)


def order(number: str, customer_id: str, at: datetime = NOW, total: float = 20.0) -> bytes:
    """An order with its number as message id too."""
    return track(f"order-{number}", customer_id, "order.completed", at, order_id=number, total=total)


def entries(*raws: bytes) -> list[Entry]:
    """Stream entries, numbered."""
    return [Entry(f"{number}-0", raw) for number, raw in enumerate(raws, 1)]


def taking(db: Database, *raws: bytes, now: datetime = NOW, project: Project = SHOP) -> Taken:
    """Takes these as one batch."""
    return take(db, project, entries(*raws), now, lease=LEASE, max_lateness=MAX_LATENESS)


def unforeseen(monkeypatch: pytest.MonkeyPatch, message_id: str) -> None:
    """Has the engine fail at any batch that holds this event, in a way that nobody foresaw."""
    add = events.add

    def fussy(connection: Connection, facts: Mapping[str, Fact], received_at: datetime) -> set[str]:
        if message_id in facts:
            raise RuntimeError("nobody foresaw this")
        return add(connection, facts, received_at)

    monkeypatch.setattr(events, "add", fussy)


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    with db.reading() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def document(stored: Any) -> Any:
    """A JSON column as a value, from either database."""
    return orjson.loads(stored) if isinstance(stored, str) else stored


def enrolled(db: Database, journey: str) -> list[tuple[Any, ...]]:
    """(customer, key, entry, state, reason) of a journey."""
    return rows(
        db,
        f"SELECT customer_id, key, entry, state, reason FROM enrollment WHERE journey = '{journey}' "
        "ORDER BY customer_id, key, entry",
    )


def letters(db: Database) -> dict[str, str]:
    """The reasons of dead letters by entry."""
    return dict(rows(db, "SELECT entry_id, reason FROM dead_letter"))


def snapshot(db: Database, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of tables but what is generated and when it was received."""
    columns = {
        "customer": "*",
        "activity": "*",
        "suppression": "*",
        "consent": "customer_id, topic, granted, source, at, event_id",
        "event": "message_id, customer_id, name, timestamp, properties, traits, digest",
        "enrollment": "journey, customer_id, key, entry, state, reason",
    }
    return {
        table: sorted((tuple(map(_sorted, row)) for row in rows(db, f"SELECT {columns[table]} FROM {table}")), key=repr)
        for table in tables
    }


def _sorted(value: Any) -> Any:
    """JSON with its keys in one order."""
    value = orjson.loads(value) if isinstance(value, str) and value.startswith("{") else value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if isinstance(value, dict) else value


FACTS: Sequence[str] = ("customer", "activity", "suppression", "consent", "event")
