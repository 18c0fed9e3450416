"""How a command gets at settings, clock, logs and database: once, in one way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lifecycle import clock, logs
from lifecycle.settings import Settings

if TYPE_CHECKING:
    from lifecycle.engine import Engine


def settings(*, quiet: bool = True) -> Settings:
    """The settings of this process; its clock and its logs follow them. `quiet` logs warnings and worse only."""
    loaded = Settings.load()
    clock.use(loaded.make_clock())
    level = "warning" if quiet and loaded.log_level == "info" else loaded.log_level
    logs.configure(as_json=loaded.logs_as_json, level=level)
    return loaded


@contextmanager
def engine(loaded: Settings | None = None) -> Iterator[Engine]:
    """An engine whose database has all tables. Raises StoreError where it has not."""
    from lifecycle.engine import Engine
    from lifecycle.store.schema import require_current

    opened = Engine(loaded or settings())
    require_current(opened.db)
    try:
        yield opened
    finally:
        opened.db.close()
