"""Dead letters taken again: what can be taken now is settled, the rest keeps its letter with the new reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lifecycle.journey.project import Project
from lifecycle.store import dead_letters
from lifecycle.store.database import Database
from lifecycle.store.dead_letters import Letter

from .consume import Entry, Taken, take

_BATCH = 100


@dataclass(slots=True)
class Retried:
    """`settled` and `kept`: numbers of letters; `taken`: what became of the events."""

    settled: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)


def retry(
    db: Database,
    project: Project,
    ids: Sequence[int] | None,
    now: datetime,
    *,
    lease: timedelta,
    max_lateness: timedelta,
    progress: Callable[[int], None] | None = None,
) -> Retried:
    """Takes the letters of these numbers again, or all that are not settled; `progress` is told how many so far.

    A crash in between leaves letters whose events were taken: retried again, they count as repeated and are settled.
    """
    result = Retried()
    for letters in _named(db, ids) if ids is not None else _unsettled(db):
        entries = [Entry(letter.entry_id, letter.raw, letter.received_at) for letter in letters]
        taken = take(db, project, entries, now, lease=lease, max_lateness=max_lateness)
        refused = set(taken.letters)
        settled = [letter.id for letter in letters if letter.entry_id not in refused]
        with db.transaction() as connection:
            dead_letters.settle(connection, settled, now)
        result.settled += settled
        result.kept += [letter.id for letter in letters if letter.entry_id in refused]
        result.taken.add(taken)
        if progress is not None:
            progress(len(result.settled) + len(result.kept))
    return result


def _named(db: Database, ids: Sequence[int]) -> Iterator[list[Letter]]:
    for start in range(0, len(ids), _BATCH):
        with db.reading() as connection:
            letters = dead_letters.named(connection, ids[start : start + _BATCH])
        yield letters


def _unsettled(db: Database) -> Iterator[list[Letter]]:
    after = 0
    while True:
        with db.reading() as connection:
            letters = dead_letters.unsettled(connection, after=after, limit=_BATCH)
        if not letters:
            return
        yield letters
        after = letters[-1].id
