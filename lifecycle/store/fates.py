"""The SQL of what became of emails, as journeys ask for it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Text

from lifecycle.journey.conditions import Fate

from .sql import Statement
from .types import Id

# A digest hangs on the enrollment of one that it gathered; what became of that one stands in its own row.
_NEWEST = Statement(
    """
    SELECT enrollment_id, state, reason FROM (
        SELECT enrollment_id, state, reason, row_number() OVER (PARTITION BY enrollment_id ORDER BY id DESC) AS place
        FROM message
        WHERE enrollment_id IN {ids} AND state IN ('sent', 'uncertain', 'skipped', 'failed') AND sections IS NULL
    ) AS final
    WHERE place = 1
    """,
    returns={"enrollment_id": Id, "state": Text(), "reason": Text()},
)


def last_fates(connection: Connection, enrollments: Sequence[int]) -> dict[int, Fate]:
    """What became of the newest email of each enrollment that is over with one; absent where the server refused it."""
    fates: dict[int, Fate] = {}
    for row in _NEWEST.run(connection, ids=list(enrollments)).all() if enrollments else ():
        match row.state, row.reason:
            case (("sent" | "uncertain"), _):
                fates[row.enrollment_id] = "sent"
            case "skipped", "digested":
                fates[row.enrollment_id] = "digested"
            case "skipped", _:
                fates[row.enrollment_id] = "skipped"
            case _:
                pass
    return fates
