"""Who enters a journey at a moment without any event: found and entered set by set.

`find` reads the ids of those who are due, `enter` locks a batch of them, asks everything again and enrolls whoever
still is: so that entering knows every event whose taking was under way, and doubles are impossible.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any, TypeAlias, assert_never

from sqlalchemy import Connection, text

from lifecycle.core.anniversaries import anniversaries
from lifecycle.core.calendar import zone_named
from lifecycle.core.decide import START
from lifecycle.core.evaluate import window_start
from lifecycle.core.zones import known_zones
from lifecycle.journey.conditions import AttributeRef, Condition
from lifecycle.journey.entries import EachYear, OnDate, When
from lifecycle.journey.journey import Journey

from .segments import date_text, where_sql
from .sql import Statement

Timed: TypeAlias = EachYear | OnDate | When
Zone: TypeAlias = dict[str, str | None]

_ZONES = "WITH zone AS (SELECT timezone, day, year FROM {rows})\n"
_ZONE_ROWS = {"timezone": "text", "day": "text", "year": "text"}
_ZONE_OF_CUSTOMER = "CASE WHEN c.timezone IN (SELECT timezone FROM zone) THEN c.timezone ELSE '' END"

_LOCK = Statement("SELECT id FROM customer WHERE id IN {keys} ORDER BY id {lock}")


@dataclass(frozen=True, slots=True)
class Audience:
    """The customers who are due, as the parts of a SELECT over `customer c`; `key` is the enrollment's key."""

    journey: Journey
    now: datetime
    joins: str
    where: str
    key: str
    parameters: dict[str, Any]
    zones: list[Zone] = field(default_factory=list)

    def find(self, connection: Connection, most: int) -> list[str]:
        """The ids of at most so many of them, in no order."""
        if connection.dialect.name == "postgresql":
            connection.execute(_PLANNING)
        select = _statement(f"{self._with}SELECT c.id {self._source} LIMIT :most")
        return list(select.run(connection, most=most, **self._bound).scalars())

    def enter(self, connection: Connection, customer_ids: Sequence[str], lease: timedelta) -> list[int]:
        """Enrolls those of the customers who are due; returns the ids of the new enrollments."""
        _LOCK.run(connection, keys=list(customer_ids))
        former = (
            f"SELECT max(f.entry) FROM enrollment f WHERE f.journey = :journey AND f.customer_id = c.id"
            f' AND f."key" = {self.key}'
        )
        insert = _statement(
            f"""{self._with}
            INSERT INTO enrollment (journey, customer_id, "key", entry, state, step, due_at, wake_at, awaiting, arrived,
                "trigger", entered_at)
            SELECT :journey, c.id, {self.key}, 1 + COALESCE(({former}), 0), 'active', :step, :now, :wake_at, :awaiting,
                FALSE, '{{}}', :now
            {self._source} AND c.id IN {{keys}}
            ON CONFLICT DO NOTHING RETURNING id
            """
        )
        new = {"step": self.journey.first, "now": self.now, "wake_at": self.now + lease, "awaiting": START}
        return list(insert.run(connection, keys=list(customer_ids), **new, **self._bound).scalars())

    @property
    def _with(self) -> str:
        return _ZONES if self.zones else ""

    @property
    def _source(self) -> str:
        return f"FROM customer c\n{self.joins}\nWHERE c.erased_at IS NULL AND {self.where}"

    @property
    def _bound(self) -> dict[str, Any]:
        return {**self.parameters, "journey": self.journey.name, **({"rows": self.zones} if self.zones else {})}


_PLANNING = text(
    """
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true),
        set_config('work_mem', '64MB', true)
    """
)
"""Once a minute over everybody: worth a plan of its own, and hash tables that stay in memory."""


@lru_cache(maxsize=512)
def _statement(sql: str) -> Statement:
    return Statement(sql, rows=_ZONE_ROWS)


def audience(
    journey: Journey,
    entry: Timed,
    timezone: str,
    now: datetime,
    dialect: str,
    zones: Collection[str | None] | None = None,
) -> Audience | None:
    """Who is due to enter `journey` at `now`, or None where the calendar alone says nobody.

    `when`: everybody for whom the condition holds and who is not in the journey, and never was, or entered longer
    than `again_after` ago (as a rolling span). `each_year` and `on_date`: everybody whose anniversary it is, on their
    own clock, from `at` to the end of their day, and who was not entered for this year's; an anniversary of a date
    is in a later year than the date itself. `timezone`: the policy's, for customers who have none; `zones`: what
    the customers asked for have, if that is known, which spares looking at the others. Raises
    DefinitionError when a condition asks for a property of a trigger.
    """
    names = ("", *sorted(known_zones() if zones is None else known_zones().intersection(zones)))
    match entry:
        case When(condition):
            return _when(journey, condition, now, dialect)
        case OnDate(month, day, at):
            return _yearly(journey, now, dialect, _zones(journey, at, timezone, now, names, f"{month:02}-{day:02}"))
        case EachYear(attribute, at):
            return _yearly(journey, now, dialect, _zones(journey, at, timezone, now, names), attribute)
        case _:
            assert_never(entry)


def _when(journey: Journey, condition: Condition, now: datetime, dialect: str) -> Audience:
    whole = condition if journey.only is None else condition & journey.only
    segment = where_sql(whole, dialect=dialect, now=now, defined_at=journey.defined_at)
    blocked, parameters = "", dict(segment.parameters)
    since = window_start(now, journey.again_after)
    if since is not None:
        blocked = "AND (e.state IN ('active', 'held') OR e.entered_at > :again_since)"
        parameters["again_since"] = since
    key = "''"
    return Audience(journey, now, segment.joins, f"{segment.where} AND {_not_entered(key, blocked)}", key, parameters)


def _yearly(
    journey: Journey, now: datetime, dialect: str, zones: list[Zone], attribute: AttributeRef | None = None
) -> Audience | None:
    days = sorted({zone["day"] for zone in zones if zone["day"] is not None})
    if not days:
        return None
    segment = where_sql(journey.only, dialect=dialect, now=now, defined_at=journey.defined_at)
    wheres = [f"z.timezone = {_ZONE_OF_CUSTOMER} AND z.day IS NOT NULL", segment.where, _not_entered("z.year")]
    parameters = dict(segment.parameters)
    if attribute is not None:
        theirs, bound = date_text(attribute, dialect)
        wheres.append(f"z.day = substr({theirs}, 6) AND substr({theirs}, 1, 4) < z.year")
        if attribute.name == "birthday":  # the one date that has an index
            wheres.append(f"c.birthday_md IN ({', '.join(str(_month_and_day(day)) for day in days)})")
        else:
            wheres.append(f"substr({theirs}, 6) IN ({', '.join(repr(day) for day in days)})")
        parameters |= bound
    # SQLite takes the tables of a CROSS JOIN in this order: customers first, then their zone by an index of its own.
    joins = f"CROSS JOIN zone z\n{segment.joins}"
    return Audience(journey, now, joins, " AND ".join(wheres), "z.year", parameters, zones)


def _zones(
    journey: Journey, at: time, timezone: str, now: datetime, names: Sequence[str], only_day: str | None = None
) -> list[Zone]:
    """Every one of `names` with what its people celebrate now, or with nulls; "" stands for all that are no zones."""
    rows: list[Zone] = []
    for name in names:
        found = anniversaries(now, zone_named(name, timezone), at, journey.leap_day)
        days: list[Zone] = [
            {"timezone": name, "day": a.day, "year": a.year} for a in found if only_day in (None, a.day)
        ]
        rows += days or [{"timezone": name, "day": None, "year": None}]
    return rows


def _month_and_day(day: str) -> int:
    return int(day[:2]) * 100 + int(day[3:])


def _not_entered(key: str, blocked: str = "") -> str:
    return f"""NOT EXISTS (
        SELECT 1 FROM enrollment e
        WHERE e.journey = :journey AND e.customer_id = c.id AND e."key" = {key} {blocked})"""
