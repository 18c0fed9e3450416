"""Which words a journey uses, and which of them mean nothing where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from .conditions import (
    After,
    And,
    AttributeRef,
    Compare,
    Condition,
    Count,
    IsSet,
    IsTrue,
    Not,
    OneOf,
    Or,
    PropertyRef,
    Ref,
    a,
    reads_last_send,
)
from .entries import EachYear, On, When
from .journey import Journey
from .mutes import Mute
from .project import Problem
from .steps import Branch, Send, Set, Step, Wait, WaitFor, walk_steps, ways
from .vocabulary import Vocabulary, nearest


@dataclass(frozen=True, slots=True)
class Use:
    """One word in its place: an event's name, or an attribute or property.

    `events`: the events whose properties are known there.
    """

    word: str | Ref
    where: str
    events: frozenset[str]


def check_words(journey: Journey, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Words that the vocabulary does not declare so, and properties of events that are not at hand."""
    for use in uses(journey):
        yield from _check_use(use, vocabulary)
    yield from _check_key(journey, vocabulary)
    for branch in _asking_early(journey):
        message = f"Branch({branch.name!r}) asks for last_send, but no email goes before it: it is never true"
        yield Problem("no_send_before", branch.defined_at, message, "put it behind a Send")


def check_mute(mute: Mute, vocabulary: Vocabulary) -> Iterator[Problem]:
    """Words that the vocabulary does not declare so, and properties: nothing has triggered a mute."""
    for use in _in(mute.when, mute.defined_at, frozenset()):
        for problem in _check_use(use, vocabulary):
            early = problem.code == "no_such_event_here"
            yield replace(problem, hint="put it inside where=, as in Event.happened(where=…)") if early else problem


def _check_use(use: Use, vocabulary: Vocabulary) -> Iterator[Problem]:
    match use.word:
        case str(event):
            yield from _check_event(event, use.where, vocabulary)
        case AttributeRef():
            yield from _check_attribute(use.word, use.where, vocabulary)
        case PropertyRef():
            yield from _check_property(use.word, use, vocabulary)


def uses(journey: Journey) -> Iterator[Use]:
    """Every word that the journey uses, in the order of the file."""
    trigger = trigger_of(journey)
    where = journey.defined_at
    match journey.enter:
        case On(event, condition):
            yield Use(event, where, trigger)
            yield from _in(condition, where, trigger)
        case When(condition):
            yield from _in(condition, where, trigger)
        case EachYear(attribute):
            yield Use(attribute, where, trigger)
        case _:
            pass
    yield from _in(journey.only, where, trigger)
    if journey.key is not None:
        yield Use(journey.key, where, trigger)
    if journey.goal is not None:
        yield Use(journey.goal.event, where, trigger)
        yield from _in(journey.goal.where, where, trigger | {journey.goal.event})
    yield from _in(journey.exit_when, where, trigger)
    for step in walk_steps(journey.steps):
        match step:
            case WaitFor(event=event, where=condition):
                yield Use(event, step.defined_at, trigger)
                yield from _in(condition, step.defined_at, trigger | {event})
            case Branch(when=condition):
                yield from _in(condition, step.defined_at, trigger)
            case Wait(until=AttributeRef() | PropertyRef() as ref) | Set(attribute=ref):
                yield Use(ref, step.defined_at, trigger)
            case _:
                pass


def trigger_of(journey: Journey) -> frozenset[str]:
    """The event that starts the journey, if one does."""
    return frozenset([journey.enter.event] if isinstance(journey.enter, On) else [])


def _in(condition: Condition | None, where: str, events: frozenset[str]) -> Iterator[Use]:
    match condition:
        case None:
            return
        case And(left, right) | Or(left, right):
            yield from _in(left, where, events)
            yield from _in(right, where, events)
        case Not(inner):
            yield from _in(inner, where, events)
        case Count(event=event, where=inner):
            yield Use(event, where, events)
            yield from _in(inner, where, events | {event})
        case After(event, other):
            yield Use(event, where, events)
            yield Use(other, where, events)
        case Compare(left=left, right=PropertyRef() as right):
            yield Use(left, where, events)
            yield Use(right, where, events)
        case Compare(left=left) | OneOf(left=left) | IsSet(left=left) | IsTrue(left=left):
            yield Use(left, where, events)


def _asking_early(journey: Journey) -> list[Branch]:
    """The branches on last_send that nobody reaches behind a Send."""
    early: list[Branch] = []
    _pass_through(journey.steps, False, early)
    return early


def _pass_through(steps: Sequence[Step], sent: bool, early: list[Branch]) -> bool:
    """Whether somebody may have passed a Send at the end of these steps, if so many had before."""
    for step in steps:
        if isinstance(step, Branch) and not sent and reads_last_send(step.when):
            early.append(step)
        passed = [_pass_through(nested, sent, early) for _, nested in ways(step)]
        sent = sent or isinstance(step, Send) or any(passed)
    return sent


def _check_event(event: str, where: str, vocabulary: Vocabulary) -> Iterator[Problem]:
    if event not in vocabulary.events:
        hint = nearest(event, vocabulary.events, "declare it in vocabulary.py")
        yield Problem("unknown_event", where, f"the vocabulary has no event {event!r}", hint)


def _check_attribute(ref: AttributeRef, where: str, vocabulary: Vocabulary) -> Iterator[Problem]:
    word = vocabulary.attributes.get(ref.name)
    if word is None:
        hint = nearest(ref.name, vocabulary.attributes, "declare it in `class customer` in vocabulary.py")
        yield Problem("unknown_attribute", where, f"the vocabulary has no attribute {ref.name!r}", hint)
    elif word.ref.kind != ref.kind:
        message = f"{ref} is {a(ref.kind)} here and {a(word.ref.kind)} in the vocabulary"
        yield Problem("wrong_type", where, message, "import `customer` from vocabulary.py")


def _check_property(ref: PropertyRef, use: Use, vocabulary: Vocabulary) -> Iterator[Problem]:
    event = vocabulary.events.get(ref.event)
    if event is None:
        yield from _check_event(ref.event, use.where, vocabulary)
    elif ref.name not in event.properties:
        hint = nearest(ref.name, event.properties, f"declare it in `class {event.__name__}` in vocabulary.py")
        yield Problem("unknown_property", use.where, f"{ref.event} has no property {ref.name!r}", hint)
    elif event.properties[ref.name].ref.kind != ref.kind:
        message = f"{ref} is {a(ref.kind)} here and {a(event.properties[ref.name].ref.kind)} in the vocabulary"
        yield Problem("wrong_type", use.where, message, f"import `{event.__name__}` from vocabulary.py")
    elif ref.event not in use.events:
        known = f"only {' and '.join(sorted(use.events))} is" if use.events else "no event is"
        hint = "name a property of the event in on(), or put it inside where=" if use.events else "only on() has one"
        yield Problem("no_such_event_here", use.where, f"{ref} is unknown here: {known} at hand", hint)


def _check_key(journey: Journey, vocabulary: Vocabulary) -> Iterator[Problem]:
    if journey.key is None or journey.key.event not in vocabulary.events:
        return
    word = vocabulary.events[journey.key.event].properties.get(journey.key.name)
    if word is not None and word.python_type in (float, Decimal, bool, date):
        message = f"key={journey.key} is {a(journey.key.kind)}, which tells no two things apart"
        yield Problem("key", journey.defined_at, message, "take an id: a text or a whole number")
