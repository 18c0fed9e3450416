"""How much one customer asks for, and how much they have had, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from lifecycle.core.fatigue import CLICK, ENOUGH, PURCHASE, UNKNOWN, WINDOW
from lifecycle.core.pace import pause_day, personal


def standing(known: Mapping[str, Any], fatigue: Mapping[str, Any] | None, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    """Lines about a customer (a row of `reports.customer`) and what was last computed of them, each with its label."""
    asked = [f"at most {cap.name.removesuffix(f', {cap.note}')}" for cap in personal(known["pace"])]
    if (until := pause_day(known["pace"])) is not None:
        asked.append(f"nothing until {until}")
    if asked:
        yield "pace", "they ask for " + ", ".join(asked)
    if fatigue is None:
        return
    yield "fatigue", f"{fatigue['state'].replace('_', ' ')}: {_because(fatigue)}"
    yield "", f"{_counts(fatigue)}, as of {fatigue['computed_at'].astimezone(zone):%Y-%m-%d %H:%M}"
    if fatigue["sunset_at"] is not None:
        since = f"{fatigue['sunset_at'].astimezone(zone):%Y-%m-%d %H:%M}"
        yield "sunset", f"since {since} no marketing, until they do something"


def _counts(row: Mapping[str, Any]) -> str:
    emails, purchases = _number(row["sent"], "marketing email"), _number(row["bought"], "purchase")
    complaints = _number(row["complained"], "complaint")
    return (
        f"in {WINDOW.days} days {emails}, {row['opened']} opened, {row['clicked']} clicked; "
        f"{purchases} soon after one, {complaints}"
    )


def _because(row: Mapping[str, Any]) -> str:
    """How the state follows from the counts."""
    if row["complained"]:
        return "they complained"
    if row["state"] == UNKNOWN:
        return f"fewer than {ENOUGH} emails" if row["sent"] < ENOUGH else "nobody's opens and clicks are reported"
    sum_ = f"{row['opened']} + {CLICK}·{row['clicked']} + {PURCHASE}·{row['bought']}"
    return f"score {row['score']:g} = 1 - ({sum_}) / {row['sent']}" + (", at least 0" if row["score"] == 0 else "")


def _number(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
