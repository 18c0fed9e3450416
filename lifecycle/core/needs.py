"""What must be known of a customer before a journey can be decided: so that the shell fetches that, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from lifecycle.journey.conditions import Condition, reads_last_send
from lifecycle.journey.durations import Duration
from lifecycle.journey.journey import Journey
from lifecycle.journey.steps import Branch, WaitFor, walk_steps

from .evaluate import counted, demands


@dataclass(frozen=True, slots=True)
class Needs:
    """`activity`: the events whose counts are read; `occurrences`: those read one by one, with the longest window;
    `last_send`: the journeys that ask what became of their last email.
    """

    activity: frozenset[str]
    occurrences: Mapping[str, Duration | None]
    last_send: frozenset[str] = frozenset()


def needs(journeys: Iterable[Journey]) -> Needs:
    """What deciding these journeys reads."""
    return _needs(tuple(sorted(journeys, key=lambda journey: journey.name)))


def needs_of(*conditions: Condition) -> Needs:
    """What evaluating these conditions reads."""
    return Needs(counted(*conditions), demands(*conditions))


@lru_cache(maxsize=256)
def _needs(journeys: tuple[Journey, ...]) -> Needs:
    conditions: list[Condition] = []
    awaited: set[str] = set()
    goals: set[str] = set()
    for journey in journeys:
        if journey.goal is not None:
            (goals if journey.goal.where is None else awaited).add(journey.goal.event)
        if journey.exit_when is not None:
            conditions.append(journey.exit_when)
        for step in walk_steps(journey.steps):
            match step:
                case Branch(when=when):
                    conditions.append(when)
                case WaitFor(event=event):
                    awaited.add(event)
                case _:
                    pass
    found = needs_of(*conditions)
    asking = frozenset(journey.name for journey in journeys if _asks_last_send(journey))
    return Needs(found.activity | goals, {**found.occurrences, **dict.fromkeys(awaited)}, asking)


def _asks_last_send(journey: Journey) -> bool:
    asked = [step.when for step in walk_steps(journey.steps) if isinstance(step, Branch)]
    return any(map(reads_last_send, asked if journey.exit_when is None else [*asked, journey.exit_when]))
