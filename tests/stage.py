"""All roles in one process, under a clock that stands still: what tests of the shell play on.

Hints are kept in a list in place of a broker, so that a test can lose them, double them, or look at them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lifecycle import Attribute, Event, Flag, Journey, Policy, Property, Sender
from lifecycle.flow.advance import advance
from lifecycle.flow.consume import Entry, Taken, take
from lifecycle.flow.deliver import deliver
from lifecycle.flow.schedule import Ticked, tick
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.mail.transport import Transport
from lifecycle.store import ahead
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder
from lifecycle.store.sql import Statement
from lifecycle.store.types import Instant, Json
from lifecycle.testing import Outbox, mailer_for

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)
SENDER = Sender("Shop", "hello@shop.example", postal_address="1 Main Street")


class customer:  # noqa: N801 - the noun of the language
    vip = Flag()
    city = Attribute[str]()


class Ordered(Event, name="order.completed"):
    order_id = Property[str]()
    total = Property[float]()


class Reviewed(Event, name="review.posted"):
    order_id = Property[str]()


_WORDS = Vocabulary(
    attributes={"vip": customer.vip, "city": customer.city},
    events={event.event_name: event for event in (Ordered, Reviewed)},
)
for _name, _word in _WORDS.attributes.items():
    _word.name = _name

_OF_MESSAGES = ("created_at", "due_at", "wake_at", "expires_at", "capped_until", "counted_at", "sent_at", "capped_at")
_OF_ENROLLMENTS = ("due_at", "wake_at", "entered_at", "ended_at")
_MESSAGES = Statement(
    "SELECT * FROM message ORDER BY id", returns=dict.fromkeys(_OF_MESSAGES, Instant()) | {"lost_to": Json}
)
_ENROLLMENTS = Statement("SELECT * FROM enrollment ORDER BY id", returns=dict.fromkeys(_OF_ENROLLMENTS, Instant()))


def project_of(*journeys: Journey, **policy: Any) -> Project:
    """A project of these journeys; everybody may be written to until they object, unless the policy says otherwise."""
    return Project(
        _WORDS,
        {journey.name: journey for journey in journeys},
        Policy(**{"sender": SENDER, "consent": "opt_out", **policy}),
    )


class KeptHints:
    """Hints in a list; `fresh` are those that no worker has taken."""

    def __init__(self) -> None:
        self.fresh: list[tuple[str, list[int]]] = []

    def advance(self, ids: Sequence[int]) -> None:
        self._keep("advance", ids)

    def deliver(self, ids: Sequence[int]) -> None:
        self._keep("deliver", ids)

    def _keep(self, what: str, ids: Sequence[int]) -> None:
        if ids:
            self.fresh.append((what, list(ids)))


class Stage:
    """A project on a database, from `now` on."""

    def __init__(
        self,
        database: Database,
        project: Project,
        *,
        now: datetime = NOON,
        transport: Transport | None = None,
        pause: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.db = database
        self.project = project
        self.now = now
        self.hints = KeptHints()
        self.outbox = Outbox()
        self.mailer = mailer_for(project, self.outbox)
        if transport is not None:
            self.mailer.transport = transport
        self.pause = pause
        self.stopping: Callable[[], bool] = lambda: False
        self._number = 0

    # What apps say

    def identify(self, customer_id: str, **traits: Any) -> Taken:
        return self.take(self.message("identify", customer_id, traits=traits))

    def track(self, customer_id: str, event: type[Event] | str, **properties: Any) -> Taken:
        name = event if isinstance(event, str) else event.event_name
        return self.take(self.message("track", customer_id, event=name, properties=properties))

    def order(self, customer_id: str, order_id: str = "A1") -> Taken:
        return self.track(customer_id, Ordered, order_id=order_id, total=5)

    def message(self, kind: str, customer_id: str, **fields: Any) -> bytes:
        self._number += 1
        content = {"type": kind, "messageId": f"m-{self._number}", "userId": customer_id, "timestamp": self.now}
        return orjson.dumps(content | fields)

    def take(self, *raws: bytes) -> Taken:
        """Takes these as one batch and hints what follows."""
        entries = [Entry(f"{self._number}-{n}", raw) for n, raw in enumerate(raws)]
        taken = take(self.db, self.project, entries, self.now, lease=LEASE, max_lateness=timedelta(hours=72))
        self.hints.advance(taken.advance)
        return taken

    # What the roles do

    def tick(self) -> Ticked:
        """The scheduler looks once."""
        return tick(self.db, self.project, self.hints, self.now, lease=LEASE)

    def advance(self, ids: Sequence[int]) -> None:
        self.hints.deliver(advance(self.db, self.project, ids, self.now, LEASE))

    def deliver(self, ids: Sequence[int]) -> None:
        recorder = Recorder(self.db, self.pause)
        try:
            self.hints.deliver(
                deliver(
                    self.db,
                    self.project,
                    self.mailer,
                    recorder,
                    ids,
                    now=lambda: self.now,
                    lease=LEASE,
                    stopping=self.stopping,
                )
            )
        finally:
            recorder.close()

    def work(self) -> None:
        """Workers take hints until there are none."""
        while self.hints.fresh:
            what, ids = self.hints.fresh.pop(0)
            (self.advance if what == "advance" else self.deliver)(ids)

    def lose_hints(self) -> None:
        self.hints.fresh.clear()

    def run(self, span: timedelta = timedelta(0)) -> None:
        """Time passes: whatever is due meanwhile is done at its moment."""
        until = self.now + span
        self.work()
        while (moment := self._next()) is not None and moment <= until:
            self.now = max(self.now, moment)
            self.tick()
            self.work()
        self.now = until

    def _next(self) -> datetime | None:
        with self.db.reading() as connection:
            return min((moment for moment in ahead.next_wakes(connection) if moment is not None), default=None)

    # What became of it

    def messages(self) -> list[dict[str, Any]]:
        with self.db.reading() as connection:
            return [dict(row) for row in _MESSAGES.run(connection).mappings()]

    def enrollments(self) -> list[dict[str, Any]]:
        with self.db.reading() as connection:
            return [dict(row) for row in _ENROLLMENTS.run(connection).mappings()]

    def states(self) -> dict[str, str]:
        """By step: the state of its message, with the reason if there is one."""
        return {row["step"]: row["state"] + (f": {row['reason']}" if row["reason"] else "") for row in self.messages()}

    def only_message(self) -> dict[str, Any]:
        (message,) = self.messages()
        return message

    def only_enrollment(self) -> dict[str, Any]:
        (enrollment,) = self.enrollments()
        return enrollment

    def sent(self) -> list[str]:
        """The recipients of what the transport was given, in order."""
        return [letter.recipient for letter in self.outbox.letters]
