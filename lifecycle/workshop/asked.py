"""Questions of the gallery to a workshop, about an email that an address names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from hashlib import blake2b

from lifecycle.errors import LifecycleError
from lifecycle.journey.project import Problem

from .choice import Choice
from .listing import Listing, listing
from .look import Entry, Look, Workshop
from .shelf import groups


class NoSuchEmail(LifecycleError):
    """An address of the gallery names an email that is not there; `nearest` is one with a name like that, or None."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"There is no email {name!r}")
        close = difflib.get_close_matches(name, known, 1, cutoff=0.5)
        self.nearest = close[0] if close else None


@dataclass(frozen=True, slots=True)
class Spot:
    """One email among all, with the names of its neighbours."""

    entry: Entry
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of an email, and everything that is wrong with it, the worst first."""

    listings: list[Listing]
    problems: list[Problem]

    @property
    def worst(self) -> str:
        """The severity of the worst problem."""
        return self.problems[0].severity if self.problems else ""


def spot(workshop: Workshop, name: str) -> Spot:
    """Where the email stands; raises NoSuchEmail."""
    entries = [entry for group in groups(workshop) for entry in group.entries]
    names = [entry.name for entry in entries]
    if name not in names:
        raise NoSuchEmail(name, names)
    at = names.index(name)
    return Spot(entries[at], names[at - 1] if at else None, names[at + 1] if at + 1 < len(names) else None)


def look(workshop: Workshop, name: str, choice: Choice) -> Look:
    """The email as chosen; raises NoSuchEmail, and as `Workshop.look`.

    Nothing of a name that is not among the emails' is ever looked for among the files.
    """
    names = workshop.engine.renderer.names()
    if name not in names:
        raise NoSuchEmail(name, names)
    return workshop.look(name, customer=choice.customer or None, locale=choice.locale or None, at=choice.moment)


def sources(workshop: Workshop, name: str, choice: Choice) -> Sources:
    """The files with their problems in them; `name` is that of an email."""
    problems = sorted(workshop.problems(name), key=lambda problem: problem.severity != "error")
    files = workshop.sources(name, choice.locale or None)
    return Sources([listing(file, text, problems) for file, text in files], problems)


def picture_url(choice: Choice, look: Look) -> str:
    """Where its picture is; another address for every other content, so that a page can tell whether it changed."""
    html = look.rendered.html.encode("utf-8", "replace")
    url = choice.url("picture/", look.template, width="both", part="picture")
    return f"{url}{'&' if '?' in url else '?'}v={blake2b(html, digest_size=8).hexdigest()}"
