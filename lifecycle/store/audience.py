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
Celebration: TypeAlias = tuple[str, str | None, str | None]

_ZONE_ROWS = {"timezone": "text", "day": "text"}
_ZONE_OF_CUSTOMER = "CASE WHEN c.timezone IN (SELECT timezone FROM {rows}) THEN c.timezone ELSE '' END"

_LOCK = Statement("SELECT id FROM customer WHERE id IN {keys} ORDER BY id {lock}")

# Statistics lag behind journeys that thousands enter in a minute, and a plan made for one row must not meet a million:
# so everybody is read once and hashed, and a batch is looked up by index, whatever the statistics say.
_EVERYBODY = text(
    """
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true),
        set_config('work_mem', '64MB', true), set_config('enable_nestloop', 'off', true)
    """
)
_BATCH = text(
    """
    SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
        set_config('enable_material', 'off', true)
    """
)


@dataclass(frozen=True, slots=True)
class Audience:
    """The customers who are due, as the parts of a SELECT over `customer c`.

    `key`: the enrollment's key. `barring`: which of the journey's enrollments `e` with that key bar a new one.
    `few`: whether `where` leaves so few that looking up each one's enrollments is cheaper than reading them all.
    """

    journey: Journey
    now: datetime
    joins: str
    where: str
    key: str
    barring: str
    few: bool
    parameters: dict[str, Any]
    zones: list[Zone] = field(default_factory=list)

    def find(self, connection: Connection, most: int) -> list[str]:
        """The ids of at most so many of them, in no order."""
        if connection.dialect.name == "postgresql":
            connection.execute(_EVERYBODY)
        bar = f"(SELECT count(*) {self._former}) = 0" if self.few else f"NOT EXISTS (SELECT 1 {self._former})"
        # A CTE, because PostgreSQL would plan for the first few only, and finding nobody would take it long.
        kept = "AS MATERIALIZED" if connection.dialect.name == "postgresql" else "AS"
        select = _statement(f"WITH due {kept} (SELECT c.id {self._source} AND {bar}) SELECT id FROM due LIMIT :most")
        return list(select.run(connection, most=most, **self._bound).scalars())

    def enter(self, connection: Connection, customer_ids: Sequence[str], lease: timedelta) -> list[int]:
        """Enrolls those of the customers who are due; returns the ids of the new enrollments."""
        if connection.dialect.name == "postgresql":
            connection.execute(_BATCH)
        _LOCK.run(connection, keys=list(customer_ids))
        insert = _statement(
            f"""
            INSERT INTO enrollment (journey, customer_id, "key", entry, state, step, due_at, wake_at, awaiting, arrived,
                "trigger", entered_at)
            SELECT :journey, c.id, {self.key}, 1 + (SELECT COALESCE(max(e.entry), 0) {self._with_key}), 'active', :step,
                :now, :wake_at, :awaiting, FALSE, '{{}}', :now
            {self._source} AND (SELECT count(*) {self._former}) = 0 AND c.id IN {{keys}}
            ON CONFLICT DO NOTHING RETURNING id
            """
        )
        new = {"step": self.journey.first, "now": self.now, "wake_at": self.now + lease, "awaiting": START}
        return list(insert.run(connection, keys=list(customer_ids), **new, **self._bound).scalars())

    @property
    def _source(self) -> str:
        return f"FROM customer c\n{self.joins}\nWHERE c.erased_at IS NULL AND {self.where}"

    @property
    def _with_key(self) -> str:
        return f'FROM enrollment e WHERE e.journey = :journey AND e.customer_id = c.id AND e."key" = {self.key}'

    @property
    def _former(self) -> str:
        return f"{self._with_key} AND {self.barring}"

    @property
    def _bound(self) -> dict[str, Any]:
        return {**self.parameters, "journey": self.journey.name, **({"rows": self.zones} if self.zones else {})}


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
            return _yearly(
                journey, now, dialect, _celebrations(journey, at, timezone, now, names, f"{month:02}-{day:02}")
            )
        case EachYear(attribute, at):
            return _yearly(journey, now, dialect, _celebrations(journey, at, timezone, now, names), attribute)
        case _:
            assert_never(entry)


def _when(journey: Journey, condition: Condition, now: datetime, dialect: str) -> Audience:
    whole = condition if journey.only is None else condition & journey.only
    segment = where_sql(whole, dialect=dialect, now=now, defined_at=journey.defined_at)
    barring, parameters = "TRUE", dict(segment.parameters)
    since = window_start(now, journey.again_after)
    if since is not None:
        barring = "(e.state IN ('active', 'held') OR e.entered_at > :again_since)"
        parameters["again_since"] = since
    return Audience(journey, now, segment.joins, segment.where, "''", barring, False, parameters)


def _yearly(
    journey: Journey, now: datetime, dialect: str, zones: list[Celebration], attribute: AttributeRef | None = None
) -> Audience | None:
    years = {day: year for _, day, year in zones if day is not None}
    if not years:
        return None
    segment = where_sql(journey.only, dialect=dialect, now=now, defined_at=journey.defined_at)
    parameters = dict(segment.parameters)
    celebrates = f"{_ZONE_OF_CUSTOMER} IN (SELECT timezone FROM {{rows}} WHERE day IS NOT NULL)"
    key, where = repr(next(iter(years.values()))), segment.where
    if attribute is not None:
        theirs, unchecked, bound = date_text(attribute, dialect)
        parameters |= bound
        day = f"substr({theirs}, 6)"
        celebrates = f"({_ZONE_OF_CUSTOMER}, {day}) IN (SELECT timezone, day FROM {{rows}} WHERE day IS NOT NULL)"
        key = f"CASE {day} {' '.join(f'WHEN {name!r} THEN {year!r}' for name, year in years.items())} END"
        if attribute.name == "birthday":  # the one date that has an index
            where += f" AND c.birthday_md IN ({', '.join(str(_month_and_day(name)) for name in years)})"
        else:
            where += f" AND substr({unchecked}, 6) IN ({', '.join(map(repr, years))})"
        where += f" AND substr({theirs}, 1, 4) < {key}"
    # A CASE, because PostgreSQL would make a join of it and misjudge how many zones there are.
    where += f" AND CASE WHEN {celebrates} THEN TRUE ELSE FALSE END"
    rows: list[Zone] = [{"timezone": name, "day": day} for name, day, _ in zones]
    return Audience(journey, now, segment.joins, where, key, "TRUE", attribute is not None, parameters, rows)


def _celebrations(
    journey: Journey, at: time, timezone: str, now: datetime, names: Sequence[str], only_day: str | None = None
) -> list[Celebration]:
    """Every one of `names` with what its people celebrate now, or with nulls; "" stands for all that are no zones."""
    rows: list[Celebration] = []
    for name in names:
        found = anniversaries(now, zone_named(name, timezone), at, journey.leap_day)
        rows += [(name, a.day, a.year) for a in found if only_day in (None, a.day)] or [(name, None, None)]
    return rows


def _month_and_day(day: str) -> int:
    return int(day[:2]) * 100 + int(day[3:])
