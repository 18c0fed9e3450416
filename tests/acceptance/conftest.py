"""A database as production has it, made by the migrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.store.database import Database
from lifecycle.store.schema import upgrade


@pytest.fixture
def migrated(database_url: str) -> Iterator[Database]:
    """A database of this test's own, once on each of the two kinds."""
    database = Database(database_url)
    upgrade(database)
    yield database
    database.close()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the emails of a crew's shop compile to, once for all runs."""
    return tmp_path_factory.mktemp("compiled")
