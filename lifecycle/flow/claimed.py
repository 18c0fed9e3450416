"""What a claim holds: the messages that one worker sends next, each with all that rendering it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lifecycle.mail.sections import Section
from lifecycle.store.pauses import Pauses

from .mailer import Envelope

SENT_AGAIN = "sent_again"
"""The reason, or its beginning, of a message whose first try may have arrived."""


@dataclass(slots=True)
class Claimed:
    """What one worker sends next, in this order; it begins nothing after `begin_by`, and its lease ends at `until`."""

    name: str
    begin_by: datetime
    until: datetime
    pauses: Pauses
    letters: list[ToSend] = field(default_factory=list)
    beside: list[int] = field(default_factory=list)
    """Messages that nobody hinted, claimed because they rival some that were."""


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class ToSend:
    """One message of a claim, with all that rendering it needs."""

    envelope: Envelope
    template: str
    journey: str
    customer: dict[str, Any]
    event: dict[str, Any]
    zone: ZoneInfo
    attempts: int
    resent: bool
    sections: tuple[Section, ...] = ()
    """Of a digest: what it shows."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What only some templates read, where this one does."""
