"""What is known of customers, fetched in batches: at most three statements for any number of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Date

from lifecycle.core.calendar import zone_named
from lifecycle.core.evaluate import window_start
from lifecycle.core.facts import Activity, Facts, Occurrence
from lifecycle.core.needs import Needs
from lifecycle.journey.durations import Duration
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import RESERVED

from .sql import Statement
from .types import Instant, Json, stamp

_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)

_CUSTOMERS = Statement(
    """
    SELECT id, email, first_name, last_name, birthday, timezone, locale, created_at, traits
    FROM customer WHERE id IN {keys}
    """,
    returns={"birthday": Date(), "created_at": Instant(), "traits": Json},
)
_ACTIVITY = Statement(
    """
    SELECT customer_id, event, count AS number, first_at, last_at
    FROM activity WHERE customer_id IN {keys} AND event IN (SELECT name FROM {rows})
    """,
    rows={"name": "text"},
    returns={"first_at": Instant(), "last_at": Instant()},
)
_OCCURRENCES = Statement(
    """
    SELECT e.customer_id, e.name, e.timestamp, e.properties
    FROM {rows} JOIN event e ON e.customer_id = rows.customer_id AND e.name = rows.event
        AND e.timestamp > rows.since AND e.timestamp <= :now
    ORDER BY e.timestamp, e.message_id
    """,
    rows={"customer_id": "text", "event": "text", "since": "timestamptz"},
    returns={"timestamp": Instant(), "properties": Json},
)


def load_facts(
    connection: Connection,
    customer_ids: Sequence[str],
    *,
    demands: Mapping[str, Duration | None],
    events: Collection[str],
    now: datetime,
    default_zone: str,
) -> dict[str, Facts]:
    """The facts of the customers that exist, by id.

    `events`: the names of the events whose activity is needed (`lifecycle.core.evaluate.counted`); `demands`: those
    whose occurrences are needed as well, with the longest window. Events after `now` are left out of the
    occurrences. Triggers are the caller's to fill in.
    """
    ids = list(customer_ids)
    activity, occurrences = histories(connection, ids, Needs(frozenset(events), demands), now)
    return {
        row.id: Facts(
            customer_id=row.id,
            zone=zone_named(row.timezone, default_zone),
            traits=customer_traits(row),
            activity=activity.get(row.id, {}),
            occurrences=occurrences.get(row.id, {}),
        )
        for row in _CUSTOMERS.run(connection, keys=ids).all()
    }


def facts_of(
    connection: Connection, project: Project, customer_ids: Collection[str], wanted: Needs, now: datetime
) -> dict[str, Facts]:
    """What `wanted` names of these customers, by id; unknown zones mean the policy's."""
    return load_facts(
        connection,
        sorted(customer_ids),
        demands=wanted.occurrences,
        events=wanted.activity,
        now=now,
        default_zone=project.policy.timezone,
    )


def histories(
    connection: Connection, customer_ids: Sequence[str], wanted: Needs, now: datetime
) -> tuple[dict[str, dict[str, Activity]], dict[str, dict[str, list[Occurrence]]]]:
    """What `wanted` names of these customers' events: in brief, and one by one; by customer, then by event name."""
    activity = _activity(connection, customer_ids, {*wanted.activity, *wanted.occurrences})
    return activity, _occurrences(connection, activity, wanted.occurrences, now)


def customer_traits(row: Any) -> dict[str, object]:
    """The traits of a row of `customer`: reserved ones typed, free ones as JSON gave them, unknown ones absent.

    `row` has the table's columns as attributes, `birthday` a date, `created_at` an aware datetime, `traits` a dict.
    """
    traits = {name: value for name, value in row.traits.items() if value is not None and name not in RESERVED}
    for name in RESERVED:
        value = getattr(row, name)
        if value is not None:
            traits[name] = value
    return traits


def _activity(connection: Connection, ids: Sequence[str], events: Collection[str]) -> dict[str, dict[str, Activity]]:
    found: dict[str, dict[str, Activity]] = {}
    if ids and events:
        for row in _ACTIVITY.run(connection, keys=list(ids), rows=[{"name": name} for name in sorted(events)]).all():
            brief = Activity(row.number, row.first_at, row.last_at)
            found.setdefault(row.customer_id, {})[row.event] = brief
    return found


def _occurrences(
    connection: Connection,
    activity: Mapping[str, Mapping[str, Activity]],
    demands: Mapping[str, Duration | None],
    now: datetime,
) -> dict[str, dict[str, list[Occurrence]]]:
    """The demanded ones, and all of those names whose newest event lies in the future: there activity misleads."""
    starts = {name: window_start(now, last) or _BEGINNING for name, last in demands.items()}
    found: dict[str, dict[str, list[Occurrence]]] = {}
    wanted: list[dict[str, object]] = []
    for customer_id, briefs in activity.items():
        for name, brief in briefs.items():
            if brief.last_at > now or name in starts:
                found.setdefault(customer_id, {})[name] = []
                since = _BEGINNING if brief.last_at > now else starts[name]
                if brief.first_at <= now and brief.last_at > since:
                    wanted.append({"customer_id": customer_id, "event": name, "since": since})
    if wanted:
        for row in _OCCURRENCES.run(connection, rows=wanted, now=stamp(now)).all():
            found[row.customer_id][row.name].append(Occurrence(row.timestamp, row.properties))
    return found
