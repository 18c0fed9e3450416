"""Conditions in SQL: for whom one holds at a moment, as joins and a WHERE over `customer c`.

The text says the same as `lifecycle.core.evaluate`, leaf by leaf. Negations are pushed down to the leaves: a
leaf that is asked for may be NULL where it is unknown, which a WHERE takes for false, and stays a plain comparison
that the planner understands; one that is negated becomes `… IS NOT TRUE`.

Counts read the activity row, which is joined once per event name; events are read only by index, one customer at a
time, and only of customers whose activity row leaves the answer open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, assert_never

from lifecycle.core.evaluate import closed, comparable, in_brief, window_start
from lifecycle.errors import DefinitionError
from lifecycle.journey.conditions import (
    After,
    And,
    AttributeRef,
    Compare,
    Condition,
    Count,
    IsSet,
    IsTrue,
    Kind,
    LastSend,
    Not,
    OneOf,
    Or,
    PropertyRef,
    Ref,
)
from lifecycle.journey.vocabulary import RESERVED

_SIGNS = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True, slots=True)
class Segment:
    """Use as `SELECT … FROM customer c {joins} WHERE {where}`, with `parameters` bound."""

    joins: str
    where: str
    parameters: dict[str, Any]


def where_sql(condition: Condition | None, *, dialect: str, now: datetime, defined_at: str = "") -> Segment:
    """The customers for whom `condition` holds at `now`; None holds for all.

    Parameters are called w0, w1, … and tables a0, e0, …. Raises DefinitionError, naming `defined_at`, when the
    condition asks for a property of a trigger: nobody has one before they enter.
    """
    text = _Text(dialect, now, defined_at)
    where = "TRUE" if condition is None else text.condition(condition)
    return Segment("\n".join(text.joins.values()), where, text.parameters)


def date_text(ref: AttributeRef, dialect: str) -> tuple[str, str, dict[str, Any]]:
    """The SQL of a customer's date as ISO text, NULL where unknown; of the same unchecked, which is quicker; and their
    parameters, called d0, ….
    """
    text = _Text(dialect, None, "", prefix="d")
    checked = text.value(ref)
    if ref.name in RESERVED:
        return checked, checked, text.parameters
    key = next(iter(text.parameters))
    unchecked = f"json_extract(c.traits, :{key})" if dialect == "sqlite" else f"(c.traits ->> CAST(:{key} AS text))"
    return checked, unchecked, text.parameters


@dataclass(slots=True)
class _Text:
    dialect: str
    now: datetime | None
    defined_at: str
    parameters: dict[str, Any] = field(default_factory=dict)
    joins: dict[str, str] = field(default_factory=dict)
    inside: tuple[str, str] | None = None
    """The event whose `where=` is being written, and its table."""
    tables: int = 0
    prefix: str = "w"

    def condition(self, condition: Condition, wanted: bool = True) -> str:
        """The condition, or its opposite when it is not wanted; NULL is as good as false."""
        node = closed(condition)
        match node:
            case And(left, right):
                return f"({self.condition(left, wanted)} {'AND' if wanted else 'OR'} {self.condition(right, wanted)})"
            case Or(left, right):
                return f"({self.condition(left, wanted)} {'OR' if wanted else 'AND'} {self.condition(right, wanted)})"
            case Not(inner):
                return self.condition(inner, not wanted)
            case Count():
                return self.count(node, wanted)
            case After(event, other):
                leaf = self.after(event, other)
            case LastSend():
                raise DefinitionError(
                    self.defined_at,
                    "last_send is something that only those who are in a journey have",
                    "use it in the when= of a Branch, or in exit_when=",
                )
            case Compare(ref, sign, PropertyRef() as other):
                leaf = f"{self.value(ref)} {_SIGNS[sign]} {self.value(other)}"
            case Compare(ref, sign, right):
                assert not isinstance(right, PropertyRef)
                leaf = f"{self.value(ref)} {_SIGNS[sign]} {self.bind(comparable(right))}"
            case OneOf(ref, values):
                leaf = f"{self.value(ref)} IN ({', '.join(self.bind(comparable(value)) for value in values)})"
            case IsSet(ref):
                leaf = f"{self.value(ref)} IS NOT NULL"
            case IsTrue(ref):
                leaf = f"{self.value(ref)} = TRUE"
            case _:
                assert_never(node)
        return _leaf(leaf, wanted)

    def count(self, count: Count, wanted: bool) -> str:
        """At least so many, and not at least one more than at most."""
        parts = [_leaf(self.at_least(count, count.at_least), wanted)] if count.at_least > 0 else []
        if count.at_most is not None:
            parts.append(_leaf(self.at_least(count, count.at_most + 1), not wanted))
        joined = (" AND " if wanted else " OR ").join(parts)
        return f"({joined})" if parts else ("TRUE" if wanted else "FALSE")

    def at_least(self, count: Count, limit: int) -> str:
        """What the activity row must say, and where it leaves the answer open, what the events say."""
        assert self.now is not None
        activity, now, since = self.activity(count.event), self.bind(self.now), window_start(self.now, count.last)
        needed = [f"{activity}.first_at <= {now}"]
        decided = [f"{activity}.last_at <= {now}"]
        if limit > 1:
            needed.append(f"{activity}.count >= {self.bind(limit)}")
        if since is not None:
            start = self.bind(since)
            needed.append(f"{activity}.last_at > {start}")
            if not in_brief(count, limit):
                decided.append(f"{activity}.first_at > {start}")
        if count.where is not None:
            needed.append(self.events(count, limit, activity, since))
        elif limit > 1 or since is not None:
            needed.append(f"(({' AND '.join(decided)}) OR {self.events(count, limit, activity, since)})")
        return " AND ".join(needed)

    def events(self, count: Count, limit: int, activity: str, since: datetime | None) -> str:
        """Whether the events themselves number `limit`; a count, as the planner would turn EXISTS into a full read."""
        event, outer = self.table("e"), self.inside
        wheres = [f"{event}.customer_id = {activity}.customer_id", f"{event}.name = {self.bind(count.event)}"]
        wheres += [f"{event}.timestamp <= {self.bind(self.now)}"]
        wheres += [f"{event}.timestamp > {self.bind(since)}"] if since is not None else []
        if count.where is not None:
            self.inside = (count.event, event)
            wheres.append(self.condition(count.where))
            self.inside = outer
        # No LIMIT within, though enough would be enough: PostgreSQL would not read customers in parallel then.
        return f"(SELECT count(*) FROM event {event} WHERE {' AND '.join(wheres)}) >= {self.bind(limit)}"

    def after(self, event: str, other: str) -> str:
        """`event` has happened, and `other` never, or before the last of it; moments ahead of now are passed over."""
        mine, theirs, now = self.activity(event), self.activity(other), self.bind(self.now)
        undone = f"{self.last(event, mine, now)} > {self.last(other, theirs, now)}"
        return f"{mine}.first_at <= {now} AND ({theirs}.first_at IS NULL OR {theirs}.first_at > {now} OR {undone})"

    def last(self, event: str, activity: str, now: str) -> str:
        """When the last event was; events are read only where the newest lies ahead."""
        table = self.table("e")
        wheres = f"{table}.customer_id = {activity}.customer_id AND {table}.name = {self.bind(event)}"
        newest = f"SELECT max({table}.timestamp) FROM event {table} WHERE {wheres} AND {table}.timestamp <= {now}"
        return f"CASE WHEN {activity}.last_at <= {now} THEN {activity}.last_at ELSE ({newest}) END"

    def activity(self, event: str) -> str:
        """The table that has the customer's activity of that name, all NULL where there is none."""
        if event not in self.joins:
            table = self.table("a")
            self.joins[event] = (
                f"LEFT JOIN activity {table} ON {table}.customer_id = c.id AND {table}.event = {self.bind(event)}"
            )
        return self.joins[event].split()[3]

    def value(self, ref: Ref) -> str:
        """The SQL of a trait or property, NULL when it is unknown or of another type than declared."""
        match ref:
            case AttributeRef(name, kind) if name in RESERVED:
                return self.column(name, kind)
            case AttributeRef(name, kind):
                return self.json("c.traits", name, kind)
            case PropertyRef(event, name, kind):
                if self.inside is None or event != self.inside[0]:
                    raise DefinitionError(
                        self.defined_at,
                        f"{ref} is a property of the trigger, but this journey has no triggering event",
                        f"use it within where= of {event}, or enter with on()",
                    )
                return self.json(f"{self.inside[1]}.properties", name, kind)
            case _:
                assert_never(ref)

    def column(self, name: str, kind: Kind) -> str:
        """A reserved trait."""
        match RESERVED[name].__name__, kind:
            case "str", "text":
                return self.text(f"c.{name}")
            case "date", "date":
                return self.text(f"c.{name}" if self.dialect == "sqlite" else f"to_char(c.{name}, 'YYYY-MM-DD')")
            case "datetime", "instant":
                return f"c.{name}"
            case _:
                return "NULL"

    def json(self, document: str, name: str, kind: Kind) -> str:
        """A key of a JSON document, if it has the declared type; dates are texts of one pattern."""
        if kind == "instant":
            return "NULL"
        if self.dialect == "sqlite":
            return _sqlite_json(document, self.bind(f'$."{name}"'), kind)
        return self.text(_postgres_json(document, f"CAST({self.bind(name)} AS text)", kind), kind)

    def text(self, sql: str, kind: Kind = "text") -> str:
        """Texts compare by code point."""
        return f'({sql}) COLLATE "C"' if self.dialect != "sqlite" and kind in ("text", "date") else sql

    def bind(self, value: object) -> str:
        name = f"{self.prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def table(self, prefix: str) -> str:
        self.tables += 1
        return f"{prefix}{self.tables}"


def _leaf(sql: str, wanted: bool) -> str:
    return f"({sql})" if wanted else f"(({sql}) IS NOT TRUE)"


def _postgres_json(document: str, key: str, kind: Kind) -> str:
    value, text = f"({document} -> {key})", f"({document} ->> {key})"
    match kind:
        case "text":
            return f"CASE WHEN jsonb_typeof({value}) = 'string' THEN {text} END"
        case "date":
            pattern = "'^[0-9]{4}-[0-9]{2}-[0-9]{2}$'"
            return f"CASE WHEN jsonb_typeof({value}) = 'string' AND {text} ~ {pattern} THEN {text} END"
        case "number":
            return f"CASE WHEN jsonb_typeof({value}) = 'number' THEN CAST({value} AS double precision) END"
        case "flag":
            return f"CASE WHEN jsonb_typeof({value}) = 'boolean' THEN CAST({value} AS boolean) END"
        case "instant":
            return "NULL"
        case _:
            assert_never(kind)


def _sqlite_json(document: str, path: str, kind: Kind) -> str:
    value, type_ = f"json_extract({document}, {path})", f"json_type({document}, {path})"
    match kind:
        case "text":
            return f"CASE WHEN {type_} = 'text' THEN {value} END"
        case "date":
            pattern = "'[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'"
            return f"CASE WHEN {type_} = 'text' AND {value} GLOB {pattern} THEN {value} END"
        case "number":
            return f"CASE WHEN {type_} IN ('integer', 'real') THEN CAST({value} AS REAL) END"
        case "flag":
            return f"CASE {type_} WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END"
        case "instant":
            return "NULL"
        case _:
            assert_never(kind)
