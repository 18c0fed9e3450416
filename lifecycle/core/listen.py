"""What a customer's events mean to journeys: whom they let in, whom they wake, and what they end. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from lifecycle.journey.conditions import Condition, Fate
from lifecycle.journey.durations import Duration
from lifecycle.journey.entries import On
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.journey.steps import WaitFor
from lifecycle.wire import Fact, Track

from .evaluate import counted, matches
from .facts import Activity, Facts, Occurrence
from .listeners import Listeners, looks_at_traits
from .profile import merge


@dataclass(slots=True)
class Enrolled:
    """One enrollment that is not over, as a batch of events finds and leaves it."""

    id: int
    journey: str
    customer_id: str
    key: str
    step: str
    awaiting: str | None
    arrived: bool
    due_at: datetime | None
    trigger: Mapping[str, Any]
    entered_at: datetime
    last_send: Fate | None = None


@dataclass(slots=True)
class Visit:
    """The last entry of a customer with a key: its number, when, and whether it is over."""

    entry: int
    entered_at: datetime
    open: bool

    def keeps_out(self, again_after: Duration | None, now: datetime) -> bool:
        """Whether another entry at `now` is one too many: still inside, once ever, or too soon."""
        return self.open or again_after is None or self.entered_at + again_after.rolling > now


@dataclass(frozen=True, slots=True)
class Entering:
    """A new enrollment, at the journey's first step."""

    journey: str
    customer_id: str
    key: str
    entry: int
    step: str
    entered_at: datetime
    trigger_id: str | None
    trigger: Mapping[str, Any]


@dataclass(slots=True)
class Reactions:
    """What a batch of events does to journeys; `ended` has (state, reason) by enrollment id."""

    entered: list[Entering] = field(default_factory=list)
    woken: list[int] = field(default_factory=list)
    ended: dict[int, tuple[str, str]] = field(default_factory=dict)
    ignored: dict[tuple[str, str], int] = field(default_factory=dict)

    def ignore(self, journey: str, why: str) -> None:
        """Counts an entry that did not happen."""
        self.ignored[journey, why] = self.ignored.get((journey, why), 0) + 1


MAX_KEY = 200
Key = tuple[str, str, str]
"""What may be entered once at a time: (journey, customer id, key)."""


def key_of(journey: Journey, properties: Mapping[str, Any]) -> str | None:
    """The key under which an event enters a journey: "" where it has none, None where the event lacks it."""
    if journey.key is None:
        return ""
    value = properties.get(journey.key.name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))  # 7 and 7.0 are one number in JSON
    if not isinstance(value, str | float):
        return None
    text = str(value)
    if len(text) > MAX_KEY:  # databases index no texts of any length
        text = f"{text[:100]}…{blake2b(text.encode(), digest_size=16).hexdigest()}"
    return text


def candidates(found: Listeners, facts: Iterable[Fact]) -> dict[Key, Track]:
    """The keys under which these events may enter, with the last event of each."""
    return {
        (journey.name, fact.customer_id, key): fact
        for fact in facts
        if isinstance(fact, Track)
        for journey in found.entries.get(fact.event, ())
        if (key := key_of(journey, fact.properties)) is not None
    }


@dataclass(slots=True)
class Hearing:
    """One customer's new events, read in the order of their timestamps.

    `facts`: what was known before them, but with the traits as they are after them if `traits_final`; `enrolled`:
    the enrollments that are not over; `visits`: the last one by what may be entered; `earliest`: events before it
    start nothing.
    """

    project: Project
    found: Listeners
    facts: Facts
    traits_final: bool
    enrolled: Sequence[Enrolled]
    visits: dict[Key, Visit]
    now: datetime
    earliest: datetime
    reactions: Reactions

    def hear(self, events: Sequence[Fact]) -> None:
        """Goals and what is awaited first, entries second, so that an event may end one journey and start the next."""
        names: set[str] = set()
        for event in events:
            self._learn(event)
            if isinstance(event, Track):
                names.add(event.event)
                self._end_or_wake(event)
                self._enter(event)
        self._exit(names, any(event.traits for event in events))

    def _learn(self, event: Fact) -> None:
        """The facts after this event."""
        if event.traits and not self.traits_final:
            known = dict(self.facts.traits)
            merge(known, event.traits)
            self.facts = replace(self.facts, traits=known)
        if isinstance(event, Track) and event.event in self.found.counted:
            self.facts = replace(
                self.facts,
                activity={**self.facts.activity, event.event: _counted(self.facts.activity.get(event.event), event)},
                occurrences=_with_occurrence(self.facts, self.found, event, self.now),
            )

    def _end_or_wake(self, event: Track) -> None:
        if event.event not in self.found.heard:
            return
        candidate = Occurrence(event.timestamp, event.properties)
        for one in self.enrolled:
            journey = self.project.journeys.get(one.journey)
            if journey is None or one.id in self.reactions.ended:
                continue
            if self._reached(one, journey, event, candidate):
                self._end(one, "goal_reached", "goal_reached")
            elif one.awaiting == event.event and not one.arrived and self._awaited(one, journey, event, candidate):
                one.arrived = True
                self.reactions.woken.append(one.id)

    def _reached(self, one: Enrolled, journey: Journey, event: Track, candidate: Occurrence) -> bool:
        goal = journey.goal
        if goal is None or goal.event != event.event or event.timestamp <= one.entered_at:
            return False
        return goal.where is None or self._matches(goal.where, journey, one.trigger, candidate, event.event)

    def _awaited(self, one: Enrolled, journey: Journey, event: Track, candidate: Occurrence) -> bool:
        place = journey.place(one.step)
        if place is None or not isinstance(place.step, WaitFor) or event.timestamp < one.entered_at:
            return False
        if one.due_at is not None and event.timestamp > one.due_at:
            return False  # the wait was over before it happened
        where = place.step.where
        return where is None or self._matches(where, journey, one.trigger, candidate, event.event)

    def _enter(self, event: Track) -> None:
        for journey in self.found.entries.get(event.event, ()):
            assert isinstance(journey.enter, On)
            candidate = Occurrence(event.timestamp, event.properties)
            for condition in (journey.enter.where, journey.only):
                if condition is not None and not self._matches(
                    condition, journey, event.properties, candidate, event.event
                ):
                    break
            else:
                self._admit(journey, event)

    def _admit(self, journey: Journey, event: Track) -> None:
        key = key_of(journey, event.properties)
        if event.timestamp < self.earliest or key is None:
            self.reactions.ignore(journey.name, "late" if key is not None else "no_key")
            return
        visit = self.visits.get((journey.name, event.customer_id, key))
        if visit and visit.keeps_out(journey.again_after, self.now):
            self.reactions.ignore(journey.name, "ignored")
            return
        number = 1 if visit is None else visit.entry + 1
        at = min(event.timestamp, self.now)  # not when it was taken: what came between counts as after the entry
        self.visits[journey.name, event.customer_id, key] = Visit(number, at, True)
        self.reactions.entered.append(
            Entering(
                journey.name, event.customer_id, key, number, journey.first, at, event.message_id, event.properties
            )
        )

    def _exit(self, names: set[str], traits_changed: bool) -> None:
        for one in self.enrolled:
            journey = self.project.journeys.get(one.journey)
            if journey is None or journey.exit_when is None or one.id in self.reactions.ended:
                continue
            concerned = not names.isdisjoint(counted(journey.exit_when)) or (
                traits_changed and looks_at_traits(journey.exit_when)
            )
            if concerned and self._matches(journey.exit_when, journey, one.trigger, last_send=one.last_send):
                self._end(one, "exited", "exit_when")

    def _end(self, one: Enrolled, state: str, reason: str) -> None:
        self.reactions.ended[one.id] = (state, reason)
        visit = self.visits.get((one.journey, one.customer_id, one.key))
        if visit is not None:
            visit.open = False

    def _matches(
        self,
        condition: Condition,
        journey: Journey,
        trigger: Mapping[str, Any],
        candidate: Occurrence | None = None,
        event: str | None = None,
        last_send: Fate | None = None,
    ) -> bool:
        trigger_event = journey.enter.event if isinstance(journey.enter, On) else None
        facts = replace(self.facts, trigger=trigger, trigger_event=trigger_event, last_send=last_send)
        # An app's clock may be ahead of ours: the facts after an event include it all the same.
        now = self.now if candidate is None else max(self.now, candidate.at)
        return matches(condition, facts, now, candidate, event)


def _counted(activity: Activity | None, event: Track) -> Activity:
    at = event.timestamp
    if activity is None:
        return Activity(1, at, at)
    return Activity(activity.count + 1, min(activity.first_at, at), max(activity.last_at, at))


def _with_occurrence(facts: Facts, found: Listeners, event: Track, now: datetime) -> Mapping[str, Sequence[Occurrence]]:
    """An event that lies ahead of `now` makes activity mislead: then occurrences are asked, so it must be there."""
    if event.event not in found.demands and event.event not in facts.occurrences and event.timestamp <= now:
        return facts.occurrences
    known = facts.occurrences.get(event.event, ())
    return {**facts.occurrences, event.event: [*known, Occurrence(event.timestamp, event.properties)]}
