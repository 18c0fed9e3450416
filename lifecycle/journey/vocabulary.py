"""The words that journeys and templates may use: the customer's attributes and the events, with their properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Generic, NoReturn, TypeVar, get_origin

from lifecycle.errors import DefinitionError

from .conditions import (
    KINDS,
    After,
    AttributeRef,
    Compare,
    Condition,
    Count,
    IsSet,
    IsTrue,
    OneOf,
    PropertyRef,
    compare,
    constant,
    of_customer,
)
from .durations import Duration, as_span
from .origin import here, is_text

T = TypeVar("T")

RESERVED: Mapping[str, type] = {
    "email": str,
    "first_name": str,
    "last_name": str,
    "birthday": date,
    "timezone": str,
    "locale": str,
    "created_at": datetime,
}
"""Traits that the engine itself understands; a vocabulary need not declare them to templates, only to conditions."""


class _Comparable(Generic[T]):
    """What attributes and properties share: comparisons that make conditions instead of booleans."""

    name: str
    python_type: type
    __hash__ = object.__hash__

    def __init__(self, *, required: bool = False) -> None:
        self.required = required
        self.defined_at = here()

    @property
    def ref(self) -> AttributeRef | PropertyRef:
        raise NotImplementedError

    def _other(self, other: object) -> object:
        if isinstance(other, Attribute | Flag):
            raise DefinitionError(
                here(),
                f"{self.ref} compared with {other.ref}",
                "compare with a constant; of two words only properties of events compare, as in where=",
            )
        return other.ref if isinstance(other, Property) else other

    def __eq__(self, other: object) -> Compare:  # type: ignore[override]
        return compare(self.ref, "==", self._other(other))

    def __ne__(self, other: object) -> Compare:  # type: ignore[override]
        return compare(self.ref, "!=", self._other(other))

    def __lt__(self, other: object) -> Compare:
        return compare(self.ref, "<", self._other(other))

    def __le__(self, other: object) -> Compare:
        return compare(self.ref, "<=", self._other(other))

    def __gt__(self, other: object) -> Compare:
        return compare(self.ref, ">", self._other(other))

    def __ge__(self, other: object) -> Compare:
        return compare(self.ref, ">=", self._other(other))

    def is_in(self, *values: T) -> OneOf:
        """Equals one of `values`."""
        if not values:
            raise DefinitionError(here(), f"{self.ref}.is_in() lists nothing", "give at least one value")
        return OneOf(self.ref, tuple(constant(self.ref, value) for value in values))

    def is_set(self) -> IsSet:
        """Is known and of the declared type."""
        return IsSet(self.ref)

    def __bool__(self) -> NoReturn:
        raise DefinitionError(
            here(), f"{self.ref} was used as a yes or no", f"compare it, or write {self.ref}.is_set(); flags are Flag()"
        )

    def _declared_type(self) -> type:
        arguments: tuple[type, ...] = getattr(getattr(self, "__orig_class__", None), "__args__", ())
        if len(arguments) == 1 and isinstance(self, Property) and list in (arguments[0], get_origin(arguments[0])):
            return list
        if len(arguments) != 1 or arguments[0] not in KINDS:
            raise DefinitionError(
                self.defined_at,
                f"{type(self).__name__} {self.name!r} has no type that conditions understand",
                f"write {type(self).__name__}[str](); known are str, int, float, Decimal, bool, date",
            )
        return arguments[0]


class Attribute(_Comparable[T]):
    """A trait of the customer, e.g. `lifetime_value = Attribute[Decimal]()` in `class customer`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.python_type = self._declared_type()
        if self.python_type is datetime and name != "created_at":
            raise DefinitionError(self.defined_at, f"attribute {name!r} is a datetime", "only created_at is; use date")
        if self.python_type is not RESERVED.get(name, self.python_type):
            raise DefinitionError(
                self.defined_at, f"{name!r} is reserved and a {RESERVED[name].__name__}", "rename it, or mend the type"
            )

    @property
    def ref(self) -> AttributeRef:
        return AttributeRef(self.name, KINDS[self.python_type])


class Flag(Condition):
    """A trait that is true or false; it is a condition as it stands."""

    name: str
    python_type = bool
    __hash__ = object.__hash__

    def __init__(self, *, required: bool = False) -> None:
        self.required = required
        self.defined_at = here()

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        if name in RESERVED:
            raise DefinitionError(self.defined_at, f"{name!r} is reserved and no flag", "rename it")

    def __eq__(self, other: object) -> Compare:  # type: ignore[override]
        return compare(self.ref, "==", other)

    def __ne__(self, other: object) -> Compare:  # type: ignore[override]
        return compare(self.ref, "!=", other)

    @property
    def ref(self) -> AttributeRef:
        return AttributeRef(self.name, "flag")

    def node(self) -> Condition:
        return IsTrue(self.ref)


class Property(_Comparable[T]):
    """A property of an event, e.g. `total = Property[Decimal]()` in a class that derives from `Event`.

    `Property[list[object]]()` is a list, such as the products of an order: for templates, not for conditions.
    """

    event: type[Event]

    def __set_name__(self, owner: type[Event], name: str) -> None:
        self.name = name
        self.event = owner
        self.python_type = self._declared_type()
        if self.python_type is datetime:
            raise DefinitionError(
                self.defined_at, f"property {name!r} is a datetime", "events have their own timestamp; use date"
            )

    @property
    def ref(self) -> PropertyRef:
        if self.python_type is list:
            raise DefinitionError(
                here(),
                f"{self.event.event_name}.{self.name} is a list, which nothing can be compared with",
                f"take another property; a template shows it: {{% for one in event.{self.name} %}}",
            )
        return PropertyRef(self.event.event_name, self.name, KINDS[self.python_type])


class Event:
    """Something that a customer did: `class OrderCompleted(Event, name="order.completed")`."""

    event_name: ClassVar[str]
    properties: ClassVar[Mapping[str, Property[Any]]]
    defined_at: ClassVar[str]

    def __init_subclass__(cls, *, name: str) -> None:
        if cls.__bases__ != (Event,):
            raise DefinitionError(here(), f"{cls.__name__} derives from another event", "write (Event, name=…)")
        if not is_text(name) or len(name) > 200:
            raise DefinitionError(here(), f"name={name!r} is no event's name", 'write name="order.completed"')
        properties = {key: value for key, value in vars(cls).items() if isinstance(value, Property)}
        for taken in properties.keys() & vars(Event).keys():
            raise DefinitionError(
                properties[taken].defined_at, f"{taken!r} is a word of the language and no property", "rename it"
            )
        cls.event_name = name
        cls.defined_at = here()
        cls.properties = properties

    def __init__(self) -> None:
        raise DefinitionError(here(), f"{type(self).__name__} is a word, not a thing to make", "drop the ()")

    @classmethod
    def happened(cls, *, last: Duration | None = None, where: Condition | None = None) -> Count:
        """At least once, within `last` if given."""
        return cls.times(at_least=1, last=last, where=where)

    @classmethod
    def never(cls, *, where: Condition | None = None) -> Count:
        """Not once."""
        return cls.times(at_most=0, where=where)

    @classmethod
    def times(
        cls,
        *,
        at_least: int = 0,
        at_most: int | None = None,
        last: Duration | None = None,
        where: Condition | None = None,
    ) -> Count:
        """`at_least` to `at_most` times, within `last` if given."""
        if not 0 <= at_least <= (at_least if at_most is None else at_most) or (at_least, at_most) == (0, None):
            raise DefinitionError(
                here(), f"{cls.event_name} {at_least} to {at_most} times says nothing", "give at_least=2, or at_most=3"
            )
        return Count(
            cls.event_name,
            at_least,
            at_most,
            None if last is None else as_span(last, "last="),
            None if where is None else of_customer(where, "where="),
        )

    @classmethod
    def after(cls, other: type[Event]) -> After:
        """It happened, and `other` has not since: `ComplaintOpened.after(ComplaintResolved)` is an open complaint."""
        undone_by = event_name(other, "after()")
        if undone_by == cls.event_name:
            raise DefinitionError(here(), f"{cls.event_name} is never after itself", "name the event that undoes it")
        return After(cls.event_name, undone_by)


def event_name(event: Any, wanted_by: str) -> str:
    """The wire name of an event class; raises DefinitionError for anything else."""
    if not (isinstance(event, type) and issubclass(event, Event) and event is not Event):
        raise DefinitionError(here(), f"{wanted_by} wants an event class, not {event!r}", "declare it in vocabulary.py")
    return event.event_name


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All declared words; `attributes` by trait name, `events` by event name."""

    attributes: Mapping[str, Attribute[Any] | Flag] = field(default_factory=dict)
    events: Mapping[str, type[Event]] = field(default_factory=dict)


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """The remedy for an unknown `word`: "did you mean …?" where one is close, and what to do otherwise."""
    import difflib  # only mistakes pay for it

    close = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {close[0]!r}? if not, {otherwise}" if close else otherwise
