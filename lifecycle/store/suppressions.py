"""The SQL of suppressions: addresses that must not be written to, stored in lower case."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from sqlalchemy import Connection

from .sql import Statement

Reason: TypeAlias = Literal["hard_bounce", "complaint"]

# A hard bounce outweighs a complaint, because it stops transactional mail too; else the earlier one stays.
_ADD = Statement(
    """
    INSERT INTO suppression (address, reason, at, reply)
    SELECT rows.address, rows.reason, rows.at, rows.reply FROM {rows} WHERE true ORDER BY rows.address
    ON CONFLICT (address) DO UPDATE SET reason = excluded.reason, at = excluded.at, reply = excluded.reply
    WHERE (excluded.reason = 'hard_bounce' AND suppression.reason <> 'hard_bounce')
       OR (excluded.reason = suppression.reason AND excluded.at < suppression.at)
    """,
    rows={"address": "text", "reason": "text", "at": "timestamptz", "reply": "text"},
)
_REASONS = Statement("SELECT address, reason FROM suppression WHERE address IN {keys}")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An address, why it must not be written to, since when, and what its server replied."""

    address: str
    reason: Reason
    at: datetime
    reply: str | None = None


def add(connection: Connection, suppressed: Iterable[Suppressed]) -> None:
    """Stores suppressions, one per address: a hard bounce outweighs a complaint, the earlier the later one."""
    chosen: dict[str, Suppressed] = {}
    for one in sorted(suppressed, key=lambda one: (one.reason == "complaint", one.at)):
        chosen.setdefault(one.address.lower(), one)
    rows = [
        {"address": address, "reason": one.reason, "at": one.at, "reply": one.reply}
        for address, one in sorted(chosen.items())
    ]
    if rows:
        _ADD.run(connection, rows=rows)


def reasons(connection: Connection, addresses: Collection[str]) -> dict[str, str]:
    """Why those of these addresses, in lower case, that are suppressed must not be written to."""
    return {row.address: row.reason for row in _REASONS.run(connection, keys=list(addresses))}
