"""Fatigue as the policy declares it: what those get who have had too much, and when to stop altogether."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.errors import DefinitionError

from .durations import Duration, as_span
from .origin import here
from .vocabulary import Event, event_name

_LEAST = 0.01


@dataclass(frozen=True, slots=True, init=False)
class Fatigue:
    """What becomes of the caps of customers whose fatigue score says `saturated`.

    `saturated`: the share of each cap that is left to them, from 0.01 to 1. `bought`: the event that means a purchase.
    The score: docs/caps.md.
    """

    saturated: float
    bought: str | None

    def __init__(self, *, saturated: float, bought: type[Event] | None = None) -> None:
        if type(saturated) not in (int, float) or not _LEAST <= saturated <= 1:
            raise DefinitionError(
                here(), f"saturated={saturated!r} is no share from {_LEAST} to 1", "write saturated=0.5 to halve caps"
            )
        object.__setattr__(self, "saturated", float(saturated))
        object.__setattr__(self, "bought", None if bought is None else event_name(bought, "bought="))


@dataclass(frozen=True, slots=True, init=False)
class Sunset:
    """Marketing stops after `after` sends without a sign of life in the last `silent_for`, until they act again."""

    after: int
    silent_for: Duration

    def __init__(self, *, after: int, silent_for: Duration) -> None:
        if type(after) is not int or not 1 <= after < 2**31:
            raise DefinitionError(here(), f"after={after!r} is no number of sends", "give at least 1")
        object.__setattr__(self, "after", after)
        object.__setattr__(self, "silent_for", as_span(silent_for, "silent_for="))
