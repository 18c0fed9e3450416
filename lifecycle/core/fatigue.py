"""Fatigue: how much of what somebody was sent still means something to them, from counts that a person can check.

    reactions = opened + 2 * clicked + 4 * bought
    score     = 1 - reactions / sent, at least 0; 1 for who complained

The three states are those of Salesforce's Einstein Engagement Frequency (undersaturated, on target, saturated), its
model being trained and closed; the formula is our own and stands with its sources in docs/caps.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from lifecycle.journey.fatigue import Sunset

UNDERSATURATED: Final = "undersaturated"
ON_TARGET: Final = "on_target"
SATURATED: Final = "saturated"
UNKNOWN: Final = "unknown"

WINDOW = timedelta(days=90)
"""What is counted lies in this span before the moment of counting."""

BOUGHT_WITHIN = timedelta(days=5)
"""A purchase so long after a marketing email counts as a reaction, once, however many emails there were."""

ENOUGH = 5
"""With fewer emails sent, silence says nothing."""

CLICK, PURCHASE = 2, 4
"""How many opens a click, and a purchase, is worth beside the open itself."""

TIRED, EAGER = 0.9, 0.5
"""From the first on somebody is saturated, up to the second undersaturated."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one customer, in the window: marketing emails sent; how many of them were opened and clicked, by no machine;
    purchases soon after one; complaints."""

    sent: int = 0
    opened: int = 0
    clicked: int = 0
    bought: int = 0
    complained: int = 0


def score(counts: Counts) -> float | None:
    """From 0, a reaction to every email or better, to 1, none to any; None for who was sent nothing."""
    if counts.complained:
        return 1.0
    if not counts.sent:
        return None
    reactions = counts.opened + CLICK * counts.clicked + PURCHASE * counts.bought
    return round(max(0.0, 1 - reactions / counts.sent), 4)


def state(counts: Counts, *, heard: bool) -> str:
    """The state that the score means; `heard`: whether opens or clicks are reported at all, for anybody.

    Where they are not, or with too few emails, silence is no answer: unknown.
    """
    if counts.complained:
        return SATURATED
    value = score(counts)
    if value is None or counts.sent < ENOUGH or not heard:
        return UNKNOWN
    if value >= TIRED:
        return SATURATED
    return UNDERSATURATED if value <= EAGER else ON_TARGET


@dataclass(frozen=True, slots=True)
class Silence:
    """Since when somebody shows no sign of life (the first email, if they never did), and the emails sent since."""

    since: datetime | None = None
    sent: int = 0


def is_sunset(silence: Silence, rule: Sunset | None, now: datetime) -> bool:
    """Whether marketing stops: so many emails since the last sign of life, and that so long ago."""
    moment = sunset_at(silence, rule)
    return moment is not None and moment <= now


def sunset_at(silence: Silence, rule: Sunset | None) -> datetime | None:
    """When marketing stops, or had to, if nothing is heard; None where it takes more emails first."""
    if rule is None or silence.since is None or silence.sent < rule.after:
        return None
    return silence.since + rule.silent_for.rolling


def next_look(now: datetime) -> datetime:
    """When somebody is computed for whom something changes at `now`: as the next day begins in UTC, with all others."""
    return datetime.combine(now.date() + timedelta(days=1), time(0), now.tzinfo)
