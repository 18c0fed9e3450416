"""On what occasion an email is looked at: whose it is, what started it, and under which name it goes out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

from lifecycle.core.calendar import at_wall, zone_named
from lifecycle.errors import LifecycleError, StoreError
from lifecycle.flow.mailer import Envelope, deliverable
from lifecycle.journey.entries import On
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.journey.sample import sample_customer, sample_event, sample_sections
from lifecycle.journey.steps import Send, walk_steps
from lifecycle.mail.sections import Section

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lifecycle.engine import Engine

TEST_ID = "lifecycle-test"
"""The customer of samples and tests: the unsubscribe link of one must not unsubscribe anybody."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """All that rendering an email needs besides its template; `moment` is in the customer's zone.

    `notes`: what a reader should know of where it comes from.
    """

    envelope: Envelope
    customer: Mapping[str, Any]
    event: Mapping[str, Any]
    moment: datetime
    sections: tuple[Section, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_test(self, address: str, message_id: str) -> Self:
        """The same content, for an address of one's own."""
        own = Envelope(0, TEST_ID, address, message_id, self.envelope.topic, self.envelope.marketing)
        return replace(self, envelope=own)

    def with_locale(self, locale: str | None) -> Self:
        """The same, for somebody who reads that language."""
        return self if locale is None else replace(self, customer={**self.customer, "locale": locale})


def senders(project: Project, template: str) -> tuple[Journey, ...]:
    """The journeys that send this email."""
    return tuple(
        journey
        for journey in project.journeys.values()
        if any(isinstance(step, Send) and step.template == template for step in walk_steps(journey.steps))
    )


def made_up(project: Project, template: str, at: datetime) -> Occasion:
    """For nobody in particular."""
    journey, customer = _sender(project, template), sample_customer(project.vocabulary)
    zone = zone_named(customer["timezone"], project.policy.timezone)
    sections = sample_sections(project) if template == project.policy.digest.template else ()
    return Occasion(
        _unsent(project, journey, TEST_ID, customer["email"]),
        customer,
        sample_event(project.vocabulary, _trigger(journey)),
        _moment(at, zone),
        sections,
    )


def of_customer(engine: Engine, template: str, id: str, at: datetime) -> Occasion:
    """What that customer got, or would get: the newest message by then, else as if one were sent."""
    from lifecycle.store import occasions
    from lifecycle.store.database import Database
    from lifecycle.store.facts import customer_traits
    from lifecycle.store.schema import require_current

    if not engine.settings.has_database:
        raise StoreError("there is no database yet; run: lifecycle db upgrade")
    project = engine.project
    with closing(Database(engine.settings.database)) as db:
        require_current(db)
        with db.reading() as connection:
            row = occasions.customer(connection, id)
            if row is None:
                raise LifecycleError(f"there is no customer {id!r}; find one with: lifecycle customers list")
            traits = customer_traits(row)
            moment = _moment(at, zone_named(row.timezone, project.policy.timezone))
            message = occasions.newest_message(connection, id, template, moment)
            if message is not None:
                return _again(connection, message, id, traits, moment)
            return _for_the_first_time(connection, project, template, id, traits, moment)


def _again(connection: Connection, message: Any, id: str, traits: Mapping[str, Any], moment: datetime) -> Occasion:
    """The message that they have."""
    from lifecycle.store import digests

    address = message.email or deliverable(traits.get("email")) or _NOBODY
    envelope = Envelope(message.id, id, address, message.message_id, message.topic, message.kind == "marketing")
    kept = message.sections or ()
    triggers = digests.gathered(connection, [each["id"] for each in kept]) if kept else {}
    sections = tuple(Section(**each, event=triggers[each["id"]].trigger) for each in kept)
    note = f"as in message {message.id}, which is {message.state}"
    return Occasion(envelope, traits, message.trigger, moment, sections, notes=(note,))


def _for_the_first_time(
    connection: Connection, project: Project, template: str, id: str, traits: Mapping[str, Any], moment: datetime
) -> Occasion:
    """As if one were sent to them at that moment, after the newest event that starts its journey."""
    from lifecycle.store import occasions

    def happened(journey: Journey | None) -> dict[str, Any] | None:
        event = _trigger(journey)
        return occasions.newest_event(connection, id, event, moment) if event is not None else {}

    journey = _sender(project, template)
    event, notes = happened(journey), []
    if event is None:
        notes.append(f"customer {id!r} has no {_trigger(journey)}: its properties are made up")
        event = sample_event(project.vocabulary, _trigger(journey))
    if (address := deliverable(traits.get("email"))) is None:
        notes.append(f"no mail can go to customer {id!r}: there is no address that could be written to")
    sections: tuple[Section, ...] = ()
    if template == project.policy.digest.template:
        sections = tuple(
            replace(each, event=happened(project.journeys[each.journey]) or each.event)
            for each in sample_sections(project)
        )
    envelope = _unsent(project, journey, id, address or _NOBODY)
    return Occasion(envelope, traits, event, moment, sections, notes=tuple(notes))


_NOBODY = "nobody@example.com"


def _unsent(project: Project, journey: Journey | None, id: str, address: str) -> Envelope:
    """The envelope of what has no message; its Message-ID is always the same, so that two looks are."""
    domain = project.policy.sender.email.rpartition("@")[2]
    topic, marketing = ("test", True) if journey is None else (journey.topic, journey.kind == "marketing")
    return Envelope(0, id, address, f"preview@{domain}", topic, marketing)


def _sender(project: Project, template: str) -> Journey | None:
    return next(iter(senders(project, template)), None)


def _trigger(journey: Journey | None) -> str | None:
    return journey.enter.event if journey is not None and isinstance(journey.enter, On) else None


def _moment(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment in that zone; a naive one is by the clock on its wall."""
    return (at_wall(at, zone) if at.tzinfo is None else at).astimezone(zone)
