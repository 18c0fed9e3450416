"""Counts of what leaves no row."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from .sql import Statement

_ADD = Statement(
    """
    INSERT INTO tally (journey, what, count)
    SELECT rows.journey, rows.what, rows.count FROM {rows} WHERE true ORDER BY rows.journey, rows.what
    ON CONFLICT (journey, what) DO UPDATE SET count = tally.count + excluded.count
    """,
    rows={"journey": "text", "what": "text", "count": "bigint"},
)


def add(connection: Connection, counts: Mapping[tuple[str, str], int]) -> None:
    """Adds to the counts by (journey, what). Let it be a transaction's last statement: many write the same few rows."""
    if counts:
        _ADD.run(
            connection,
            rows=[{"journey": journey, "what": what, "count": n} for (journey, what), n in sorted(counts.items())],
        )
