"""Column types that mean the same on PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine


class Instant(TypeDecorator[datetime]):
    """An aware moment: `timestamptz` on PostgreSQL; on SQLite text like 2026-11-23T09:00:00.000000Z.

    The text has a fixed width and sorts as time does, so that one SQL text compares moments on both databases
    and rows can travel as JSON. Naive datetimes are refused.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        text = stamp(value)  # which refuses a naive one
        return text if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        # In place of process_result_value, which would be called through two more functions.
        return _read_text if dialect.name == "sqlite" else _in_utc


def _read_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is UTC else moment.astimezone(UTC)


@lru_cache(maxsize=8192)  # an event's moment is written into several tables
def stamp(moment: datetime) -> str:
    """An aware moment as the fixed-width UTC text that both databases read."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} names no zone; moments are stored as UTC")
    text = orjson.dumps(moment.astimezone(UTC)).decode()  # a third of what isoformat takes
    return f"{text[1:27]}Z" if moment.microsecond else f"{text[1:20]}.000000Z"


Json = JSON().with_variant(JSONB(), "postgresql")
"""A JSON document; never changed in place."""

Id = BigInteger().with_variant(Integer, "sqlite")
"""A generated row number (SQLite counts only in INTEGER columns)."""

Key = Text().with_variant(Text(collation="C"), "postgresql")
"""An id by which rows are put in order: that of its bytes, on both databases."""
