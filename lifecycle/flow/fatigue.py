"""Fatigue as time passes: who is computed again, and what follows for the messages that wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.fatigue import SATURATED, WINDOW, Silence, is_sunset, next_look, score, state, sunset_at
from lifecycle.journey.policy import Policy
from lifecycle.journey.project import Project
from lifecycle.store import fatigue, messages
from lifecycle.store.database import Database
from lifecycle.store.fatigue import CLICKED, COMPLAINED, MACHINE, OPENED, Heard, Lately, Standing
from lifecycle.wire import Fact, Track

AT_ONCE = 500
PER_TICK = 2_000
"""How many one look of the scheduler computes at most; the rest is for the next looks."""


def watches(policy: Policy) -> bool:
    """Whether the policy asks for any of it: without, nothing is counted and nothing is computed."""
    return policy.fatigue is not None or policy.sunset is not None


def hear(connection: Connection, policy: Policy, new: Iterable[Fact], now: datetime) -> None:
    """Notes what new events say: who acted, which ends a sunset at once, and who is to be computed again."""
    if not watches(policy):
        return
    bought = policy.fatigue.bought if policy.fatigue else None
    heard: dict[str, Heard] = {}
    for fact in new:
        if isinstance(fact, Track) and (one := _heard(fact, bought)):
            before = heard.get(fact.customer_id, one)
            alive = max((at for at in (before.alive_at, one.alive_at) if at is not None), default=None)
            heard[fact.customer_id] = Heard(alive, before.counts or one.counts)
    if heard:
        fatigue.hear(connection, heard, now)


def watch(connection: Connection, policy: Policy, customers: Collection[str], now: datetime) -> None:
    """Notes that these customers, who are locked, get marketing now."""
    if watches(policy) and customers:
        fatigue.watch(connection, customers, now)


def compute_due(
    db: Database,
    project: Project,
    now: datetime,
    *,
    most: int = PER_TICK,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Computes again up to `most` of those whose turn it is, set by set; returns how many."""
    computed = 0
    while watches(project.policy) and computed < most and not stopping():
        wanted = min(AT_ONCE, most - computed)
        with db.transaction() as connection:
            known = fatigue.take_due(connection, now, wanted)
            rested = compute(connection, project.policy, known, now) if known else []
        if rested:  # only now: who waits for a message must not hold what its claim waits for
            with db.transaction() as connection:
                messages.WAKE_HELD.run(connection, keys=rested, reason="capped:", now=now)
        computed += len(known)
        if len(known) < wanted:
            break
    return computed


def compute(connection: Connection, policy: Policy, known: dict[str, Standing], now: datetime) -> list[str]:
    """Computes these, whose rows are locked; returns those who are saturated no longer."""
    bought = policy.fatigue.bought if policy.fatigue else None
    heard = fatigue.is_heard(connection, now)
    lately = fatigue.count(connection, known, bought, now)
    silences: dict[str, Silence] = {}
    if policy.sunset is not None:
        silences = fatigue.silences(connection, known, policy.sunset.after, now)
    rows = [
        _row(customer, known[customer], lately[customer], silences.get(customer, Silence()), policy, heard, now)
        for customer in sorted(known)
    ]
    fatigue.write(connection, rows, now)
    return [row["id"] for row in rows if known[row["id"]].state == SATURATED != row["state"]]


def _row(
    customer: str, before: Standing, lately: Lately, silence: Silence, policy: Policy, heard: bool, now: datetime
) -> dict[str, Any]:
    counts, sunset = lately.counts, is_sunset(silence, policy.sunset, now)
    changes = [] if lately.oldest_at is None else [lately.oldest_at + WINDOW]
    if not sunset and (sets_at := sunset_at(silence, policy.sunset)) is not None:
        changes.append(sets_at)
    return {
        "id": customer,
        "sent": counts.sent,
        "opened": counts.opened,
        "clicked": counts.clicked,
        "bought": counts.bought,
        "complained": counts.complained,
        "score": score(counts),
        "state": state(counts, heard=heard),
        "sunset_at": (before.sunset_at or now) if sunset else None,
        "wake_at": next_look(min(changes)) if changes else None,
    }


def _heard(track: Track, bought: str | None) -> Heard | None:
    if track.event in (OPENED, CLICKED):
        by_machine = str(track.properties.get(MACHINE)).lower() in ("true", "1")
        return None if by_machine else Heard(track.timestamp, True)
    if track.event.startswith("email."):
        return Heard(None, True) if track.event == COMPLAINED else None
    return Heard(track.timestamp, track.event == bought)
