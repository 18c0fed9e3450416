"""Claiming messages for sending: judged under the policy with their customers locked, and reserved as `sending`."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.evaluate import matches
from lifecycle.core.listeners import listeners
from lifecycle.core.needs import needs_of
from lifecycle.journey.project import Project
from lifecycle.journey.steps import Send, walk_steps
from lifecycle.store import enrollments, messages, suppressions
from lifecycle.store.database import Database
from lifecycle.store.facts import facts_of
from lifecycle.store.fates import last_fates
from lifecycle.store.messages import Due
from lifecycle.store.pauses import Pauses, in_force

from .advance import CLOCKS_DIFFER, with_trigger
from .claimed import Claimed
from .digests import Digests, is_gathered
from .fatigue import watch
from .judging import Judging
from .mailer import Mailer, deliverable
from .mutes import muted
from .sends import Sends, concerned_by_caps, how_many, short_of_slots


def claim(
    db: Database, project: Project, mailer: Mailer, ids: Sequence[int], now: datetime, lease: timedelta
) -> Claimed:
    """Judges the due messages among `ids` and reserves those that may go."""
    with db.transaction() as connection:
        worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        messages.LOCK_CUSTOMERS.run(connection, ids=ids)
        asked = time.monotonic()
        pauses = Pauses(db, in_force(connection), asked)
        claimed = Claimed(f"{worker}:{db.life(connection)}", now + lease / 2, now + lease, pauses)
        rows = messages.due(connection, ids, now + CLOCKS_DIFFER)
        if not rows:
            return claimed
        found = how_many(connection, project.policy, rows, now, lease)
        claimed.beside += _rivals(connection, project, rows, found, ids, now)
        if claimed.beside:
            rows = messages.due(connection, [*ids, *claimed.beside], now + CLOCKS_DIFFER)
        digests = Digests(connection, project.policy, _with_suppressions(connection, rows), now)
        rows = digests.rows
        judging = Judging(
            project,
            mailer,
            claimed,
            now,
            exited=_exit_now(connection, project, rows, now),
            muted=muted(connection, project, rows, now),
            sends=Sends(connection, project, rows, now, lease, found=found, paused=pauses.known),
            digests=digests,
        )
        writes = [judging.write(row) for row in rows]
        judging.write_digests(connection, writes)
        written_to = {item.envelope.customer_id for item in claimed.letters if item.envelope.marketing}
        watch(connection, project.policy, written_to, now)
        _write(connection, writes, claimed, mailer.transport.lanes, now)
    return claimed


def _write(
    connection: Connection, writes: Sequence[dict[str, Any]], claimed: Claimed, lanes: int, now: datetime
) -> None:
    reserved = [write for write in writes if write["state"] == "sending"]
    kept_back = [write for write in writes if write["state"] != "sending"]
    if reserved:
        rows = [{name: write[name] for name in ("id", "position", "email", "locale")} for write in reserved]
        messages.RESERVE.run(connection, rows=rows, claim=claimed.name, lanes=lanes, now=now, until=claimed.until)
    if kept_back:
        messages.KEEP_BACK.run(connection, rows=kept_back, claim=claimed.name)


def _rivals(
    connection: Connection,
    project: Project,
    rows: Sequence[Due],
    found: Mapping[str, Sequence[int]],
    ids: Sequence[int],
    now: datetime,
) -> list[int]:
    """Due messages that are not among `ids`, of customers for whom one of `rows` might take a slot of theirs: one of
    lower priority any, each the last; or who have others to go out in one digest with them."""
    policy = project.policy
    if not policy.caps:
        return []
    highest = _highest_priority(project)
    outranked = {row.customer_id for row in concerned_by_caps(rows, policy) if row.priority < highest}
    gathered = {row.customer_id for row in rows if is_gathered(row)}
    whose = outranked | gathered | short_of_slots(policy, rows, found)
    return messages.beside(connection, sorted(whose), ids, now) if whose else []


@lru_cache(maxsize=8)
def _highest_priority(project: Project) -> int:
    """The most that any message of the project has that obeys caps."""
    all_mail = any(cap.obeyed_by == "all" for cap in project.policy.caps)
    return max(
        (
            journey.priority_of(step)
            for journey in project.journeys.values()
            for step in walk_steps(journey.steps)
            if isinstance(step, Send) and (all_mail or journey.kind == "marketing")
        ),
        default=0,
    )


def _with_suppressions(connection: Connection, rows: list[Due]) -> list[Due]:
    """The rows, with the suppressions of addresses that apps spell otherwise than they are delivered to."""
    odd = {
        row.id: address.lower()
        for row in rows
        if (address := deliverable(row.email)) is not None and address != row.email
    }
    if not odd:
        return rows
    found = suppressions.reasons(connection, sorted(set(odd.values())))
    return [row._replace(suppressed=row.suppressed or found.get(odd.get(row.id, ""))) for row in rows]


def _exit_now(connection: Connection, project: Project, rows: Sequence[Due], now: datetime) -> set[int]:
    """Ends the journeys whose exit_when holds by now, time having passed since it was last looked at."""
    conditions = {
        name: journey.exit_when for name, journey in project.journeys.items() if journey.exit_when is not None
    }
    watched = [row for row in rows if row.journey in conditions and row.enrollment_state == "active"]
    if not watched:
        return set()
    wanted = needs_of(*conditions.values())
    facts = facts_of(connection, project, {row.customer_id for row in watched}, wanted, now)
    asking = listeners(project).exits_by_fate
    fates = last_fates(connection, [row.enrollment_id for row in watched if row.journey in asking])
    ended = {
        row.enrollment_id
        for row in watched
        if matches(
            conditions[row.journey],
            with_trigger(
                facts[row.customer_id], project.journeys[row.journey], row.trigger, fates.get(row.enrollment_id)
            ),
            now,
        )
    }
    if ended:
        enrollments.END.run(connection, ids=sorted(ended), state="exited", reason="exit_when", now=now)
    return ended
