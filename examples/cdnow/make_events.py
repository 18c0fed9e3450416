"""Turns the CDNOW purchases into events in the wire format: JSON Lines on stdout, in the order of their timestamps.

    python examples/cdnow/make_events.py > events.jsonl

Real: who bought on which day, how many CDs, for how many dollars. Made up, always the same for the same customer,
by hashing their number: names, addresses (of domains that exist nowhere), time zones, times of day, birthdays,
favourite genres, which CDs they were (of catalogue.csv), who agrees to mail, who takes that back, and who reviews what.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

PURCHASES = Path(__file__).with_name("cdnow_sample.csv")
CATALOGUE = Path(__file__).with_name("catalogue.csv")
SHOP = ZoneInfo("America/New_York")

_FIRST = """Ada Alan Alice Amir Anna Anton Aria Ben Bruno Carla Chen Clara Dana David Dewi Diego Elena Emil Erik
Eva Farid Fiona Gina Grace Hana Henry Ida Igor Ines Ivan Jack Jana Joan John Jonas Julia Karl Kate
Lars Lea Leo Lin Lucy Maria Mark Maya Mei Mila Nadia Nina Noah Olga Omar Oscar Paul Petra Rosa Ruth
Sam Sara Siti Sofia Tara Theo Tom Uma Vera Viktor Wayan Yara Yusuf Zoe""".split()  # noqa: SIM905 - seventy names read better so
_LAST = """Abbott Adler Baker Becker Bell Brandt Brooks Burke Carter Chandra Cole Cruz Dahl Diaz Doyle Ellis
Evans Fischer Fox Garcia Grant Gray Hall Hansen Hart Hughes Ito Jensen Jones Kaya Keller Khan King
Klein Kovacs Lane Larsen Lee Lopez Marsh Meyer Mills Moreno Murphy Nash Novak Olsen Ortiz Park Perez
Pratama Quinn Reed Reyes Rossi Santos Sato Schmidt Shaw Silva Singh Stone Tanaka Torres Vogel Wagner
Walsh Ward Weber Wood Wright Young""".split()  # noqa: SIM905
_DOMAINS = ("example.com", "example.org", "example.net", "mail.example", "post.example")
_ZONES: tuple[tuple[str | None, int], ...] = (  # with their shares in percent
    ("America/New_York", 34),
    ("America/Chicago", 22),
    ("America/Los_Angeles", 18),
    ("America/Denver", 8),
    ("Europe/London", 6),
    ("Europe/Berlin", 4),
    ("Asia/Jakarta", 3),
    ("Asia/Tokyo", 2),
    ("Australia/Sydney", 1),
    ("Mars/Base", 1),  # apps send such things; the policy's own zone stands in
    (None, 1),
)
_HOURS = tuple(zip(range(24), (2, 1, 1, 0, 0, 1, 2, 4, 5, 6, 7, 7, 8, 7, 6, 6, 6, 6, 7, 8, 9, 8, 6, 4), strict=True))
_GENRES = ("Jazz", "Blues", "Rock", "Soul", "Folk", "Classical", "Pop", "Country")
_TOPICS = ("welcome", "orders", "offers")
_LEAP_BIRTHDAYS = 2  # percent, so that there are some to look at
_MOST_TITLES = 6  # of one order; whoever bought more CDs took some of them twice

T = TypeVar("T")


class Record(NamedTuple):
    """One row of the catalogue."""

    id: str
    name: str
    genre: str


class Purchase(NamedTuple):
    """One row of the real data."""

    customer: str
    day: date
    quantity: int
    dollars: float


def events(purchases: Path = PURCHASES) -> list[dict[str, Any]]:
    """All events, in the order of their timestamps."""
    records = _records()
    with purchases.open(newline="", encoding="ascii") as file:
        rows = [
            Purchase(customer, date.fromisoformat(day), int(quantity), float(dollars))
            for customer, day, quantity, dollars in list(csv.reader(file))[1:]
        ]
    made = [
        event
        for customer, theirs in groupby(sorted(rows), key=lambda row: row.customer)
        for event in _life(customer, list(theirs), records)
    ]
    return sorted(made, key=lambda event: event["timestamp"])  # stable: what one customer does at once stays in order


def _records() -> list[Record]:
    with CATALOGUE.open(newline="", encoding="utf-8") as file:
        return [Record(row["id"], row["name"], row["category"]) for row in csv.DictReader(file)]


def _life(customer: str, purchases: Sequence[Purchase], records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """Everything that one customer does."""
    zone = _weighted(_ZONES, customer, "zone")
    began = _moment(customer, purchases[0].day, 0, zone)
    yield _event("identify", customer, began, "identify", traits=_traits(customer, zone, began))
    yield from _agrees(customer, began)
    yield _track(customer, began, "registered", "customer.registered", {})
    spent, at = 0.0, began
    unheard = list(records)
    for number, purchase in enumerate(purchases):
        spent += purchase.dollars
        order = f"{customer}-{purchase.day:%Y%m%d}-{number + 1}"
        if number:
            soonest = at + timedelta(minutes=1 + _number(30, customer, "soon", number))
            at = max(soonest, _moment(customer, purchase.day, number, zone))
        properties: dict[str, Any] = {"order_id": order, "total": purchase.dollars, "quantity": purchase.quantity}
        properties["products"] = _products(customer, order, purchase.quantity, unheard or list(records))
        bought = {product["product_id"] for product in properties["products"]}
        unheard = [record for record in unheard if record.id not in bought]
        value = {"traits": {"lifetime_value": round(spent, 2)}}
        yield _track(customer, at, f"order-{order}", "order.completed", properties) | {"context": value}
        if _percent(customer, order, "reviews") < 30:
            later = at + timedelta(minutes=60 * 20 + _number(60 * 24 * 13, customer, order, "reviewed after"))
            review = {"order_id": order, "stars": _weighted(((5, 45), (4, 30), (3, 15), (2, 6), (1, 4)), order)}
            yield _track(customer, later, f"review-{order}", "review.posted", review)


def _products(customer: str, order: str, quantity: int, records: Sequence[Record]) -> list[dict[str, Any]]:
    """What the order holds: mostly of the customer's genre, and more often what stands first there."""
    genre = _one_of(_GENRES, customer, "genre")
    left = list(records)
    titles = min(quantity, _MOST_TITLES, len(left))
    products = []
    for number in range(titles):
        own = [record for record in left if record.genre == genre]
        shelf = own if own and _percent(order, "of their genre", number) < 70 else left
        weighted = tuple((record, len(shelf) - place) for place, record in enumerate(shelf))
        record = _weighted(weighted, order, "title", number)
        left.remove(record)
        copies = quantity // titles + (number < quantity % titles)
        products.append({"product_id": record.id, "name": record.name, "quantity": copies})
    return products


def _agrees(customer: str, began: datetime) -> Iterator[dict[str, Any]]:
    """Four of five agree to all mail, some to mail about their orders only; a few of those think better of it."""
    agrees = _percent(customer, "agrees")
    topics = _TOPICS if agrees < 80 else ("orders",) if agrees < 88 else ()
    for topic in topics:
        properties = {"topic": topic, "source": "checkout", "text_version": "1997-01"}
        yield _track(customer, began, f"granted-{topic}", "subscription.granted", properties)
    if topics and _percent(customer, "withdraws") < 6:
        later = began + timedelta(minutes=60 * 24 + _number(60 * 24 * 200, customer, "withdrawn after"))
        everything: tuple[tuple[str | None, int], ...] = ((None, 50), ("offers", 50))
        withdrawn = {"topic": _weighted(everything, customer, "withdrawn topic"), "source": "link in an email"}
        yield _track(customer, later, "withdrawn", "subscription.withdrawn", withdrawn)


def _traits(customer: str, zone: str | None, began: datetime) -> dict[str, Any]:
    first, last = _one_of(_FIRST, customer, "first"), _one_of(_LAST, customer, "last")
    address = f"{first}.{last}.{customer}@{_one_of(_DOMAINS, customer, 'domain')}".lower()
    traits = {
        "email": address,
        "first_name": first,
        "last_name": last,
        "birthday": _birthday(customer),
        "timezone": zone,
        "locale": "en",
        "created_at": _text(began),
        "favourite_genre": _one_of(_GENRES, customer, "genre"),
    }
    return {name: value for name, value in traits.items() if value is not None}


def _birthday(customer: str) -> str | None:
    kind = _percent(customer, "birthday known")
    if kind < 20:
        return None
    if kind < 20 + _LEAP_BIRTHDAYS:
        return f"{1940 + 4 * _number(10, customer, 'leap year')}-02-29"
    return (date(1935, 1, 1) + timedelta(days=_number(365 * 45, customer, "birthday"))).isoformat()


def _moment(customer: str, day: date, number: int, zone: str | None) -> datetime:
    """A moment of the shop's day at which people in that zone are up."""
    hour = _weighted(_HOURS, customer, "hour", number)
    seconds = hour * 3600 + _number(3600, customer, "second", number)
    noon = datetime.combine(day, time(12), SHOP)
    theirs = ZoneInfo(zone if zone and zone != "Mars/Base" else SHOP.key)
    ahead = (noon.astimezone(theirs).utcoffset() or timedelta()) - (noon.utcoffset() or timedelta())
    in_shop = timedelta(seconds=(seconds - ahead.total_seconds()) % 86400)
    return (datetime.combine(day, time(0)) + in_shop).replace(tzinfo=SHOP).astimezone(UTC)


def _track(customer: str, at: datetime, name: str, event: str, properties: dict[str, Any]) -> dict[str, Any]:
    return _event("track", customer, at, name, event=event, properties=properties)


def _event(kind: str, customer: str, at: datetime, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "messageId": f"{customer}-{name}", "userId": customer, "timestamp": _text(at), **more}


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _number(below: int, *what: object) -> int:
    """A number from 0, always the same for the same `what`."""
    digest = blake2b("\x1f".join(map(str, what)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % below


def _percent(*what: object) -> int:
    return _number(100, *what)


def _one_of(choices: Sequence[T], *what: object) -> T:
    return choices[_number(len(choices), *what)]


def _weighted(choices: Sequence[tuple[T, int]], *what: object) -> T:
    place = _number(sum(weight for _, weight in choices), *what)
    for choice, weight in choices:
        if place < weight:
            return choice
        place -= weight
    raise AssertionError("the place lies below the sum of the weights")


if __name__ == "__main__":
    for line in events():
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
