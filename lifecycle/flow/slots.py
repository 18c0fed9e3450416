"""Who is at a cap at this moment and when their next slot opens: what a report asks, and no claim."""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from lifecycle.core.calendar import zone_named
from lifecycle.core.caps import Counted, Slots, counted, counts, stops_counting
from lifecycle.core.pace import effective_caps, paused_until
from lifecycle.journey.caps import Cap
from lifecycle.journey.project import Project
from lifecycle.store import messages, sends, standing

from .sends import Sends

_AT_ONCE = 1000


@dataclass(slots=True)
class AtCap:
    """How many customers have no slot left under a cap, and the first few of them to get one, with the moment."""

    customers: int = 0
    first: list[tuple[datetime, str]] = field(default_factory=list)


def at_caps(
    connection: Connection, project: Project, now: datetime, lease: timedelta, *, few: int = 5
) -> dict[str, AtCap]:
    """By the cap's name, those whose slots are all taken; caps of nobody are absent, and those of 0, as all are there.

    Goes over all customers, some thousand a second; reads what they got only of those who may be at a cap.
    """
    found: dict[str, AtCap] = defaultdict(AtCap)
    for page in standing.everybody(connection, _AT_ONCE):
        caps = {each.customer_id: effective_caps(project.policy, each.pace, each.fatigue) for each in page}
        zones = {each.customer_id: zone_named(each.timezone, project.policy.timezone) for each in page}
        for customer, past in _past(connection, project, caps, now, lease).items():
            for cap in caps[customer]:
                opens = _opens(cap, past, zones[customer], now)
                if opens is not None:
                    at = found[cap.name]
                    at.customers += 1
                    insort(at.first, (opens, customer))
                    del at.first[few:]
    return dict(found)


def _past(
    connection: Connection, project: Project, caps: Mapping[str, tuple[Cap, ...]], now: datetime, lease: timedelta
) -> dict[str, list[Counted]]:
    """What those got who may be at one of their caps."""
    policy = project.policy
    usual = sorted(customer for customer, theirs in caps.items() if theirs is policy.caps)
    many = sends.count(connection, policy.caps, usual, now, lease)
    near = {customer for customer, theirs in caps.items() if theirs is not policy.caps}
    near |= {
        customer
        for customer, numbers in many.items()
        if any(number >= cap.limit for cap, number in zip(policy.caps, numbers, strict=True))
    }
    past: dict[str, list[Counted]] = {}
    if near:
        every = {cap for customer in near for cap in caps[customer]}
        for customer, each in sends.history(connection, every, sorted(near), now, lease):
            past.setdefault(customer, []).append(each)
    return past


def _opens(cap: Cap, past: Sequence[Counted], zone: ZoneInfo, now: datetime) -> datetime | None:
    """When `cap` has room again; None where it has now, or never will."""
    if cap.limit == 0:
        return None
    leaving = sorted(moment for each in past if counts(cap, each) and (moment := stops_counting(cap, each, zone)) > now)
    return leaving[-cap.limit] if len(leaving) >= cap.limit else None


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a message that waits could go (None: never), the cap that has no room for it now, and the rows that fill
    it."""

    next_slot: datetime | None
    cap: str | None = None
    filled_by: tuple[int, ...] = ()


def outlooks(
    connection: Connection, project: Project, ids: Sequence[int], now: datetime, lease: timedelta
) -> dict[int, Outlook]:
    """What each of these pending messages can expect under all caps and the quiet hours, if nothing else went before
    it."""
    rows = messages.due(connection, ids, datetime.max.replace(tzinfo=now.tzinfo))
    slots = Sends(connection, project, rows, now, lease)
    found: dict[int, Outlook] = {}
    for row in rows:
        zone = zone_named(row.timezone, project.policy.timezone)
        marketing = row.kind == "marketing"
        quiet = project.policy.quiet_hours if marketing else None
        begin = (paused_until(row.pace, zone, now) if marketing and row.pace else None) or now
        theirs = slots.of(row.customer_id) or Slots((), zone)
        full = theirs.full(counted(row, now), now)
        found[row.id] = Outlook(
            theirs.next_free(counted(row, begin), begin, quiet),
            None if full is None else full.cap.name,
            () if full is None else full.ids,
        )
    return found
