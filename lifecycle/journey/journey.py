"""A journey: who enters, what happens step by step, and what ends it early.

Steps are laid out once as places by name, so that people parked by name find their way on in O(1)
and an edited file finds them again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

from lifecycle.errors import DefinitionError

from .conditions import Condition, PropertyRef, as_condition, of_customer
from .digest import JOURNEY
from .durations import Duration, as_span, days
from .entries import EachYear, Entry, On, OnDate
from .origin import here, is_priority, is_text
from .steps import USUAL_PRIORITY, Exit, Send, Step, as_steps, walk_steps, ways
from .vocabulary import Event, Property, event_name

Kind: TypeAlias = Literal["marketing", "transactional"]
LeapDay: TypeAlias = Literal["feb 28", "mar 1", "skip"]

_A_WEEK = days(7)


@dataclass(frozen=True, slots=True)
class Place:
    """A step with its ways on: `next` after it, `ways` into what nests in it; None is the journey's end."""

    step: Step
    next: str | None
    ways: Mapping[str, str | None]


@dataclass(frozen=True, init=False)
class Journey:
    """One journey, as a value.

    `key`: a property of the trigger; one enrollment per value of it. `again_after`: how long after an entry the
    same customer (and key) may enter again; None is once ever. `goal`: an event that ends the journey with
    success at any step. `exit_when`: a condition that ends it. `priority`: within one customer the higher goes
    first. `holdout`: percent of customers who walk it but are never mailed. `expires`: how long after planning a
    message is still worth sending.
    """

    name: str
    topic: str
    enter: Entry
    steps: tuple[Step, ...]
    kind: Kind
    only: Condition | None
    key: PropertyRef | None
    again_after: Duration | None
    goal: On | None
    exit_when: Condition | None
    priority: int
    holdout: int
    expires: Duration
    leap_day: LeapDay
    defined_at: str = field(compare=False)

    def __init__(
        self,
        *,
        name: str,
        topic: str,
        enter: Entry,
        steps: Sequence[Step],
        kind: Kind = "marketing",
        only: Condition | None = None,
        key: Property[Any] | None = None,
        again_after: Duration | None = None,
        goal: type[Event] | On | None = None,
        exit_when: Condition | None = None,
        priority: int = 50,
        holdout: int = 0,
        expires: Duration = _A_WEEK,
        leap_day: LeapDay = "feb 28",
    ) -> None:
        values = {
            "name": name,
            "topic": topic,
            "enter": enter,
            "steps": as_steps(steps),
            "kind": kind,
            "only": None if only is None else of_customer(only, "only="),
            "key": key.ref if isinstance(key, Property) else key,
            "again_after": again_after,
            "goal": goal if goal is None or isinstance(goal, On) else On(event_name(goal, "goal=")),
            "exit_when": None if exit_when is None else as_condition(exit_when, "exit_when="),
            "priority": priority,
            "holdout": holdout,
            "expires": expires,
            "leap_day": leap_day,
            "defined_at": here(),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)
        for wrong, message, hint in _mistakes(self):
            if wrong:
                raise DefinitionError(self.defined_at, f"journey {name!r}: {message}", hint)
        _refuse_twins(self)
        _refuse_unreachable(self.steps)

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Every step by name, with its ways on."""
        places: dict[str, Place] = {}
        _lay(self.steps, None, places)
        return places

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """Today's step names by their old ones."""
        return {step.was: step.name for step in walk_steps(self.steps) if step.was}

    def place(self, name: str) -> Place | None:
        """The place of that name, or of the step that was called so once; None when the step was removed."""
        return self.places.get(name) or self.places.get(self.renamed.get(name, ""))

    def priority_of(self, send: Send) -> int:
        """Its own priority, or the journey's."""
        return self.priority if send.priority is None else send.priority

    @property
    def first(self) -> str:
        """The name of the first step."""
        return self.steps[0].name


def always(minimum: Duration) -> Duration:
    """Re-entry at every trigger, but not before `minimum` has passed since the last entry."""
    return as_span(minimum, "always()")


def _lay(steps: Sequence[Step], after: str | None, places: dict[str, Place]) -> str | None:
    """Registers `steps` back to front and returns the name of the first, or `after` when there are none."""
    for step in reversed(steps):
        nested = {way: _lay(inner, after, places) for way, inner in ways(step)}
        places[step.name] = Place(step, after, nested)
        after = step.name
    return after


def _mistakes(journey: Any) -> Iterator[tuple[bool, str, str]]:
    """Whether something cannot be, what, and the remedy; in order, each relying on those before it."""
    j, enter, again_after = journey, journey.enter, journey.again_after
    yield not _is_plain(j.name), "the name is no plain word", "use letters, digits and _, at most 60"
    yield j.name == JOURNEY, f"the name {j.name!r} stands for digests", "give it another name="
    no_topic = not is_text(j.topic) or j.topic == "*"  # "*" is all of them, in consents
    yield no_topic, f"topic={j.topic!r} is no topic", "say what people unsubscribe from: topic='offers'"
    entries = "use on(), when(), each_year(), on_date() or manually()"
    yield not isinstance(enter, get_args(Entry)), f"enter={enter!r} is no entry", entries
    yield not j.steps, "there are no steps", "give at least one Send"
    yield j.kind not in get_args(Kind), f"kind={j.kind!r} is unknown", "say 'marketing' or 'transactional'"
    yield j.leap_day not in get_args(LeapDay), f"leap_day={j.leap_day!r} is unknown", "say 'feb 28', 'mar 1' or 'skip'"
    yield not is_priority(j.priority), f"priority={j.priority!r} is no priority", USUAL_PRIORITY
    share = "give whole percents, 0 to 100"
    yield type(j.holdout) is not int or not 0 <= j.holdout <= 100, f"holdout={j.holdout!r} is no share", share
    transactional = j.holdout > 0 and j.kind == "transactional"
    yield transactional, "transactional mail cannot be held out", "drop holdout="
    yield not isinstance(j.expires, Duration), f"expires={j.expires!r} is no duration", "write expires=days(7)"
    interval = "write again_after=always(hours(1)), or days(30)"
    yield again_after is always, "re-entry without a minimum interval loops", interval
    yield not isinstance(again_after, Duration | None), f"again_after={again_after!r} is no duration", interval
    yearly = again_after is not None and isinstance(enter, EachYear | OnDate)
    yield yearly, "again_after with a yearly entry", "drop it: the entry is once a year by itself"
    of_trigger = isinstance(j.key, PropertyRef) and isinstance(enter, On) and j.key.event == enter.event
    properties = "name one of the properties of the event in on()"
    yield j.key is not None and not of_trigger, "key= is not a property of the trigger", properties


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 60 and re.fullmatch(r"[\w-]+", name) is not None


def _refuse_twins(journey: Journey) -> None:
    """Raises where two steps share a name, or where an old name leads to two steps."""
    by_name: dict[str, Step] = {}
    for step in walk_steps(journey.steps):
        if step.name in by_name:
            twin = by_name[step.name]
            raise DefinitionError(
                step.defined_at,
                f"journey {journey.name!r}: the step at {twin.defined_at} is named {step.name!r} too",
                "people are parked by name: give one of them name=",
            )
        by_name[step.name] = step
    by_old_name: dict[str, Step] = {}
    for step in by_name.values():
        if step.was is not None:
            taken = by_name.get(step.was) or by_old_name.get(step.was)
            if taken is not None:
                raise DefinitionError(
                    step.defined_at,
                    f"journey {journey.name!r}: was={step.was!r} is a name of the step at {taken.defined_at}",
                    "people parked under one name can go to one step only: drop this was=",
                )
            by_old_name[step.was] = step


def _refuse_unreachable(steps: Sequence[Step]) -> bool:
    """Raises at a step that nobody can reach; returns whether these steps always end the journey."""
    for position, step in enumerate(steps):
        inner = [_refuse_unreachable(nested) for _, nested in ways(step)]
        if isinstance(step, Exit) or (inner and all(inner)):
            if position + 1 < len(steps):
                after = steps[position + 1]
                raise DefinitionError(
                    after.defined_at,
                    f"step {after.name!r} stands after an Exit that everybody takes",
                    "move or drop it",
                )
            return True
    return False
