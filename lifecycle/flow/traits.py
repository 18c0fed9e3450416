"""Traits that a journey sets: kept as an identify of its own, so that reading all statements anew gives them too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from lifecycle.core import profile
from lifecycle.journey.conditions import Value
from lifecycle.store import customers, events
from lifecycle.wire import Identify


@dataclass(frozen=True, slots=True)
class TraitsSet:
    """What one step sets; `identity` makes it happen once."""

    customer_id: str
    traits: Mapping[str, Value]
    identity: str


def set_traits(connection: Connection, sets: Sequence[TraitsSet], now: datetime) -> None:
    """Sets them, where nothing newer is known; the customers are locked, and nothing is kept of who was erased."""
    newest = customers.identified(connection, {each.customer_id for each in sets})
    facts = {
        each.identity: Identify(each.identity, each.customer_id, dict(each.traits), now, "")
        for each in sets
        if each.customer_id in newest
    }
    if not facts:
        return
    new = events.add(connection, facts, now)
    known = customers.read(connection, newest)
    for identity in sorted(new):
        profile.merge(known[facts[identity].customer_id], facts[identity].traits)
    ahead = [customer for customer, at in newest.items() if at is not None and at >= now]
    for customer, said in events.statements(connection, ahead).items():
        known[customer] = {"created_at": known[customer]["created_at"], **profile.fold(said.traits)}
    customers.write(connection, known, dict.fromkeys(newest, now) | {one: newest[one] for one in ahead})
