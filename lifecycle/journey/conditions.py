"""Conditions as inert data: a closed set of nodes, built with `& | ~` and comparisons, never evaluated here.

Two compilers read them: `lifecycle.core.evaluate` (Python) and `lifecycle.store.segments` (SQL). Both follow
one two-valued logic: **a leaf over something unknown is false** (unknown never matches), and `~` turns that
false into true. Numbers compare as double precision, texts by code point, dates by calendar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Literal, NoReturn, TypeAlias

from lifecycle.errors import DefinitionError

from .durations import Duration
from .origin import here, is_storable

Kind: TypeAlias = Literal["text", "number", "flag", "date", "instant"]
Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
Fate: TypeAlias = Literal["sent", "skipped", "digested"]
Value: TypeAlias = str | int | float | Decimal | bool | date | datetime

KINDS: dict[type, Kind] = {
    str: "text",
    int: "number",
    float: "number",
    Decimal: "number",
    bool: "flag",
    date: "date",
    datetime: "instant",
}


@dataclass(frozen=True, slots=True)
class AttributeRef:
    """A trait of the customer."""

    name: str
    kind: Kind

    def __str__(self) -> str:
        return f"customer.{self.name}"


@dataclass(frozen=True, slots=True)
class PropertyRef:
    """A property of an event: of the counted or awaited one inside its own `where=`, else of the trigger."""

    event: str
    name: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.event}.{self.name}"


Ref: TypeAlias = AttributeRef | PropertyRef


class Condition:
    """Something that is true or false of a customer at a moment; combine with `&`, `|` and `~`."""

    __slots__ = ()

    def node(self) -> Condition:
        """The condition as one of the closed set of nodes."""
        return self

    def __and__(self, other: Condition) -> Condition:
        return And(self.node(), as_condition(other, "&"))

    def __or__(self, other: Condition) -> Condition:
        return Or(self.node(), as_condition(other, "|"))

    def __rand__(self, other: object) -> Condition:
        return And(as_condition(other, "&"), self.node())

    def __ror__(self, other: object) -> Condition:
        return Or(as_condition(other, "|"), self.node())

    def __invert__(self) -> Condition:
        return Not(self.node())

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            here(),
            "a condition was used as a yes or no while the file was read",
            "write `a & b`, `a | b`, `~a` instead of and/or/not/if; "
            "split `1 < x < 5` into (x > 1) & (x < 5), and `x in (1, 2)` into x.is_in(1, 2)",
        )


@dataclass(frozen=True, slots=True)
class Compare(Condition):
    """`left operator right`; `right` is a constant, or a property of the trigger inside a `where=`."""

    left: Ref
    operator: Operator
    right: Value | PropertyRef


@dataclass(frozen=True, slots=True)
class OneOf(Condition):
    """`left` equals one of `values`."""

    left: Ref
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IsSet(Condition):
    """`left` is known and of the declared type."""

    left: Ref


@dataclass(frozen=True, slots=True)
class IsTrue(Condition):
    """The flag `left` is known and true."""

    left: Ref


@dataclass(frozen=True, slots=True)
class Count(Condition):
    """The customer's events of that name, within `last` and matching `where`, number `at_least` to `at_most`.

    The window is half-open: an event counts while `now - last < timestamp <= now`, `last` as a rolling span.
    """

    event: str
    at_least: int = 0
    at_most: int | None = None
    last: Duration | None = None
    where: Condition | None = None


@dataclass(frozen=True, slots=True)
class After(Condition):
    """`event` happened by now, and `other` not since: the last `event` is later than any `other`."""

    event: str
    other: str


@dataclass(frozen=True, slots=True)
class LastSend(Condition):
    """What became of the newest email of the same enrollment; unknown before the first."""

    fate: Fate


@dataclass(frozen=True, slots=True)
class And(Condition):
    """Both hold."""

    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Or(Condition):
    """At least one holds."""

    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """It does not hold; true also where the inner one is over something unknown."""

    inner: Condition


Node: TypeAlias = Compare | OneOf | IsSet | IsTrue | Count | After | LastSend | And | Or | Not


def walk(condition: Condition) -> Iterator[Node]:
    """Every node of the tree, `where=` conditions included, parents first."""
    assert isinstance(condition, (Compare, OneOf, IsSet, IsTrue, Count, After, LastSend, And, Or, Not))
    yield condition
    match condition:
        case And(left, right) | Or(left, right):
            yield from walk(left)
            yield from walk(right)
        case Not(inner):
            yield from walk(inner)
        case Count(where=Condition() as where):
            yield from walk(where)


def compare(left: Ref, operator: Operator, right: object) -> Compare:
    """A comparison whose types were checked; raises DefinitionError at the marketer's line."""
    if isinstance(right, PropertyRef):
        if right == left:
            raise DefinitionError(here(), f"{left} compared with itself", "compare it with something else")
        if right.kind != left.kind:
            raise DefinitionError(
                here(), f"{left} is {a(left.kind)}, {right} is {a(right.kind)}", "compare like with like"
            )
        return Compare(left, operator, right)
    if left.kind == "flag" and operator not in ("==", "!="):
        raise DefinitionError(
            here(), f"{left} is a flag and has no order", "use it as it stands, or ~ for its opposite"
        )
    return Compare(left, operator, constant(left, right))


def constant(left: Ref, value: object) -> Value:
    """`value` if it can be compared with `left`; raises DefinitionError otherwise."""
    if value is None:
        raise DefinitionError(here(), f"{left} compared with None", f"write {left}.is_set() or ~{left}.is_set()")
    kind = KINDS.get(type(value))
    if kind != left.kind:
        raise DefinitionError(
            here(),
            f"{left} is {a(left.kind)}, compared with {value!r} of type {type(value).__name__}",
            f"give {a(left.kind)}",
        )
    if isinstance(value, (int, float, Decimal)) and not _is_double(value):
        raise DefinitionError(here(), f"{left} compared with {value!r}", "give a number that can be reached")
    if isinstance(value, str) and not is_storable(value):
        raise DefinitionError(
            here(),
            f"{left} compared with {value!r}, which no event can hold",
            "drop the NUL or lone surrogate: it comes from copying",
        )
    if isinstance(value, datetime) and value.tzinfo is None:
        raise DefinitionError(here(), f"{value!r} names no zone", "give it tzinfo=UTC")
    assert isinstance(value, (str, int, float, Decimal, bool, date))
    return value


def _is_double(value: int | float | Decimal) -> bool:
    try:
        return isfinite(value)
    except (OverflowError, ValueError):  # an int beyond double precision; a signaling NaN
        return False


def a(kind: Kind) -> str:
    """The kind with its article."""
    return f"an {kind}" if kind == "instant" else f"a {kind}"


def of_customer(value: object, wanted_by: str) -> Condition:
    """`value` as a node that can be asked of any customer, whatever they are enrolled in; raises DefinitionError."""
    condition = as_condition(value, wanted_by)
    if reads_last_send(condition):
        raise DefinitionError(
            here(),
            f"{wanted_by} asks for last_send, which only those who are in a journey have",
            "use it in the when= of a Branch, behind a Send, or in exit_when=",
        )
    return condition


def reads_last_send(condition: Condition) -> bool:
    """Whether the condition asks what became of the journey's last email."""
    return any(isinstance(node, LastSend) for node in walk(condition))


def as_condition(value: object, wanted_by: str = "a condition") -> Condition:
    """`value` as a node; raises DefinitionError, naming who wanted it, when it is no condition."""
    if not isinstance(value, Condition):
        raise DefinitionError(
            here(),
            f"{wanted_by} wants a condition, not {getattr(value, '__name__', repr(value))}",
            "compare an attribute, use Event.happened() or last_send.was_sent, "
            "and put comparisons in parentheses: (a == 1) & (b == 2)",
        )
    return value.node()
