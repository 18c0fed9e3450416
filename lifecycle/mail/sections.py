"""What a digest shows of each message that goes out in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .render import Renderer

KNOWN = ("template", "topic", "journey", "subject", "preheader", "url", "event")
"""What a digest's template knows of each of its `sections`."""


@dataclass(frozen=True, slots=True)
class Section:
    """A message that goes out as a part of a digest, with the event that started its journey."""

    id: int
    topic: str
    journey: str
    template: str
    message_id: str
    event: Mapping[str, Any]

    @property
    def kept(self) -> dict[str, Any]:
        """How a digest's row keeps it."""
        names = ("id", "topic", "journey", "template", "message_id")
        return {name: getattr(self, name) for name in names}

    def shown(self, renderer: Renderer, context: Mapping[str, Any], locale: str | None = None) -> dict[str, Any]:
        """Itself as the digest's template sees it; raises as `Renderer.summary` does.

        `context` is what its own email would print, but for the event; `locale` is what its reader wishes.
        """
        brief = renderer.summary(self.template, {**context, "event": self.event}, locale)
        values = (self.template, self.topic, self.journey, brief.subject, brief.preheader, brief.url, self.event)
        return dict(zip(KNOWN, values, strict=True))
