"""An amended policy: what the one before held back is judged anew, without a restart.

A scheduler that sees other caps, mutes or quiet hours than schedulers followed so far says so in the database, and a
moment later, when every claim that was under way is over, makes due what is held back, and has those computed again to
whom marketing has stopped. A worker that still has another policy than the schedulers (its files come later, or its
process is slow) puts nothing off for long: `claim` sees to it.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from lifecycle.journey.project import Project
from lifecycle.store import fingerprints, messages
from lifecycle.store.database import Database

log = logging.getLogger(__name__)

_CLAIMS_LAST = 1.5  # real seconds, by far
_AT_ONCE = 500
_PER_LOOK = 20 * _AT_ONCE


@lru_cache(maxsize=8)
def fingerprint(project: Project) -> str:
    """Tells apart policies that may put off different messages."""
    policy = project.policy
    says = (policy.caps, policy.mutes, policy.quiet_hours, policy.fatigue, policy.sunset, policy.timezone)
    return hashlib.blake2b(repr(says).encode(), digest_size=12).hexdigest()


class Amendments:
    """What one scheduler knows of its policy and of those before it; any number of schedulers may look."""

    def __init__(self, db: Database, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._monotonic = monotonic
        self._project: Project | None = None
        self._print = ""
        self._wait_until = 0.0
        self._to_free: list[int] | None = None
        self._to_wake: list[str] = []
        self._done = False

    def look(self, project: Project, now: datetime) -> int:
        """Frees some of what another policy held back, if there was one; returns how many, at most 10,000.

        Costs nothing while the policy stays as it is.
        """
        if project is not self._project:
            self._begin(project)
        if self._done or self._monotonic() < self._wait_until:
            return 0
        if self._to_free is None:
            with self._db.reading() as connection:
                self._to_free = fingerprints.held(connection, now)[::-1]
                self._to_wake = fingerprints.sunset(connection)[::-1]
        freed = self._free_some(self._to_free, now)
        self._wake_some(self._to_wake, now)
        if not self._to_free and not self._to_wake:
            with self._db.transaction() as connection:
                fingerprints.all_freed(connection, self._print)
            self._to_free, self._done = None, True
        return freed

    def _begin(self, project: Project) -> None:
        """Says which policy is followed; unless all that is held back is held by it, the rest is to be freed."""
        mine = fingerprint(project)
        with self._db.transaction() as connection:
            policy_before, freed_for = fingerprints.followed(connection)
            if policy_before != mine:
                fingerprints.follow(connection, mine)
                log.info("other caps, mutes or quiet hours: what waits is judged anew")
        self._project, self._print, self._to_free = project, mine, None
        self._done = policy_before == freed_for == mine
        self._wait_until = self._monotonic() + _CLAIMS_LAST

    def _free_some(self, ids: list[int], now: datetime) -> int:
        """Takes from the end of `ids`."""
        freed = 0
        while ids and freed < _PER_LOOK:
            few = ids[-_AT_ONCE:]
            with self._db.transaction() as connection:
                messages.LOCK_CUSTOMERS.run(connection, ids=few)
                fingerprints.free(connection, few, now)
            del ids[-_AT_ONCE:]
            freed += len(few)
        return freed

    def _wake_some(self, customers: list[str], now: datetime) -> None:
        """Takes from the end of `customers`; at most so many as are freed in one look."""
        for _ in range(0, min(len(customers), _PER_LOOK), _AT_ONCE):
            with self._db.transaction() as connection:
                fingerprints.wake(connection, customers[-_AT_ONCE:], now)
            del customers[-_AT_ONCE:]
