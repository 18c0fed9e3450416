"""Customers, and messages that wait for them, in the shop that is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from lifecycle import Cap, Policy
from lifecycle.core.identity import message_id
from lifecycle.journey.load import load
from lifecycle.journey.project import Project
from lifecycle.store import messages
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement
from lifecycle.store.types import Id, stamp

SHOP = Path(__file__).with_name("shop")
JOURNEYS, EMAILS = SHOP / "journeys", SHOP / "emails"
JOURNEY, STEP, DOMAIN = "post_purchase", "thanks", "tokokopi.example"

_AT_ONCE = 2_000
_PAST = (timedelta(days=10), timedelta(days=20))
_CUSTOMERS = Statement(
    """
    INSERT INTO customer (id, email, first_name, timezone, created_at, traits, consents)
    SELECT id, email, first_name, timezone, created_at, traits, consents FROM {rows} WHERE true
    """,
    rows={
        "id": "text",
        "email": "text",
        "first_name": "text",
        "timezone": "text",
        "created_at": "timestamptz",
        "traits": "jsonb",
        "consents": "jsonb",
    },
)
_ENROLLMENTS = Statement(
    f"""
    INSERT INTO enrollment (journey, customer_id, "key", entry, state, step, awaiting, arrived, "trigger", entered_at)
    SELECT '{JOURNEY}', customer_id, "key", 1, 'active', '{STEP}', 'message', false, "trigger", entered_at
    FROM {{rows}} WHERE true RETURNING id, customer_id, "key"
    """,
    rows={"customer_id": "text", "key": "text", "trigger": "jsonb", "entered_at": "timestamptz"},
    returns={"id": Id},
)
_SENT = Statement(
    f"""
    INSERT INTO message (customer_id, enrollment_id, journey, step, "key", template, kind, topic, priority, on_capped,
                         state, created_at, expires_at, capped_until, message_id, attempts, counted_at, sent_at)
    SELECT customer_id, -number, '{JOURNEY}', '{STEP}', '', '{STEP}', 'marketing', 'orders', 50, 'wait', 'sent',
           at, at, at, 'past', 1, at, at
    FROM {{rows}} WHERE true
    """,
    rows={"customer_id": "text", "number": "bigint", "at": "timestamptz"},
)


def project() -> Project:
    """The shop's journeys, vocabulary and policy."""
    loaded, problems = load(JOURNEYS)
    assert loaded is not None, problems
    return loaded


def capped(policy: Policy, caps: Sequence[Cap]) -> Policy:
    """The same policy under these caps."""
    return Policy(
        sender=policy.sender,
        timezone=policy.timezone,
        locale=policy.locale,
        consent=policy.consent,
        quiet_hours=policy.quiet_hours,
        caps=caps,
    )


def daytime(now: datetime) -> str:
    """A zone in which it is early afternoon, so that quiet hours are asked and never hold."""
    ahead = (13 - now.hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def customers(db: Database, first: int, count: int, now: datetime, past: int = len(_PAST)) -> None:
    """Customers who agreed to mail and got `past` mails over the last month, none within a week."""
    zone, agreed = daytime(now), {"orders": {"granted": True, "at": stamp(now - timedelta(days=30))}}
    for numbers in _portions(first, count):
        people = [
            {
                "id": f"customer-{number}",
                "email": f"siti.{number}@example.com",
                "first_name": f"Siti {number}",
                "timezone": zone,
                "created_at": now - timedelta(days=100),
                "traits": {"vip": number % 20 == 0},
                "consents": agreed,
            }
            for number in numbers
        ]
        sent = [
            {"customer_id": f"customer-{number}", "number": number * 100 + n, "at": _moment(now, n)}
            for number in numbers
            for n in range(past)
        ]
        with db.transaction() as connection:
            _CUSTOMERS.run(connection, rows=people)
            if sent:
                _SENT.run(connection, rows=sent)


def _moment(now: datetime, n: int) -> datetime:
    return now - (_PAST[n] if n < len(_PAST) else timedelta(days=40 + n))


def pending(db: Database, first: int, count: int, now: datetime, order: str = "A") -> list[int]:
    """One message that is due for each of these customers, as their journey would have planned it; returns the ids."""
    return pending_for(db, range(first, first + count), now, order)


def pending_for(db: Database, whom: Sequence[int], now: datetime, order: str = "A") -> list[int]:
    """The same for the customers of these numbers, in their order."""
    made: list[int] = []
    for start in range(0, len(whom), _AT_ONCE):
        numbers = whom[start : start + _AT_ONCE]
        entered = [
            {
                "customer_id": f"customer-{number}",
                "key": f"{order}{number}",
                "trigger": {"order_id": f"{order}{number}", "total": 12.5 + number % 90, "quantity": 1 + number % 4},
                "entered_at": now,
            }
            for number in numbers
        ]
        with db.transaction() as connection:
            rows = _ENROLLMENTS.run(connection, rows=entered).all()
            plans = [
                {
                    "customer_id": row.customer_id,
                    "enrollment_id": row.id,
                    "journey": JOURNEY,
                    "step": STEP,
                    "key": row.key,
                    "template": STEP,
                    "kind": "marketing",
                    "topic": "orders",
                    "priority": 50,
                    "on_capped": "wait",
                    "created_at": now,
                    "wake_at": now,
                    "expires_at": now + timedelta(days=7),
                    "capped_until": now + timedelta(days=3),
                    "message_id": message_id(JOURNEY, row.customer_id, row.key, 1, STEP, DOMAIN),
                }
                for row in rows
            ]
            made += [row.id for row in messages.PLAN.run(connection, rows=plans)]
    return made


def _portions(first: int, count: int) -> Iterator[range]:
    for start in range(first, first + count, _AT_ONCE):
        yield range(start, min(start + _AT_ONCE, first + count))
