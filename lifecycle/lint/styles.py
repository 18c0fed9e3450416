"""Rules on CSS and HTML that mail programs do not know. Only what authors wrote counts: MJML's own has fallbacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import support
from .css import declarations
from .email import Email
from .rule import Finding, Rule

_REMEDIES = {
    "gap": "use padding",
    "display:flex": "use columns of MJML, or a table",
    "display:grid": "use columns of MJML, or a table",
    "background-image": "use background-url of mj-section or mj-hero, and a background-color for the rest",
    "linear-gradient()": "write a background-color before it, which the others show",
    "radial-gradient()": "write a background-color before it, which the others show",
    "calc()": "write the value that comes out",
    "var()": "write the value itself, or keep it in an mj-class",
    "rgba()": "write a colour without transparency",
    "0rem": "use px",
    "float": "use align=, or a table",
    "position": "use a table, or margins",
    "<svg>": "use a PNG",
    "<video>": "link a picture of it to the video",
    "<form>": "link to a page that has the form",
    ".svg": "use a PNG",
    ".webp": "use a PNG or a JPEG",
    ".avif": "use a PNG or a JPEG",
}


class _Use(NamedTuple):
    """Something that programs may lack: its mark, where it stands, and which program it is not meant for."""

    mark: str
    at: int
    spared: str = ""


def _unsupported(email: Email) -> Iterator[Finding]:
    first: dict[str, _Use] = {}
    counts: dict[str, int] = {}
    for use in _uses(email):
        if any(program != use.spared for program in support.without(use.mark)):
            first.setdefault(use.mark, use)
            counts[use.mark] = counts.get(use.mark, 0) + 1
    for mark, use in first.items():
        programs = ", ".join(program for program in support.without(mark) if program != use.spared)
        more = f", {counts[mark]} times in this email" if counts[mark] > 1 else ""
        message = f"{_shown(mark)} is not supported by {programs}{more}"
        yield Finding(email.at(use.at), message, _REMEDIES.get(mark, "make sure that the email reads well without it"))


def _uses(email: Email) -> Iterator[_Use]:
    for tag in email.tags:
        spared = support.WORD if tag.word_hides else ""
        if not tag.name.startswith("mj"):
            yield _Use(f"<{tag.name}>", tag.start, spared)
        for name in ("src", "background-url"):
            for mark in support.of_image(tag.attributes.get(name, "")):
                yield _Use(mark, tag.attribute(name, email.masked), spared)
        if tag.name in ("mj-style", "style"):
            yield from _in_css(email.masked.text[tag.inside : tag.end], tag.inside, spared)
        elif "style" in tag.attributes:
            yield from _in_css(tag.attributes["style"], tag.attribute("style", email.masked), spared)


def _in_css(css: str, start: int, spared: str) -> Iterable[_Use]:
    for declaration in declarations(css):
        for mark in support.of_declaration(declaration):
            yield _Use(mark, start + declaration.at, support.WORD if declaration.conditional else spared)


def _shown(mark: str) -> str:
    if mark.startswith("0"):
        return f"the unit {mark[1:]}"
    if mark.startswith("."):
        return f"the image format {mark[1:].upper()}"
    return mark.removeprefix(":")


RULES = (
    Rule("unsupported", "warning", "CSS, HTML and images are such as major mail programs show.", _unsupported),
    Rule("variable_in_style", "error", "No style sheet holds variables: escaping does not protect there."),
)
