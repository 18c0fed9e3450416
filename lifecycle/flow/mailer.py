"""Turns a claimed message into a letter: context, render, MIME; and knows whom this installation may write to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import translate
from functools import lru_cache
from typing import Any

from lifecycle.errors import InvalidAddress
from lifecycle.journey.policy import Sender
from lifecycle.mail.address import parse_address
from lifecycle.mail.mime import Letterhead
from lifecycle.mail.render import Rendered, Renderer
from lifecycle.mail.transport import Letter, Transport, always_wanted
from lifecycle.mail.unsubscribe import UnsubscribeLinks


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class Envelope:
    """What a letter needs besides its content; `marketing` mail carries the List-Unsubscribe headers."""

    id: int
    customer_id: str
    address: str
    message_id: str
    topic: str
    marketing: bool


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
        self._allowed = None if allow is None else re.compile("|".join(map(translate, allow)) or r"(?!)")

    def allows(self, address: str) -> bool:
        """Whether this installation may write to that address."""
        return self._allowed is None or self._allowed.match(address.lower()) is not None

    def render(
        self, template: str, envelope: Envelope, customer: Mapping[str, Any], event: Mapping[str, Any], now: datetime
    ) -> tuple[Rendered, str]:
        """The rendered parts and the unsubscribe URL; `now` is in the customer's zone. Raises RenderError."""
        unsubscribe = self.links.url(envelope.customer_id, envelope.topic)
        context = {
            "customer": customer,
            "event": event,
            "company": self._company,
            "links": {"unsubscribe": unsubscribe},
            "now": now,
            "message_id": envelope.message_id,
        }
        return self.renderer.render(template, context), unsubscribe

    def letter(
        self,
        envelope: Envelope,
        rendered: Rendered,
        unsubscribe: str,
        date: datetime,
        wanted: Callable[[], bool] = always_wanted,
    ) -> Letter:
        """The finished letter, as bytes; see Letter for `wanted`."""
        data = self._letterhead.assemble(
            to=envelope.address,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            message_id=envelope.message_id,
            date=date,
            list_unsubscribe=unsubscribe if envelope.marketing else None,
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
