"""How a command gets at settings, clock, logs and database: once, in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from lifecycle import clock, logs
from lifecycle.settings import Settings, redacted

from .lazy import did_you_mean

if TYPE_CHECKING:
    from lifecycle.engine import Engine
    from lifecycle.store.database import Database
    from lifecycle.workshop.look import Workshop


def settings(*, quiet: bool = True) -> Settings:
    """The settings of this process; its clock and its logs follow them.

    `quiet` leaves out all but errors: a command says itself what matters.
    """
    loaded = Settings.load()
    clock.use(loaded.make_clock())
    level = "error" if quiet and loaded.log_level != "debug" else loaded.log_level
    logs.configure(as_json=loaded.logs_as_json, level=level)
    return loaded


@contextmanager
def database(loaded: Settings | None = None) -> Iterator[Database]:
    """The database, with all its tables. Raises StoreError where it has not got them."""
    from lifecycle.errors import StoreError
    from lifecycle.store.database import Database
    from lifecycle.store.schema import require_current

    loaded = loaded or settings()
    if not loaded.has_database:
        raise StoreError("there is no database yet; run: lifecycle db upgrade")
    db = Database(loaded.database)
    try:
        require_current(db)
        yield db
    finally:
        db.close()


@contextmanager
def engine(loaded: Settings | None = None) -> Iterator[Engine]:
    """An engine whose database has all its tables. Raises StoreError where it has not got them."""
    from lifecycle.engine import Engine

    loaded = loaded or settings()
    with database(loaded) as db:
        opened = Engine(loaded)
        opened.__dict__["db"] = db
        yield opened


def workshop(loaded: Settings, template: str) -> Workshop:
    """The workshop, to look at that email; raises UsageError where there is none of that name."""
    from lifecycle.workshop.look import Workshop

    opened = Workshop(loaded)
    names = opened.engine.renderer.names()
    if template not in names:
        raise click.UsageError(f"there is no email {template!r}{did_you_mean(template, names)}")
    return opened


@contextmanager
def any_database(loaded: Settings) -> Iterator[Database]:
    """The database in whatever state it is; the folder of a default one is made."""
    from lifecycle.store.database import Database

    if not loaded.database_url:
        loaded.home.mkdir(parents=True, exist_ok=True)
    db = Database(loaded.database)
    try:
        yield db
    finally:
        db.close()


def shown(loaded: Settings) -> str:
    """The database as people may see it."""
    return redacted(loaded.database)
