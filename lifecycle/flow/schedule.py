"""The scheduler: finds what is due and hints workers; any number may run.

One tick, in this order:

1. enter whoever is due to enter (`when`, `each_year`, `on_date`), set by set;
2. set people going again whose removed step is back;
3. settle what a dead worker left in `sending`;
4. compute again how much those have had of us whose turn it is;
5. claim due enrollments and messages for a lease, and hint their ids.

An error in one of them, unless the database or the queue is away, is logged and stops none of the others.
Whatever is hinted twice or never does no harm: workers look at the row, and the lease ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from lifecycle.journey.project import Project
from lifecycle.store import enrollments, messages
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement

from .entries import enter_due
from .fatigue import compute_due
from .poison import apart

log = logging.getLogger(__name__)

_RELEASED_AT_ONCE = 500


class Hints(Protocol):
    """How workers are told that there is something to do."""

    def advance(self, ids: Sequence[int]) -> None:
        """These enrollments are due."""

    def deliver(self, ids: Sequence[int]) -> None:
        """These messages are due."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick found: how many entered, were hinted, and were left behind by dead workers."""

    entered: int = 0
    enrollments: int = 0
    messages: int = 0
    recovered: int = 0

    def __bool__(self) -> bool:
        return bool(self.entered or self.enrollments or self.messages or self.recovered)


def tick(
    db: Database,
    project: Project,
    hints: Hints,
    now: datetime,
    *,
    lease: timedelta,
    batch: int = 500,
    stopping: Callable[[], bool] = lambda: False,
) -> Ticked:
    """Looks once at everything that may be due at `now`."""
    entered = enter_due(db, project, now, lease=lease)
    _in_batches(hints.advance, entered, batch)
    recovered = 0
    with apart("setting people going again whose step is back"):
        release_held(db, project, now)
    with apart("settling what dead workers left"):
        recovered = recover(db, now)
    with apart("computing fatigue"):
        compute_due(db, project, now, stopping=stopping)
    advanced = _claim_all(db, enrollments.CLAIM_DUE, hints.advance, now, lease, batch, stopping)
    delivered = _claim_all(db, messages.CLAIM_DUE, hints.deliver, now, lease, batch, stopping)
    return Ticked(len(entered), advanced, delivered, recovered)


def claim_due(db: Database, statement: Statement, now: datetime, lease: timedelta, most: int) -> list[int]:
    """Takes up to `most` due rows for the length of a lease and returns their ids, those due first in front."""
    with db.transaction(durable=False) as connection:
        rows = statement.run(connection, now=now, lease_ends=now + lease, most=most)
        return sorted(row.id for row in rows)


def recover(db: Database, now: datetime) -> int:
    """Settles what dead workers left in `sending`; returns how many messages that were."""
    with db.transaction() as connection:
        found = messages.RECOVER.run(connection, now=now, life=db.life(connection)).all()
    uncertain = sum(row.state == "uncertain" for row in found)
    if found:
        log.warning(
            "a worker died while sending: %d messages go out again, %d are uncertain "
            "(list them with: lifecycle messages --state uncertain)",
            len(found) - uncertain,
            uncertain,
        )
    return len(found)


def release_held(db: Database, project: Project, now: datetime) -> None:
    """Sets people going again whose step is back in the file, or was renamed with `was=`."""
    with db.reading() as connection:
        held = enrollments.HELD.run(connection).all()
    back = [
        (row.journey, row.step)
        for row in held
        if (journey := project.journeys.get(row.journey)) is not None and journey.place(row.step) is not None
    ]
    for journey_name, step in back:
        while _release(db, journey_name, step, now) == _RELEASED_AT_ONCE:
            pass


def _release(db: Database, journey: str, step: str, now: datetime) -> int:
    """Releases some of those who are held there; returns how many were found."""
    with db.transaction() as connection:
        ids = enrollments.HELD_AT.run(connection, journey=journey, step=step, most=_RELEASED_AT_ONCE).scalars().all()
        enrollments.LOCK_CUSTOMERS.run(connection, ids=ids)
        enrollments.RELEASE_HELD.run(connection, ids=ids, now=now)
        return len(ids)


def _claim_all(
    db: Database,
    statement: Statement,
    hint: Callable[[Sequence[int]], None],
    now: datetime,
    lease: timedelta,
    batch: int,
    stopping: Callable[[], bool],
) -> int:
    claimed = 0
    while not stopping():
        ids = claim_due(db, statement, now, lease, batch)
        if ids:
            hint(ids)
        claimed += len(ids)
        if len(ids) < batch:
            break
    return claimed


def _in_batches(hint: Callable[[Sequence[int]], None], ids: Sequence[int], batch: int) -> None:
    for start in range(0, len(ids), batch):
        hint(ids[start : start + batch])
