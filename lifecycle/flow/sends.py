"""What counts under the caps while a batch is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.assign import held_out
from lifecycle.core.calendar import zone_named
from lifecycle.core.caps import Counted, Slots, counted, longest
from lifecycle.core.judge import Defer, Go, Skip, Verdict, no_consent
from lifecycle.core.pace import effective_caps
from lifecycle.journey.caps import Cap
from lifecycle.journey.policy import Policy
from lifecycle.journey.project import Project
from lifecycle.journey.steps import Send
from lifecycle.store import sends
from lifecycle.store.messages import Due
from lifecycle.store.pauses import Paused

_NOTHING_PAUSED = Paused(())


class Sends:
    """The slots of the customers of a batch, kept up while it is judged.

    A message counts from the moment at which the server took it, and that is up to a lease after it was claimed, the
    moment by which the index finds it. So the first look goes a lease further back, and counts generously; the rows
    themselves are read only for customers who may meet a cap in this batch, or have caps of their own: most never do.

    `found`: what `how_many` said of these customers, if it was asked before. `paused`: what operators have stopped.
    """

    def __init__(
        self,
        connection: Connection,
        project: Project,
        rows: Sequence[Due],
        now: datetime,
        lease: timedelta,
        *,
        found: Mapping[str, Sequence[int]] | None = None,
        paused: Paused = _NOTHING_PAUSED,
    ) -> None:
        self._project = project
        self._paused = paused
        self._slots: dict[str, Slots] = {}
        policy = project.policy
        found = how_many(connection, policy, rows, now, lease) if found is None else found
        concerned = concerned_by_caps(rows, policy)
        theirs = Counter(row.customer_id for row in concerned)
        caps = {row.customer_id: caps_of(row, policy) for row in concerned}
        none = (0,) * len(policy.caps)
        near = {
            customer: own
            for customer, own in caps.items()
            if own is not policy.caps or _near(own, found.get(customer, none), theirs[customer])
        }
        if near:
            zones = {row.customer_id: zone_named(row.timezone, policy.timezone) for row in rows}
            self._slots = {customer: Slots(own, zones[customer]) for customer, own in near.items()}
            self._read_past(connection, now, lease)
            self._read_ahead(connection, rows, now)

    def _read_past(self, connection: Connection, now: datetime, lease: timedelta) -> None:
        caps = {cap for slots in self._slots.values() for cap in slots.caps}
        for customer, past in sends.history(connection, caps, sorted(self._slots), now, lease):
            self._slots[customer].past.append(past)

    def _read_ahead(self, connection: Connection, rows: Sequence[Due], now: datetime) -> None:
        """What is known to come to those who have to leave slots for it."""
        keeping = {
            customer: [(cap.keep.priority, cap) for cap in slots.caps if cap.keep is not None]
            for customer, slots in self._slots.items()
        }
        outranked = sorted(
            {row.customer_id for row in rows if any(row.priority < p for p, _ in keeping.get(row.customer_id, ()))}
        )
        if not outranked:
            return
        until = now + longest([cap for each in outranked for _, cap in keeping[each]])
        consents = {row.customer_id: row.consents for row in rows}
        for row in sends.AHEAD.run(connection, keys=outranked, until=until).all():
            coming = _coming(row, self._project, now)
            if coming is not None and self._may_go(coming, consents[row.customer_id]):
                self._slots[row.customer_id].ahead.append(coming)

    def _may_go(self, coming: Counted, consents: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether neither the customer nor an operator has stopped what is to come."""
        (topic,), (journey,) = coming.topics, coming.journeys
        refused = coming.marketing and no_consent(consents, topic, self._project.policy)
        return not refused and not self._paused.stops(journey, topic, coming.marketing)

    def of(self, customer: str) -> Slots | None:
        """The customer's slots; None where no cap can be full, whatever of this batch goes out."""
        return self._slots.get(customer)

    def note(self, row: Due, verdict: Verdict, now: datetime) -> None:
        """Counts what goes out, and remembers when what does not is due next."""
        slots = self._slots.get(row.customer_id)
        if slots is None:
            return
        slots.ahead = [each for each in slots.ahead if each.id != row.id]
        match verdict:
            case Go():
                slots.past.append(counted(row, now))
            case Defer(reason="paused"):
                pass
            case Defer(until=until):
                slots.ahead.append(counted(row, until))
            case Skip():
                pass


def how_many(
    connection: Connection, policy: Policy, rows: Sequence[Due], now: datetime, lease: timedelta
) -> dict[str, tuple[int, ...]]:
    """How many messages may count under each cap of the policy, by customer; who has caps of their own is absent."""
    usual = {row.customer_id for row in concerned_by_caps(rows, policy) if caps_of(row, policy) is policy.caps}
    return sends.count(connection, policy.caps, sorted(usual), now, lease)


def short_of_slots(policy: Policy, rows: Sequence[Due], found: Mapping[str, Sequence[int]]) -> set[str]:
    """The customers for whom `rows` may take the last slot of a cap, `found` being what `how_many` says."""
    short: set[str] = set()
    taken: dict[str, list[int]] = {}
    for row in concerned_by_caps(rows, policy):
        caps = caps_of(row, policy)
        if caps is not policy.caps:
            short.add(row.customer_id)
            continue
        numbers = taken.setdefault(row.customer_id, list(found.get(row.customer_id) or [0] * len(caps)))
        for n, cap in enumerate(caps):
            if _may_concern(cap, row):
                numbers[n] += 1
                if numbers[n] >= cap.limit - (cap.keep.slots if cap.keep else 0):
                    short.add(row.customer_id)
    return short


def concerned_by_caps(rows: Sequence[Due], policy: Policy) -> Sequence[Due]:
    """Those that may count towards a cap or obey one."""
    if any("all" in (cap.counts, cap.obeyed_by) for cap in policy.caps):
        return rows
    return [row for row in rows if row.kind == "marketing"]


def _may_concern(cap: Cap, row: Due) -> bool:
    return (row.kind == "marketing" or "all" in (cap.counts, cap.obeyed_by)) and (
        row.sections is not None or (cap.topic in (None, row.topic) and cap.journey in (None, row.journey))
    )


def caps_of(row: Due, policy: Policy) -> tuple[Cap, ...]:
    """The caps of the row's customer: the policy's own tuple where they have no others."""
    return effective_caps(policy, row.pace, row.fatigue)


def _near(caps: Sequence[Cap], counts: Sequence[int], more: int) -> bool:
    """Whether so many more might meet a cap, where so many count by now."""
    return any(
        count + more > cap.limit - (cap.keep.slots if cap.keep else 0) for cap, count in zip(caps, counts, strict=True)
    )


def _coming(row: Any, project: Project, now: datetime) -> Counted | None:
    """A row of AHEAD as caps will see it; None where nothing is sent when that Wait is over."""
    if row.id is not None:
        return counted(row, max(row.due_at, now))
    journey = project.journeys.get(row.journey)
    place = None if journey is None else journey.place(row.step)
    if journey is None or place is None or place.next is None:
        return None
    step = journey.places[place.next].step
    if not isinstance(step, Send) or held_out(journey.name, journey.holdout, row.customer_id):
        return None
    return Counted(
        max(row.ends_at, now),
        frozenset((journey.topic,)),
        frozenset((journey.name,)),
        journey.kind == "marketing",
        journey.priority_of(step),
    )
