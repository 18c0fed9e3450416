from __future__ import annotations

import psycopg
from redis import Redis

from lifecycle.store.database import Database
from tests.servers import conninfo


def test_a_test_gets_a_database_that_honours_synchronous_commit(postgres_url: str) -> None:
    with psycopg.connect(conninfo(postgres_url)) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute("SET synchronous_commit = off")
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)


def test_each_test_gets_a_database_of_both_kinds(database_url: str) -> None:
    assert database_url.startswith(("sqlite:///", "postgresql+psycopg://"))


def test_each_test_gets_empty_tables_of_both_kinds(database: Database) -> None:
    with database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM customer").scalar() == 0


def test_a_test_gets_an_empty_redis(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_and_so_does_the_next_one(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
