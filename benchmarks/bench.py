"""What every part of a run shares: its databases, its Valkey server, its folder, and how much it may do."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lifecycle import embedded
from lifecycle.store import schema
from lifecycle.store.database import Database
from tests import servers

from .bars import BOTH, SQLITE

ROOT = Path(__file__).resolve().parent.parent

# As in production, where durability costs what it costs; the memory is what a small server has.
_POSTGRES = {
    "max_connections": "100",
    "shared_buffers": "512MB",
    "effective_cache_size": "2GB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}


@dataclass(slots=True)
class Sizes:
    """How much a run measures; `quick` is for looking whether everything runs, not for figures."""

    quick: bool

    def pick(self, full: int, quick: int) -> int:
        """One of the two."""
        return quick if self.quick else full


@dataclass
class Bench:
    """One run. Nothing of it lies in the repository; all of it is gone at the end."""

    folder: Path
    sizes: Sizes
    on: Sequence[str] = BOTH
    stack: ExitStack = field(default_factory=ExitStack)
    _made: int = 0

    @property
    def rounds(self) -> int:
        """How often each thing is measured; the median counts."""
        return self.sizes.pick(5, 3)

    @cached_property
    def postgres(self) -> servers.Postgres:
        """The server of DATABASE_URL, or one from the wheel that keeps its promises of durability."""
        own = os.environ.get("DATABASE_URL", "")
        if own.startswith("postgres"):
            server = servers.Postgres(re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", own))
        else:
            shared = self.stack.enter_context(servers.share_postgres(f"bench-{os.getpid():x}", _POSTGRES))
            server = servers.Postgres(shared.url)
        self.stack.callback(server.close)
        return server

    @cached_property
    def redis_url(self) -> str:
        """The server of REDIS_URL, or one from the wheel."""
        own = os.environ.get("REDIS_URL", "")
        return own or self.stack.enter_context(embedded.start(self.folder)).url

    @property
    def templates_cache(self) -> Path:
        """Where compiled emails are kept, so that no process measures the compiling."""
        return self.folder / "compiled"

    def wanted(self, *databases: str) -> list[str]:
        """Those of `databases` that this run is about."""
        return [each for each in databases if each in self.on]

    @contextmanager
    def database(self, kind: str) -> Iterator[Database]:
        """An empty database with all tables, made as in production, gone after the block."""
        self._made += 1
        path = self.folder / f"bench-{self._made}.db"
        with ExitStack() as stack:
            url = f"sqlite:///{path}" if kind == SQLITE else stack.enter_context(self.postgres.database())
            db = Database(url)
            stack.callback(_remove, path)
            stack.callback(db.close)
            schema.upgrade(db)
            yield db

    def environment(self, **more: str) -> dict[str, str]:
        """What child processes get: nobody's own settings, and a home in this run's folder."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LIFECYCLE_") and name not in ("DATABASE_URL", "REDIS_URL", "SMTP_URL")
        }
        return kept | {"LIFECYCLE_HOME": str(self.folder)} | more


def settle(db: Database) -> None:
    """Statistics, and no dead rows, so that a run starts where a server that has run for a while is."""
    if not db.is_sqlite:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
            connection.exec_driver_sql("CHECKPOINT")
        return
    # Not through an engine: resetting its isolation level would leave the pooled connection with the driver's own.
    own = sqlite3.connect(db.url.partition("///")[2], isolation_level=None)
    own.execute("ANALYZE").fetchall()
    own.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    own.close()


def _remove(path: Path) -> None:
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
