"""All emails in the order in which a reader of the journeys meets them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.journey.emails import gathers
from lifecycle.journey.journey import Journey
from lifecycle.journey.steps import Send, walk_steps

from .look import Entry, Workshop

_APART = "Sent by no journey"


@dataclass(frozen=True, slots=True)
class Group:
    """The emails of one journey, in the order of its steps."""

    title: str
    says: str
    entries: Sequence[Entry]


def groups(workshop: Workshop) -> list[Group]:
    """Every email once, with the first journey that sends it; those that none sends come last."""
    entries = {entry.name: entry for entry in workshop.entries()}
    found = []
    project = workshop.engine.project
    for journey in project.journeys.values():
        sent = dict.fromkeys(step.template for step in walk_steps(journey.steps) if isinstance(step, Send))
        if own := [entries.pop(name) for name in sent if name in entries]:
            found.append(Group(journey.name, _about(journey), own))
    digest = project.policy.digest.template
    if digest in entries and gathers(project):
        found.append(Group("digests", "what a frequency cap held back, in one email", [entries.pop(digest)]))
    if entries:
        found.append(Group(_APART, "or only by hand", list(entries.values())))
    return found


def _about(journey: Journey) -> str:
    return f"{journey.kind}, topic {journey.topic}"
