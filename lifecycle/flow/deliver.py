"""Delivers messages: claim under the policy, render and send one by one, tell the journeys.

    claim    one durable transaction: customers locked, due messages judged, `sending` written with counted_at
    send     what emails show of the shop is fetched, set by set; then each is rendered, and one by one they become
             letters, are sent and recorded, in the order of the claim, so that a crash leaves few uncertain
    finish   one transaction: the enrollments of what is final move on

What was claimed and not begun when the worker is asked to stop, or when half of its lease is over, is handed back:
the other half is for what is in flight, so that nobody takes over what may still be sent. What an operator pauses
meanwhile is handed back too, up to the moment at which its content would leave.

Rendering goes ahead of sending, in one go for as many as a tenth of a second allows: an email rendered between two
sends takes half as long again, because what the processor had ready for it was displaced. It writes nothing: whose turn
does not come was never begun. So where the server is slow, the `now` of a template is earlier than the letter's date.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never

from lifecycle.errors import RenderError, TemplateError
from lifecycle.journey.project import Project
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown, Withdrawn
from lifecycle.store import enrollments, messages
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder
from lifecycle.store.suppressions import Suppressed

from .advance import move
from .claim import claim
from .claimed import SENT_AGAIN, Claimed, ToSend
from .digests import revised
from .mailer import Content, Mailer, UnrenderableDigestError
from .poison import in_parts, without_poison
from .shopping import add_shopping

Clock = Callable[[], datetime]

_FIRST_RETRY, _LONGEST_RETRY, _MOST_RETRIES = timedelta(minutes=5), timedelta(hours=4), 35  # 35 pauses are 5 days
_AHEAD = 0.1  # seconds of rendering between two looks at what can be sent
_OF_THE_SENDER = ("5.1.7", "5.1.8")  # RFC 3463: a fault of our own address, which says nothing of theirs


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
    beside = send(db, project, mailer, recorder, ids, now=now, lease=lease, stopping=stopping)
    moment = now()
    planned = without_poison("message", lambda some: finish(db, project, some, moment, lease), [*ids, *beside])
    recorder.forget()
    return planned


def send(
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
    """Claims, sends and records the due ones among `ids`; returns the ids of what was claimed beside them."""
    beside: list[int] = []
    for claimed in in_parts("message", lambda some: claim(db, project, mailer, some, now(), lease), ids):
        beside += claimed.beside
        if claimed.letters:
            _send(db, project, mailer, recorder, claimed, now, stopping)
    return beside


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
    sending = _Sending(mailer, recorder, claimed, now, stopping)
    try:
        add_shopping(db, project, mailer, claimed.letters)
        for letter, outcome in mailer.transport.deliver(sending.letters()):
            sending.record(letter, outcome)
    finally:
        # What an error leaves in flight is nobody's to hand back: it may be with the server. Its lease will end.
        recorder.flush()
        sending.hand_back([*sending.waiting])


class _Sending:
    """A claim on its way: what waits to be begun, and what is in flight, with its subject."""

    def __init__(
        self, mailer: Mailer, recorder: Recorder, claimed: Claimed, now: Clock, stopping: Callable[[], bool]
    ) -> None:
        self.waiting = deque(claimed.letters)
        self._rendered: dict[int, Content | Exception] = {}
        self._in_flight: dict[int, tuple[ToSend, str]] = {}
        self._mailer = mailer
        self._recorder = recorder
        self._claimed = claimed
        self._now = now
        self._stopping = stopping

    def letters(self) -> Iterator[Letter]:
        """Each message as the transport asks for it; one that cannot be rendered has failed."""
        while self.waiting:
            item = self.waiting[0]
            if item.envelope.id not in self._rendered:
                self._render_ahead()
            # Asked after rendering, the first of which compiles the template.
            if self._stopping() or self._now() >= self._claimed.begin_by:
                return
            if not self._wanted(item):
                # All at once, before anything behind them leaves: after a crash what is in flight is told by its place.
                self.hand_back([item for item in self.waiting if not self._wanted(item)])
                continue
            try:
                letter, subject = self._letter(item)
            except (RenderError, TemplateError, ValueError) as error:
                self.waiting.popleft()
                self._settle(_failed(item, str(error)))
                continue
            self.waiting.popleft()
            self._in_flight[letter.id] = item, subject
            yield letter

    def record(self, letter: Letter, outcome: Outcome) -> None:
        """Notes what became of one."""
        (item, subject), moment = self._in_flight.pop(letter.id), self._now()
        if isinstance(outcome, Accepted) and moment < self._claimed.until:
            self._recorder.sent(letter.id, self._claimed.name, moment, subject)
            if not self.waiting:  # nothing is pulled any more, before which it would be written
                self._recorder.write()
        elif isinstance(outcome, Withdrawn):
            self.hand_back([item])
        else:
            # After the lease it counts from now: what caps look for is claimed at most a lease before it was sent.
            late = {"counted_at": moment} if moment >= self._claimed.until else {}
            self._settle(_settled(item, outcome, subject, moment) | late, _suppressed(item, outcome, moment))

    def _render_ahead(self) -> None:
        """Renders the next ones that wait, at least one."""
        enough = time.monotonic() + _AHEAD
        for item in self.waiting:
            try:
                self._rendered[item.envelope.id] = self._render(item)
            except Exception as error:  # noqa: BLE001  it is raised when it is this one's turn
                self._rendered[item.envelope.id] = error
            if time.monotonic() >= enough:
                break

    def _render(self, item: ToSend) -> Content:
        local = self._now().astimezone(item.zone)
        what = item.template, item.envelope, item.customer
        if item.sections:
            return self._mailer.render_digest(*what, item.sections, local, item.more)
        return self._mailer.render(*what, item.event, local, item.more)

    def _letter(self, item: ToSend) -> tuple[Letter, str]:
        """The letter and its subject; the sections of a digest that cannot be rendered have failed each for itself."""
        content = self._rendered.pop(item.envelope.id)
        if isinstance(content, (Content, UnrenderableDigestError)) and content.failed:
            self._recorder.take_out(*_taken_out(item, content.failed))
        if isinstance(content, Exception):
            try:
                raise content
            finally:
                del content  # or its traceback would keep itself and the customer's data in memory
        wanted = partial(self._wanted, item)
        return self._mailer.letter(item.envelope, content, self._now(), wanted), content.rendered.subject

    def _wanted(self, item: ToSend) -> bool:
        """Whether nobody has paused it meanwhile; asked right before its content leaves."""
        self._recorder.write()  # by then what went out before is on record
        paused, marketing = self._claimed.pauses.now(), item.envelope.marketing
        if not paused:
            return True
        whole = paused.stops(item.journey, item.envelope.topic, marketing)
        return not (whole or any(paused.stops(part.journey, part.topic, marketing) for part in item.sections))

    def hand_back(self, items: Sequence[ToSend]) -> None:
        """Gives back what nothing of has left; it is due at once, and judged again by the next claim."""
        if items:
            ids = {item.envelope.id for item in items}
            self._recorder.hand_back(sorted(ids), self._claimed.name, self._now())
            self.waiting = deque(item for item in self.waiting if item.envelope.id not in ids)

    def _settle(self, row: dict[str, Any], suppressed: Sequence[Suppressed] = ()) -> None:
        self._recorder.settle(row | {"claim": self._claimed.name}, suppressed)


def _failed(item: ToSend, reason: str) -> dict[str, Any]:
    return {"id": item.envelope.id, "state": "failed", "reason": reason[:1000], "counts": False}


def _taken_out(item: ToSend, failed: Mapping[int, str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What becomes of the messages of sections that cannot be rendered, and of their digest."""
    taken = [{"id": id, "state": "failed", "reason": reason[:1000]} for id, reason in failed.items()]
    left = [section for section in item.sections if section.id not in failed]
    return taken, revised(item.envelope.id, [section.kept for section in left], item.envelope.topic)


def _settled(
    item: ToSend, outcome: Accepted | Deferred | Refused | Unknown, subject: str, now: datetime
) -> dict[str, Any]:
    """The columns of a message that was not plainly accepted."""
    row: dict[str, Any] = {"id": item.envelope.id, "subject": subject}
    match outcome:
        case Deferred(reply=reply):
            if item.attempts >= _MOST_RETRIES:
                return row | {"state": "failed", "reason": reply, "counts": False}
            again = now + retry_pause(item.attempts)
            reason = f"{SENT_AGAIN}: {reply}" if item.resent else reply
            return row | {
                "state": "pending",
                "reason": reason,
                "due_at": again,
                "wake_at": again,
                "counts": item.resent,
            }
        case Refused(reply=reply):
            return row | {"state": "failed", "reason": reply, "counts": False}
        case Unknown(reply=reply):
            if not item.envelope.marketing and not item.resent:
                again = now + retry_pause(item.attempts)
                row |= {"due_at": again, "wake_at": again, "counts": True}  # it may have gone out
                return row | {"state": "pending", "reason": SENT_AGAIN}
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
    with db.transaction(durable=False) as connection:
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
