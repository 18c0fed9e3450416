"""Entering customers into a journey by hand, for journeys whose entry is `manually()`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from lifecycle.core.evaluate import matches
from lifecycle.core.listen import Entering, Key
from lifecycle.core.needs import needs_of
from lifecycle.errors import DefinitionError
from lifecycle.journey.entries import Manually
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.store import entering
from lifecycle.store.database import Database
from lifecycle.store.facts import facts_of
from lifecycle.store.sql import Statement

_LOCK = Statement("SELECT id FROM customer WHERE id IN {keys} ORDER BY id {lock}")


def enter_by_hand(
    db: Database, project: Project, journey: Journey, customer_ids: Sequence[str], now: datetime
) -> dict[str, str]:
    """Enters those who may; returns by customer id why not, or "" for those who entered.

    The scheduler finds them at its next look. Raises DefinitionError where people enter the journey otherwise.
    """
    if not isinstance(journey.enter, Manually):
        raise DefinitionError(
            journey.defined_at, f"people do not enter {journey.name!r} by hand", "say enter=manually()"
        )
    customers = list(dict.fromkeys(customer_ids))
    with db.transaction() as connection:
        _LOCK.run(connection, keys=customers)
        answers = _refusals(connection, project, journey, customers, now)
        visits = entering.visits(connection, [_key(journey, customer) for customer in customers])
        new = []
        for customer in (one for one in customers if not answers[one]):
            visit = visits.get(_key(journey, customer))
            if visit is not None and visit.keeps_out(journey.again_after, now):
                answers[customer] = "is in it already" if visit.open else "was in it, and may not enter again (yet)"
                continue
            number = 1 if visit is None else visit.entry + 1
            new.append(Entering(journey.name, customer, "", number, journey.first, now, None, {}))
        if new:
            entering.enter(connection, new, now, timedelta(0))
    return answers


def _refusals(
    connection: Connection, project: Project, journey: Journey, customers: Sequence[str], now: datetime
) -> dict[str, str]:
    """Who is unknown, or whom `only=` leaves out."""
    only = journey.only
    wanted = needs_of(*([only] if only is not None else []))
    facts = facts_of(connection, project, customers, wanted, now)
    return {
        customer: "is not known"
        if customer not in facts
        else ""
        if only is None or matches(only, facts[customer], now)
        else "does not fit what the journey says with only="
        for customer in customers
    }


def _key(journey: Journey, customer: str) -> Key:
    return journey.name, customer, ""
