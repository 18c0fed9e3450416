"""The SQL of the pace that customers ask for; what it means: `lifecycle.core.pace`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection

from .sql import Statement
from .types import Json

_READ = Statement("SELECT id, pace FROM customer WHERE id IN {keys}", returns={"pace": Json})
_WRITE = Statement(
    "UPDATE customer SET pace = rows.pace FROM {rows} WHERE customer.id = rows.id",
    rows={"id": "text", "pace": "jsonb"},
)


def read(connection: Connection, customers: Collection[str]) -> dict[str, dict[str, Any]]:
    """What each of these customers asked for."""
    return {row.id: row.pace for row in _READ.run(connection, keys=list(customers))}


def write(connection: Connection, paces: Mapping[str, Mapping[str, Any]]) -> None:
    """Keeps what these customers ask for, who are locked."""
    _WRITE.run(connection, rows=[{"id": customer, "pace": pace} for customer, pace in sorted(paces.items())])
