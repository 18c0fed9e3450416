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
    """Sets them; the customers are locked."""
    facts = {each.identity: Identify(each.identity, each.customer_id, dict(each.traits), now, "") for each in sets}
    new = events.add(connection, facts, now)
    ids = sorted({each.customer_id for each in sets})
    known = customers.read(connection, ids)
    for each in sets:
        if each.identity in new:
            profile.merge(known[each.customer_id], each.traits)
    customers.write(connection, known, dict.fromkeys(ids, now))
