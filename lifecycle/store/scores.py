"""What became of people and emails so far, journey by journey: for summaries and the live view."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Text

from .sql import Statement
from .types import Instant

_ENROLLMENTS = Statement("SELECT journey, state, count(*) AS number FROM enrollment GROUP BY journey, state")
_MESSAGES = Statement("SELECT journey, state, reason, count(*) AS number FROM message GROUP BY journey, state, reason")
_EVENTS = Statement("SELECT count(*) AS events FROM event")

_LETTERS = Statement(
    """
    SELECT sent_at, email, subject FROM message WHERE counted_at IS NOT NULL AND state = 'sent'
    ORDER BY counted_at DESC, id DESC LIMIT :most
    """,
    returns={"sent_at": Instant(), "email": Text(), "subject": Text()},
)
_EVENTFUL = Statement(
    """
    SELECT customer_id FROM message GROUP BY customer_id
    ORDER BY count(DISTINCT journey || state) DESC, count(DISTINCT step) DESC, count(*), customer_id LIMIT 1
    """
)


@dataclass(frozen=True, slots=True)
class Letter:
    """An email that went out."""

    sent_at: datetime
    email: str
    subject: str


@dataclass(slots=True)
class Score:
    """One journey's numbers. `held_back`: how many emails were not sent, by reason; `waiting` ones still may be."""

    entered: int = 0
    inside: int = 0
    goals: int = 0
    sent: int = 0
    waiting: int = 0
    held_back: Counter[str] = field(default_factory=Counter)

    @property
    def left(self) -> int:
        """How many came to an end, in whatever way."""
        return self.entered - self.inside


def scores(connection: Connection) -> dict[str, Score]:
    """The numbers of every journey that anybody entered, by name."""
    found: dict[str, Score] = {}
    for row in _ENROLLMENTS.run(connection):
        score = found.setdefault(row.journey, Score())
        score.entered += row.number
        if row.state in ("active", "held"):
            score.inside += row.number
        elif row.state == "goal_reached":
            score.goals += row.number
    for row in _MESSAGES.run(connection):
        score = found.setdefault(row.journey, Score())
        if row.state == "sent":
            score.sent += row.number
        elif row.state in ("pending", "sending"):
            score.waiting += row.number
        else:
            score.held_back[_short(row.state, row.reason)] += row.number
    return dict(sorted(found.items()))


def count_events(connection: Connection) -> int:
    """How many events were accepted."""
    number: int = _EVENTS.run(connection).scalar_one()
    return number


def latest_letters(connection: Connection, most: int) -> list[Letter]:
    """The emails that went out last, the newest first."""
    return [Letter(row.sent_at, row.email, row.subject) for row in _LETTERS.run(connection, most=most)]


def most_eventful(connection: Connection) -> str | None:
    """The customer with the most different things to look at: journeys, outcomes, emails; few of each."""
    row = _EVENTFUL.run(connection).first()
    return None if row is None else row.customer_id


def _short(state: str, reason: str | None) -> str:
    """The reason without its details: "capped" for any cap; what failed and what is uncertain by its state."""
    return (reason or state).partition(":")[0] if state == "skipped" else state
