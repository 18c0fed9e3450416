"""Who is muted while a batch of messages is judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from lifecycle.core.calendar import zone_named
from lifecycle.core.evaluate import matches
from lifecycle.core.facts import Facts
from lifecycle.core.needs import needs_of
from lifecycle.journey.project import Project
from lifecycle.store.facts import customer_traits, histories
from lifecycle.store.messages import Due


def muted(connection: Connection, project: Project, rows: Sequence[Due], now: datetime) -> dict[str, str]:
    """By customer, the name of the first mute of the policy that holds; only of those with marketing among `rows`.

    Costs nothing where the policy has no mutes, else at most two statements.
    """
    mutes = project.policy.mutes
    customers = {row.customer_id: row for row in rows if row.kind == "marketing"} if mutes else {}
    if not customers:
        return {}
    activity, occurrences = histories(connection, sorted(customers), needs_of(*(mute.when for mute in mutes)), now)
    found: dict[str, str] = {}
    for customer, row in customers.items():
        facts = Facts(
            customer,
            zone_named(row.timezone, project.policy.timezone),
            customer_traits(row),
            activity.get(customer, {}),
            occurrences.get(customer, {}),
        )
        name = next((mute.name for mute in mutes if matches(mute.when, facts, now)), None)
        if name is not None:
            found[customer] = name
    return found
