"""Deciding what happens next to one customer in one journey: pure, so that the live workers, replay, explanations
and users' tests all get the same answer from the same facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Literal, TypeAlias, assert_never

from lifecycle.journey.conditions import AttributeRef, PropertyRef, Value
from lifecycle.journey.journey import Journey, Place
from lifecycle.journey.steps import Branch, Exit, Send, Set, Split, Wait, WaitFor, walk_steps

from .assign import arm_of
from .calendar import at_wall, next_wall_time, on_day, plus
from .evaluate import matches
from .facts import Facts

# The first and last days of the calendar, which apps send for "never", cannot be told in every zone.
_FIRST_DAY, _LAST_DAY = date.min + timedelta(days=2), date.max - timedelta(days=2)

START = "start"
MESSAGE = "message"


@dataclass(slots=True)  # not frozen: one for every decision
class Standing:
    """Where somebody stands: the step's name, what was awaited there, and whether it came.

    `awaiting`: "start" before the first step, None at a Wait, "message" at a Send, else an event's name.
    """

    step: str
    awaiting: str | None
    arrived: bool
    entered_at: datetime


@dataclass(slots=True)  # not frozen: one for every decision
class Parked:
    """Stays at `step` until `due_at`, or until what is awaited comes."""

    step: str
    due_at: datetime | None
    awaiting: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The journey is over."""

    state: Literal["completed", "exited", "goal_reached"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The step is gone from the file: somebody has to say where it went (`was=`)."""

    reason: Literal["step_removed"] = "step_removed"


@dataclass(slots=True)  # not frozen: one for every decision
class Decision:
    """What to do: the traits to set, the email to plan if any, and where the customer is then."""

    then: Parked | Ended | Held
    send: Send | None = None
    traits: Mapping[str, Value] | None = None


Next: TypeAlias = str | None


def decide(journey: Journey, standing: Standing, facts: Facts, now: datetime) -> Decision:
    """What happens to a customer who stands there, now that the wait there is over."""
    ended = _over_already(journey, standing, facts, now)
    if ended is not None:
        return Decision(ended)
    place = journey.place(standing.step)
    if place is None:
        return Decision(Held())
    traits: dict[str, Value] = {}
    step = place.step.name if standing.awaiting == START else _way_on(place, standing)
    while step is not None:
        place = journey.places[step]
        match place.step:
            case Send():
                return Decision(Parked(step, None, MESSAGE), place.step, traits)
            case Wait():
                due = wait_ends(place.step, facts, now)
                if due > now:
                    return Decision(Parked(step, due, None), None, traits)
                step = place.next
            case WaitFor(event=event, up_to=up_to):
                if not already_came(journey, place.step, facts, standing.entered_at, now):
                    return Decision(Parked(step, plus(now, up_to, facts.zone), event), None, traits)
                step = place.ways["then"]
            case Branch() | Split():
                step = place.ways[_chosen_way(journey, place.step, facts, now)]
            case Set(attribute=attribute, value=value):
                traits[attribute.name] = value
                facts = replace(facts, traits={**facts.traits, attribute.name: value})
                step = place.next
            case Exit(reason=reason):
                return Decision(Ended("exited", reason), None, traits)
            case _:
                assert_never(place.step)
    return Decision(Ended("completed"), None, traits)


def _over_already(journey: Journey, standing: Standing, facts: Facts, now: datetime) -> Ended | None:
    if standing.awaiting == START and reached_before(journey, facts, standing.entered_at, now):
        return Ended("goal_reached", "goal_reached")
    if journey.exit_when is not None and matches(journey.exit_when, facts, now):
        return Ended("exited", "exit_when")
    return None


def _way_on(place: Place, standing: Standing) -> Next:
    """The way out of the step at which somebody was parked."""
    match place.step:
        case WaitFor():
            return place.ways["then" if standing.arrived else "otherwise"]
        case _:
            return place.next


def _chosen_way(journey: Journey, step: Branch | Split, facts: Facts, now: datetime) -> str:
    match step:
        case Branch(when=when):
            return "then" if matches(when, facts, now) else "otherwise"
        case Split():
            return arm_of(journey.name, step, facts.customer_id).name


def wait_ends(wait: Wait, facts: Facts, now: datetime) -> datetime:
    """When a Wait that begins now is over; `now` itself where the moment is past or unknown."""
    if wait.duration is not None:
        return plus(now, wait.duration, facts.zone)
    match wait.until:
        case time() as at:
            return next_wall_time(now, at, facts.zone)
        case datetime() as local:
            return max(now, at_wall(local, facts.zone))
        case date() as day:
            return max(now, on_day(day, wait.at, facts.zone))
        case AttributeRef(name=name):
            return _until_date(facts.traits.get(name), wait.at, facts, now)
        case PropertyRef(name=name):
            return _until_date(facts.trigger.get(name), wait.at, facts, now)
        case None:
            return now
        case _:
            assert_never(wait.until)


def _until_date(value: object, at: time, facts: Facts, now: datetime) -> datetime:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            return now
    if not isinstance(value, date):
        return now
    return max(now, on_day(min(max(value, _FIRST_DAY), _LAST_DAY), at, facts.zone))


def reached_before(journey: Journey, facts: Facts, entered_at: datetime, now: datetime) -> bool:
    """Whether the goal came after the trigger and was taken together with it: then the journey never begins."""
    goal = journey.goal
    if goal is None:
        return False
    if goal.where is None:
        brief = facts.activity.get(goal.event)
        return brief is not None and entered_at < brief.last_at
    return any(
        entered_at < occurrence.at <= now and matches(goal.where, facts, now, occurrence, goal.event)
        for occurrence in facts.occurrences.get(goal.event, ())
    )


def already_came(journey: Journey, step: WaitFor, facts: Facts, entered_at: datetime, now: datetime) -> bool:
    """Whether the awaited event came since the journey began: somebody who was quicker is not made to wait.

    The trigger itself is not awaited, though it bears the very moment of entering. Nor does a second WaitFor on one
    event look back: what it would see may be what ended the first.
    """
    first = next(each for each in walk_steps(journey.steps) if isinstance(each, WaitFor) and each.event == step.event)
    if first.name != step.name:
        return False
    return any(
        entered_at <= occurrence.at <= now
        and not (
            occurrence.at == entered_at and step.event == facts.trigger_event and occurrence.properties == facts.trigger
        )
        and (step.where is None or matches(step.where, facts, now, occurrence, step.event))
        for occurrence in facts.occurrences.get(step.event, ())
    )
