"""Entering by condition and by date with many customers, none of them due: how long a pass takes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, event

from lifecycle import (
    Attribute,
    Event,
    Flag,
    Journey,
    Policy,
    Property,
    Send,
    Sender,
    days,
    each_year,
    when,
)
from lifecycle.flow.entries import enter_journey
from lifecycle.journey.entries import Entry
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.store.database import Database

from .bench import settle

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)
_FULL_READ = re.compile(r"Seq Scan on event\b|SCAN e\d")  # PostgreSQL; SQLite, where events are e1, e2, …
ZONES = ["Asia/Jakarta", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Europe/Berlin", "Mars/Base"]


class customer:  # noqa: N801 - the noun of the language
    birthday = Attribute[date]()
    member_since = Attribute[date]()
    vip = Flag()
    lifetime_value = Attribute[float]()


class OrderCompleted(Event, name="order.completed"):
    total = Property[float]()


class ReviewPosted(Event, name="review.posted"):
    stars = Property[int]()


WIN_BACK = OrderCompleted.times(at_least=2) & ~OrderCompleted.happened(last=days(90))
JOURNEYS: dict[str, Entry] = {
    "when: two orders, none in 90 days": when(WIN_BACK),
    "when: a vip or rich, and no review": when(
        (customer.vip | (customer.lifetime_value >= 990))
        & ReviewPosted.never()
        & ~OrderCompleted.happened(last=days(30))
    ),
    "when: three orders in 30 days": when(OrderCompleted.times(at_least=3, last=days(30))),
    "when: two big orders in 7 days": when(
        OrderCompleted.times(at_least=2, last=days(7), where=OrderCompleted.total >= 150)
    ),
    "each_year: birthday": each_year(customer.birthday),
    "each_year: a date in the traits": each_year(customer.member_since),
}


def populate(database: Database, customers: int) -> None:
    """Customers with birthdays and zones all over the year and the world; six in ten have orders, over two years."""
    for statement in _statements(customers, sqlite=database.is_sqlite):
        with database.transaction() as connection:
            connection.exec_driver_sql(statement if database.is_sqlite else statement.replace("%", "%%"))
    settle(database)


def _statements(customers: int, *, sqlite: bool) -> list[str]:
    now = int(NOW.timestamp())

    def moment(ago: str) -> str:
        text = f"strftime('%Y-%m-%dT%H:%M:%S.000000Z', {now} - ({ago}), 'unixepoch')"
        return text if sqlite else f"to_timestamp({now} - ({ago}))"

    born = "date('1970-01-01', '+' || (n * 7919 % 14000) || ' days')"
    day = "CAST(strftime('%m%d', born) AS integer)"
    if not sqlite:
        born, day = "DATE '1970-01-01' + CAST(n * 7919 % 14000 AS integer)", "to_char(born, 'MMDD')::integer"
    zone = "CASE n % 8 " + " ".join(f"WHEN {i} THEN '{name}'" for i, name in enumerate(ZONES)) + " END"
    vip, value, member = "CASE n % 50 WHEN 0 THEN 'true' ELSE 'false' END", "n % 1000", "2000 + n % 26"
    month_and_day = "substr(CAST(101 + n % 12 AS text), 2) || '-' || substr(CAST(101 + n % 28 AS text), 2)"
    traits = f"""'{{"vip": ' || {vip} || ', "lifetime_value": ' || ({value})
        || ', "member_since": "' || ({member}) || '-' || {month_and_day} || '"}}'"""
    json = "{}" if sqlite else "CAST({} AS jsonb)"
    total = json.format("""'{"total": ' || (n % 200) || '}'""")
    numbers = f"""WITH RECURSIVE counter(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counter WHERE i < {customers}),
        numbers AS (SELECT CAST(i AS bigint) AS n, 'customer-' || i AS id FROM counter)"""
    orders, newest = "(1 + n % 4)", f"(n * 7919 * 641 % {700 * 86400})"
    apart = 20 * 86400
    return [
        f"""{numbers}, people AS (SELECT n, id, {born} AS born FROM numbers)
        INSERT INTO customer (id, email, first_name, birthday, birthday_md, timezone, created_at, traits, consents)
        SELECT id, id || '@example.com', 'Siti', born, {day}, {zone}, {moment("700 * 86400")},
            {json.format(traits)}, '{{}}'
        FROM people""",
        f"""{numbers} INSERT INTO activity (customer_id, event, count, first_at, last_at)
        SELECT id, 'order.completed', {orders}, {moment(f"{newest} + ({orders} - 1) * {apart}")}, {moment(newest)}
        FROM numbers WHERE n % 10 < 6""",
        f"""{numbers} INSERT INTO activity (customer_id, event, count, first_at, last_at)
        SELECT id, 'review.posted', 1, {moment(newest)}, {moment(newest)} FROM numbers WHERE n % 10 < 2""",
        f"""{numbers}, visits(j) AS (SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)
        INSERT INTO event (message_id, customer_id, name, timestamp, received_at, properties, digest)
        SELECT id || '-' || j, id, 'order.completed', {moment(f"{newest} + j * {apart}")}, {moment(newest)},
            {total}, ''
        FROM numbers JOIN visits ON j < {orders} WHERE n % 10 < 6""",
    ]


def project() -> Project:
    """One journey per entry."""
    entries = {f"journey_{number}": entry for number, entry in enumerate(JOURNEYS.values())}
    journeys = {
        name: Journey(name=name, topic="offers", enter=entry, steps=[Send("a/b")]) for name, entry in entries.items()
    }
    sender = Sender("Toko Kopi", "halo@tokokopi.example", postal_address="Jl. Braga 1, Bandung")
    return Project(Vocabulary(), journeys, Policy(sender=sender, timezone="Asia/Jakarta"))


@dataclass(frozen=True, slots=True)
class Passes:
    """One kind of entry: how many entered at first, in how many seconds, and what later passes took, in seconds."""

    label: str
    entered: int
    first: float
    empty: list[float]


def measure(database: Database, passes: int) -> list[Passes]:
    """All kinds of entries, one after the other."""
    shop, figures = project(), []
    for label, journey in zip(JOURNEYS, shop.journeys.values(), strict=True):
        entered, start = 0, time.perf_counter()
        while found := enter_journey(database, shop, journey, NOW, lease=LEASE)[0]:
            entered += found
        first = time.perf_counter() - start
        took = []
        for _ in range(passes):
            start = time.perf_counter()
            assert enter_journey(database, shop, journey, NOW, lease=LEASE) == (0, [])
            took.append(time.perf_counter() - start)
        figures.append(Passes(label, entered, first, took))
    return figures


def full_reads(database: Database) -> list[str]:
    """The entries whose plan reads all of `event`."""
    plans: list[str] = []

    def explain(connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "FROM customer c" in statement and not statement.startswith("EXPLAIN"):
            how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
            rows = connection.exec_driver_sql(f"{how} {statement}", parameters)
            plans.append("\n".join(str(row[-1]) for row in rows))

    shop, guilty = project(), []
    event.listen(database.engine, "before_cursor_execute", explain)
    for label, journey in zip(JOURNEYS, shop.journeys.values(), strict=True):
        plans.clear()
        enter_journey(database, shop, journey, NOW, lease=LEASE)
        guilty += [label] if any(_FULL_READ.search(plan) for plan in plans) else []
    event.remove(database.engine, "before_cursor_execute", explain)
    return guilty
