"""An SQLite database that one process has to itself: what lets a replay of years take less than a minute.

A replay works on single customers at single moments, so it executes half a million tiny statements, one after the
other, in one thread. What is worth its price with batches and many processes, a pool, a durable commit per
transaction and SQLAlchemy's result objects, would cost three times as much as the statements themselves. Here they
go straight to the driver: the same statements, converted by the same column types, in few large transactions.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, Executable, TextClause, make_url
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.selectable import TextualSelect

from .database import Database

_PRAGMAS = ("journal_mode=WAL", "synchronous=OFF", "busy_timeout=30000", "cache_size=-65536", "temp_store=MEMORY")


class SoloDatabase(Database):
    """A database on one connection. What it does is kept at `commit` and `close`, and undone by `rollback`.

    Others may read it meanwhile, and see what was committed; they must not write.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._driver = sqlite3.connect(make_url(url).database or "", isolation_level=None, cached_statements=1024)
        try:
            for pragma in _PRAGMAS:
                self._driver.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            self._driver.close()
            raise
        self._solo = cast(Connection, _Straight(self._driver, self.engine.dialect))

    @contextmanager
    def transaction(self, *, durable: bool = True, wide: bool = False) -> Iterator[Connection]:
        """As elsewhere, but as part of a larger one: undone on any error, kept by the next `commit`."""
        if not self._driver.in_transaction:
            self._driver.execute("BEGIN IMMEDIATE")
        self._driver.execute("SAVEPOINT part")
        try:
            yield self._solo
        except BaseException:
            self._driver.execute("ROLLBACK TO part")
            raise
        finally:
            self._driver.execute("RELEASE part")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Reads what was done so far, kept or not."""
        yield self._solo

    def commit(self) -> None:
        """Keeps what was done."""
        if self._driver.in_transaction:
            self._driver.execute("COMMIT")

    def rollback(self) -> None:
        """Undoes what was done since the last `commit`."""
        if self._driver.in_transaction:
            self._driver.execute("ROLLBACK")

    def close(self) -> None:
        """Keeps what was done, and closes the connection for good."""
        try:
            self.commit()
        finally:
            self._driver.close()
            super().close()


class _Straight:
    """The part of a SQLAlchemy connection that `Statement` uses, straight on the driver."""

    def __init__(self, driver: sqlite3.Connection, dialect: Any) -> None:
        self.dialect = dialect
        self._driver = driver
        self._compiled: dict[int, _Compiled] = {}

    def execute(self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> _Result:
        """Executes it, once for each of several sets of parameters; raises what SQLAlchemy would."""
        compiled = self._compiled.get(id(statement))
        if compiled is None or compiled.statement is not statement:
            compiled = self._compiled[id(statement)] = _Compiled(statement, self.dialect)
        try:
            if not isinstance(parameters, Mapping):
                self._driver.executemany(compiled.sql, [compiled.bound(each) for each in parameters])
                return _Result([])
            cursor = self._driver.execute(compiled.sql, compiled.bound(parameters))
            return compiled.result(cursor) if cursor.description else _Result([])
        except sqlite3.Error as error:
            raise DBAPIError.instance(compiled.sql, None, error, sqlite3.Error, dialect=self.dialect) from error


class _Compiled:
    """A statement's SQL with named parameters, and how its rows are read."""

    def __init__(self, statement: Executable, dialect: Any) -> None:
        assert isinstance(statement, TextClause | TextualSelect)
        self.statement = statement  # kept, so that no other one gets its id
        compiled = statement.compile(dialect=sqlite_dialect(paramstyle="named"))
        self.sql = str(compiled)
        self._binders = {
            name: binder
            for name, parameter in compiled.binds.items()
            if (binder := parameter.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        self._types = {}
        if isinstance(statement, TextualSelect):
            self._types = {column.name: column.type for column in statement.selected_columns}
        self._dialect = dialect
        self._row: Callable[..., Any] | None = None
        self._processors: list[tuple[int, Callable[[Any], Any]]] = []

    def bound(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters as the driver takes them."""
        if not self._binders:
            return parameters
        return {**parameters, **{name: binder(parameters[name]) for name, binder in self._binders.items()}}

    def result(self, cursor: sqlite3.Cursor) -> _Result:
        """All rows, as named tuples of converted values."""
        if self._row is None:
            self._learn([column[0] for column in cursor.description])
        row, processors = self._row, self._processors
        assert row is not None
        if not processors:
            return _Result([row(*values) for values in cursor])
        rows = []
        for values in cursor:
            converted = list(values)
            for place, process in processors:
                converted[place] = process(converted[place])
            rows.append(row(*converted))
        return _Result(rows)

    def _learn(self, names: Sequence[str]) -> None:
        self._row = namedtuple("Row", names, rename=True)  # type: ignore[misc]
        for place, name in enumerate(names):
            kind = self._types.get(name)
            process = kind and kind.dialect_impl(self._dialect).result_processor(self._dialect, None)
            if process:
                self._processors.append((place, process))


class _Result:
    """Rows that were read, with the ways of reading that this project uses."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        return self._rows

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        (row,) = self._rows
        return row

    def scalar_one(self) -> Any:
        return self.one()[0]

    def scalars(self) -> _Result:
        return _Result([row[0] for row in self._rows])

    def mappings(self) -> _Result:
        return _Result([row._asdict() for row in self._rows])
