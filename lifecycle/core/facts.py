"""What is known of one customer when something is decided: plain values, fetched by the shell, read by the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from lifecycle.journey.conditions import Fate


@dataclass(frozen=True, slots=True)
class Activity:
    """All the customer's events of one name, in brief."""

    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One event: when, and its properties as JSON gave them."""

    at: datetime
    properties: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Facts:
    """One customer, as known at the moment of deciding.

    `traits`: reserved ones typed (`birthday` a date, `created_at` an aware datetime), free ones as JSON gave
    them; unknown ones are absent. `zone`: the customer's, or the policy's default. `activity`: by event name.
    `occurrences`: by event name, only for the events that a condition counts within a window or with `where=`
    (`lifecycle.core.evaluate.demands` says which). `trigger`: the properties of the event that started the
    enrollment, `trigger_event` its name. `last_send`: what became of the enrollment's newest email, None where there is
    none, or the server refused it.
    """

    customer_id: str
    zone: ZoneInfo
    traits: Mapping[str, object] = field(default_factory=dict)
    activity: Mapping[str, Activity] = field(default_factory=dict)
    occurrences: Mapping[str, Sequence[Occurrence]] = field(default_factory=dict)
    trigger: Mapping[str, object] = field(default_factory=dict)
    trigger_event: str | None = None
    last_send: Fate | None = None
