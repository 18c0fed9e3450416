"""The schema's history: bringing a database to this code's tables and back, and telling where the two differ.

The migrations lie beside this module and are part of the package, so that an installed one can upgrade too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlmodel import SQLModel

from lifecycle.errors import StoreError

from . import tables as _tables  # noqa: F401 - defines the metadata
from .database import Database

_MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x6C696665  # any number that nobody else uses


def head() -> str:
    """The revision of this code's tables."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current(db: Database) -> str | None:
    """The revision of the database; None where there are no tables."""
    with _reaching(db), db.reading() as connection:
        return _revision(connection)


def upgrade(db: Database, revision: str = "head") -> None:
    """Brings the database to `revision`; of several that do so at once, one does and the others wait."""
    _run(db, lambda config: command.upgrade(config, revision))


def downgrade(db: Database, revision: str) -> None:
    """Brings the database back to `revision`; "base" drops all tables and all that is in them."""
    _run(db, lambda config: command.downgrade(config, revision))


def check(db: Database) -> list[str]:
    """Everything in which the database differs from this code, one line each; empty when they agree."""
    with _reaching(db), db.reading() as connection:
        found = _revision(connection)
        behind = [] if found == head() else [_behind(found)]
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return behind + [_described(difference) for difference in compare_metadata(context, SQLModel.metadata)]


def require_current(db: Database) -> None:
    """Raises StoreError, with the remedy, unless the database is at this code's revision."""
    found = current(db)
    if found != head():
        raise StoreError(_behind(found))


def _behind(found: str | None) -> str:
    if found is None:
        return "the database has no tables; run `lifecycle db upgrade`"
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found in known:
        return f"the database is at revision {found}, this code is at {head()}; run `lifecycle db upgrade`"
    return f"the database is at revision {found}, which this code does not know; install the version that wrote it"


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _run(db: Database, run: Callable[[Config], object]) -> None:
    """Runs a command in one transaction, in which tables too are made or left as they were."""
    try:
        with _reaching(db), db.transaction() as connection:
            if not db.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            run(_config(connection))
    except CommandError as error:
        raise StoreError(f"{error}; `lifecycle db check` tells where the database is") from error


class _reaching:  # noqa: N801 - reads as a verb
    """Turns a database that cannot be reached into one line that says so."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # SQLite says DatabaseError itself, and no child of it, of a file that is none of its own or damaged.
        if isinstance(error, OperationalError) or type(error) is DatabaseError:
            cause = str(error.orig).strip().partition("\n")[0]
            raise StoreError(f"the database cannot be used: {cause}; check DATABASE_URL") from error


def _described(difference: Any) -> str:
    """One of alembic's differences, e.g. ("add_column", None, "event", Column(…)), in words."""
    if isinstance(difference, list):
        return "; ".join(map(_described, difference))
    what, *parts = difference
    words = [getattr(part, "name", None) or str(part) for part in parts if part is not None and part != {}]
    return f"{what.replace('_', ' ')}: {' '.join(words)}; run `lifecycle db upgrade`, or undo the change by hand"
