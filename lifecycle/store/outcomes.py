"""What became of a history under a policy: emails per customer, what was held back and why, goals reached after sends.

For a replay's own database: it reads all of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Float, Text

from .sql import Statement
from .types import Id, Instant

_CUSTOMERS = Statement("SELECT count(*) AS number FROM customer")
_EMAILS = Statement(
    """
    SELECT customer_id, sent_at FROM message WHERE state = 'sent' AND sent_at >= :since ORDER BY customer_id, sent_at
    """,
    returns={"customer_id": Text(), "sent_at": Instant()},
)
_BY_JOURNEY = Statement(
    """
    SELECT journey, state, reason, count(*) AS number
    FROM message WHERE created_at >= :since GROUP BY journey, state, reason
    """
)
_WAITS = Statement(
    """
    SELECT journey, {seconds capped_at sent_at} AS waited FROM message
    WHERE capped_at IS NOT NULL AND state = 'sent' AND sent_at >= :since ORDER BY 1, 2
    """,
    returns={"journey": Text(), "waited": Float()},
)
_GOALS = Statement(
    """
    SELECT journey, count(*) AS goals, count(mailed) AS after_sends FROM (
        SELECT e.journey, (
            SELECT 1 FROM message m LEFT JOIN message d ON d.id = m.digest_id
            WHERE m.enrollment_id = e.id AND COALESCE(m.sent_at, d.sent_at) <= e.ended_at LIMIT 1
        ) AS mailed
        FROM enrollment e WHERE e.state = 'goal_reached' AND e.ended_at >= :since
    ) AS reached
    GROUP BY journey
    """,
    returns={"journey": Text(), "goals": Id, "after_sends": Id},
)
_WEEK = timedelta(days=7)


@dataclass(slots=True)
class Part:
    """One journey's part: `held_back` by reason, in full; `waits` in seconds, sorted, of what caps held and let go."""

    sent: int = 0
    held_back: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    goals: int = 0
    goals_after_sends: int = 0


@dataclass(slots=True)
class Outcome:
    """Emails per customer (how many customers got so many, with those who got none), the most that one got in any
    seven days, and every journey's part."""

    customers: int = 0
    emails: Counter[int] = field(default_factory=Counter)
    most_in_a_week: int = 0
    journeys: dict[str, Part] = field(default_factory=dict)

    @property
    def sent(self) -> int:
        """How many emails went out."""
        return sum(number * customers for number, customers in self.emails.items())

    def part(self, journey: str) -> Part:
        """That of one journey, empty where nobody entered it."""
        return self.journeys.get(journey) or Part()


def outcome(connection: Connection, since: datetime) -> Outcome:
    """What became of everything since a moment."""
    found = Outcome(customers=_CUSTOMERS.run(connection).scalar_one())
    _count_emails(connection, since, found)
    for row in _BY_JOURNEY.run(connection, since=since):
        part = found.journeys.setdefault(row.journey, Part())
        if row.state == "sent":
            part.sent += row.number
        elif row.state not in ("pending", "sending"):
            part.held_back[(row.reason if row.state == "skipped" else row.state) or row.state] += row.number
    for row in _WAITS.run(connection, since=since):
        found.journeys.setdefault(row.journey, Part()).waits.append(row.waited)
    for row in _GOALS.run(connection, since=since):
        part = found.journeys.setdefault(row.journey, Part())
        part.goals, part.goals_after_sends = row.goals, row.after_sends
    found.journeys = dict(sorted(found.journeys.items()))
    return found


def _count_emails(connection: Connection, since: datetime, found: Outcome) -> None:
    sent: Counter[str] = Counter()
    week: list[datetime] = []
    for row in _EMAILS.run(connection, since=since):
        at: datetime = row.sent_at
        if row.customer_id not in sent:
            week.clear()
        sent[row.customer_id] += 1
        week = [*(each for each in week if at - each < _WEEK), at]
        found.most_in_a_week = max(found.most_in_a_week, len(week))
    found.emails = Counter(sent.values())
    found.emails[0] = found.customers - len(sent)
