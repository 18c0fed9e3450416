"""The schema's history, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import inspect, text

from lifecycle.errors import StoreError
from lifecycle.store import schema
from lifecycle.store.database import Database


def _tables(db: Database) -> set[str]:
    return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as db:
        yield db


def test_a_database_goes_up_down_and_up_again(db: Database) -> None:
    schema.upgrade(db)
    tables = _tables(db)
    assert {"customer", "event", "enrollment", "message"} <= tables

    schema.downgrade(db, "base")
    assert _tables(db) == set()
    assert schema.current(db) is None

    schema.upgrade(db)
    assert _tables(db) == tables
    assert schema.current(db) == schema.head()


def test_the_migrations_make_exactly_the_tables_of_the_models(db: Database) -> None:
    schema.upgrade(db)
    assert schema.check(db) == []


def test_a_column_that_somebody_adds_or_an_index_that_is_gone_is_drift(db: Database) -> None:
    schema.upgrade(db)
    with db.transaction() as connection:
        connection.execute(text("ALTER TABLE event ADD COLUMN colour TEXT"))
        connection.execute(text("DROP INDEX enrollment_wake"))

    problems = schema.check(db)

    assert len(problems) == 2
    assert any("colour" in problem for problem in problems)
    assert any("enrollment_wake" in problem for problem in problems)


def test_an_empty_database_is_refused_with_the_remedy(db: Database) -> None:
    with pytest.raises(StoreError, match="lifecycle db upgrade"):
        schema.require_current(db)
    assert "lifecycle db upgrade" in schema.check(db)[0]
    schema.upgrade(db)
    schema.require_current(db)


def test_a_database_of_a_newer_version_is_refused(db: Database) -> None:
    schema.upgrade(db)
    with db.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="9999, which this code does not know"):
        schema.require_current(db)
    with pytest.raises(StoreError, match="9999"):
        schema.upgrade(db)


def test_several_that_upgrade_at_once_leave_one_whole_schema(db: Database) -> None:
    failures: list[BaseException] = []

    def upgrade() -> None:
        own = Database(db.url)
        try:
            schema.upgrade(own)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert schema.check(db) == []


def test_a_database_that_is_away_is_one_line() -> None:
    with pytest.raises(StoreError, match="check DATABASE_URL"):
        schema.require_current(Database("postgresql+psycopg://nobody@127.0.0.1:9/nothing"))


def test_queues_on_postgresql_keep_room_for_updates_and_are_swept_often(postgres_url: str) -> None:
    db = Database(postgres_url)
    schema.upgrade(db)
    with db.reading() as connection:
        sql = "SELECT array_to_string(reloptions, ' ') FROM pg_class WHERE relname IN ('enrollment', 'message')"
        options = [str(chosen) for chosen in connection.execute(text(sql)).scalars()]
    db.close()
    assert len(options) == 2
    for chosen in options:
        assert "fillfactor=85" in chosen
        assert "autovacuum_vacuum_scale_factor=0.01" in chosen
