"""A project whose policy follows its file, so that caps, mutes and quiet hours change without a restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from lifecycle.errors import LifecycleError

from .project import Project

log = logging.getLogger(__name__)

_EVERY = 0.5  # real seconds between two looks at the file
_Stamp: TypeAlias = tuple[int, int, int] | None


class LiveProject:
    """Journeys and vocabulary as they were at first, with the policy as its file says by now.

    `read` reads the whole folder, `check` looks at the project before it is used; both raise LifecycleError. A file
    that cannot be used is logged once, and the policy before it stays. Threads may share one.
    """

    def __init__(
        self,
        policy_file: Path,
        read: Callable[[], Project],
        check: Callable[[Project], None] = lambda project: None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = policy_file
        self._read = read
        self._check = check
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stamp = _stamp_of(policy_file)
        self._broken: _Stamp = None
        self._looked_at = monotonic()
        self._project = read()

    def now(self) -> Project:
        """The project as it is now."""
        if self._monotonic() - self._looked_at >= _EVERY and self._lock.acquire(blocking=False):
            try:
                self._look()
                self._looked_at = self._monotonic()
            finally:
                self._lock.release()
        return self._project

    def _look(self) -> None:
        stamp = _stamp_of(self._file)
        if stamp == self._stamp:
            return
        try:
            project = replace(self._project, policy=self._read().policy)
            self._check(project)
        except LifecycleError as error:
            if stamp != self._broken:
                self._broken = stamp  # it may be half written: wait for the next look before saying so
                return
            log.error("the policy has changed and cannot be used; the one before it stays: %s", error)
        else:
            log.info("the policy has changed and is in force")
            self._project = project
        self._stamp = stamp


def _stamp_of(file: Path) -> _Stamp:
    """What tells one version of a file from another; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
