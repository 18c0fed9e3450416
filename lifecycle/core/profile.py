"""A customer's traits as they follow from what apps said of them, newest statement last.

Reserved traits are read one by one, so that a bad one leaves the others taken; all others are kept as JSON gave
them. A null says that something is no longer known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from lifecycle.journey.vocabulary import RESERVED

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def merge(known: dict[str, object], traits: Mapping[str, Any]) -> list[str]:
    """Writes one statement's traits over what is `known`, in place; returns what is wrong with those left out."""
    faults: list[str] = []
    for name, value in traits.items():
        if value is None:
            if name != "created_at":  # everybody has one
                known.pop(name, None)
        elif name in RESERVED:
            try:
                known[name] = _read(name, value)
            except ValueError as error:
                faults.append(str(error))
        else:
            known[name] = value
    return faults


def fold(statements: Iterable[Mapping[str, Any]]) -> dict[str, object]:
    """The traits that follow from all statements, oldest first."""
    known: dict[str, object] = {}
    for traits in statements:
        merge(known, traits)
    return known


def _read(name: str, value: object) -> object:
    """A reserved trait as its type; raises ValueError that says what is wrong."""
    if not isinstance(value, str):
        raise ValueError(f"the trait {name} is no text")
    if RESERVED[name] is date:
        try:
            return date.fromisoformat(value if _DAY.fullmatch(value) else "")
        except ValueError:
            raise ValueError(f"the trait {name} is no date like 1994-02-28: {value[:40]!r}") from None
    if RESERVED[name] is datetime:
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(f"the trait {name} is no moment like 2026-11-22T09:00:00Z: {value[:40]!r}") from None
    return value
