"""What counts under the caps while a batch is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.assign import held_out
from lifecycle.core.calendar import zone_named
from lifecycle.core.caps import Counted, Slots, counted, longest
from lifecycle.core.judge import Defer, Go, Skip, Verdict
from lifecycle.core.pace import effective_caps
from lifecycle.journey.caps import Cap
from lifecycle.journey.policy import Policy
from lifecycle.journey.project import Project
from lifecycle.journey.steps import Send
from lifecycle.store import sends
from lifecycle.store.messages import Due


class Sends:
    """The slots of the customers of a batch, kept up while it is judged.

    A message counts from the moment at which the server took it, and that is up to a lease after it was claimed, the
    moment by which the index finds it. So the first look goes a lease further back, and counts generously; the rows
    themselves are read only for customers who may meet a cap in this batch, or have caps of their own: most never do.
    """

    def __init__(
        self, connection: Connection, project: Project, rows: Sequence[Due], now: datetime, lease: timedelta
    ) -> None:
        self._project = project
        self._slots: dict[str, Slots] = {}
        policy = project.policy
        all_mail = any("all" in (cap.counts, cap.obeyed_by) for cap in policy.caps)
        theirs = Counter(row.customer_id for row in rows if all_mail or row.kind == "marketing")
        caps = {row.customer_id: caps_of(row, policy) for row in rows if row.customer_id in theirs}
        usual = sorted(customer for customer, own in caps.items() if own is policy.caps)
        found = sends.count(connection, policy.caps, usual, now, lease)
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
        for row in sends.AHEAD.run(connection, keys=outranked, until=until).all():
            coming = _coming(row, self._project, now)
            if coming is not None:
                self._slots[row.customer_id].ahead.append(coming)

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
            case Defer(until=until):
                slots.ahead.append(counted(row, until))
            case Skip():
                pass


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
