"""Why a cap held one customer's messages back: what filled it, and when the next slot opens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifecycle.flow.slots import Outlook
    from lifecycle.journey.project import Project


def held_back(
    connection: Connection, project: Project | None, customer: str, now: datetime, lease: timedelta
) -> list[dict[str, Any]]:
    """One record for each message that a cap ever held back; of those that wait still also what holds them now.

    Without a project the next slot is when it is looked at again.
    """
    from lifecycle.flow.slots import Outlook, outlooks
    from lifecycle.store import capped

    rows = capped.of_customer(connection, customer)
    waiting = {row["id"]: Outlook(row["due_at"]) for row in rows if row["state"] == "pending"}
    if project is not None and waiting:
        waiting = outlooks(connection, project, sorted(waiting), now, lease)
    lost = {id for row in rows for id in row["lost_to"] or ()}
    fillers = capped.fillers(connection, lost.union(*(outlook.filled_by for outlook in waiting.values())))
    return [_record(row, waiting.get(row["id"]), fillers) for row in rows]


def _record(row: Mapping[str, Any], outlook: Outlook | None, fillers: Mapping[int, Any]) -> dict[str, Any]:
    known = {name: row[name] for name in ("journey", "template", "state", "reason", "capped_at")}
    record = {
        "message": row["id"],
        **known,
        "cap": row["capped_by"],
        "lost_to": [filler for id, filler in fillers.items() if id in (row["lost_to"] or ())],
    }
    if outlook is None:
        return record
    return record | {
        "cap_now": outlook.cap,
        "filled_by": [filler for id, filler in fillers.items() if id in outlook.filled_by],
        "next_slot": outlook.next_slot,
        "given_up_at": min(row["capped_until"], row["expires_at"]),
    }


def told(record: Mapping[str, Any], zone: ZoneInfo) -> Iterator[str]:
    """The record in lines for people."""
    yield f"first held back {_at(record['capped_at'], zone)} by the cap {record['cap']}"
    yield from _fillers(record["lost_to"], zone)
    if record["state"] != "pending":
        return
    if record["cap_now"] and (record["cap_now"], record["filled_by"]) != (record["cap"], record["lost_to"]):
        yield f"now by the cap {record['cap_now']}"
        yield from _fillers(record["filled_by"], zone)
    slot = record["next_slot"]
    opens = f"next slot {_at(slot, zone)}" if slot is not None else "no slot ever opens under this policy"
    yield f"{opens}; given up after {_at(record['given_up_at'], zone)}"


def _fillers(others: Iterable[Mapping[str, Any]], zone: ZoneInfo) -> Iterator[str]:
    for other in others:
        verb = "kept for it" if other["state"] == "pending" else other["state"]
        when = f" {_at(other['at'], zone)}" if other["at"] is not None else ""
        yield f"slot taken by {other['template']} ({other['journey']}), {verb}{when}"


def _at(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
