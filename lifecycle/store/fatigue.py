"""The SQL of fatigue: counting what customers were sent and what they did with it, set by set.

A row is made with the first marketing email to somebody, and its `wake_at` says when it is computed again: as the day
after an email begins, at once after an event that counts, and when something leaves the window. Nothing else can change
it, so whoever is not written to costs nothing. The rows of a set are locked before they are counted, so that an event
that comes meanwhile wakes them once more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Boolean, Connection, Float, Text

from lifecycle.core.fatigue import BOUGHT_WITHIN, WINDOW, Counts, Silence, next_look

from .sql import Statement
from .types import Id, Instant

OPENED, CLICKED, COMPLAINED = "email.opened", "email.clicked", "email.complained"
REACTIONS = (OPENED, CLICKED)
COUNTS = ("sent", "opened", "clicked", "bought", "complained")
MACHINE = "machine"
"""The property of an open or a click that no person made."""

_BY_A_PERSON = "COALESCE(lower({text e.properties machine}), '') NOT IN ('true', '1')"

_WATCH = Statement(
    """
    INSERT INTO fatigue (customer_id, sent, opened, clicked, bought, complained, state, computed_at, wake_at)
    SELECT rows.id, 0, 0, 0, 0, 0, 'unknown', :now, :later FROM {rows} WHERE true
    ORDER BY rows.id
    ON CONFLICT (customer_id) DO UPDATE SET wake_at = excluded.wake_at
    WHERE fatigue.wake_at IS NULL OR fatigue.wake_at > excluded.wake_at
    """,
    rows={"id": "text"},
)
_HEAR = Statement(
    """
    UPDATE fatigue
    SET sunset_at = CASE WHEN rows.alive_at >= fatigue.sunset_at THEN NULL ELSE fatigue.sunset_at END, wake_at = :now
    FROM {rows}
    WHERE fatigue.customer_id = rows.id AND (rows.counts OR (rows.alive_at IS NOT NULL AND sunset_at IS NOT NULL))
    """,
    rows={"id": "text", "alive_at": "timestamptz", "counts": "boolean"},
)
_TAKE = Statement(
    """
    SELECT customer_id, state, sunset_at FROM fatigue WHERE wake_at <= :now
    ORDER BY wake_at, customer_id LIMIT :most {skip_locked}
    """,
    returns={"customer_id": Text(), "state": Text(), "sunset_at": Instant()},
)
_HEARD = Statement(
    "SELECT EXISTS (SELECT 1 FROM activity WHERE event IN {keys} AND last_at > :since) AS heard",
    returns={"heard": Boolean()},
)
_SENT = """
    m.customer_id = f.customer_id AND m.counted_at IS NOT NULL AND m.counted_at <= :now AND m.kind = 'marketing'
"""
_OF_THE_WINDOW = "e.timestamp > :since AND e.timestamp <= :now"


def _reacted(event: str) -> str:
    """How many of the emails somebody reacted to like that."""
    return f"""
    SELECT count(DISTINCT m.id) FROM event AS e
    JOIN message AS m ON m.message_id = trim({{text e.properties message_id}}, '<>')
    WHERE e.customer_id = f.customer_id AND e.name = '{event}' AND {_OF_THE_WINDOW} AND {_BY_A_PERSON}
      AND {_SENT} AND m.counted_at > :since
    """


_COUNT = Statement(
    f"""
    SELECT f.customer_id,
        (SELECT count(*) FROM message AS m WHERE {_SENT} AND m.counted_at > :since) AS sent,
        ({_reacted(OPENED)}) AS opened,
        ({_reacted(CLICKED)}) AS clicked,
        (SELECT count(*) FROM event AS e
         WHERE e.customer_id = f.customer_id AND e.name = :bought AND {_OF_THE_WINDOW}
           AND EXISTS (SELECT 1 FROM message AS m WHERE {_SENT} AND m.counted_at > :since
                       AND m.counted_at < e.timestamp AND {{seconds m.counted_at e.timestamp}} <= :within)) AS bought,
        (SELECT count(*) FROM event AS e
         WHERE e.customer_id = f.customer_id AND e.name = '{COMPLAINED}' AND {_OF_THE_WINDOW}) AS complained,
        (SELECT MIN(m.counted_at) FROM message AS m WHERE {_SENT} AND m.counted_at > :since) AS first_sent_at,
        (SELECT MIN(e.timestamp) FROM event AS e
         WHERE e.customer_id = f.customer_id AND e.name = '{COMPLAINED}' AND {_OF_THE_WINDOW}) AS first_complained_at
    FROM fatigue AS f WHERE f.customer_id IN {{keys}}
    """,
    returns={
        "customer_id": Text(),
        **dict.fromkeys(COUNTS, Id),
        "first_sent_at": Instant(),
        "first_complained_at": Instant(),
    },
)
_SILENT = Statement(
    f"""
    WITH alive AS (
        SELECT customer_id, MAX(at) AS at FROM (
            SELECT customer_id, last_at AS at FROM activity
            WHERE customer_id IN {{keys}} AND event NOT LIKE 'email.%'
            UNION ALL
            SELECT e.customer_id, e.timestamp AS at FROM event AS e
            WHERE e.customer_id IN {{keys}} AND e.name IN ('{OPENED}', '{CLICKED}') AND {_BY_A_PERSON}
        ) AS signs GROUP BY customer_id
    )
    SELECT f.customer_id, alive.at AS alive_at,
        (SELECT MIN(m.counted_at) FROM message AS m WHERE {_SENT}) AS first_at,
        (SELECT count(*) FROM (
            SELECT 1 FROM message AS m WHERE {_SENT} AND (alive.at IS NULL OR m.counted_at > alive.at) LIMIT :most
        ) AS few) AS silent
    FROM fatigue AS f LEFT JOIN alive ON alive.customer_id = f.customer_id
    WHERE f.customer_id IN {{keys}}
    """,
    returns={"customer_id": Text(), "alive_at": Instant(), "first_at": Instant()},
)
_WRITE = Statement(
    """
    UPDATE fatigue
    SET sent = rows.sent, opened = rows.opened, clicked = rows.clicked, bought = rows.bought,
        complained = rows.complained, score = rows.score, state = rows.state, sunset_at = rows.sunset_at,
        computed_at = :now, wake_at = rows.wake_at
    FROM {rows} WHERE fatigue.customer_id = rows.id
    """,
    rows={
        "id": "text",
        "sent": "bigint",
        "opened": "bigint",
        "clicked": "bigint",
        "bought": "bigint",
        "complained": "bigint",
        "score": "double precision",
        "state": "text",
        "sunset_at": "timestamptz",
        "wake_at": "timestamptz",
    },
)
_NEXT = Statement("SELECT MIN(wake_at) AS next FROM fatigue WHERE wake_at IS NOT NULL", returns={"next": Instant()})
_SHOW = Statement(
    """
    SELECT sent, opened, clicked, bought, complained, score, state, sunset_at, computed_at
    FROM fatigue WHERE customer_id = :id
    """,
    returns={"score": Float(), "sunset_at": Instant(), "computed_at": Instant()},
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What was last computed of one customer."""

    state: str
    sunset_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lately:
    """What of the window counts of one customer, and the moment of the oldest of it, None where there is nothing.

    Reactions are younger than the emails that they are about, so nothing leaves the window before such an email does.
    """

    counts: Counts
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Heard:
    """What new events say of one customer: when they last did something, and whether any of it counts."""

    alive_at: datetime | None
    counts: bool


def watch(connection: Connection, customers: Collection[str], now: datetime) -> None:
    """Has these customers, who are written to now and are locked, computed as the next day begins."""
    rows = [{"id": customer} for customer in sorted(customers)]
    _WATCH.run(connection, rows=rows, now=now, later=next_look(now))


def hear(connection: Connection, heard: Mapping[str, Heard], now: datetime) -> None:
    """Has those computed again of whom something new counts, and ends the sunset of whoever acted since."""
    rows = [
        {"id": customer, "alive_at": each.alive_at, "counts": each.counts} for customer, each in sorted(heard.items())
    ]
    _HEAR.run(connection, rows=rows, now=now)


def take_due(connection: Connection, now: datetime, most: int) -> dict[str, Standing]:
    """Locks up to `most` of those who are to be computed again, and gives what was known."""
    return {
        row.customer_id: Standing(row.state, row.sunset_at) for row in _TAKE.run(connection, now=now, most=most).all()
    }


def is_heard(connection: Connection, now: datetime) -> bool:
    """Whether anybody's opens or clicks have been reported in the window."""
    return bool(_HEARD.run(connection, keys=REACTIONS, since=now - WINDOW).scalar_one())


def count(connection: Connection, customers: Collection[str], bought: str | None, now: datetime) -> dict[str, Lately]:
    """What of the window before `now` counts, by customer; `bought` is the event that means a purchase."""
    found = _COUNT.run(
        connection,
        keys=list(customers),
        bought=bought or "",
        since=now - WINDOW,
        now=now,
        within=BOUGHT_WITHIN / timedelta(seconds=1),
    )
    return {row[0]: Lately(Counts(*row[1:6]), min(filter(None, row[6:]), default=None)) for row in found.all()}


def silences(connection: Connection, customers: Collection[str], most: int, now: datetime) -> dict[str, Silence]:
    """Since when each has shown no sign of life, and how many emails they got since, counted up to `most`."""
    return {
        row.customer_id: Silence(row.alive_at or row.first_at, row.silent)
        for row in _SILENT.run(connection, keys=list(customers), most=most, now=now).all()
    }


def write(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Keeps what was computed: one row by customer, as `fatigue` has them."""
    _WRITE.run(connection, rows=list(rows), now=now)


def next_wake(connection: Connection) -> datetime | None:
    """The next moment at which somebody is to be computed again."""
    moment: datetime | None = _NEXT.run(connection).scalar_one()
    return moment


def show(connection: Connection, customer: str) -> dict[str, Any] | None:
    """What was last computed of one customer, or None."""
    row = _SHOW.run(connection, id=customer).mappings().first()
    return dict(row) if row else None
