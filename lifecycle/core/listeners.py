"""Which journeys listen to which events: worked out once per project, asked for every batch. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from lifecycle.journey.conditions import (
    After,
    AttributeRef,
    Compare,
    Condition,
    Count,
    IsSet,
    IsTrue,
    OneOf,
    reads_last_send,
    walk,
)
from lifecycle.journey.durations import Duration
from lifecycle.journey.entries import On
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.journey.steps import WaitFor, walk_steps

from .evaluate import counted, demands


@dataclass(frozen=True, slots=True)
class Listeners:
    """Which journeys listen to which events, by event name; computed once per project.

    `heard`: events that can end or wake somebody; `entries`: the journeys that they let in; `reading`: events for
    which a condition looks at the customer; `demands` and `counted`: what those conditions read. `exits_by_fate`: the
    journeys that may end by what became of their last email. `muting`: events that a mute of the policy reads;
    `muting_traits`: whether one reads traits.
    """

    entries: Mapping[str, tuple[Journey, ...]]
    goals: Mapping[str, tuple[Journey, ...]]
    exits: tuple[Journey, ...]
    heard: frozenset[str]
    heard_traits: bool
    reading: frozenset[str]
    demands: Mapping[str, Duration | None]
    counted: frozenset[str]
    exits_by_fate: frozenset[str]
    muting: frozenset[str]
    muting_traits: bool


@lru_cache(maxsize=8)
def listeners(project: Project) -> Listeners:
    """The listeners of a project."""
    entries: dict[str, tuple[Journey, ...]] = {}
    goals: dict[str, tuple[Journey, ...]] = {}
    heard: set[str] = set()
    reading: set[str] = set()
    conditions: list[Condition] = []
    exits = tuple(journey for journey in project.journeys.values() if journey.exit_when is not None)
    leaving = [journey.exit_when for journey in exits if journey.exit_when is not None]
    for condition in leaving:
        reading |= counted(condition)
    heard |= reading

    def listen(event: str, *asked: Condition | None) -> None:
        mine = [condition for condition in asked if condition is not None]
        conditions.extend(mine)
        if any(map(_looks_at_customer, mine)):
            reading.add(event)

    for journey in project.journeys.values():
        if isinstance(journey.enter, On):
            entries[journey.enter.event] = (*entries.get(journey.enter.event, ()), journey)
            listen(journey.enter.event, journey.enter.where, journey.only)
        if journey.goal is not None:
            goals[journey.goal.event] = (*goals.get(journey.goal.event, ()), journey)
            heard.add(journey.goal.event)
            listen(journey.goal.event, journey.goal.where)
        for step in walk_steps(journey.steps):
            if isinstance(step, WaitFor):
                heard.add(step.event)
                listen(step.event, step.where)
    conditions += leaving
    mutes = [mute.when for mute in project.policy.mutes]
    return Listeners(
        entries,
        goals,
        exits,
        frozenset(heard),
        any(looks_at_traits(condition) for condition in leaving),
        frozenset(reading),
        demands(*conditions),
        counted(*conditions),
        frozenset(journey.name for journey, leave in zip(exits, leaving, strict=True) if reads_last_send(leave)),
        counted(*mutes),
        any(map(looks_at_traits, mutes)),
    )


def looks_at_traits(condition: Condition) -> bool:
    """Whether the condition reads a trait of the customer."""
    return any(
        isinstance(node, Compare | OneOf | IsSet | IsTrue) and isinstance(node.left, AttributeRef)
        for node in walk(condition)
    )


def _looks_at_customer(condition: Condition) -> bool:
    return looks_at_traits(condition) or any(isinstance(node, Count | After) for node in walk(condition))
