"""Delivers messages: claim under the policy, render and send one by one, tell the journeys.

    claim    one durable transaction: customers locked, due messages judged, `sending` written with counted_at
    send     render, transport, record; in the order of the claim, so that a crash leaves few uncertain
    finish   one transaction: the enrollments of what is final move on

What was claimed and not begun when the worker is asked to stop, or when half of its lease is over, is handed back:
the other half is for what is in flight, so that nobody takes over what may still be sent.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from lifecycle.core.assign import held_out
from lifecycle.core.calendar import zone_named
from lifecycle.core.evaluate import matches
from lifecycle.core.judge import Candidate, Defer, Go, Recipient, Skip, judge
from lifecycle.core.needs import needs_of
from lifecycle.errors import RenderError, TemplateError
from lifecycle.journey.project import Project
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown
from lifecycle.store import enrollments, messages, suppressions
from lifecycle.store.database import Database
from lifecycle.store.facts import customer_traits, load_facts
from lifecycle.store.messages import Due
from lifecycle.store.recorder import Recorder
from lifecycle.store.suppressions import Suppressed

from .advance import CLOCKS_DIFFER, move, with_trigger
from .mailer import Envelope, Mailer, deliverable
from .poison import without_poison
from .sends import Sends

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]

_FIRST_RETRY, _LONGEST_RETRY, _MOST_RETRIES = timedelta(minutes=5), timedelta(hours=4), 35  # 35 pauses are 5 days
_SENT_AGAIN = "sent_again"
_OF_THE_SENDER = ("5.1.7", "5.1.8")  # RFC 3463: a fault of our own address, which says nothing of theirs


@dataclass(slots=True)
class Claimed:
    """What one worker sends next, in this order; it begins nothing after `begin_by`, and its lease ends at `until`."""

    name: str
    begin_by: datetime
    until: datetime
    letters: list[ToSend] = field(default_factory=list)
    beside: list[int] = field(default_factory=list)
    """Messages that nobody hinted, claimed because they are more important than some that were."""


@dataclass(slots=True)
class ToSend:
    """One message of a claim, with all that rendering it needs."""

    envelope: Envelope
    template: str
    customer: dict[str, Any]
    event: dict[str, Any]
    zone: ZoneInfo
    attempts: int
    resent: bool


def deliver(
    db: Database,
    project: Project,
    mailer: Mailer,
    recorder: Recorder,
    ids: Sequence[int],
    *,
    now: Clock,
    lease: timedelta,
    stopping: Callable[[], bool] = lambda: False,
) -> list[int]:
    """Delivers the due ones among `ids`; returns the ids of messages that their journeys planned next.

    Ids that are not due (any more) are passed over; those that are final only have their journeys told.
    """
    recorder.repeat()  # what an earlier try recorded, if it lost the database before its end
    claimed = claim(db, project, mailer, ids, now(), lease)
    if claimed.letters:
        _send(db, project, mailer, recorder, claimed, now, stopping)
    moment, all_ids = now(), [*ids, *claimed.beside]
    planned = without_poison("message", lambda some: finish(db, project, some, moment, lease), all_ids)
    recorder.forget()
    return planned


def claim(
    db: Database, project: Project, mailer: Mailer, ids: Sequence[int], now: datetime, lease: timedelta
) -> Claimed:
    """Judges the due messages among `ids` and reserves those that may go."""
    with db.transaction() as connection:
        worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        claimed = Claimed(f"{worker}:{db.life(connection)}", now + lease / 2, now + lease)
        messages.LOCK_CUSTOMERS.run(connection, ids=ids)
        rows = messages.due(connection, ids, now + CLOCKS_DIFFER)
        if not rows:
            return claimed
        claimed.beside += _more_important(connection, project, rows, ids, now)
        if claimed.beside:
            rows = messages.due(connection, [*ids, *claimed.beside], now + CLOCKS_DIFFER)
        rows = _with_suppressions(connection, rows)
        exited = _exit_now(connection, project, rows, now)
        sends = Sends(connection, project.policy, rows, now, lease)
        writes = [_judged(row, row.enrollment_id in exited, sends, project, mailer, claimed, now) for row in rows]
        messages.CLAIM.run(connection, rows=writes, claim=claimed.name, lanes=mailer.transport.lanes)
    return claimed


def _more_important(
    connection: Connection, project: Project, rows: Sequence[Due], ids: Sequence[int], now: datetime
) -> list[int]:
    """Due messages that are not among `ids`, of customers for whom one of lower priority would take their place."""
    marketing = {name: each.priority for name, each in project.journeys.items() if each.kind == "marketing"}
    highest = max(marketing.values(), default=0)
    outranked = {row.customer_id for row in rows if marketing.get(row.journey, highest) < highest}
    if not outranked or not project.policy.caps:
        return []
    return messages.beside(connection, sorted(outranked), ids, now)


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
    facts = load_facts(
        connection,
        sorted({row.customer_id for row in watched}),
        demands=wanted.occurrences,
        events=wanted.activity,
        now=now,
        default_zone=project.policy.timezone,
    )
    ended = {
        row.enrollment_id
        for row in watched
        if matches(
            conditions[row.journey],
            with_trigger(facts[row.customer_id], project.journeys[row.journey], row.trigger),
            now,
        )
    }
    if ended:
        enrollments.END.run(connection, ids=sorted(ended), state="exited", reason="exit_when", now=now)
    return ended


def _judged(
    row: Due,
    exited: bool,
    sends: Sends,
    project: Project,
    mailer: Mailer,
    claimed: Claimed,
    now: datetime,
) -> dict[str, Any]:
    """The row's new columns; a message that may go joins `claimed` and counts from here on."""
    address = deliverable(row.email)
    zone = zone_named(row.timezone, project.policy.timezone)
    journey = project.journeys.get(row.journey)
    candidate = Candidate(
        kind=row.kind,
        topic=row.topic,
        on_capped=row.on_capped,
        expires_at=row.expires_at,
        capped_until=row.capped_until,
        enrollment_state="exited" if exited or journey is None else row.enrollment_state,
        holdout=journey is not None and held_out(journey.name, journey.holdout, row.customer_id),
    )
    recipient = Recipient(
        address=address,
        zone=zone,
        consents=row.consents,
        suppressed=row.suppressed,
        erased=row.erased_at is not None,
        allowed=address is None or mailer.allows(address),
    )
    verdict = judge(candidate, recipient, project.policy, *sends.of(row.customer_id), now)
    write = {"id": row.id, "reason": row.reason, "attempts": row.attempts, "email": address or row.email}
    match verdict:
        case Go():
            marketing = row.kind == "marketing"
            if marketing:
                sends.add(row.customer_id, row.topic, now)
            locale = row.locale or project.policy.locale
            envelope = Envelope(row.id, row.customer_id, address or "", row.message_id, row.topic, marketing)
            traits = customer_traits(row)
            resent = (row.reason or "").startswith(_SENT_AGAIN)
            claimed.letters.append(ToSend(envelope, row.template, traits, row.trigger, zone, row.attempts + 1, resent))
            return write | {
                "state": "sending",
                "due_at": now,
                "wake_at": claimed.until,
                "counted_at": now if marketing else None,
                "position": len(claimed.letters),
                "attempts": row.attempts + 1,
                "locale": locale,
            }
        case Defer(until, reason):
            return write | {"state": "pending", "reason": reason, "due_at": until, "wake_at": until}
        case Skip(reason):
            once = (row.reason or "").startswith(_SENT_AGAIN)  # it may have arrived at the first try
            outcome = ("uncertain", f"{_SENT_AGAIN}, then {reason}") if once else ("skipped", reason)
            return write | {"state": outcome[0], "reason": outcome[1], "wake_at": claimed.until}
        case _:
            assert_never(verdict)


def _send(
    db: Database,
    project: Project,
    mailer: Mailer,
    recorder: Recorder,
    claimed: Claimed,
    now: Clock,
    stopping: Callable[[], bool],
) -> None:
    """Sends what was claimed; every outcome is recorded as it comes, and what was not begun is handed back."""
    subjects: dict[int, str] = {}
    waiting = deque(claimed.letters)
    in_flight: dict[int, ToSend] = {}

    def letters() -> Iterator[Letter]:
        while waiting:
            item, moment = waiting[0], now()
            try:
                rendered, unsubscribe = mailer.render(
                    item.template, item.envelope, item.customer, item.event, moment.astimezone(item.zone)
                )
                letter = mailer.letter(item.envelope, rendered, unsubscribe, moment)
            except (RenderError, TemplateError, ValueError) as error:
                waiting.popleft()
                recorder.settle(_failed(item, str(error)) | {"claim": claimed.name})
                continue
            if stopping() or now() >= claimed.begin_by:  # asked last: the first rendering compiles the template
                return
            waiting.popleft()
            in_flight[letter.id] = item
            subjects[letter.id] = rendered.subject
            yield letter

    try:
        for letter, outcome in mailer.transport.deliver(letters()):
            item, subject = in_flight.pop(letter.id), subjects.pop(letter.id)
            if isinstance(outcome, Accepted):
                recorder.sent(letter.id, claimed.name, now(), subject)
            else:
                row = _settled(item, outcome, subject, now()) | {"claim": claimed.name}
                recorder.settle(row, _suppressed(item, outcome, now()))
    finally:
        # What an error leaves in flight is nobody's to hand back: it may be with the server. Its lease will end.
        recorder.flush()
        if waiting:
            recorder.hand_back([item.envelope.id for item in waiting], claimed.name, now())


def _failed(item: ToSend, reason: str) -> dict[str, Any]:
    return {"id": item.envelope.id, "state": "failed", "reason": reason[:1000], "counts": False}


def _settled(item: ToSend, outcome: Outcome, subject: str, now: datetime) -> dict[str, Any]:
    """The columns of a message that was not plainly accepted."""
    row: dict[str, Any] = {"id": item.envelope.id, "subject": subject}
    match outcome:
        case Deferred(reply=reply):
            if item.attempts >= _MOST_RETRIES:
                return row | {"state": "failed", "reason": reply, "counts": False}
            again = now + retry_pause(item.attempts)
            reason = f"{_SENT_AGAIN}: {reply}" if item.resent else reply
            return row | {"state": "pending", "reason": reason, "due_at": again, "wake_at": again, "counts": False}
        case Refused(reply=reply):
            return row | {"state": "failed", "reason": reply, "counts": False}
        case Unknown(reply=reply):
            if not item.envelope.marketing and not item.resent:
                again = now + retry_pause(item.attempts)
                return row | {"state": "pending", "reason": _SENT_AGAIN, "due_at": again, "wake_at": again}
            return row | {"state": "uncertain", "reason": reply, "counts": True}
        case Accepted():
            return row | {"state": "sent", "sent_at": now, "counts": True}
        case _:
            assert_never(outcome)


def retry_pause(attempts: int) -> timedelta:
    """How long to wait after that many attempts: 5 minutes, doubling to 4 hours (what Postfix does)."""
    return min(_FIRST_RETRY * int(2 ** min(attempts - 1, 16)), _LONGEST_RETRY)


def _suppressed(item: ToSend, outcome: Outcome, now: datetime) -> list[Suppressed]:
    """A suppression where the server said that the mailbox does not exist (RFC 3463, 5.1.x)."""
    enhanced = outcome.enhanced if isinstance(outcome, Refused) else None
    if enhanced is None or not enhanced.startswith("5.1.") or enhanced in _OF_THE_SENDER:
        return []
    return [Suppressed(item.envelope.address, "hard_bounce", now, outcome.reply)]


def finish(db: Database, project: Project, ids: Sequence[int], now: datetime, lease: timedelta) -> list[int]:
    """Has the journeys of final messages move on; returns the ids of the messages planned next."""
    with db.transaction() as connection:
        messages.LOCK_CUSTOMERS.run(connection, ids=ids)
        told = {(row.enrollment_id, row.step) for row in messages.FINISH.run(connection, ids=ids).all()}
        if not told:
            return []
        awaiting = enrollments.AWAITING_MESSAGE.run(
            connection, ids=sorted({enrollment for enrollment, _ in told})
        ).all()
        # A message that was settled again later says nothing of the step at which somebody stands by then.
        rows = [row for row in awaiting if (row.id, row.step) in told]
        return move(connection, project, rows, now, lease)
