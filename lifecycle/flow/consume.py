"""Takes a batch of stream entries into the database: one transaction, a fixed number of statements.

1. Read each entry; what cannot be read becomes a dead letter.
2. Make and lock the customers; read what conditions need to know of them.
3. Store the events that are new; count them; fold traits, consents, suppressions and erasures.
4. End and wake enrollments, then enter new ones.
5. Keep dead letters, count ignored entries, commit.

Whoever calls acknowledges the entries afterwards and hints the enrollments in `Taken.advance`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from orjson import JSONEncodeError
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from lifecycle.core import listen
from lifecycle.core.calendar import zone_named
from lifecycle.core.facts import Facts
from lifecycle.core.listen import Enrolled, Hearing, Reactions, Visit
from lifecycle.core.profile import fold, merge
from lifecycle.journey.project import Project
from lifecycle.store import consents, customers, dead_letters, entering, events, listening, suppressions, tallies
from lifecycle.store.consents import Stated
from lifecycle.store.database import Database
from lifecycle.store.dead_letters import Letter
from lifecycle.store.facts import load_facts
from lifecycle.store.suppressions import Suppressed
from lifecycle.wire import Fact, Refusal, Track, parse

_CONSENT = {"subscription.granted": True, "subscription.withdrawn": False}
_SUPPRESSION: Mapping[str, Literal["hard_bounce", "complaint"]] = {
    "email.bounced": "hard_bounce",
    "email.complained": "complaint",
}
_ERASED = "customer.erased"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream entry: where it came from, its bytes, and when it was put there (None: when it is taken)."""

    id: str
    raw: bytes
    received_at: datetime | None = None


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
) -> Taken:
    """Takes `entries`, each once for ever; what the database refuses is kept as dead letters, the rest is taken.

    Events older than `max_lateness` start no journey. Raises sqlalchemy's OperationalError, with nothing taken of
    the batch that failed, when the database is away; doing it again is safe.
    """
    readings = [_Reading(entry, parse(entry.raw, entry.received_at or now)) for entry in entries]
    return _divide(db, project, readings, now, lease, max_lateness)


def _divide(
    db: Database, project: Project, readings: list[_Reading], now: datetime, lease: timedelta, max_lateness: timedelta
) -> Taken:
    """A batch that the data makes fail is halved until what is poisonous is alone."""
    try:
        with db.transaction() as connection:
            return _Batch(connection, project, readings, now, lease, max_lateness).take()
    except Exception as error:
        if not _poisonous(error):
            raise
        for reading in readings:
            reading.faults.clear()
        if len(readings) > 1:
            middle = len(readings) // 2
            taken = _divide(db, project, readings[:middle], now, lease, max_lateness)
            taken.add(_divide(db, project, readings[middle:], now, lease, max_lateness))
            return taken
        readings[0].fact = Refusal(f"the database cannot hold it: {_first_line(error)}")
        with db.transaction() as connection:
            return _Batch(connection, project, readings, now, lease, max_lateness).take()


def _poisonous(error: Exception) -> bool:
    """Whether it is the data's fault, and not that of the code, or of the database's state or its being away."""
    return isinstance(error, DataError | IntegrityError | JSONEncodeError) or type(error) is StatementError


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).partition("\n")[0][:300]


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
        self.found = listen.listeners(project)
        self.taken = Taken()
        self.by_message: dict[str, _Reading] = {}

    def take(self) -> Taken:
        facts = self._first_of_each()
        if facts:
            first_seen = _earliest(facts.values())
            customers.lock(self.connection, first_seen)
            known = self._known_before(facts.values())
            new = self._store(facts)
            if new:
                self._fold(new)
                self._react(new, known)
        self._keep_letters()
        return self.taken

    def _first_of_each(self) -> dict[str, Fact]:
        """The facts by message id; of several with one id the first."""
        facts: dict[str, Fact] = {}
        for reading in self.readings:
            if isinstance(reading.fact, Refusal):
                reading.faults.append(reading.fact.reason)
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
                self._refuse(reading)
            elif self.by_message[fact.message_id] is reading and fact.message_id in added:
                self.taken.accepted += 1
            elif fact.digest == stored[fact.message_id]:
                self.taken.duplicates += 1
            else:
                reading.faults.append(f"conflicting repeat: {fact.message_id!r} was taken with other content")
                self._refuse(reading)
        return sorted(
            (fact for message_id, fact in facts.items() if message_id in added), key=lambda fact: fact.timestamp
        )

    def _refuse(self, reading: _Reading) -> None:
        self.taken.refused += 1
        self.taken.letters.append(reading.entry.id)

    def _fold(self, new: Sequence[Fact]) -> None:
        """What the events say of the customers themselves."""
        tracks = [fact for fact in new if isinstance(fact, Track)]
        events.count(self.connection, tracks)
        reserved = [track for track in tracks if track.event in _CONSENT or track.event in _SUPPRESSION]
        erased = {track.customer_id: track.timestamp for track in reversed(tracks) if track.event == _ERASED}
        if erased:
            customers.erase(self.connection, erased)
        self._fold_traits(new)
        if reserved:
            self._fold_consents(reserved)
            self._suppress(reserved)

    def _fold_traits(self, new: Sequence[Fact]) -> None:
        """Newer traits go over what is known; where something older arrives, all statements are read anew."""
        said = sorted((fact for fact in new if fact.traits), key=lambda fact: (fact.timestamp, fact.message_id))
        late = customers.late(self.connection, _earliest(new), _earliest(said))
        current = {fact.customer_id for fact in said} - late.keys()
        known = customers.read(self.connection, current | late.keys()) if said or late else {}
        identified_at: dict[str, datetime | None] = {}
        for fact in said:
            into = known[fact.customer_id] if fact.customer_id in current else {}
            faults = merge(into, fact.traits)
            if faults:
                self.by_message[fact.message_id].faults.append("; ".join(faults) + "; the rest was taken")
            identified_at[fact.customer_id] = fact.timestamp
        if late:
            self._fold_anew(late, known, identified_at)
        if known:
            customers.write(self.connection, known, identified_at)

    def _fold_anew(
        self,
        late: Mapping[str, bool],
        known: dict[str, dict[str, object]],
        identified_at: dict[str, datetime | None],
    ) -> None:
        erased = [customer for customer, gone in late.items() if gone]
        if erased:
            events.forget(self.connection, erased)
        first = events.first_timestamps(self.connection, late)
        said = events.statements(self.connection, late)
        for customer in late:
            statements = said.get(customer)
            known[customer] = {"created_at": first[customer], **(fold(statements.traits) if statements else {})}
            identified_at[customer] = statements.newest if statements else None

    def _fold_consents(self, tracks: Iterable[Track]) -> None:
        stated = [one for track in tracks if track.event in _CONSENT and (one := self._stated(track))]
        if stated:
            consents.state(self.connection, stated)

    def _stated(self, track: Track) -> Stated | None:
        granted, topic = _CONSENT[track.event], track.properties.get("topic")
        if not isinstance(topic, str | None):
            fault = "the topic is no text; the event was taken, "
            self.by_message[track.message_id].faults.append(
                fault + ("no consent" if granted else "and consent withdrawn from all topics")
            )
            if granted:
                return None
            topic = None
        source, version = track.properties.get("source"), track.properties.get("text_version")
        return Stated(
            track.customer_id,
            topic,
            granted,
            None if source is None else str(source),
            None if version is None else str(version),
            track.timestamp,
            track.message_id,
        )

    def _suppress(self, tracks: Iterable[Track]) -> None:
        """Bounces and complaints name an address, or mean the customer's own."""
        wanted = [
            track
            for track in tracks
            if track.event == "email.complained"
            or (track.event == "email.bounced" and track.properties.get("hard") is True)
        ]
        unnamed = {track.customer_id for track in wanted if not isinstance(track.properties.get("address"), str)}
        known = customers.read(self.connection, unnamed) if unnamed else {}
        suppressed = []
        for track in wanted:
            address = track.properties.get("address")
            if not isinstance(address, str):
                address = known[track.customer_id].get("email")
            if isinstance(address, str):
                reply = track.properties.get("reply")
                suppressed.append(
                    Suppressed(
                        address, _SUPPRESSION[track.event], track.timestamp, reply if isinstance(reply, str) else None
                    )
                )
            else:
                self.by_message[track.message_id].faults.append(
                    "it names no address and the customer has none; the event was taken, nothing suppressed"
                )
        suppressions.add(self.connection, suppressed)

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

    def _react(self, new: Sequence[Fact], known: Mapping[str, Facts]) -> None:
        """What the events mean to journeys."""
        found = self.found
        candidates = listen.candidates(found, new)
        hearing = {
            fact.customer_id
            for fact in new
            if (fact.event in found.heard if isinstance(fact, Track) else False) or (found.heard_traits and fact.traits)
        }
        if not candidates and not hearing:
            return
        enrolled = listening.open_enrollments(self.connection, hearing) if hearing else {}
        visits = entering.visits(self.connection, candidates) if candidates else {}
        concerned = enrolled.keys() | {customer for _, customer, _ in candidates}
        reactions = self._hear(new, concerned, enrolled, visits, known)
        self._write(reactions)

    def _hear(
        self,
        new: Sequence[Fact],
        concerned: Iterable[str],
        enrolled: Mapping[str, list[Enrolled]],
        visits: dict[listen.Key, Visit],
        known: Mapping[str, Facts],
    ) -> Reactions:
        theirs: dict[str, list[Fact]] = defaultdict(list)
        for fact in new:
            theirs[fact.customer_id].append(fact)
        reactions = Reactions()
        zone = zone_named(None, self.project.policy.timezone)
        for customer in concerned:
            facts = known.get(customer) or Facts(customer, zone)
            open_ones = enrolled.get(customer, [])
            hearing = Hearing(self.project, self.found, facts, open_ones, visits, self.now, self.earliest, reactions)
            hearing.hear(theirs[customer])
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

    ignored: Mapping[tuple[str, str], int] = {}

    def _keep_letters(self) -> None:
        """Last, because others may be writing the same few rows."""
        letters = [
            Letter(one.entry.id, "; ".join(one.faults), one.entry.raw, one.entry.received_at or self.now)
            for one in self.readings
            if one.faults
        ]
        dead_letters.keep(self.connection, letters)
        tallies.add(self.connection, self.ignored)


def _earliest(facts: Iterable[Fact]) -> dict[str, datetime]:
    earliest: dict[str, datetime] = {}
    for fact in facts:
        known = earliest.get(fact.customer_id)
        if known is None or fact.timestamp < known:
            earliest[fact.customer_id] = fact.timestamp
    return earliest
