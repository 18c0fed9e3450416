"""On what occasion an email is looked at: whose it is, what started it, and under which name it goes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from lifecycle.core.calendar import at_wall, zone_named
from lifecycle.flow.mailer import Envelope, deliverable
from lifecycle.journey.digest import JOURNEY as DIGEST
from lifecycle.journey.emails import senders
from lifecycle.journey.entries import On
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.journey.sample import sample_sections
from lifecycle.mail.sections import Section

from .samples import sample

NOBODY = "lifecycle-test"
"""The customer of samples and tests: the unsubscribe link of one must not unsubscribe anybody."""

NO_ADDRESS = "nobody@example.com"
"""Whom the letter of somebody without an address is for."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """All that rendering an email needs besides its template; `moment` is in the customer's zone.

    `more`: what only some templates read. `sections`: of a digest, what it shows. `notes`: what a reader should know
    of where all this comes from.
    """

    envelope: Envelope
    customer: Mapping[str, Any]
    event: Mapping[str, Any]
    moment: datetime
    more: Mapping[str, Any]
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()

    def as_test(self, address: str, message_id: str) -> Self:
        """The same content, for an address of one's own, from which nobody can be unsubscribed."""
        own = replace(self.envelope, id=0, customer_id=NOBODY, address=address, message_id=message_id)
        return replace(self, envelope=own)


def made_up(project: Project, templates: Path, template: str, at: datetime, locale: str | None = None) -> Occasion:
    """For nobody in particular, with sample data; raises TemplateError where a sample file cannot be used."""
    trigger = trigger_of(sender_of(project, template))
    found = sample(project, templates, template, trigger, locale)
    return Occasion(
        unsent(project, template, NOBODY, deliverable(found.customer.get("email")) or NO_ADDRESS),
        found.customer,
        found.event,
        in_zone(at, zone_named(found.customer.get("timezone"), project.policy.timezone)),
        found.more,
        sections_of(project, templates, template, lambda event: None),
    )


def unsent(project: Project, template: str, customer: str, address: str) -> Envelope:
    """The envelope of what has no message; its Message-ID is always the same, so that two looks are alike."""
    journey, domain = sender_of(project, template), project.policy.sender.email.rpartition("@")[2]
    topic, marketing = ("test", True) if journey is None else (journey.topic, journey.kind == "marketing")
    name = DIGEST if template == project.policy.digest.template else "" if journey is None else journey.name
    return Envelope(0, customer, address, f"preview@{domain}", topic, marketing, name)


def sections_of(
    project: Project, templates: Path, template: str, happened: Callable[[str], Mapping[str, Any] | None]
) -> tuple[Section, ...]:
    """What a digest shows: the emails that may go into one, each after what `happened`, or else with its sample."""
    if template != project.policy.digest.template:
        return ()
    shown = []
    for section in sample_sections(project):
        trigger = trigger_of(project.journeys[section.journey])
        event = happened(trigger) if trigger is not None else None
        shown.append(replace(section, event=event or sample(project, templates, section.template, trigger).event))
    return tuple(shown)


def sender_of(project: Project, template: str) -> Journey | None:
    """The first journey that sends this email, or None."""
    return next(iter(senders(project, template)), None)


def trigger_of(journey: Journey | None) -> str | None:
    """The event that people enter the journey by, if there is one."""
    return journey.enter.event if journey is not None and isinstance(journey.enter, On) else None


def in_zone(at: datetime, zone: ZoneInfo) -> datetime:
    """The moment as clocks in that zone show it; a naive one is what they show."""
    return (at_wall(at, zone) if at.tzinfo is None else at).astimezone(zone)
