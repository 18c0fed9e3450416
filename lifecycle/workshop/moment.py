"""The moment at which an email is looked at, as people write it: by the clock on somebody's wall."""

from __future__ import annotations

from datetime import datetime

from lifecycle.errors import LifecycleError

_FIRST_YEAR, _LAST_YEAR = 1970, 9998  # what every zone can tell


def wall_moment(text: str) -> datetime:
    """The moment, naive, or with its offset where it has one. Raises LifecycleError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no moment like 2026-12-01T09:00, or 2026-12-01T09:00+07:00"
        raise LifecycleError(message) from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise LifecycleError(f"the year {moment.year} is too far away; stay from {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment
