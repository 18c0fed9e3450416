"""The occasion of an email for a customer whom the database knows: what they got, or what they would get."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.calendar import zone_named
from lifecycle.errors import LifecycleError, StoreError
from lifecycle.flow.mailer import Envelope, deliverable
from lifecycle.flow.shopping import shopping
from lifecycle.journey.project import Project
from lifecycle.mail.recommended import NAMES
from lifecycle.mail.sections import Section
from lifecycle.settings import Settings
from lifecycle.store import digests, occasions
from lifecycle.store.database import Database
from lifecycle.store.facts import customer_traits
from lifecycle.store.schema import require_current

from .occasion import NO_ADDRESS, Occasion, in_zone, sections_of, sender_of, trigger_of, unsent
from .samples import sample


def recalled(
    project: Project, settings: Settings, template: str, customer: str, at: datetime, locale: str | None = None
) -> Occasion:
    """Their newest message of that email that was begun by `at`; without one, as if one were sent then.

    `locale`: as if they read that one. Raises LifecycleError where there is no such customer, or no database.
    """
    if not settings.has_database:
        raise StoreError("there is no database yet; run: lifecycle db upgrade")
    with closing(Database(settings.database)) as db:
        require_current(db)
        with db.reading() as connection:
            row = occasions.customer(connection, customer)
            if row is None:
                raise LifecycleError(f"there is no customer {customer!r}; find one with: lifecycle customers list")
            traits = customer_traits(row) | ({} if locale is None else {"locale": locale})
            moment = in_zone(at, zone_named(row.timezone, project.policy.timezone))
            declared = project.policy.purchases
            more = shopping(connection, declared, {customer: NAMES})[customer] if declared else {}
            person = _Person(connection, customer, traits, moment, more)
            return person.again(template) or person.at_first(project, settings.templates, template)


@dataclass(frozen=True, slots=True)
class _Person:
    """One customer, as known at a moment in their zone."""

    connection: Connection
    id: str
    traits: Mapping[str, Any]
    moment: datetime
    more: Mapping[str, Any]

    def again(self, template: str) -> Occasion | None:
        """That of the message that they have."""
        message = occasions.newest_message(self.connection, self.id, template, self.moment)
        if message is None:
            return None
        address = message.email or deliverable(self.traits.get("email")) or NO_ADDRESS
        kind = message.kind == "marketing"
        envelope = Envelope(message.id, self.id, address, message.message_id, message.topic, kind, message.journey)
        kept = message.sections or ()
        gathered = digests.gathered(self.connection, [section["id"] for section in kept]) if kept else {}
        sections = tuple(Section(**section, event=gathered[section["id"]].trigger) for section in kept)
        notes = (f"as in message {message.id}, which is {message.state}",)
        return Occasion(envelope, self.traits, message.trigger, self.moment, self.more, sections, notes)

    def at_first(self, project: Project, templates: Path, template: str) -> Occasion:
        """That of one sent now, after the newest event that starts its journey."""
        trigger = trigger_of(sender_of(project, template))
        notes: list[str] = []
        event: Mapping[str, Any] | None = self._newest(trigger) if trigger is not None else {}
        if event is None:
            notes.append(f"customer {self.id!r} has no {trigger}: sample data stand in for it")
            event = sample(project, templates, template, trigger).event
        address = deliverable(self.traits.get("email"))
        if address is None:
            notes.append(f"no mail can go to customer {self.id!r}: there is no address that could be written to")
        envelope = unsent(project, template, self.id, address or NO_ADDRESS)
        sections = sections_of(project, templates, template, self._newest)
        return Occasion(envelope, self.traits, event, self.moment, self.more, sections, tuple(notes))

    def _newest(self, event: str) -> dict[str, Any] | None:
        return occasions.newest_event(self.connection, self.id, event, self.moment)
