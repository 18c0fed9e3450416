"""One SQL text for both databases, with rows going in as one JSON parameter.

A `Statement` is written once. What differs by database is marked:

- `{rows}`: the rows of the parameter `rows` (a list of dicts), typed by `rows=`: `jsonb_to_recordset` or `json_each`;
- `{ids}` / `{keys}`: a subselect of the whole numbers / texts of the parameter `ids` / `keys` (a list);
- `{lock}`: `FOR NO KEY UPDATE` (not FOR UPDATE, which blocks the foreign keys of others) or nothing, as SQLite's
  transactions begin with the write lock;
- `{sorted A, B}`: ORDER BY A, B where locks are taken in that order; nothing on SQLite, where the one writer takes rows
  as they come, and a batch comes sorted;
- `{skip_locked}`: the same with SKIP LOCKED; `{share}`: `FOR SHARE`, or nothing;
- `{seconds A B}`: how many seconds the moment B is after the moment A, to the millisecond;
- `{each A}`: the elements of the JSON array A as a table `each(value)`; none where A is null;
- `{text A name}`: what the JSON object A has under that name, as text.

One parameter per statement keeps a batch of 500 rows one round trip, and a `unnest`-like plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, CursorResult, TextClause, text

from .types import stamp

_SECONDS = re.compile(r"\{seconds (\S+) (\S+)\}")
_SORTED = re.compile(r"\{sorted ([^}]+)\}")
_EACH = re.compile(r"\{each (\S+)\}")
_TEXT = re.compile(r"\{text (\S+) (\w+)\}")


class Statement:
    """A statement for both databases; `postgresql` is its text there where one text does not serve both.

    `rows` maps the columns of `{rows}` to PostgreSQL types (text, bigint, timestamptz, jsonb, boolean, date);
    `returns` maps result columns to SQLAlchemy types where the driver's own value is not what is wanted.
    """

    def __init__(
        self,
        sql: str,
        *,
        postgresql: str | None = None,
        rows: Mapping[str, str] | None = None,
        returns: Mapping[str, Any] | None = None,
    ) -> None:
        texts = {"postgresql": postgresql or sql, "sqlite": sql}
        self._columns = tuple(rows or ())
        self._texts = {dialect: _text(each, dialect, rows or {}, returns or {}) for dialect, each in texts.items()}

    def run(self, connection: Connection, **parameters: Any) -> CursorResult[Any]:
        """Executes it; lists become JSON, everything else is bound as it is (moments through `stamp`)."""
        dialect = connection.dialect.name
        if dialect == "sqlite" and "rows" in parameters:
            # Arrays: looking for each column by its name would take half as long again as the whole statement.
            parameters["rows"] = [[*map(row.get, self._columns)] for row in parameters["rows"]]
        bound = {name: _bound(value, dialect) for name, value in parameters.items()}
        return connection.execute(self._texts[dialect], bound)


# PostgreSQL reads moments as orjson writes them, at a tenth of the cost; SQLite stores the text, so it must be ours.
_MOMENTS = {"postgresql": orjson.OPT_UTC_Z, "sqlite": orjson.OPT_PASSTHROUGH_DATETIME}


def _bound(value: Any, dialect: str) -> Any:
    """Lists as one JSON text, moments as SQLite stores them."""
    if isinstance(value, (list, tuple)):
        return orjson.dumps(value, default=_plain, option=_MOMENTS[dialect]).decode()
    if isinstance(value, datetime) and dialect == "sqlite":
        return stamp(value)
    return value


def _plain(value: Any) -> Any:
    """Moments as UTC text, dates as ISO text, documents as JSON text inside the row."""
    if hasattr(value, "tzinfo"):
        return stamp(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be a parameter")


def _text(sql: str, dialect: str, rows: Mapping[str, str], returns: Mapping[str, Any]) -> TextClause:
    if dialect == "postgresql":
        columns = ", ".join(f'"{name}" {kind}' for name, kind in rows.items())
        marks = {
            "{rows}": f"jsonb_to_recordset(CAST(:rows AS jsonb)) AS rows({columns})",
            "{ids}": "(SELECT CAST(jsonb_array_elements_text(CAST(:ids AS jsonb)) AS bigint))",
            "{keys}": "(SELECT jsonb_array_elements_text(CAST(:keys AS jsonb)))",
            "{lock}": "FOR NO KEY UPDATE",
            "{skip_locked}": "FOR NO KEY UPDATE SKIP LOCKED",
            "{share}": "FOR SHARE",
        }
        # Written from an ORM, nothing is a JSON null, which has no elements to ask for.
        each = r"jsonb_array_elements_text(CASE jsonb_typeof(\1) WHEN 'array' THEN \1 ELSE '[]' END) AS each(value)"
        seconds = r"CAST(extract(epoch FROM \2 - \1) AS double precision)"
        content, order = r"(\1 ->> '\2')", r"ORDER BY \1"
    else:
        columns = ", ".join(f"json_extract(value, '$[{n}]') AS \"{name}\"" for n, name in enumerate(rows))
        marks = {
            "{rows}": f"(SELECT {columns} FROM json_each(:rows)) AS rows",
            "{ids}": "(SELECT value FROM json_each(:ids))",
            "{keys}": "(SELECT value FROM json_each(:keys))",
            "{lock}": "",
            "{skip_locked}": "",
            "{share}": "",
        }
        each = r"json_each(\1) AS each"
        seconds = r"round((julianday(\2) - julianday(\1)) * 86400.0, 3)"
        content, order = r"CAST(json_extract(\1, '$.\2') AS text)", ""
    for mark, replacement in marks.items():
        sql = sql.replace(mark, replacement)
    sql = _SORTED.sub(order, _SECONDS.sub(seconds, _EACH.sub(each, _TEXT.sub(content, sql))))
    clause = text(sql)
    return clause.columns(**returns) if returns else clause  # type: ignore[return-value]
