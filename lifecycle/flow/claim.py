"""Claiming messages for sending: judged under the policy with their customers locked, and reserved as `sending`."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from lifecycle.core.assign import held_out
from lifecycle.core.calendar import zone_named
from lifecycle.core.caps import counted
from lifecycle.core.evaluate import matches
from lifecycle.core.judge import CAPPED, Candidate, Defer, Go, Recipient, Skip, Verdict, judge
from lifecycle.core.listeners import listeners
from lifecycle.core.needs import needs_of
from lifecycle.core.pace import paused_until
from lifecycle.journey.project import Project
from lifecycle.journey.steps import Send, walk_steps
from lifecycle.mail.sections import Section
from lifecycle.store import enrollments, messages, suppressions
from lifecycle.store.database import Database
from lifecycle.store.facts import customer_traits, facts_of
from lifecycle.store.fates import last_fates
from lifecycle.store.messages import Due
from lifecycle.store.pauses import Pauses, in_force

from .advance import CLOCKS_DIFFER, with_trigger
from .amendments import fingerprint
from .digests import DIGESTED, Digests, is_gathered
from .fatigue import watch
from .mailer import Envelope, Mailer, deliverable
from .mutes import muted
from .sends import Sends, concerned_by_caps, how_many, short_of_slots
from .shopping import shopping

_SOON = timedelta(minutes=1)

SENT_AGAIN = "sent_again"
"""The reason, or its beginning, of a message whose first try may have arrived."""


@dataclass(slots=True)
class Claimed:
    """What one worker sends next, in this order; it begins nothing after `begin_by`, and its lease ends at `until`."""

    name: str
    begin_by: datetime
    until: datetime
    pauses: Pauses
    letters: list[ToSend] = field(default_factory=list)
    beside: list[int] = field(default_factory=list)
    """Messages that nobody hinted, claimed because they rival some that were."""


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class ToSend:
    """One message of a claim, with all that rendering it needs."""

    envelope: Envelope
    template: str
    journey: str
    customer: dict[str, Any]
    event: dict[str, Any]
    zone: ZoneInfo
    attempts: int
    resent: bool
    sections: tuple[Section, ...] = ()
    """Of a digest: what it shows."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only some templates read, where this one does."""


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
        judging = _Judging(
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
        _add_shopping(connection, project, mailer, claimed.letters)
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


def _add_shopping(connection: Connection, project: Project, mailer: Mailer, letters: Sequence[ToSend]) -> None:
    """Fetches what the templates of these letters read of the shop; nothing where none does."""
    declared = project.policy.purchases
    if declared is None:
        return
    reads: dict[str, set[str]] = {}
    for item in letters:
        for template in (item.template, *(section.template for section in item.sections)):
            if names := mailer.reads(template):
                reads.setdefault(item.envelope.customer_id, set()).update(names)
    more = shopping(connection, declared, reads) if reads else {}
    for item in letters if more else ():
        item.more = more.get(item.envelope.customer_id, item.more)


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


@dataclass(slots=True)
class _Judging:
    """A batch under judgement, in the order of priority.

    `exited`: enrollments that ended just now. `muted`: by customer, the mute that holds for them.
    """

    project: Project
    mailer: Mailer
    claimed: Claimed
    now: datetime
    exited: Collection[int]
    muted: Mapping[str, str]
    sends: Sends
    digests: Digests

    def write(self, row: Due) -> dict[str, Any]:
        """The row's new columns; a message that may go joins the claim and counts from here on."""
        address = deliverable(row.email)
        verdict = self._verdict(row, address)
        if isinstance(verdict, Go) and self._is_in_a_digest(row, address):
            verdict = Skip(DIGESTED)
        self.sends.note(row, verdict, self.now)
        write: dict[str, Any] = {"id": row.id, "reason": row.reason, "email": address or row.email}
        once = (row.reason or "").startswith(SENT_AGAIN)  # it may have arrived at the first try
        match verdict:
            case Go():
                self.claimed.letters.append(self._to_send(row, address))
                return write | _reserved(row, self.mailer, self.claimed, self.now)
            case Defer(until, reason):
                until = min(until, self._no_later())
                reason = f"{SENT_AGAIN}, {reason}" if once else reason
                write |= {"state": "pending", "reason": reason, "due_at": until, "wake_at": until}
            case Skip(reason):
                outcome = ("uncertain", f"{SENT_AGAIN}, then {reason}") if once else ("skipped", reason)
                write |= {"state": outcome[0], "reason": outcome[1], "wake_at": self.claimed.until}
            case _:
                assert_never(verdict)
        return write | _lost(verdict, self.now)

    def _is_in_a_digest(self, row: Due, address: str | None) -> bool:
        """Whether `row`, which may go, goes out in a digest: one is formed if there is anything to go with it."""
        more = [each for each in self.digests.after(row) if isinstance(self._verdict(each, address), Go)]
        if more:
            digest = self.digests.form([row, *more][: self.project.policy.digest.most])
            self.sends.note(digest, Go(), self.now)
            self.claimed.letters.append(self._to_send(digest, address))
            self.digests.reserve(digest, {"email": address} | _reserved(digest, self.mailer, self.claimed, self.now))
        return self.digests.has(row)

    def write_digests(self, connection: Connection, writes: Sequence[dict[str, Any]]) -> None:
        """Writes the digests that were formed, and has letters and `writes` name them by their rows."""
        ids = self.digests.write(connection, self.claimed.name, self.mailer.transport.lanes)
        for item in self.claimed.letters if ids else ():
            item.envelope.id = ids.get(item.envelope.id, item.envelope.id)
        for write in writes if ids else ():
            if "lost_to" in write:
                write["lost_to"] = [ids.get(id, id) for id in write["lost_to"]]

    def _no_later(self) -> datetime:
        """Put off by another policy than the schedulers', a message is looked at again soon: see amendments."""
        followed = self.claimed.pauses.known.policy
        behind = followed is not None and followed != fingerprint(self.project)
        return self.now + _SOON if behind else datetime.max.replace(tzinfo=UTC)

    def _verdict(self, row: Due, address: str | None) -> Verdict:
        if self.digests.has(row):
            return Skip(DIGESTED)
        if row.id in self.digests.emptied:
            return Skip(self.digests.emptied[row.id])
        slots = self.sends.of(row.customer_id)
        return judge(
            self._candidate(row),
            self._recipient(row, address),
            self.project.policy,
            self.now,
            slots,
            None if slots is None else counted(row, self.now),
        )

    def _candidate(self, row: Due) -> Candidate:
        if row.sections is not None:
            return self._candidate_of_digest(row)
        journey = self.project.journeys.get(row.journey)
        return Candidate(
            kind=row.kind,
            topic=row.topic,
            on_capped=row.on_capped,
            expires_at=row.expires_at,
            capped_until=row.capped_until,
            enrollment_state="exited" if row.enrollment_id in self.exited or journey is None else row.enrollment_state,
            holdout=journey is not None and held_out(journey.name, journey.holdout, row.customer_id),
            paused=self.claimed.pauses.known.stops(row.journey, row.topic, row.kind == "marketing"),
        )

    def _candidate_of_digest(self, row: Due) -> Candidate:
        """What its sections' journeys say was asked when they were gathered, and of those that are left again."""
        stops = self.claimed.pauses.known.stops
        sections = row.sections or ()
        return Candidate(
            kind=row.kind,
            topic=row.topic,
            on_capped=row.on_capped,
            expires_at=row.expires_at,
            capped_until=row.capped_until,
            enrollment_state="active",
            holdout=False,
            paused=any(stops(section["journey"], section["topic"], True) for section in sections),
        )

    def _recipient(self, row: Due, address: str | None) -> Recipient:
        zone = zone_named(row.timezone, self.project.policy.timezone)
        return Recipient(
            address=address,
            zone=zone,
            consents=row.consents,
            suppressed=row.suppressed,
            erased=row.erased_at is not None,
            allowed=address is None or self.mailer.allows(address),
            muted=self.muted.get(row.customer_id),
            sunset=self.project.policy.sunset is not None and row.sunset_at is not None,
            paused_until=paused_until(row.pace, zone, self.now) if row.pace else None,
        )

    def _to_send(self, row: Due, address: str | None) -> ToSend:
        return ToSend(
            Envelope(
                row.id, row.customer_id, address or "", row.message_id, row.topic, row.kind == "marketing", row.journey
            ),
            row.template,
            row.journey,
            customer_traits(row),
            row.trigger,
            zone_named(row.timezone, self.project.policy.timezone),
            row.attempts + 1,
            (row.reason or "").startswith(SENT_AGAIN),
            self.digests.sections_of(row) if row.sections else (),
        )


def _lost(verdict: Defer | Skip, now: datetime) -> dict[str, Any]:
    """The columns that say which cap held a message back, and what filled it."""
    if not verdict.reason.startswith(CAPPED):
        return {}
    return {"capped_at": now, "capped_by": verdict.reason.removeprefix(CAPPED), "lost_to": list(verdict.lost_to)}


def _reserved(row: Due, mailer: Mailer, claimed: Claimed, now: datetime) -> dict[str, Any]:
    """The columns of the last of the claim's letters."""
    return {
        "state": "sending",
        "due_at": now,
        "wake_at": claimed.until,
        "counted_at": now,
        "position": len(claimed.letters),
        "attempts": row.attempts + 1,
        "locale": mailer.locale_for(row.template, row.locale),
    }
