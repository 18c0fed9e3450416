"""For tests of one's own journeys: a database that is thrown away, a clock that jumps, and an outbox to look into.

    with Simulation(project) as sim:
        sim.identify("42", email="siti@example.com")
        sim.allow("42")
        sim.track("42", OrderCompleted, order_id="A1", total=5, quantity=1)
        sim.run(days(3))
        assert sim.sent("42") == ["post_purchase/thanks"]

Everything goes through the functions that the live roles call; only the clock and the transport are made up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import orjson
from sqlmodel import SQLModel

from lifecycle.core.calendar import plus
from lifecycle.flow.mailer import Mailer
from lifecycle.flow.replay import Line, read_lines, replay
from lifecycle.journey.durations import Duration
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Event
from lifecycle.mail.render import Rendered, Renderer, Summary
from lifecycle.mail.transport import Accepted, Letter, Outcome
from lifecycle.mail.unsubscribe import UnsubscribeLinks
from lifecycle.store import tables as _tables  # noqa: F401 - defines the tables
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement
from lifecycle.store.types import Instant

A_MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)

_MESSAGES = Statement(
    "SELECT * FROM message WHERE customer_id = :customer ORDER BY COALESCE(sent_at, created_at), id",
    returns={
        name: Instant()
        for name in ("created_at", "due_at", "wake_at", "expires_at", "capped_until", "counted_at", "sent_at")
    },
)
_ENROLLMENTS = Statement(
    "SELECT * FROM enrollment WHERE customer_id = :customer ORDER BY id",
    returns={name: Instant() for name in ("due_at", "wake_at", "entered_at", "ended_at")},
)


def accept(letter: Letter) -> Outcome:
    """The answer of a server that takes everything."""
    return Accepted("250 ok")


class Outbox:
    """A transport that keeps what it is given; `answer` says what becomes of each letter."""

    def __init__(self, answer: Callable[[Letter], Outcome] = accept, lanes: int = 1) -> None:
        self.lanes = lanes
        self.answer = answer
        self.letters: list[Letter] = []

    def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
        """Takes one letter after the other."""
        for letter in letters:
            self.letters.append(letter)
            yield letter, self.answer(letter)

    def close(self) -> None:
        """Nothing is open."""


class PlainRenderer(Renderer):
    """Renders every template there could be as its own name, so that journeys can be tested before their emails."""

    def __init__(self) -> None:
        super().__init__(Path())

    def locale_for(self, name: str, wanted: object) -> str:
        """Every locale that anybody wishes."""
        return wanted if isinstance(wanted, str) else self.locale

    def render(self, name: str, context: Mapping[str, object], locale: object = None) -> Rendered:
        """The name, as subject and text."""
        return Rendered(name, f"<p>{name}</p>", name, lambda: "", self.locale_for(name, locale))

    def summary(self, name: str, context: Mapping[str, object], locale: object = None) -> Summary:
        """The name, as subject and link."""
        return Summary(name, "", f"https://shop.example/{name}")


def mailer_for(project: Project, transport: Outbox, renderer: Renderer | None = None) -> Mailer:
    """A mailer that writes to nobody outside."""
    links = UnsubscribeLinks("http://localhost:8000", "a secret of tests, of no use to anybody")
    return Mailer(project.policy.sender, renderer or PlainRenderer(), links, transport)


class Simulation:
    """One project with a database, clock and outbox of its own.

    `at`: where the clock starts, aware. `templates`: the folder of the emails; without it each is rendered as its
    own name. `database`: one with all tables, all empty, in place of an SQLite file that is thrown away.
    """

    def __init__(
        self,
        project: Project,
        *,
        at: datetime = A_MONDAY,
        templates: Path | None = None,
        database: Database | None = None,
    ) -> None:
        self.project = project
        self.now = at.astimezone(UTC)
        self.outbox = Outbox()
        policy = project.policy
        self._renderer = (
            None
            if templates is None
            else Renderer(templates, locale=policy.locale, currency=policy.currency, utm=policy.utm)
        )
        self._given = database
        self._events: list[Line] = []
        self._number = 0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="lifecycle-")
        self.db = self._given or Database(f"sqlite:///{self._folder.name}/lifecycle.db")
        if self._given is None:
            SQLModel.metadata.create_all(self.db.engine)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._given is None:
            self.db.close()
        self._folder.cleanup()

    # What apps say

    def identify(self, customer_id: str, **traits: object) -> None:
        """The app says something about a customer, now."""
        self._emit({"type": "identify", "userId": customer_id, "traits": _plain(traits)})

    def track(self, customer_id: str, event: type[Event] | str, **properties: object) -> None:
        """A customer does something, now; it is taken when the clock runs on."""
        name = event if isinstance(event, str) else event.event_name
        self._emit({"type": "track", "userId": customer_id, "event": name, "properties": _plain(properties)})

    def allow(self, customer_id: str, topic: str | None = None) -> None:
        """A customer agrees to marketing on a topic, or on all."""
        self.track(customer_id, "subscription.granted", topic=topic, source="test")

    def withdraw(self, customer_id: str, topic: str | None = None) -> None:
        """A customer unsubscribes from a topic, or from all."""
        self.track(customer_id, "subscription.withdrawn", topic=topic, source="test")

    def _emit(self, message: dict[str, object]) -> None:
        self._number += 1
        message |= {"messageId": f"simulated-{self._number}", "timestamp": self.now.isoformat()}
        self._events += read_lines([orjson.dumps(message)], f"simulated {self._number}", self.now + timedelta(days=1))

    # What happens

    def run(self, span: Duration | timedelta) -> None:
        """Lets so much time pass (days by the clock of the policy's zone), and everything happen that falls in it."""
        if isinstance(span, Duration):
            until = plus(self.now, span, ZoneInfo(self.project.policy.timezone))
        else:
            until = self.now + span
        events, self._events = self._events, []
        replay(
            self.db,
            self.project,
            mailer_for(self.project, self.outbox, self._renderer),
            events,
            lease=timedelta(minutes=5),
            max_lateness=timedelta(hours=72),
            until=until,
        )
        self.now = until

    # What became of it

    def messages(self, customer_id: str) -> list[dict[str, Any]]:
        """All columns of the customer's messages, in the order of sending."""
        with self.db.reading() as connection:
            return [dict(row) for row in _MESSAGES.run(connection, customer=customer_id).mappings()]

    def enrollments(self, customer_id: str) -> list[dict[str, Any]]:
        """All columns of the customer's enrollments, in the order of entering."""
        with self.db.reading() as connection:
            return [dict(row) for row in _ENROLLMENTS.run(connection, customer=customer_id).mappings()]

    def sent(self, customer_id: str) -> list[str]:
        """The templates that the customer got, in the order of sending."""
        return [message["template"] for message in self.messages(customer_id) if message["state"] == "sent"]

    def unsent(self, customer_id: str) -> dict[str, str]:
        """Why the others did not go out, or have not yet, by template."""
        return {
            message["template"]: message["reason"]
            for message in self.messages(customer_id)
            if message["state"] != "sent"
        }

    def standing(self, customer_id: str) -> dict[str, str]:
        """By journey: the step at which the customer is parked, or how the journey ended."""
        return {
            row["journey"]: row["step"] if row["state"] == "active" else row["state"]
            for row in self.enrollments(customer_id)
        }


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """Values as an app would send them in JSON."""
    return {name: _as_json(value) for name, value in values.items()}


def _as_json(value: object) -> object:
    match value:
        case Decimal():
            return float(value)
        case date():
            return value.isoformat()
        case _:
            return value


__all__ = ["A_MONDAY", "Outbox", "PlainRenderer", "Simulation", "accept", "mailer_for"]
