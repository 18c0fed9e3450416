"""Fixtures for all tests: databases, a Redis-protocol server, and a clean environment.

`DATABASE_URL` and `REDIS_URL` name servers to use instead of those from wheels. On that PostgreSQL server databases
called lifecycle_test_… are made and dropped; of that Redis the databases 8 to 15 are emptied.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis
from sqlmodel import SQLModel

from lifecycle import clock, embedded, logs
from lifecycle.store import tables as _tables  # noqa: F401 - defines the tables
from lifecycle.store.database import Database
from tests import chromium as installed
from tests import servers

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_OWN_POSTGRES = os.environ.get("DATABASE_URL", "")
_OWN_REDIS = os.environ.get("REDIS_URL", "")

settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", parent=settings.get_profile("repeatable"), derandomize=False, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the person who runs the tests reaches them, and no test leaves its clock to the next."""
    for name in list(os.environ):
        if name.startswith("LIFECYCLE_") or name in ("DATABASE_URL", "REDIS_URL", "SMTP_URL"):
            monkeypatch.delenv(name)
    yield
    clock.use(clock.Real())


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Commands set the logs up for their process; here they share it with pytest and with the next test."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, logs.QUIET))}
    yield
    root.handlers[:] = handlers
    for logger, level in levels.items():
        logger.setLevel(level)


@pytest.fixture(scope="session")
def _run() -> str:
    """One name for all the workers of this run."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid():x}")[:12]


@pytest.fixture(scope="session")
def postgres(_run: str) -> Iterator[servers.Postgres]:
    """A PostgreSQL server on which to make databases."""
    if _OWN_POSTGRES.startswith("postgres"):
        server = servers.Postgres(re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", _OWN_POSTGRES))
        yield server
        server.close()
        return
    with servers.share_postgres(_run) as shared:
        server = servers.Postgres(shared.url)
        yield server
        server.close()


@pytest.fixture
def postgres_url(postgres: servers.Postgres) -> Iterator[str]:
    """The URL of a PostgreSQL database that is empty and this test's own."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite database that does not exist yet and is this test's own."""
    return f"sqlite:///{tmp_path / 'lifecycle.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, once on each of the two kinds."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def _sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "lifecycle.db"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_with_tables(postgres: servers.Postgres) -> Iterator[str]:
    with postgres.database() as url:
        _make_tables(url)
        yield url


def _make_tables(url: str) -> None:
    database = Database(url)
    SQLModel.metadata.create_all(database.engine)
    database.close()


@pytest.fixture
def sqlite_database(tmp_path: Path, _sqlite_with_tables: Path) -> Iterator[Database]:
    """An SQLite database of this test's own, with all tables, all empty."""
    database = Database(f"sqlite:///{shutil.copy(_sqlite_with_tables, tmp_path / 'lifecycle.db')}")
    yield database
    database.close()


@pytest.fixture
def postgres_database(_postgres_with_tables: str) -> Iterator[Database]:
    """A PostgreSQL database with all tables, all empty; emptied and not made anew, which takes a second."""
    database = Database(_postgres_with_tables)
    tables = ", ".join(f'"{table}"' for table in SQLModel.metadata.tables)
    with database.transaction() as connection:
        connection.exec_driver_sql(f"TRUNCATE {tables} RESTART IDENTITY")
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A database with all tables, all empty, once on each of the two kinds."""
    name = "sqlite_database" if request.param == "sqlite" else "postgres_database"
    database: Database = request.getfixturevalue(name)
    return database


@pytest.fixture(scope="session")
def _redis_server(_run: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if _OWN_REDIS:
        yield _OWN_REDIS
        return
    base = tmp_path_factory.getbasetemp()
    with embedded.start(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as shared:
        yield shared.url


@pytest.fixture
def redis_url(_redis_server: str) -> Iterator[str]:
    """The URL of an empty Redis database that no other test uses meanwhile."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    url = urlsplit(_redis_server)._replace(path=f"/{8 + worker % 8}").geturl()
    with Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a module; they skip where there is none."""
    if installed.find() is None:
        pytest.skip(installed.MISSING)
    with installed.launch() as browser:
        yield browser
