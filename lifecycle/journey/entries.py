"""The ways into a journey."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from typing import Any, TypeAlias

from lifecycle.errors import DefinitionError

from .conditions import AttributeRef, Condition, of_customer
from .origin import here
from .vocabulary import Attribute, Event, event_name


@dataclass(frozen=True, slots=True)
class On:
    """Each event of that name that matches `where`."""

    event: str
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class When:
    """Everybody for whom the condition holds; found set by set."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class EachYear:
    """Everybody, on the anniversary of a date of theirs, at `at` on their own clock."""

    attribute: AttributeRef
    at: time


@dataclass(frozen=True, slots=True)
class OnDate:
    """Everybody, on one day of each year, at `at` on their own clock."""

    month: int
    day: int
    at: time


@dataclass(frozen=True, slots=True)
class Manually:
    """Only those whom somebody enters: `lifecycle journeys enter NAME --customer ID`."""


Entry: TypeAlias = On | When | EachYear | OnDate | Manually


def on(event: type[Event], *, where: Condition | None = None) -> On:
    """Enter at each such event."""
    return On(event_name(event, "on()"), None if where is None else of_customer(where, "where="))


def when(condition: Condition) -> When:
    """Enter as soon as the condition holds, whoever or whatever made it true, time passing included."""
    return When(of_customer(condition, "when()"))


def each_year(attribute: Attribute[date], *, at: time = time(9)) -> EachYear:
    """Enter on each anniversary of a date, at `at` on the customer's clock."""
    if getattr(attribute, "python_type", None) is not date:
        raise DefinitionError(
            here(), "each_year() wants an attribute that is a date", "say each_year(customer.birthday)"
        )
    return EachYear(attribute.ref, as_wall_time(at))


def on_date(month: int, day: int, *, at: time = time(9)) -> OnDate:
    """Enter on that day of each year, at `at` on the customer's clock."""
    try:
        date(2024, month, day)  # a leap year: 29 February is a day
    except ValueError:
        raise DefinitionError(here(), f"there is no day {day} in month {month}", "write on_date(12, 24), say") from None
    return OnDate(month, day, as_wall_time(at))


def manually() -> Manually:
    """Enter only by hand."""
    return Manually()


def as_wall_time(at: Any) -> time:
    """`at` if it is a time without a zone; raises DefinitionError otherwise."""
    if not isinstance(at, time) or at.tzinfo is not None:
        raise DefinitionError(
            here(), f"at={at!r} is no wall time", "write at=time(9), without a zone: it is the customer's"
        )
    return at
