"""Which policy the schedulers follow, what an earlier one held back, and how it said that orders are read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Text

from .sql import Statement
from .types import Id

_READ = Statement("SELECT name, value FROM fingerprint WHERE name IN ('policy', 'freed')")
_WRITE = Statement(
    """
    INSERT INTO fingerprint (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    """
)
_KNOWN = Statement("SELECT value FROM fingerprint WHERE name = :name", returns={"value": Text()})
_BY_POLICY = """
    state = 'pending' AND (reason = 'quiet_hours' OR reason LIKE 'muted:%' OR reason LIKE 'capped:%'
                           OR reason LIKE 'sent_again, capped:%')
"""
# What is planned has a moment to wake at, and that index holds little else.
_HELD = Statement(
    f"SELECT id FROM message WHERE wake_at > :now AND {_BY_POLICY} ORDER BY priority DESC, id", returns={"id": Id}
)
_FREE = Statement(
    f"UPDATE message SET due_at = :now, wake_at = :now WHERE id IN {{ids}} AND wake_at > :now AND {_BY_POLICY}"
)

_SUNSET = Statement("SELECT customer_id FROM fatigue WHERE sunset_at IS NOT NULL ORDER BY customer_id")
_WAKE = Statement(
    """
    UPDATE fatigue SET wake_at = :now WHERE customer_id IN (
        SELECT customer_id FROM fatigue
        WHERE customer_id IN {keys} AND sunset_at IS NOT NULL AND (wake_at IS NULL OR wake_at > :now)
        ORDER BY customer_id {lock}
    )
    """
)


def followed(connection: Connection) -> tuple[str | None, str | None]:
    """The fingerprint of the policy that schedulers follow, and of the one for which everything held was freed."""
    values: dict[str, str] = {row.name: row.value for row in _READ.run(connection)}
    return values.get("policy"), values.get("freed")


def follow(connection: Connection, policy: str) -> None:
    """Says which policy schedulers follow from now on; what others held back is not yet free."""
    _WRITE.run(connection, name="policy", value=policy)
    _WRITE.run(connection, name="freed", value="")


def all_freed(connection: Connection, policy: str) -> None:
    """Says that whatever is held back now is held by this policy."""
    _WRITE.run(connection, name="freed", value=policy)


def known(connection: Connection, name: str) -> str | None:
    """What was last seen of that."""
    row = _KNOWN.run(connection, name=name).first()
    return None if row is None else str(row.value)


def keep(connection: Connection, name: str, value: str) -> None:
    """Says what is seen of that now."""
    _WRITE.run(connection, name=name, value=value)


def held(connection: Connection, now: datetime) -> list[int]:
    """The ids of what caps, mutes and quiet hours hold back, the most valuable first."""
    return list(_HELD.run(connection, now=now).scalars())


def free(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Makes those due at once; their customers are locked."""
    _FREE.run(connection, ids=ids, now=now)


def sunset(connection: Connection) -> list[str]:
    """Those for whom marketing has stopped."""
    return list(_SUNSET.run(connection).scalars())


def wake(connection: Connection, customers: Sequence[str], now: datetime) -> None:
    """Has those of them for whom it has stopped computed again at once."""
    _WAKE.run(connection, keys=customers, now=now)
