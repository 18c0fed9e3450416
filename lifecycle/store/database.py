"""A connection pool to PostgreSQL or SQLite, and the one kind of transaction that everything uses.

SQLite: every transaction begins with the write lock (BEGIN IMMEDIATE), so that reading, counting and writing
in it cannot race; WAL, so that readers never wait. PostgreSQL: READ COMMITTED with rows locked by customer id in
order; a statement after the lock sees what the lock waited for, which is what makes caps hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from subprocess import run
from time import sleep
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.pool import ConnectionPoolEntry

from .turn import execute_in_turn

_PATIENT = "PRAGMA busy_timeout=30000"
_MOVE = "PRAGMA wal_checkpoint(PASSIVE)"
_LONG_LOG = 80_000  # pages: 160 MB
_CACHE, _WIDE_CACHE = 64 << 10, 256 << 10  # KiB, filled as they are needed
_MAPPED = 1 << 40  # bytes; SQLite takes as much of it as it was built for, 2 GB mostly
_STATISTICS_SINCE = text("SELECT COALESCE(extract(epoch FROM stats_reset)::text, '') FROM pg_stat_bgwriter")


class Database:
    """One database by SQLAlchemy URL; the engine is made on first use, so after a fork."""

    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def engine(self) -> Engine:
        """The engine, with the settings that this project's guarantees rest on."""
        engine = create_engine(
            self.url,
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
            hide_parameters=True,  # a customer's data belong in no log
            pool_pre_ping=not self.is_sqlite,
            connect_args={"timeout": 30} if self.is_sqlite else {"connect_timeout": 10},
        )
        if self.is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_immediate)
        else:
            event.listen(engine, "connect", _prepare_postgres)
        return engine

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite; else it is PostgreSQL."""
        return self.url.startswith("sqlite")

    @property
    def driver_error(self) -> type[Exception]:
        """The root of the driver's own errors, for the few places that use it directly."""
        error: type[Exception] = self.engine.dialect.dbapi.Error  # type: ignore[union-attr]
        return error

    @contextmanager
    def transaction(self, *, durable: bool = True, wide: bool = False) -> Iterator[Connection]:
        """A read-write transaction, committed at the end, rolled back on any error.

        On SQLite: one that is not `durable` may be undone by a power cut: for what is found and done again then. One
        that is `wide` touches rows all over the file: it keeps more of it in memory, until another connection writes,
        and reads the rest where the system keeps it, in place of copying it; the process is shown as large as that.
        """
        options = {"durable": durable, "wide": wide}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction for reports, which takes no write lock on SQLite."""
        with self.engine.connect().execution_options(reading=True) as connection:
            yield connection
            connection.rollback()

    def checkpoint(self) -> None:
        """On SQLite: moves what the log holds into the file, beside whoever reads or writes.

        Nobody writes for a moment when the log has become long: it begins anew only with somebody who finds all of it
        moved, and where one writes right after the other nobody ever would.
        """
        if self.is_sqlite:
            with self.engine.connect() as connection:
                driver: Any = connection.connection.dbapi_connection
                _, pages, _ = driver.execute(_MOVE).fetchone()
                if pages > _LONG_LOG:
                    with self.transaction(durable=False):
                        while driver.execute(_MOVE).fetchone()[0]:  # somebody else is moving it, who has an end now
                            sleep(0.001)

    def life(self, connection: Connection) -> str:
        """Names the time since the database last went down in a way that loses what was not flushed.

        PostgreSQL resets its statistics after a crash and at no clean restart; SQLite loses only what its machine
        loses. A reset by hand looks like a crash, which errs on the safe side.
        """
        if self.is_sqlite:
            return _boot()
        return str(connection.execute(_STATISTICS_SINCE).scalar_one())

    def close(self) -> None:
        """Closes the pooled connections; the next use opens new ones."""
        if "engine" in self.__dict__:
            self.engine.dispose()
            del self.__dict__["engine"]


def _prepare_postgres(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.execute("SET TIME ZONE 'UTC'")  # so that moments arrive as they are used
    # What batches look up is in memory or on an SSD: reading it by index costs no more than along the table.
    connection.execute("SET random_page_cost = 1.1")
    connection.commit()


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # BEGIN is ours to say
    for pragma in (
        "page_size=2048",  # of a new file: rows are small and lie apart, so a write is mostly one page each
        "journal_mode=WAL",
        "synchronous=FULL",  # what is claimed or accepted outlives a power cut; see the recorder for the exception
        f"wal_autocheckpoint={_LONG_LOG}",
        f"cache_size=-{_CACHE}",
        "temp_store=MEMORY",  # the undo log of a statement over a batch is thousands of pages, in a file else
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(_PATIENT)


@cache
def _boot() -> str:
    """Names the time since this machine was started."""
    linux = Path("/proc/sys/kernel/random/boot_id")
    if linux.exists():
        return linux.read_text(encoding="ascii").strip()
    return run(["sysctl", "-n", "kern.boottime"], capture_output=True, text=True, check=True).stdout.strip()


def _begin_immediate(connection: Connection) -> None:
    if connection.get_execution_options().get("reading"):
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.dbapi_connection
    options = connection.get_execution_options()
    driver.execute("PRAGMA synchronous=FULL" if options.get("durable", True) else "PRAGMA synchronous=NORMAL")
    # What is deleted is overwritten in pages that are written anyway. Debian's SQLite writes others for it, too, which
    # takes a twentieth of all time where events of a million customers are taken.
    driver.execute("PRAGMA secure_delete=FAST")
    if options.get("wide"):
        driver.execute(f"PRAGMA cache_size=-{_WIDE_CACHE}")
        driver.execute(f"PRAGMA mmap_size={_MAPPED}")
    driver.execute("PRAGMA busy_timeout=0")
    try:
        execute_in_turn(driver, "BEGIN IMMEDIATE")
    except sqlite3.Error:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # once more, for SQLAlchemy's own kind of error
    finally:
        driver.execute(_PATIENT)
