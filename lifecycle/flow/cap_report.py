"""What caps did in a period: what went out under each and what it held back, who is at one now, who paid for whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from lifecycle.core.caps import counts
from lifecycle.journey.project import Project
from lifecycle.store import capped
from lifecycle.store.capped import Held, Paid, SentOf

from .slots import AtCap, at_caps


@dataclass(frozen=True, slots=True)
class Line:
    """One cap and one journey: what was `sent` that counts under the cap (None for caps that the policy has not got,
    such as a customer's own), and what it held back (None where nothing)."""

    cap: str
    journey: str
    sent: int | None
    held: Held | None


@dataclass(frozen=True, slots=True)
class CapReport:
    """The whole report; `at_caps` by the cap's name."""

    since: datetime
    until: datetime
    lines: list[Line]
    at_caps: dict[str, AtCap]
    paid: list[Paid]


def cap_report(
    connection: Connection, project: Project, since: datetime, until: datetime, now: datetime, lease: timedelta
) -> CapReport:
    """The report on what was sent, and what was first held back, from `since` up to but not including `until`; who is
    at a cap is of `now`."""
    held = {(one.cap, one.journey): one for one in capped.held(connection, since, until)}
    sent = capped.sent(connection, since, until, lease)
    lines = _of_policy(project, sent, held)
    known = {(line.cap, line.journey) for line in lines}
    lines += [Line(cap, journey, None, one) for (cap, journey), one in held.items() if (cap, journey) not in known]
    return CapReport(
        since, until, lines, at_caps(connection, project, now, lease), capped.paid(connection, since, until)
    )


def _of_policy(project: Project, sent: list[SentOf], held: dict[tuple[str, str], Held]) -> list[Line]:
    """The lines of the policy's caps, in their order; without journeys that sent nothing under it and lost nothing."""
    lines = []
    for cap in project.policy.caps:
        numbers: dict[str, int] = {}
        for each in sent:
            if counts(cap, each.counted):
                numbers[each.journey] = numbers.get(each.journey, 0) + each.sent
        journeys = numbers.keys() | {journey for name, journey in held if name == cap.name}
        lines += [
            Line(cap.name, journey, numbers.get(journey, 0), held.get((cap.name, journey)))
            for journey in sorted(journeys)
        ]
    return lines
