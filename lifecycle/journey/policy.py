"""The policy: who sends, to whom at all, when, and how much at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Any, Literal, TypeAlias, TypeVar, get_args
from zoneinfo import ZoneInfo

from lifecycle.errors import DefinitionError
from lifecycle.mail.formats import is_currency
from lifecycle.mail.locales import normal

from .caps import Cap
from .digest import Digest
from .entries import as_wall_time
from .fatigue import Fatigue, Sunset
from .mutes import Mute
from .origin import here, is_text
from .purchases import Purchases
from .utm import Utm

Consent: TypeAlias = Literal["opt_in", "opt_out"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom the mail comes from; `postal_address` is what the law wants in the footer."""

    name: str
    email: str
    postal_address: str
    reply_to: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("name", self.name), ("email", self.email), ("postal_address", self.postal_address)):
            if not is_text(value) or not value.isprintable():
                raise DefinitionError(here(), f"Sender: {name}={value!r} is no line of text", f"give {name}=")
        for email in (self.email, self.reply_to or self.email):
            local, at, domain = email.partition("@")
            if not (local and at and "." in domain) or " " in email or "@" in domain:
                raise DefinitionError(here(), f"Sender: {email!r} is no address", "write hello@shop.example")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` on the customer's clock nobody gets marketing; may span midnight."""

    start: time
    end: time

    def __post_init__(self) -> None:
        as_wall_time(self.start)
        as_wall_time(self.end)
        if self.start == self.end:
            raise DefinitionError(here(), "quiet hours that start and end together", "drop them, or mend one")


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """One per project, in `journeys/policy.py`, as the module's `policy`."""

    sender: Sender
    timezone: str
    locale: str
    consent: Consent
    quiet_hours: QuietHours | None
    caps: tuple[Cap, ...]
    mutes: tuple[Mute, ...]
    fatigue: Fatigue | None
    sunset: Sunset | None
    digest: Digest
    purchases: Purchases | None
    currency: str
    utm: Utm | None
    defined_at: str = field(compare=False)

    def __init__(
        self,
        *,
        sender: Sender,
        timezone: str = "UTC",
        locale: str = "en",
        consent: Consent = "opt_in",
        quiet_hours: QuietHours | None = None,
        caps: Sequence[Cap] = (),
        mutes: Sequence[Mute] = (),
        fatigue: Fatigue | None = None,
        sunset: Sunset | None = None,
        digest: Digest | None = None,
        purchases: Purchases | None = None,
        currency: str = "USD",
        utm: Utm | None = None,
    ) -> None:
        origin = here()
        caps = _list_of(Cap, caps, "Cap(3, per=days(7))")
        mutes = _list_of(Mute, mutes, 'Mute("open complaint", when=…)')
        _check_words(origin, timezone, locale, currency, consent)
        if purchases is not None and not isinstance(purchases, Purchases):
            raise DefinitionError(origin, f"purchases={purchases!r}", "write purchases=Purchases(OrderCompleted)")
        if utm is not None and not isinstance(utm, Utm):
            raise DefinitionError(origin, f"utm={utm!r} is no Utm", 'write utm=Utm("newsletter")')
        names = [cap.name for cap in caps]
        if len(set(names)) < len(names):
            raise DefinitionError(origin, "two caps are the same", "drop one")
        if len({mute.name for mute in mutes}) < len(mutes):
            raise DefinitionError(origin, "two mutes have one name", "rename one")
        values: dict[str, Any] = {
            "sender": sender,
            "timezone": timezone,
            "locale": locale,
            "consent": consent,
            "quiet_hours": quiet_hours,
            "caps": caps,
            "mutes": mutes,
            "fatigue": fatigue,
            "sunset": sunset,
            "digest": digest or Digest(),
            "purchases": purchases,
            "currency": currency,
            "utm": utm,
            "defined_at": origin,
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)


def _check_words(origin: str, timezone: str, locale: str, currency: str, consent: str) -> None:
    """Raises DefinitionError for a word that is not known in the world or to the engine."""
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise DefinitionError(origin, f"timezone={timezone!r} is unknown", "write one like 'Asia/Jakarta'") from None
    if not is_text(locale) or normal(locale) is None:
        raise DefinitionError(origin, f"locale={locale!r} is unknown", "write one like 'id' or 'en_GB'")
    if not is_currency(currency):
        raise DefinitionError(origin, f"currency={currency!r} is unknown", "write a code like 'IDR'")
    if consent not in get_args(Consent):
        raise DefinitionError(origin, f"consent={consent!r} is unknown", "say 'opt_in' or 'opt_out'")


def _list_of(kind: type[T], given: Any, example: str) -> tuple[T, ...]:
    """`given` as a tuple of that kind; raises DefinitionError."""
    argument = f"{kind.__name__.lower()}s="
    if not isinstance(given, list | tuple):
        raise DefinitionError(here(), f"{argument}{given!r} is no list", f"put brackets around: {argument}[{example}]")
    for each in given:
        if not isinstance(each, kind):
            raise DefinitionError(here(), f"{argument} lists {each!r}", f"write {argument}[{example}]")
    return tuple(given)
