"""The SQL of what caps did: who was held back by which, for how long, and whose messages took the slot.

A report over a period reads what was capped in it by index, and what was sent in it by one look per customer into the
index of what counts: it costs as much as there are customers and sends in the period, however long the history is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Float, Text

from lifecycle.core.caps import Counted

from .sql import Statement
from .types import Id, Instant, Json

_PERSONAL = "CASE WHEN capped_by LIKE 'paused until %' THEN 'paused by the customer' ELSE capped_by END"

# Of n sorted waits the p-th percentile is the first that at least p % of them do not exceed (nearest rank).
_HELD = Statement(
    f"""
    WITH held AS (
        SELECT {_PERSONAL} AS cap, journey, state, COALESCE(reason, '') AS reason,
               CASE WHEN state = 'sent' THEN {{seconds capped_at sent_at}} END AS waited
        FROM message WHERE capped_at >= :since AND capped_at < :until
    ), ranked AS (
        SELECT cap, journey, waited, row_number() OVER theirs AS place,
               count(*) OVER (PARTITION BY cap, journey) AS number
        FROM held WHERE waited IS NOT NULL
        WINDOW theirs AS (PARTITION BY cap, journey ORDER BY waited)
    ), waits AS (
        SELECT cap, journey, MIN(CASE WHEN place * 100 >= number * 50 THEN waited END) AS p50,
               MIN(CASE WHEN place * 100 >= number * 95 THEN waited END) AS p95
        FROM ranked GROUP BY cap, journey
    )
    SELECT held.cap, held.journey, count(*) AS held, count(waited) AS waited, waits.p50, waits.p95,
           count(*) FILTER (WHERE state = 'skipped' AND reason LIKE 'capped:%') AS skipped,
           count(*) FILTER (WHERE state = 'skipped' AND reason = 'digested') AS digested,
           count(*) FILTER (WHERE state IN ('pending', 'sending')) AS waiting
    FROM held LEFT JOIN waits ON waits.cap = held.cap AND waits.journey = held.journey
    GROUP BY held.cap, held.journey, waits.p50, waits.p95
    ORDER BY held.cap, held.journey
    """,
    returns={
        "cap": Text(),
        "journey": Text(),
        "held": Id,
        "waited": Id,
        "p50": Float(),
        "p95": Float(),
        "skipped": Id,
        "digested": Id,
        "waiting": Id,
    },
)

# CROSS JOIN, because SQLite then begins with the customers; PostgreSQL begins where it likes.
_SENT_IN_PERIOD = """
    FROM customer c CROSS JOIN message m
    WHERE m.customer_id = c.id AND m.counted_at > :counted_since AND m.counted_at < :until
      AND m.state = 'sent' AND m.sent_at >= :since AND m.sent_at < :until
"""
_SENT = Statement(
    f"""
    SELECT m.journey, m.topic, m.kind, count(*) AS sent {_SENT_IN_PERIOD} AND m.sections IS NULL
    GROUP BY m.journey, m.topic, m.kind ORDER BY m.journey, m.topic, m.kind
    """
)
_DIGESTS = Statement(
    f"SELECT m.journey, m.sections {_SENT_IN_PERIOD} AND m.sections IS NOT NULL",
    returns={"journey": Text(), "sections": Json},
)

_PAID = Statement(
    f"""
    SELECT cap, journey, winner, count(*) AS slots, count(DISTINCT id) AS messages
    FROM (
        SELECT m.id, {_PERSONAL.replace("capped_by", "m.capped_by")} AS cap, m.journey, w.journey AS winner
        FROM message m, {{each m.lost_to}} JOIN message w ON w.id = CAST(each.value AS bigint)
        WHERE m.capped_at >= :since AND m.capped_at < :until
    ) AS paid
    GROUP BY cap, journey, winner ORDER BY cap, journey, winner
    """
)

_OF_CUSTOMER = Statement(
    """
    SELECT id, capped_at, capped_by, lost_to, state, reason, due_at, capped_until, expires_at, journey, step, template,
           kind, topic, priority, on_capped
    FROM message
    WHERE enrollment_id IN (SELECT id FROM enrollment WHERE customer_id = :customer) AND capped_at IS NOT NULL
    ORDER BY capped_at, journey, message_id
    """,
    returns={
        "capped_at": Instant(),
        "lost_to": Json,
        "due_at": Instant(),
        "capped_until": Instant(),
        "expires_at": Instant(),
    },
)
_FILLERS = Statement(
    """
    SELECT id, journey, template, topic, state, COALESCE(sent_at, counted_at) AS at FROM message WHERE id IN {ids}
    ORDER BY COALESCE(sent_at, counted_at), journey, template
    """,
    returns={"id": Id, "at": Instant()},
)


class Held(NamedTuple):
    """What one cap did to one journey's messages; `p50` and `p95` are seconds, None where none waited.

    Of the `held` ones, `waited` went out later, `skipped` and `digested` never will by themselves, `waiting` still may;
    the rest ended for another reason, such as a goal reached meanwhile.
    """

    cap: str
    journey: str
    held: int
    waited: int
    p50: float | None
    p95: float | None
    skipped: int
    digested: int
    waiting: int


class SentOf(NamedTuple):
    """How many messages were sent of one journey (digests have their own) that are one as caps see them."""

    journey: str
    counted: Counted
    sent: int


class Paid(NamedTuple):
    """For what `cap` held back of `journey`: in how many `messages`' way those of `winner` stood, and in how many
    slots."""

    cap: str
    journey: str
    winner: str
    slots: int
    messages: int


def held(connection: Connection, since: datetime, until: datetime) -> list[Held]:
    """What caps first held back in the period, by cap and journey; what became of it by now."""
    return [Held._make(row) for row in _HELD.run(connection, since=since, until=until).all()]


def sent(connection: Connection, since: datetime, until: datetime, lease: timedelta) -> list[SentOf]:
    """What was sent in the period; `lease` is how long before that it may have been claimed."""
    period = {"since": since, "until": until, "counted_since": since - lease}
    plain = [
        SentOf(
            row.journey,
            Counted(since, frozenset((row.topic,)), frozenset((row.journey,)), row.kind == "marketing"),
            row.sent,
        )
        for row in _SENT.run(connection, **period).all()
    ]
    gathered = Counter(
        Counted(
            since,
            frozenset(section["topic"] for section in row.sections),
            frozenset(section["journey"] for section in row.sections),
        )
        for row in _DIGESTS.run(connection, **period)
        if row.sections  # an ORM may have written a JSON null
    )
    return plain + [SentOf("digest", digest, number) for digest, number in gathered.items()]


def paid(connection: Connection, since: datetime, until: datetime) -> list[Paid]:
    """Whose messages filled the caps that held something back in the period."""
    return [Paid._make(row) for row in _PAID.run(connection, since=since, until=until).all()]


def of_customer(connection: Connection, customer: str) -> list[dict[str, Any]]:
    """The messages of one customer that a cap ever held back, in the order in which it did; `lost_to` are the ids of
    those that filled it then."""
    return [dict(row) for row in _OF_CUSTOMER.run(connection, customer=customer).mappings()]


def fillers(connection: Connection, ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """The messages of these ids, as those who lost to them are told of them, by id."""
    if not ids:
        return {}
    return {row["id"]: dict(row) for row in _FILLERS.run(connection, ids=sorted(ids)).mappings()}
