"""Moves people on: loads where they stand, decides, writes what follows; one transaction per batch.

`advance` is for enrollments whose wait is over; `move` is the part that `deliver` shares, for those whose message
is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from lifecycle.core.calendar import plus
from lifecycle.core.decide import Decision, Ended, Held, Parked, Standing, decide
from lifecycle.core.facts import Facts
from lifecycle.core.identity import message_id
from lifecycle.core.judge import MUTED
from lifecycle.core.listeners import listeners
from lifecycle.core.needs import needs
from lifecycle.journey.conditions import Fate
from lifecycle.journey.entries import On
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.journey.steps import Send
from lifecycle.store import enrollments, messages
from lifecycle.store.database import Database
from lifecycle.store.facts import facts_of
from lifecycle.store.fates import last_fates

from .poison import without_poison
from .traits import TraitsSet, set_traits

CLOCKS_DIFFER = timedelta(seconds=1)
"""How far the clock of the machine that hints may be ahead of ours: what it calls due would wait for a whole lease."""


def advance(db: Database, project: Project, ids: Sequence[int], now: datetime, lease: timedelta) -> list[int]:
    """Moves on the enrollments among `ids` that are due; returns the ids of the messages planned.

    Ids that are not due (any more) are passed over, so that doubled hints do no harm.
    """

    def work(some: Sequence[int]) -> list[int]:
        with db.transaction(durable=False) as connection:
            enrollments.LOCK_CUSTOMERS.run(connection, ids=some)
            rows = enrollments.DUE.run(connection, ids=some, now=now + CLOCKS_DIFFER).all()
            return move(connection, project, rows, now, lease)

    return without_poison("enrollment", work, ids)


def move(
    connection: Connection, project: Project, rows: Sequence[Row[Any]], now: datetime, lease: timedelta
) -> list[int]:
    """Decides for each enrollment in `rows`, whose customers are locked; returns the ids of the messages planned."""
    known = [row for row in rows if row.journey in project.journeys]
    wanted = needs(project.journeys[name] for name in {row.journey for row in known})
    facts = facts_of(connection, project, {row.customer_id for row in known}, wanted, now)
    fates = last_fates(connection, [row.id for row in known if row.journey in wanted.last_send])
    changes = _Changes()
    for row in known:
        journey = project.journeys[row.journey]
        theirs = with_trigger(facts[row.customer_id], journey, row.trigger, fates.get(row.id))
        standing = Standing(row.step, row.awaiting, bool(row.arrived), row.entered_at)
        changes.add(row, journey, decide(journey, standing, theirs, now), theirs, project, now, lease)
    for row in rows:
        if row.journey not in project.journeys:
            changes.moves.append(_place(row.id, "held", row.step, reason="journey_removed", awaiting=row.awaiting))
    planned = changes.write(connection, now)
    if changes.traits and listeners(project).muting_traits:
        changed = sorted({each.customer_id for each in changes.traits})
        messages.WAKE_HELD.run(connection, keys=changed, reason=MUTED, now=now)
    return planned


def with_trigger(facts: Facts, journey: Journey, trigger: Mapping[str, Any], last_send: Fate | None = None) -> Facts:
    """The facts, with the properties of the event that started the journey, and what became of its last email."""
    event = journey.enter.event if isinstance(journey.enter, On) else None
    return replace(facts, trigger=trigger, trigger_event=event, last_send=last_send)


@dataclass(slots=True)
class _Changes:
    """What a batch of decisions changes, gathered so that each table is written once."""

    moves: list[dict[str, Any]] = field(default_factory=list)
    plans: list[dict[str, Any]] = field(default_factory=list)
    traits: list[TraitsSet] = field(default_factory=list)

    def add(
        self,
        row: Row[Any],
        journey: Journey,
        decision: Decision,
        facts: Facts,
        project: Project,
        now: datetime,
        lease: timedelta,
    ) -> None:
        match decision.then:
            case Parked(step, due_at, awaiting):
                self.moves.append(_place(row.id, "active", step, due_at=due_at, awaiting=awaiting))
            case Ended(state, reason):
                self.moves.append(_place(row.id, state, row.step, reason=reason, ended_at=now))
            case Held(reason):
                self.moves.append(_place(row.id, "held", row.step, reason=reason, awaiting=row.awaiting))
        if decision.send is not None:
            self.plans.append(_plan(row, journey, decision.send, facts, project, now, lease))
        if decision.traits:
            identity = message_id(journey.name, row.customer_id, row.key, row.entry, row.step, "set")
            self.traits.append(TraitsSet(row.customer_id, decision.traits, identity))

    def write(self, connection: Connection, now: datetime) -> list[int]:
        planned: list[int] = []
        if self.plans:
            planned = [row.id for row in messages.PLAN.run(connection, rows=self.plans).all()]
        if self.moves:
            enrollments.MOVE.run(connection, rows=self.moves)
        if self.traits:
            set_traits(connection, self.traits, now)
        return planned


def _place(
    enrollment: int,
    state: str,
    step: str,
    *,
    due_at: datetime | None = None,
    awaiting: str | None = None,
    ended_at: datetime | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    return {
        "id": enrollment,
        "state": state,
        "step": step,
        "due_at": due_at,
        "awaiting": awaiting,
        "ended_at": ended_at,
        "reason": reason,
    }


def _plan(
    row: Row[Any], journey: Journey, send: Send, facts: Facts, project: Project, now: datetime, lease: timedelta
) -> dict[str, Any]:
    domain = project.policy.sender.email.rpartition("@")[2]
    return {
        "customer_id": row.customer_id,
        "enrollment_id": row.id,
        "journey": journey.name,
        "step": send.name,
        "key": row.key,
        "template": send.template,
        "kind": journey.kind,
        "topic": journey.topic,
        "priority": journey.priority_of(send),
        "on_capped": send.on_capped,
        "created_at": now,
        "wake_at": now + lease,
        "expires_at": plus(now, send.expires or journey.expires, facts.zone),
        "capped_until": plus(now, send.send_within, facts.zone),
        "message_id": message_id(journey.name, row.customer_id, row.key, row.entry, send.name, domain),
    }
