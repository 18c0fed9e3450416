"""Whose turn it is: one of many schedulers runs a periodic job, by compare-and-set.

A turn that is further ahead than two of its periods was taken by a clock that was wrong, and is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from .database import Database
from .sql import Statement
from .types import Instant

_KNOWN = Statement("SELECT name, next_at FROM sweep WHERE name IN {keys}", returns={"next_at": Instant()})
_BEGIN = Statement("INSERT INTO sweep (name, next_at) VALUES (:name, :now) ON CONFLICT DO NOTHING")
_TAKE = Statement(
    """
    UPDATE sweep SET next_at = :next_at
    WHERE name = :name AND (next_at <= :now OR next_at > :mistaken) RETURNING name
    """
)
_AGAIN = Statement("UPDATE sweep SET next_at = :now WHERE name = :name")


def due_sweeps(db: Database, every: Mapping[str, timedelta], now: datetime) -> list[str]:
    """The names in `every`, which gives their periods, whose turn has come or that never ran; takes nothing."""
    with db.reading() as connection:
        known = {row.name: row.next_at for row in _KNOWN.run(connection, keys=list(every))}
    return [name for name in every if name not in known or not now < known[name] <= now + 2 * every[name]]


def take_turn(db: Database, name: str, now: datetime, every: timedelta, lease: timedelta | None = None) -> bool:
    """Takes the turn if it is due, so that nobody else does until `every` has passed; or the `lease` of a long job."""
    with db.transaction() as connection:
        _BEGIN.run(connection, name=name, now=now)
        next_at = now + (every if lease is None else lease)
        taken = _TAKE.run(connection, name=name, now=now, next_at=next_at, mistaken=now + 2 * every)
        return taken.first() is not None


def give_back(db: Database, name: str, at: datetime) -> None:
    """Makes the turn, which is ours, due at that moment: now, because there is more to do, or when it comes next."""
    with db.transaction() as connection:
        _AGAIN.run(connection, name=name, now=at)


def next_turn(db: Database, name: str) -> datetime:
    """When a turn that was taken before is due."""
    with db.reading() as connection:
        at: datetime = _KNOWN.run(connection, keys=[name]).one().next_at
        return at
