"""Frequency caps as the policy declares them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias, get_args

from lifecycle.errors import DefinitionError

from .durations import Duration, as_span
from .origin import here, is_priority, is_text

Window: TypeAlias = Literal["rolling", "calendar"]
Mail: TypeAlias = Literal["marketing", "all"]


@dataclass(frozen=True, slots=True)
class Keep:
    """`slots` of a cap that are kept for messages of at least `priority`, while one is known to come in the window."""

    slots: int
    priority: int

    def __post_init__(self) -> None:
        if type(self.slots) is not int or self.slots < 1 or not is_priority(self.priority):
            raise DefinitionError(here(), f"{self!r} keeps nothing", "write keep=Keep(1, priority=80)")


@dataclass(frozen=True, slots=True, init=False)
class Cap:
    """At most `limit` messages in any window of length `per`; of `topic` or of `journey` only, if given.

    `window`: "rolling", to the second, or "calendar", the customer's local days, today and those before. `counts` says
    whether transactional mail counts towards it, `obeyed_by` whether it obeys it. `keep`: slots for what matters more.
    """

    limit: int
    per: Duration
    topic: str | None
    journey: str | None
    window: Window
    counts: Mail
    obeyed_by: Mail
    keep: Keep | None
    note: str
    """Why one customer has it and others have not, as reasons say it; empty for the policy's own."""

    def __init__(
        self,
        limit: int,
        *,
        per: Duration,
        topic: str | None = None,
        journey: str | None = None,
        window: Window = "rolling",
        counts: Mail = "marketing",
        obeyed_by: Mail = "marketing",
        keep: Keep | None = None,
    ) -> None:
        if type(limit) is not int or limit < 0:
            raise DefinitionError(here(), f"Cap({limit!r}) is no number of messages", "give 0 or more")
        if topic is not None and not is_text(topic):
            raise DefinitionError(here(), f"topic={topic!r} is no topic", "name the topic of a journey, or drop it")
        if journey is not None and not is_text(journey):
            raise DefinitionError(here(), f"journey={journey!r} is no journey", "give the name of one, or drop it")
        span = as_span(per, "per=")
        if window not in get_args(Window):
            raise DefinitionError(here(), f"window={window!r} is unknown", "say 'rolling' or 'calendar'")
        if window == "calendar" and (span.seconds or not span.days):
            raise DefinitionError(here(), f"a calendar window of {span}", "give whole days: per=days(1)")
        for name, mail in (("counts", counts), ("obeyed_by", obeyed_by)):
            if mail not in get_args(Mail):
                raise DefinitionError(here(), f"{name}={mail!r} is unknown", "say 'marketing' or 'all'")
        if keep is not None and keep.slots > limit:
            raise DefinitionError(here(), f"keep={keep!r} of {limit}", "keep at most as many slots as there are")
        values: dict[str, object] = {
            "limit": limit,
            "per": span,
            "topic": topic,
            "journey": journey,
            "window": window,
            "counts": counts,
            "obeyed_by": obeyed_by,
            "keep": keep,
            "note": "",
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def for_one(self, note: str) -> Cap:
        """The same for one customer, with why they have it."""
        copy = Cap(
            self.limit,
            per=self.per,
            topic=self.topic,
            journey=self.journey,
            window=self.window,
            counts=self.counts,
            obeyed_by=self.obeyed_by,
            keep=self.keep,
        )
        object.__setattr__(copy, "note", note)
        return copy

    @property
    def span(self) -> timedelta:
        """The window's length, a day being 24 hours."""
        return self.per.rolling

    @property
    def name(self) -> str:
        """How reasons name it: "1 per 7 days", "1 per 7 days of offers", "2 per 1 calendar day in win_back"."""
        per = str(self.per).replace("day", "calendar day") if self.window == "calendar" else str(self.per)
        of = f" of {self.topic}" if self.topic else ""
        within = f" in {self.journey}" if self.journey else ""
        counted = ", all mail" if self.counts == "all" else ""
        return f"{self.limit} per {per}{of}{within}{counted}" + (f", {self.note}" if self.note else "")
