"""What stands in place of a picture that cannot be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import DefinitionError, LifecycleError, RenderError, TemplateError

from .listing import Listing, Place, excerpt


@dataclass(frozen=True, slots=True)
class Trouble:
    """Where it is, what is wrong, and the remedy; `place` and `listing` where a line of a file is to blame."""

    headline: str
    where: str
    message: str
    hint: str = ""
    place: Place | None = None
    listing: Listing | None = None


def trouble(error: LifecycleError, folders: Iterable[Path]) -> Trouble:
    """The error, with the lines around its place where that is in one of the folders."""
    match error:
        case TemplateError() | DefinitionError():
            broken = "This email cannot be compiled" if isinstance(error, TemplateError) else "The journeys are broken"
            lines = excerpt(error.where, folders)
            return Trouble(broken, error.where, error.message, error.hint, Place.read(error.where), lines)
        case RenderError():
            return Trouble("This email cannot be rendered with these data", error.template, error.message)
    return Trouble("This cannot be shown", "", str(error))


def nobody(word: str) -> Trouble:
    """A search for a customer that finds none."""
    return Trouble(
        "Nobody is found",
        "",
        f"no customer has the id {word!r}, or an address with that in it",
        "leave it empty for a sample",
    )


def overdue(template: str, seconds: float) -> Trouble:
    """A template that does not come to an end."""
    return Trouble(
        "This email takes too long",
        template,
        f"it was stopped after {seconds:g} seconds",
        "look for a loop that goes through very much, or never ends",
    )
