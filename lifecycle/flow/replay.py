"""Replays a history of events under a virtual clock, through the functions that the live roles call.

Always the next thing first, be it an event, a timer, or a moment at which somebody may enter by condition or by
date; the clock stands at that moment while it is done, and hints are called directly. So the same file gives the
same messages, and nothing depends on the machine or on the day.

It differs from live roles in two ways only. They look each second and sweep each minute; here everything happens at
its very moment. And entries without an event end with the last event of the file (or with `until`): a birthday
comes every year, and a replay has to end. Nor does fatigue, computed anew each day, keep it going by itself, nor what
goes with what: it is computed with whatever else happens first once it is due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lifecycle.errors import StoreError
from lifecycle.journey.project import Project
from lifecycle.journey.steps import Send, Set, walk_steps
from lifecycle.mail.recommended import RECOMMENDED
from lifecycle.store import ahead, enrollments, messages, pauses
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder, Sent
from lifecycle.wire import Refusal, Track, parse

from .advance import advance
from .consume import Entry, Taken, take
from .deliver import deliver
from .fatigue import compute_due, watches
from .mailer import Mailer
from .openings import Heard, Openings
from .recommending import refresh_if_due
from .schedule import claim_due, recover, release_held

_AT_ONCE = 500
_ALL = 1_000_000
"""What is due at one moment is judged together, so that of one customer's messages the more important goes first."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a history: when it is taken, its bytes, and what it means to entries (None: it is refused)."""

    at: datetime
    entry: Entry
    heard: Heard | None


@dataclass(slots=True)
class Replayed:
    """What a replay did so far: where its clock stands (None before it starts), how many of its lines were taken and
    what became of them, how many people entered."""

    now: datetime | None = None
    lines: int = 0
    taken: Taken = field(default_factory=Taken)
    entered: int = 0
    moments: int = 0


Progress = Callable[[Replayed], None]


def read_lines(lines: Iterable[bytes], name: str, latest: datetime) -> list[Line]:
    """The events of a JSON Lines file in the order of their timestamps; of one timestamp, in that of the file.

    A line that is no event, says no timestamp, or one more than a day after `latest`, keeps its place behind the
    line before it.
    """
    read: list[Line] = []
    at: datetime | None = None
    waiting: list[Entry] = []
    for number, raw in enumerate(lines, 1):
        raw = raw.strip()
        if not raw:
            continue
        entry = Entry(f"{name}:{number}", raw)
        fact = parse(raw, latest)
        if isinstance(fact, Refusal):
            if at is None:
                waiting.append(entry)
            else:
                read.append(Line(at, entry, None))
            continue
        if fact.timestamp != latest:
            at = fact.timestamp
        moment = at or latest
        event = fact.event if isinstance(fact, Track) else None
        read.append(Line(moment, entry, Heard(fact.customer_id, event, moment, tuple(fact.traits))))
    first = read[0].at if read else latest
    read += [Line(first, entry, None) for entry in waiting]
    return sorted(read, key=lambda line: line.at)


def replay(
    db: Database,
    project: Project,
    mailer: Mailer,
    lines: Sequence[Line],
    *,
    lease: timedelta,
    max_lateness: timedelta,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress = lambda replayed: None,
    at_once: int = _AT_ONCE,
) -> Replayed:
    """Replays `lines` and everything that follows from them, up to but not including `until`.

    Goes on from where the database stands: events that were taken before are passed over. `since`: the clock stands
    there or later from the start; what should have been before is done then. `at_once`: how many events
    of one moment are taken in one transaction; it changes nothing but the speed.
    """
    return _Replay(db, project, mailer, lines, lease, max_lateness, since, until, at_once).run(progress)


class InlineRecorder(Recorder):
    """Records what was accepted at the end of each delivery, on the connection that everything else uses."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, pause=lambda seconds: None)
        self._accepted: list[Sent] = []

    def sent(self, id: int, claim: str, at: datetime, subject: str) -> None:
        """Keeps the outcome until `flush`."""
        self._accepted.append((id, claim, at, subject))

    def flush(self) -> None:
        """Records everything kept."""
        if self._accepted:
            with self._db.transaction() as connection:
                rows = [
                    {"id": id, "claim": claim, "state": "sent", "sent_at": at, "subject": subject, "counts": True}
                    for id, claim, at, subject in self._accepted
                ]
                messages.SETTLE.run(connection, rows=rows)
            self._accepted.clear()


class _Replay:
    def __init__(
        self,
        db: Database,
        project: Project,
        mailer: Mailer,
        lines: Sequence[Line],
        lease: timedelta,
        max_lateness: timedelta,
        since: datetime | None,
        until: datetime | None,
        at_once: int,
    ) -> None:
        self.db = db
        self.project = project
        self.mailer = mailer
        self.recorder = InlineRecorder(db)
        self.lines = lines
        self.lease = lease
        self.max_lateness = max_lateness
        self.since = since
        self.until = until
        self.at_once = at_once
        self.place = 0
        self.done = Replayed()
        self.openings = Openings(db, project, lease)
        self.sets_traits = any(
            isinstance(step, Set) for journey in project.journeys.values() for step in walk_steps(journey.steps)
        )
        self.watches = watches(project.policy)
        self.recommends = project.policy.purchases if RECOMMENDED in _read_of_the_shop(project, mailer) else None
        self.refresh_at = datetime.min.replace(tzinfo=UTC)
        self.now = datetime.min.replace(tzinfo=UTC)
        self.last_entry = until or (lines[-1].at if lines else self.now)

    def run(self, progress: Progress) -> Replayed:
        self._start()
        while (moment := self._next()) is not None and (self.until is None or moment < self.until):
            self.now = max(self.now, moment)
            self._live_through()
            self.done.now = self.now
            self.done.moments += 1
            self.done.lines = self.place
            progress(self.done)
        return self.done

    def _start(self) -> None:
        """Stands where the database stands: after its newest event."""
        if self.since is not None:
            self.now = self.since
        with self.db.reading() as connection:
            if pauses.listed(connection):
                raise StoreError("sending is paused in that database, and nobody would resume: lifecycle pause --list")
            latest, self.sending = ahead.reached(connection)
        if latest is not None:
            self.now = max(self.now, latest)
            release_held(self.db, self.project, self.now)
        if latest is not None or self.lines:
            self.openings.start(self.now if latest is not None else self.lines[0].at)

    def _next(self) -> datetime | None:
        """The moment of the next event, timer or possible entry; the moments of timers are kept for `_live_through`."""
        with self.db.reading() as connection:
            self.enrollment_wake, self.message_wake, self.fatigue_wake = ahead.next_wakes(connection)
        moments = [moment for moment in (self.enrollment_wake, self.message_wake) if moment is not None]
        if self.place < len(self.lines):
            moments.append(self.lines[self.place].at)
        opening = self.openings.next()
        if opening is not None and opening <= self.last_entry:
            moments.append(opening)
        if self.fatigue_wake is not None and self.watches and (moments or self.until is not None):
            moments.append(self.fatigue_wake)
        return min(moments, default=None)

    def _live_through(self) -> None:
        """All that is due now: fatigue, what goes with what, events, entries, people, messages, in this order."""
        if self.watches and self.fatigue_wake is not None and self.fatigue_wake <= self.now:
            compute_due(self.db, self.project, self.now, most=_ALL)
        if self.recommends is not None and self.refresh_at <= self.now:
            self.refresh_at = refresh_if_due(self.db, self.recommends, self.now)
        due = self._take()
        due += self._enter()
        if self.enrollment_wake is not None and self.enrollment_wake <= self.now:
            due += claim_due(self.db, enrollments.CLAIM_DUE, self.now, self.lease, _ALL)
        planned = self._advance(due) if due else []
        if self.message_wake is not None and self.message_wake <= self.now:
            if self.sending:
                recover(self.db, self.now)
            planned += claim_due(self.db, messages.CLAIM_DUE, self.now, self.lease, _ALL)
        while planned:
            planned = self._deliver(sorted(planned))

    def _take(self) -> list[int]:
        """Takes the events of this moment."""
        due: list[int] = []
        while self.place < len(self.lines) and self.lines[self.place].at <= self.now:
            few: list[Line] = []
            while len(few) < self.at_once and self.place < len(self.lines) and self.lines[self.place].at <= self.now:
                few.append(self.lines[self.place])
                self.place += 1
            taken = take(
                self.db,
                self.project,
                [line.entry for line in few],
                self.now,
                lease=self.lease,
                max_lateness=self.max_lateness,
            )
            due += taken.advance
            taken.advance = []
            self.done.taken.add(taken)
            self.done.entered += taken.entered
            self.openings.hear([line.heard for line in few if line.heard is not None], self.now)
        return due

    def _enter(self) -> list[int]:
        if self.now > self.last_entry:
            return []
        entered = self.openings.enter(self.now)
        self.done.entered += len(entered)
        return entered

    def _advance(self, ids: list[int]) -> list[int]:
        if self.sets_traits:
            with self.db.reading() as connection:
                self.openings.ask(ahead.whose(connection, ids), self.now)
        return advance(self.db, self.project, sorted(ids), self.now, self.lease)

    def _deliver(self, ids: list[int]) -> list[int]:
        if self.sets_traits:
            with self.db.reading() as connection:
                self.openings.ask(ahead.addressed(connection, ids), self.now)
        return deliver(self.db, self.project, self.mailer, self.recorder, ids, now=lambda: self.now, lease=self.lease)


def _read_of_the_shop(project: Project, mailer: Mailer) -> frozenset[str]:
    """What of the shop any of the project's emails reads."""
    if project.policy.purchases is None:
        return frozenset()
    steps = (step for journey in project.journeys.values() for step in walk_steps(journey.steps))
    templates = {project.policy.digest.template, *(step.template for step in steps if isinstance(step, Send))}
    return frozenset().union(*map(mailer.reads, templates))
