"""Why a cap held one customer's messages back: what filled it, and when the next slot opens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifecycle.journey.project import Project


def held_back(
    connection: Connection, project: Project | None, customer: str, now: datetime, lease: timedelta
) -> list[dict[str, Any]]:
    """One record for each message that a cap ever held back; `next_slot` is that of one that waits still.

    Without a project the next slot is when it is looked at again.
    """
    from lifecycle.flow.slots import next_slots
    from lifecycle.store import capped

    rows = capped.of_customer(connection, customer)
    waiting = {row["id"]: row["due_at"] for row in rows if row["state"] == "pending"}
    if project is not None and waiting:
        waiting = next_slots(connection, project, sorted(waiting), now, lease)
    return [
        {
            "message": row["id"],
            "journey": row["journey"],
            "template": row["template"],
            "state": row["state"],
            "reason": row["reason"],
            "cap": row["capped_by"],
            "capped_at": row["capped_at"],
            "lost_to": row["lost_to"],
            "next_slot": waiting.get(row["id"]),
            "given_up_at": min(row["capped_until"], row["expires_at"]) if row["id"] in waiting else None,
        }
        for row in rows
    ]


def told(record: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """The record in lines for people."""
    yield f"held back from {_at(record['capped_at'], zone)} by the cap {record['cap']}"
    for other in record["lost_to"]:
        verb = "sent" if other["state"] == "sent" else "kept for it" if other["state"] == "pending" else other["state"]
        when = f" {_at(other['at'], zone)}" if other["at"] is not None else ""
        yield f"slot taken by {other['template']} ({other['journey']}), {verb}{when}"
    if record["state"] == "pending":
        slot = record["next_slot"]
        opens = f"next slot {_at(slot, zone)}" if slot is not None else "no slot ever opens under this policy"
        yield f"{opens}; given up after {_at(record['given_up_at'], zone)}"


def _at(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
