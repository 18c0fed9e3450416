"""Takes a batch of stream entries into the database: one transaction, a fixed number of statements.

1. Read each entry; what cannot be read becomes a dead letter.
2. Make and lock the customers; read what conditions need to know of them.
3. Store the events that are new; count them; fold traits, consents, suppressions and erasures.
4. End and wake enrollments, then enter new ones.
5. Keep dead letters, count ignored entries, commit.

Whoever calls acknowledges the entries afterwards and hints the enrollments in `Taken.advance`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from lifecycle.core import listen
from lifecycle.core.calendar import zone_named
from lifecycle.core.facts import Facts
from lifecycle.core.judge import MUTED
from lifecycle.core.listen import Enrolled, Hearing, Reactions, Visit
from lifecycle.core.listeners import listeners
from lifecycle.journey.project import Project
from lifecycle.store import customers, dead_letters, entering, events, listening, messages, tallies
from lifecycle.store.database import Database
from lifecycle.store.dead_letters import Letter
from lifecycle.store.facts import load_facts
from lifecycle.store.fates import last_fates
from lifecycle.wire import Fact, Refusal, Track, parse

from . import fatigue
from .poison import is_poisonous
from .profiles import earliest, fold

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream entry: where it came from, its bytes, and when it was put there (None: when it is taken).

    `fact`: what it says, where somebody has parsed it already.
    """

    id: str
    raw: bytes
    received_at: datetime | None = None
    fact: Fact | Refusal | None = None


@dataclass(slots=True)
class Taken:
    """What became of a batch. `advance`: enrollments that are due now; `letters`: entries that were refused, by id.

    An entry that was taken in part has a dead letter too, but counts as accepted.
    """

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    entered: int = 0
    goals: int = 0
    exited: int = 0
    woken: int = 0
    ignored: int = 0
    advance: list[int] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)

    def add(self, other: Taken) -> None:
        """Counts another batch in."""
        for name in ("accepted", "duplicates", "refused", "entered", "goals", "exited", "woken", "ignored"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.advance += other.advance
        self.letters += other.letters


@dataclass(slots=True)
class _Reading:
    """An entry, what it says, and what is wrong with it."""

    entry: Entry
    fact: Fact | Refusal
    faults: list[str] = field(default_factory=list)


def take(
    db: Database,
    project: Project,
    entries: Sequence[Entry],
    now: datetime,
    *,
    lease: timedelta,
    max_lateness: timedelta,
    committing: Callable[[], None] = lambda: None,
) -> Taken:
    """Takes `entries`, each once for ever; what the database refuses is kept as dead letters, the rest is taken.

    Events older than `max_lateness` start no journey. `committing` is called right before each commit, and must not
    raise. Raises sqlalchemy's OperationalError, with nothing taken of the batch that failed, when the database is away;
    doing it again is safe.
    """
    readings = [_Reading(entry, entry.fact or parse(entry.raw, entry.received_at or now)) for entry in entries]

    def in_one(some: list[_Reading]) -> Taken:
        with db.transaction(wide=True) as connection:
            taken = _Batch(connection, project, some, now, lease, max_lateness).take()
            committing()
        return taken

    return _divide(readings, in_one)


def _divide(readings: list[_Reading], in_one: Callable[[list[_Reading]], Taken]) -> Taken:
    """A batch that the data makes fail is halved until what is poisonous is alone."""
    try:
        return in_one(readings)
    except Exception as error:
        if not is_poisonous(error):
            raise
        for reading in readings:
            reading.faults.clear()
        if len(readings) > 1:
            middle = len(readings) // 2
            taken = _divide(readings[:middle], in_one)
            taken.add(_divide(readings[middle:], in_one))
            return taken
        readings[0].fact = Refusal(_reason(error))
        return in_one(readings)


def _reason(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return "the database cannot hold it: " + str(error.orig).partition("\n")[0][:300]
    log.error("an event that the engine cannot take; it is kept as a dead letter", exc_info=error)
    return f"a fault in the engine: {type(error).__name__}: " + str(error).partition("\n")[0][:300]


class _Batch:
    """One transaction's work, step by step."""

    def __init__(
        self,
        connection: Connection,
        project: Project,
        readings: Sequence[_Reading],
        now: datetime,
        lease: timedelta,
        max_lateness: timedelta,
    ) -> None:
        self.connection = connection
        self.project = project
        self.readings = readings
        self.now = now
        self.lease = lease
        self.earliest = now - max_lateness
        self.found = listeners(project)
        self.taken = Taken()
        self.by_message: dict[str, _Reading] = {}
        self.ignored: Mapping[tuple[str, str], int] = {}

    def take(self) -> Taken:
        facts = self._first_of_each()
        if facts:
            said = (fact for fact in facts.values() if fact.traits)
            late = customers.lock(self.connection, earliest(facts.values()), earliest(said))
            known = self._known_before(facts.values())
            new = self._store(facts)
            if new:
                folded = fold(self.connection, new, late)
                for message_id, faults in folded.faults.items():
                    self.by_message[message_id].faults.extend(faults)
                if folded.paced:
                    messages.WAKE_HELD.run(self.connection, keys=sorted(folded.paced), reason="capped:", now=self.now)
                fatigue.hear(self.connection, self.project.policy, new, self.now)
                self._unmute(new)
                self._react(new, known, folded.anew)
        self._keep_letters()
        return self.taken

    def _first_of_each(self) -> dict[str, Fact]:
        """The facts by message id; of several with one id the first."""
        facts: dict[str, Fact] = {}
        for reading in self.readings:
            if isinstance(reading.fact, Refusal):
                self._refuse(reading, reading.fact.reason)
            else:
                message_id = reading.fact.message_id
                if message_id not in facts:
                    facts[message_id] = reading.fact
                    self.by_message[message_id] = reading
        return facts

    def _store(self, facts: Mapping[str, Fact]) -> list[Fact]:
        """Stores what is new, in the order of timestamps and then of arrival; tells repetitions from conflicts."""
        added = events.add(self.connection, facts, self.now)
        stored = {message_id: facts[message_id].digest for message_id in added}
        if len(added) < len(facts):
            stored |= events.digests(self.connection, facts.keys() - added)
        for reading in self.readings:
            fact = reading.fact
            if isinstance(fact, Refusal):
                continue
            if self.by_message[fact.message_id] is reading and fact.message_id in added:
                self.taken.accepted += 1
            elif fact.digest == stored[fact.message_id]:
                self.taken.duplicates += 1
            else:
                self._refuse(reading, f"conflicting repeat: {fact.message_id!r} was taken with other content")
        return sorted(
            (fact for message_id, fact in facts.items() if message_id in added), key=lambda fact: fact.timestamp
        )

    def _refuse(self, reading: _Reading, reason: str) -> None:
        reading.faults.append(reason)
        self.taken.refused += 1
        self.taken.letters.append(reading.entry.id)

    def _known_before(self, facts: Iterable[Fact]) -> dict[str, Facts]:
        """What conditions look at, before the batch: only of customers with an event for which one does."""
        found, now = self.found, self.now
        reading: set[str] = set()
        ahead: set[str] = set()
        for fact in facts:
            name = fact.event if isinstance(fact, Track) else None
            if name in found.reading or (fact.traits and found.heard_traits):
                reading.add(fact.customer_id)
            if name in found.counted and fact.timestamp > now:
                ahead.add(str(name))
        if not reading:
            return {}
        return load_facts(
            self.connection,
            sorted(reading),
            demands={**found.demands, **dict.fromkeys(ahead)},
            events=found.counted,
            now=now,
            default_zone=self.project.policy.timezone,
        )

    def _unmute(self, new: Sequence[Fact]) -> None:
        """What a mute holds back comes up at once when something comes that the mute reads."""
        found = self.found
        if not (found.muting or found.muting_traits):
            return
        concerned = {
            fact.customer_id
            for fact in new
            if (isinstance(fact, Track) and fact.event in found.muting) or (found.muting_traits and fact.traits)
        }
        if concerned:
            messages.WAKE_HELD.run(self.connection, keys=sorted(concerned), reason=MUTED, now=self.now)

    def _react(self, new: Sequence[Fact], known: Mapping[str, Facts], anew: Mapping[str, dict[str, object]]) -> None:
        """What the events mean to journeys."""
        found = self.found
        hearing, entrants, names = set(), set(), set()
        for fact in new:
            name = fact.event if isinstance(fact, Track) else None
            if name in found.heard or (found.heard_traits and fact.traits):
                hearing.add(fact.customer_id)
                names.add(name or "")
            if name in found.entries:
                entrants.add(fact.customer_id)
        concerns = {journey.name for journey in found.exits}.union(
            journey.name for name in names for journey in found.goals.get(name, ())
        )
        enrolled = listening.open_enrollments(self.connection, hearing, names, concerns) if hearing else {}
        self._add_fates(enrolled)
        concerned = enrolled.keys() | entrants
        if concerned:
            candidates = listen.candidates(found, new)
            visits = entering.visits(self.connection, candidates) if candidates else {}
            self._write(self._hear(new, concerned, enrolled, visits, known, anew))

    def _add_fates(self, enrolled: Mapping[str, Sequence[Enrolled]]) -> None:
        """What became of the last email, where an exit_when asks for it."""
        asking = [one for ones in enrolled.values() for one in ones if one.journey in self.found.exits_by_fate]
        fates = last_fates(self.connection, [one.id for one in asking])
        for one in asking:
            one.last_send = fates.get(one.id)

    def _hear(
        self,
        new: Sequence[Fact],
        concerned: Collection[str],
        enrolled: Mapping[str, list[Enrolled]],
        visits: dict[listen.Key, Visit],
        known: Mapping[str, Facts],
        anew: Mapping[str, dict[str, object]],
    ) -> Reactions:
        theirs: dict[str, list[Fact]] = defaultdict(list)
        for fact in new:
            theirs[fact.customer_id].append(fact)
        reactions = Reactions()
        zone = zone_named(None, self.project.policy.timezone)
        for customer in sorted(concerned):
            facts = known.get(customer) or Facts(customer, zone)
            late = customer in anew
            Hearing(
                self.project,
                self.found,
                replace(facts, traits=anew[customer]) if late else facts,
                late,
                enrolled.get(customer, []),
                visits,
                self.now,
                self.earliest,
                reactions,
            ).hear(theirs[customer])
        return reactions

    def _write(self, reactions: Reactions) -> None:
        taken = self.taken
        woken = [one for one in reactions.woken if one not in reactions.ended]
        if reactions.ended:
            listening.end(self.connection, reactions.ended, self.now)
        if woken:
            listening.wake(self.connection, woken, self.now, self.lease)
        entered: list[int] = []
        if reactions.entered:
            entered = entering.enter(self.connection, reactions.entered, self.now, self.lease)
        taken.advance = woken + entered
        taken.woken, taken.entered = len(woken), len(entered)
        taken.goals = sum(state == "goal_reached" for state, _ in reactions.ended.values())
        taken.exited = len(reactions.ended) - taken.goals
        taken.ignored = sum(reactions.ignored.values())
        self.ignored = reactions.ignored

    def _keep_letters(self) -> None:
        """Last, because others may be writing the same few rows."""
        letters = [
            Letter(one.entry.id, "; ".join(one.faults), one.entry.raw, one.entry.received_at or self.now)
            for one in self.readings
            if one.faults
        ]
        dead_letters.keep(self.connection, letters)
        tallies.add(self.connection, self.ignored)
