"""The words of a journey file, nothing else.

Each is loaded when it is first asked for, so that an app that only imports `lifecycle.client` pays for none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .journey.caps import Cap, Keep
    from .journey.digest import Digest
    from .journey.durations import Duration, days, hours, minutes, weeks
    from .journey.entries import each_year, manually, on, on_date, when
    from .journey.fatigue import Fatigue, Sunset
    from .journey.journey import Journey, always
    from .journey.last_send import last_send
    from .journey.mutes import Mute
    from .journey.policy import Policy, QuietHours, Sender
    from .journey.purchases import Purchases
    from .journey.steps import Arm, Branch, Exit, Send, Set, Split, Wait, WaitFor
    from .journey.utm import Utm
    from .journey.vocabulary import Attribute, Event, Flag, Property

_HOMES = {
    "caps": ("Cap", "Keep"),
    "digest": ("Digest",),
    "durations": ("Duration", "days", "hours", "minutes", "weeks"),
    "entries": ("each_year", "manually", "on", "on_date", "when"),
    "fatigue": ("Fatigue", "Sunset"),
    "journey": ("Journey", "always"),
    "last_send": ("last_send",),
    "mutes": ("Mute",),
    "policy": ("Policy", "QuietHours", "Sender"),
    "purchases": ("Purchases",),
    "steps": ("Arm", "Branch", "Exit", "Send", "Set", "Split", "Wait", "WaitFor"),
    "utm": ("Utm",),
    "vocabulary": ("Attribute", "Event", "Flag", "Property"),
}
_MODULE = {word: f"lifecycle.journey.{module}" for module, words in _HOMES.items() for word in words}

__all__ = [
    "Arm",
    "Attribute",
    "Branch",
    "Cap",
    "Digest",
    "Duration",
    "Event",
    "Exit",
    "Fatigue",
    "Flag",
    "Journey",
    "Keep",
    "Mute",
    "Policy",
    "Property",
    "Purchases",
    "QuietHours",
    "Send",
    "Sender",
    "Set",
    "Split",
    "Sunset",
    "Utm",
    "Wait",
    "WaitFor",
    "always",
    "days",
    "each_year",
    "hours",
    "last_send",
    "manually",
    "minutes",
    "on",
    "on_date",
    "weeks",
    "when",
]


def __getattr__(word: str) -> object:
    if word not in _MODULE:
        raise AttributeError(f"module 'lifecycle' has no attribute {word!r}")
    found: object = getattr(import_module(_MODULE[word]), word)
    globals()[word] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
