"""The steps of a journey: frozen values that nest; people are parked at them by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from lifecycle.errors import DefinitionError

from .conditions import AttributeRef, Condition, PropertyRef, Value, as_condition, constant, of_customer
from .durations import Duration, as_span, days
from .entries import as_wall_time
from .origin import here, is_priority, is_storable
from .vocabulary import Attribute, Event, Flag, Property, event_name

OnCapped: TypeAlias = Literal["wait", "skip", "digest"]
Until: TypeAlias = time | datetime | date | AttributeRef | PropertyRef

USUAL_PRIORITY = "give a whole number: 50 is usual, 100 is high"
"""The remedy for any other."""

_THREE_DAYS = days(3)
_FROM_THE_APP = ("email", "created_at", "timezone", "locale", "birthday")


@dataclass(frozen=True, slots=True, init=False)
class Send:
    """One email; named by its template unless told.

    `on_capped`: "wait" for the next free slot, at most `send_within`, or "skip", or "digest": wait, and go out
    together with others that wait so. `expires`: how long after planning the message is still worth sending (default:
    the journey's). `priority`: who gets the slot within one customer (default: the journey's).
    """

    template: str
    name: str
    on_capped: OnCapped
    send_within: Duration
    expires: Duration | None
    priority: int | None
    was: str | None
    defined_at: str = field(compare=False)

    def __init__(
        self,
        template: str,
        *,
        name: str | None = None,
        on_capped: OnCapped = "wait",
        send_within: Duration = _THREE_DAYS,
        expires: Duration | None = None,
        priority: int | None = None,
        was: str | None = None,
    ) -> None:
        if priority is not None and not is_priority(priority):
            raise DefinitionError(here(), f"priority={priority!r} is no priority", USUAL_PRIORITY)
        if on_capped not in get_args(OnCapped):
            raise DefinitionError(here(), f"on_capped={on_capped!r} is unknown", "say 'wait', 'skip' or 'digest'")
        _fill(
            self,
            template if name is None else name,
            was,
            template=_named(template, "Send"),
            on_capped=on_capped,
            send_within=as_span(send_within, "send_within="),
            expires=None if expires is None else as_span(expires, "expires="),
            priority=priority,
        )


@dataclass(frozen=True, slots=True, init=False)
class Wait:
    """A pause: for a duration, or until a wall time, a moment, or a date of the customer's or the trigger's (at `at`).

    A moment that is past, or unknown, is no pause.
    """

    name: str
    duration: Duration | None
    until: Until | None
    at: time
    was: str | None
    defined_at: str = field(compare=False)

    def __init__(
        self,
        name: str,
        duration: Duration | None = None,
        *,
        until: time | datetime | date | Attribute[date] | Property[date] | None = None,
        at: time = time(9),
        was: str | None = None,
    ) -> None:
        _named(name, "Wait")
        if (duration is None) == (until is None):
            raise DefinitionError(
                here(),
                f"Wait({name!r}) of nothing" if until is None else f"Wait({name!r}) says twice how long",
                "give either a duration like days(3), or until=time(9)",
            )
        _fill(
            self,
            name,
            was,
            duration=None if duration is None else as_span(duration, f"Wait({name!r})"),
            until=_until(until),
            at=as_wall_time(at),
        )


@dataclass(frozen=True, slots=True, init=False)
class WaitFor:
    """Waits for an event, at most `up_to`; exactly one of `then` (it came) and `otherwise` (it did not) runs."""

    name: str
    event: str
    up_to: Duration
    where: Condition | None
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]
    was: str | None
    defined_at: str = field(compare=False)

    def __init__(
        self,
        name: str,
        event: type[Event],
        *,
        up_to: Duration,
        where: Condition | None = None,
        then: Sequence[Step] = (),
        otherwise: Sequence[Step] = (),
        was: str | None = None,
    ) -> None:
        _fill(
            self,
            name,
            was,
            event=event_name(event, "WaitFor"),
            up_to=as_span(up_to, "up_to="),
            where=None if where is None else of_customer(where, "where="),
            then=as_steps(then),
            otherwise=as_steps(otherwise),
        )


@dataclass(frozen=True, slots=True, init=False)
class Branch:
    """Goes one of two ways by a condition at that moment; the ways rejoin."""

    name: str
    when: Condition
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]
    was: str | None
    defined_at: str = field(compare=False)

    def __init__(
        self,
        name: str,
        *,
        when: Condition,
        then: Sequence[Step] = (),
        otherwise: Sequence[Step] = (),
        was: str | None = None,
    ) -> None:
        _fill(
            self,
            name,
            was,
            when=as_condition(when, "when="),
            then=as_steps(then),
            otherwise=as_steps(otherwise),
        )


@dataclass(frozen=True, slots=True, init=False)
class Arm:
    """One way of a Split, with its share in percent."""

    name: str
    percent: int
    steps: tuple[Step, ...]

    def __init__(self, name: str, percent: int, steps: Sequence[Step] = ()) -> None:
        if type(percent) is not int or not 0 <= percent <= 100:
            raise DefinitionError(here(), f"Arm({name!r}, {percent!r}) has no share", "give whole percents, 0 to 100")
        for attribute, value in (("name", _named(name, "Arm")), ("percent", percent), ("steps", as_steps(steps))):
            object.__setattr__(self, attribute, value)


@dataclass(frozen=True, slots=True, init=False)
class Split:
    """Goes one of several ways at random but for ever the same for the same customer; the ways rejoin."""

    name: str
    arms: tuple[Arm, ...]
    was: str | None
    defined_at: str = field(compare=False)

    def __init__(self, name: str, *arms: Arm, was: str | None = None) -> None:
        _named(name, "Split")
        for arm in arms:
            if not isinstance(arm, Arm):
                raise DefinitionError(here(), f"{arm!r} is no arm", 'write Split("offer", Arm("a", 50, […]), …)')
        total = sum(arm.percent for arm in arms)
        if total != 100:
            raise DefinitionError(here(), f"the arms of Split({name!r}) add to {total}", "make them add to 100")
        if len({arm.name for arm in arms}) < len(arms):
            raise DefinitionError(here(), f"two arms of Split({name!r}) have one name", "rename one")
        _fill(self, name, was, arms=arms)


@dataclass(frozen=True, slots=True, init=False)
class Set:
    """Sets a trait of the customer."""

    attribute: AttributeRef
    value: Value
    name: str
    was: str | None
    defined_at: str = field(compare=False)

    def __init__(
        self, attribute: Attribute[Any] | Flag, value: Value, *, name: str | None = None, was: str | None = None
    ) -> None:
        if not isinstance(attribute, (Attribute, Flag)):
            raise DefinitionError(here(), f"Set wants an attribute, not {attribute!r}", "say Set(customer.vip, True)")
        if attribute.name in _FROM_THE_APP:
            raise DefinitionError(
                here(), f"a journey may not set {attribute.name!r}", "it comes from the app's identify"
            )
        value = constant(attribute.ref, value)
        plain = float(value) if isinstance(value, Decimal) else value  # traits are stored as JSON
        _fill(self, name or f"set {attribute.name}", was, attribute=attribute.ref, value=plain)


@dataclass(frozen=True, slots=True, init=False)
class Exit:
    """Ends the journey."""

    reason: str
    name: str
    was: str | None
    defined_at: str = field(compare=False)

    def __init__(self, reason: str, *, name: str | None = None, was: str | None = None) -> None:
        _fill(self, name or f"exit {reason}", was, reason=_named(reason, "Exit"))


Step: TypeAlias = Send | Wait | WaitFor | Branch | Split | Set | Exit


def ways(step: Step) -> tuple[tuple[str, tuple[Step, ...]], ...]:
    """The ways out of a step that nest steps, by name; empty for the plain ones."""
    match step:
        case WaitFor(then=then, otherwise=otherwise) | Branch(then=then, otherwise=otherwise):
            return (("then", then), ("otherwise", otherwise))
        case Split(arms=arms):
            return tuple((arm.name, arm.steps) for arm in arms)
        case _:
            return ()


def walk_steps(steps: Sequence[Step]) -> Iterator[Step]:
    """Every step, nested ones included, in the order of the file."""
    for step in steps:
        yield step
        for _, nested in ways(step):
            yield from walk_steps(nested)


def as_steps(steps: Any) -> tuple[Step, ...]:
    """`steps` as a tuple; raises DefinitionError at anything that is no step."""
    if not isinstance(steps, list | tuple):
        raise DefinitionError(here(), f"{steps!r} is no list of steps", "put them in brackets: [Send(…), …]")
    for step in steps:
        if not isinstance(step, get_args(Step)):
            raise DefinitionError(here(), f"{step!r} is no step", "use Send, Wait, WaitFor, Branch, Split, Set or Exit")
    return tuple(steps)


def _fill(step: Step, name: object, was: object, **values: object) -> None:
    values["name"] = _named(name, type(step).__name__)
    values["was"] = None if was is None else _named(was, "was=")
    values["defined_at"] = here()
    for attribute, value in values.items():
        object.__setattr__(step, attribute, value)


def _named(name: Any, wanted_by: str) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > 100:
        raise DefinitionError(here(), f"{wanted_by}({name!r}) has no name", "give a short text, at most 100 characters")
    if not is_storable(name):
        raise DefinitionError(here(), f"{wanted_by}({name!r}) cannot be stored", "drop the NUL or lone surrogate")
    return name


def _until(until: Any) -> Until | None:
    match until:
        case Attribute() | Property() if until.python_type is date:
            return until.ref
        case datetime(tzinfo=None) | time(tzinfo=None) | None:
            return until
        case datetime() | time():
            raise DefinitionError(here(), f"until={until!r} names a zone", "drop it: the time is the customer's own")
        case date():
            return until
        case _:
            raise DefinitionError(here(), f"until={until!r} is no moment", "give a time, a date, or a date attribute")
