"""A journey: who enters, what happens step by step, and what ends it early.

Steps are laid out once as places by name, so that people parked by name find their way on in O(1)
and an edited file finds them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NoReturn, TypeAlias, get_args

from lifecycle.errors import DefinitionError

from .conditions import Condition, PropertyRef, as_condition
from .durations import Duration, days
from .entries import EachYear, Entry, Manually, On, OnDate, When, event_name
from .origin import here
from .steps import Exit, Step, _steps, walk_steps, ways
from .vocabulary import Event, Property

Kind: TypeAlias = Literal["marketing", "transactional"]
LeapDay: TypeAlias = Literal["feb 28", "mar 1", "skip"]


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
        expires: Duration = days(7),
        leap_day: LeapDay = "feb 28",
    ) -> None:
        origin = here()
        interval: object = again_after

        def wrong(message: str, hint: str) -> NoReturn:
            raise DefinitionError(origin, f"journey {name!r}: {message}", hint)

        if not name.replace("_", "").replace("-", "").isalnum() or len(name) > 60:
            wrong("the name is no plain word", "use letters, digits and _")
        if not isinstance(enter, get_args(Entry)):
            wrong(f"enter={enter!r} is no entry", "use on(), when(), each_year(), on_date() or manually()")
        if kind not in get_args(Kind):
            wrong(f"kind={kind!r} is unknown", "say 'marketing' or 'transactional'")
        if leap_day not in get_args(LeapDay):
            wrong(f"leap_day={leap_day!r} is unknown", "say 'feb 28', 'mar 1' or 'skip'")
        if not 0 <= holdout <= 100 or (holdout and kind == "transactional"):
            wrong(f"holdout={holdout} cannot be", "give 0 to 100 percent, and 0 for transactional mail")
        if interval is always:
            wrong("re-entry without a minimum interval loops", "write again_after=always(hours(1)), or days(30)")
        if not isinstance(interval, (Duration, type(None))):
            wrong(f"again_after={again_after!r} is no duration", "write days(180), or always(hours(1))")
        if again_after is not None and isinstance(enter, (EachYear, OnDate)):
            wrong("again_after with a yearly entry", "drop it: the entry is once a year by itself")
        if key is not None and not (
            isinstance(enter, On) and isinstance(key, Property) and key.ref.event == enter.event
        ):
            wrong("key= is not a property of the trigger", "name one of the properties of the event in on()")
        laid = _steps(steps)
        if not laid:
            wrong("there are no steps", "give at least one Send")
        _refuse_twins(laid, wrong)
        _refuse_unreachable(laid)
        values: dict[str, object] = {
            "name": name,
            "topic": topic,
            "enter": enter,
            "steps": laid,
            "kind": kind,
            "only": None if only is None else as_condition(only, "only="),
            "key": None if key is None else key.ref,
            "again_after": again_after,
            "goal": goal if goal is None or isinstance(goal, On) else On(event_name(goal, "goal=")),
            "exit_when": None if exit_when is None else as_condition(exit_when, "exit_when="),
            "priority": priority,
            "holdout": holdout,
            "expires": expires,
            "leap_day": leap_day,
            "defined_at": origin,
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

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

    @property
    def first(self) -> str:
        """The name of the first step."""
        return self.steps[0].name


def always(minimum: Duration) -> Duration:
    """Re-entry at every trigger, but not before `minimum` has passed since the last entry."""
    return minimum


def _lay(steps: Sequence[Step], after: str | None, places: dict[str, Place]) -> str | None:
    """Registers `steps` back to front and returns the name of the first, or `after` when there are none."""
    for step in reversed(steps):
        nested = {way: _lay(inner, after, places) for way, inner in ways(step)}
        places[step.name] = Place(step, after, nested)
        after = step.name
    return after


def _refuse_twins(steps: Sequence[Step], wrong: Any) -> None:
    seen: dict[str, str] = {}
    for step in walk_steps(steps):
        if step.name in seen:
            wrong(
                f"two steps are named {step.name!r}, at {seen[step.name]} and {step.defined_at}",
                "people are parked by name: give one of them name=",
            )
        seen[step.name] = step.defined_at


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


__all__ = ["Journey", "Kind", "LeapDay", "Manually", "Place", "When", "always"]
