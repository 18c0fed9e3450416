"""Turns a claimed message into a letter: context, render, MIME; and knows whom this installation may write to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import translate
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from lifecycle.errors import InvalidAddress, RenderError, TemplateError
from lifecycle.journey.policy import Sender
from lifecycle.mail.address import parse_address
from lifecycle.mail.locales import tag
from lifecycle.mail.mime import Letterhead
from lifecycle.mail.recommended import NAMES
from lifecycle.mail.render import Rendered, Renderer
from lifecycle.mail.sections import Section
from lifecycle.mail.transport import Letter, Transport, always_wanted
from lifecycle.mail.unsubscribe import UnsubscribeLinks

NOTHING_MORE: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class Envelope:
    """What a letter needs besides its content; `marketing` mail carries the List-Unsubscribe headers."""

    id: int
    customer_id: str
    address: str
    message_id: str
    topic: str
    marketing: bool
    journey: str = ""


@dataclass(slots=True)  # as Envelope
class Content:
    """A rendered email and its unsubscribe URL; of a digest also why sections could not be shown, by row id."""

    rendered: Rendered
    unsubscribe: str
    failed: Mapping[int, str] = field(default_factory=dict)


class UnrenderableDigestError(RenderError):
    """No section of a digest could be rendered: `failed` says why of each, by row id."""

    def __init__(self, template: str, failed: Mapping[int, str]) -> None:
        super().__init__(template, f"none of its sections can be rendered; the first: {next(iter(failed.values()))}")
        self.failed = failed


class Mailer:
    """Renders and addresses; one per worker thread, because it owns the transport.

    `allow`: globs of the addresses that may be written to, or None for everybody.
    """

    def __init__(
        self,
        sender: Sender,
        renderer: Renderer,
        links: UnsubscribeLinks,
        transport: Transport,
        allow: Sequence[str] | None = None,
    ) -> None:
        self.renderer = renderer
        self.links = links
        self.transport = transport
        self._sender = sender
        self._letterhead = Letterhead(sender.name, sender.email, sender.reply_to)
        self._company = {"name": sender.name, "email": sender.email, "postal_address": sender.postal_address}
        self._reads: dict[str, frozenset[str]] = {}
        self._allowed = None if allow is None else re.compile("|".join(map(translate, allow)) or r"(?!)")

    def allows(self, address: str) -> bool:
        """Whether this installation may write to that address."""
        return self._allowed is None or self._allowed.match(address.lower()) is not None

    def reads(self, template: str) -> frozenset[str]:
        """Which of `NAMES` the template reads in any locale; none where it is broken, which rendering says."""
        found = self._reads.get(template)
        if found is None:
            try:
                emails = [self.renderer.compiled(template, locale) for locale in self.renderer.locales(template)]
            except TemplateError:
                emails = []
            read = {variable.partition(".")[0] for email in emails for variable in email.variables}
            found = self._reads[template] = NAMES & read
        return found

    def locale_for(self, template: str, wanted: str | None) -> str:
        """The locale in which an email is shown to somebody who wishes `wanted`; of one that is broken the default."""
        try:
            return self.renderer.locale_for(template, wanted)
        except TemplateError:
            return self.renderer.locale

    def render(
        self,
        template: str,
        envelope: Envelope,
        customer: Mapping[str, Any],
        event: Mapping[str, Any],
        now: datetime,
        more: Mapping[str, Any] = NOTHING_MORE,
    ) -> Content:
        """One email for one customer; `now` is in the customer's zone. Raises RenderError.

        `more`: what of `NAMES` the template reads.
        """
        unsubscribe, context = self._context(template, envelope, customer, now, more)
        return Content(self.renderer.render(template, context | {"event": event}, customer.get("locale")), unsubscribe)

    def render_digest(
        self,
        template: str,
        envelope: Envelope,
        customer: Mapping[str, Any],
        sections: Sequence[Section],
        now: datetime,
        more: Mapping[str, Any] = NOTHING_MORE,
    ) -> Content:
        """The email that stands for all `sections`, each shown by subject, preheader and link of its own email.

        One that cannot be rendered is left out. The unsubscribe URL is that of the topic of the first one shown. Raises
        UnrenderableDigestError if none is left, and RenderError.
        """
        shown: dict[int, dict[str, Any]] = {}
        failed: dict[int, str] = {}
        for section in sections:
            try:
                shown[section.id] = self._in_brief(section, envelope, customer, now, more)
            except (RenderError, TemplateError, ValueError) as error:
                failed[section.id] = str(error)
        if not shown:
            raise UnrenderableDigestError(template, failed)
        first = next(section for section in sections if section.id in shown)
        unsubscribe, context = self._context(template, replace(envelope, topic=first.topic), customer, now, more)
        rendered = self.renderer.render(template, context | {"sections": [*shown.values()]}, customer.get("locale"))
        return Content(rendered, unsubscribe, failed)

    def _in_brief(
        self,
        section: Section,
        envelope: Envelope,
        customer: Mapping[str, Any],
        now: datetime,
        more: Mapping[str, Any],
    ) -> dict[str, Any]:
        """What a digest's template knows of a section."""
        own = replace(envelope, topic=section.topic, message_id=section.message_id)
        context = self._context(section.template, own, customer, now, more)[1]
        return section.shown(self.renderer, context, customer.get("locale"))

    def _context(
        self, template: str, envelope: Envelope, customer: Mapping[str, Any], now: datetime, more: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The unsubscribe URL, and what every template may print."""
        unsubscribe = self.links.url(envelope.customer_id, envelope.topic)
        context = {
            "customer": customer,
            "company": self._company,
            "links": {"unsubscribe": unsubscribe},
            "now": now,
            "message_id": envelope.message_id,
            **more,
        }
        if (utm := self.renderer.utm) is not None:
            context["utm"] = utm.query(journey=envelope.journey, template=template, topic=envelope.topic)
        return unsubscribe, context

    def letter(
        self,
        envelope: Envelope,
        content: Content,
        date: datetime,
        wanted: Callable[[], bool] = always_wanted,
    ) -> Letter:
        """The finished letter, as bytes; see Letter for `wanted`."""
        rendered = content.rendered
        data = self._letterhead.assemble(
            to=envelope.address,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            message_id=envelope.message_id,
            date=date,
            list_unsubscribe=content.unsubscribe if envelope.marketing else None,
            headers={"Content-Language": tag(rendered.locale)},
        )
        return Letter(envelope.id, self._sender.email, envelope.address, envelope.message_id, data, wanted)


@lru_cache(maxsize=4096)
def deliverable(email: str | None) -> str | None:
    """The address as it goes into SMTP, or None if no mail can go there."""
    if not email:
        return None
    try:
        return parse_address(email)
    except InvalidAddress:
        return None
