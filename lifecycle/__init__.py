"""The words of a journey file, nothing else."""

from .journey.durations import Duration, days, hours, minutes, weeks
from .journey.entries import each_year, manually, on, on_date, when
from .journey.journey import Journey, always
from .journey.policy import Cap, Policy, QuietHours, Sender
from .journey.steps import Arm, Branch, Exit, Send, Set, Split, Wait, WaitFor
from .journey.vocabulary import Attribute, Event, Flag, Property

__all__ = [
    "Arm",
    "Attribute",
    "Branch",
    "Cap",
    "Duration",
    "Event",
    "Exit",
    "Flag",
    "Journey",
    "Policy",
    "Property",
    "QuietHours",
    "Send",
    "Sender",
    "Set",
    "Split",
    "Wait",
    "WaitFor",
    "always",
    "days",
    "each_year",
    "hours",
    "manually",
    "minutes",
    "on",
    "on_date",
    "weeks",
    "when",
]
