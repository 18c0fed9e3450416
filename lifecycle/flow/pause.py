"""Pausing and resuming: what an operator stops, stops in every process at once; what it held goes on in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.store import messages, pauses
from lifecycle.store.database import Database
from lifecycle.store.pauses import Covered, Scope

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Resumed:
    """What became of the messages that a pause held: how many go on, how many were dropped as too old."""

    freed: int = 0
    dropped: int = 0


def pause(db: Database, scope: Scope, reason: str, now: datetime) -> bool:
    """Stops what falls under the scope; False where exactly that is paused already.

    Nothing of it is begun any more, in any process, from `pauses.EVERY` later on.
    """
    with db.transaction() as connection:
        known = {(row["scope"], row["name"]) for row in pauses.listed(connection)}
        if (scope.kind, scope.name) in known:
            return False
        pauses.begin(connection, scope, reason, now)
        return True


def on_their_way(db: Database, scope: Scope, wait: Callable[[], bool]) -> Covered:
    """How many messages a pause holds, once nothing of it is on its way, or `wait` has said that it is enough."""
    while True:
        with db.reading() as connection:
            covered = pauses.covered(connection, scope)
        if not covered.sending or not wait():
            return covered


def resume(
    db: Database,
    scope: Scope,
    now: datetime,
    *,
    drop_older_than: timedelta | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Resumed | None:
    """Ends the pause of that scope and makes what it held due at once, in batches; None where there is none.

    The policy is asked of each as ever, so caps and quiet hours hold. What another pause still covers stays held.
    `drop_older_than`: what was planned longer ago is skipped, before the pause ends: nobody may be faster, and whoever
    is interrupted repeats it.
    """
    with db.reading() as connection:
        since = pauses.since(connection, scope)
    if since is None:
        return None
    freed = dropped = 0
    if drop_older_than is not None:
        with db.reading() as connection:
            ids = pauses.held(connection, scope)
        for few in _in_batches(ids):
            with db.transaction() as connection:
                messages.LOCK_CUSTOMERS.run(connection, ids=few)
                gone = pauses.drop(connection, few, now - drop_older_than, now)
            dropped += gone
            progress(gone)
    with db.transaction() as connection:
        pauses.end(connection, scope, now)
    with db.reading() as connection:
        ids = pauses.held(connection, scope)
        digests = [] if scope.name is None else sorted(set(pauses.held_digests(connection, scope)) - set(ids))
    for few in _in_batches(ids):
        with db.transaction() as connection:
            messages.LOCK_CUSTOMERS.run(connection, ids=few)
            if drop_older_than is not None:  # what claims put off meanwhile
                dropped += pauses.drop(connection, few, now - drop_older_than, now)
            freed += pauses.free(connection, few, since, now)
        progress(len(few))
    for few in _in_batches(digests):
        with db.transaction() as connection:
            messages.LOCK_CUSTOMERS.run(connection, ids=few)
            freed += pauses.free(connection, few, since, now)
    return Resumed(freed, dropped)


def _in_batches(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
