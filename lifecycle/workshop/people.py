"""Finding the customer whom somebody means by an id or a part of an address."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from lifecycle.errors import StoreError
from lifecycle.settings import Settings

MOST = 20
"""Of those who could be meant, so many are shown."""


@dataclass(frozen=True, slots=True)
class Person:
    """A customer, in brief."""

    id: str
    email: str | None
    name: str


Finder = Callable[[str], list[Person]]


def find(settings: Settings, word: str) -> list[Person]:
    """The customer with that id, or those with such an address, one more than `MOST` where there are more.

    Raises StoreError where there is no database.
    """
    from lifecycle.store import reports
    from lifecycle.store.database import Database
    from lifecycle.store.schema import require_current

    if not settings.has_database:
        raise StoreError("there is no database yet, so samples only; to have one: lifecycle db upgrade")
    with closing(Database(settings.database)) as db:
        require_current(db)
        with db.reading() as connection:
            known = reports.customer(connection, word)
            rows = [known] if known else reports.customers(connection, email=f"*{word}*", most=MOST + 1)
    return [_person(row) for row in rows]


def _person(row: dict[str, object]) -> Person:
    names = (row["first_name"], row["last_name"])
    email = row["email"]
    return Person(str(row["id"]), str(email) if email else None, " ".join(str(name) for name in names if name))
