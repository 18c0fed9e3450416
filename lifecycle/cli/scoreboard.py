"""The table of what became of people and emails, journey by journey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from lifecycle.store.scores import Score

_WORDS = {
    "no_consent": "never agreed",
    "capped": "cap reached",
    "unsubscribed": "unsubscribed",
    "holdout": "held out",
    "goal_reached": "goal reached",
    "expired": "too late",
    "journey_ended": "journey ended",
    "invalid_address": "no address",
}


def summary(scores: Mapping[str, Score]) -> Table:
    """People who entered and reached the goal, emails sent, and how many were held back and why."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False, show_footer=True)
    total = _total(scores)
    table.add_column("journey", "all")
    for heading, number, style in (
        ("entered", total.entered, ""),
        ("still inside", total.inside, "cyan"),
        ("goal reached", total.goals, "green"),
        ("sent", total.sent, "green"),
        ("waiting", total.waiting, "cyan"),
        ("held back", total.held_back.total(), "yellow"),
    ):
        table.add_column(heading, f"{number:,}", justify="right", style=style, footer_style="bold")
    table.add_column("because of", overflow="fold")
    for name, score in scores.items():
        numbers = (score.entered, score.inside, score.goals, score.sent, score.waiting, score.held_back.total())
        table.add_row(name, *(f"{number:,}" for number in numbers), reasons(score.held_back))
    return table


def reasons(held_back: Counter[str], most: int | None = None) -> str:
    """The reasons, the most frequent first: "never agreed 1,204, cap reached 310"."""
    return ", ".join(f"{_WORDS.get(reason, reason)} {number:,}" for reason, number in held_back.most_common(most))


def _total(scores: Mapping[str, Score]) -> Score:
    from lifecycle.store.scores import Score

    total = Score()
    for score in scores.values():
        for name in ("entered", "inside", "goals", "sent", "waiting"):
            setattr(total, name, getattr(total, name) + getattr(score, name))
        total.held_back += score.held_back
    return total
