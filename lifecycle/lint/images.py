"""Rules on pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .email import Email
from .markup import Tag
from .rule import Finding, Rule

_IMAGES = ("img", "mj-carousel-image", "mj-image")
_BEGINS_WELL = re.compile(r"https://|cid:|\{[{%]", re.IGNORECASE)


def _images(email: Email) -> Iterator[Tag]:
    for tag in email.named(*_IMAGES):
        if tag.within is None or tag.within.name != "mj-attributes":
            yield tag


def _no_alt(email: Email) -> Iterator[Finding]:
    for tag in _images(email):
        where = email.at(tag.start)
        if "alt" not in tag.attributes:
            hint = 'write alt="…": what it shows; alt="" for a mere ornament'
            yield Finding(where, f"<{tag.name}> without alt text: who blocks images sees nothing", hint)
        elif not tag.attributes["alt"].strip() and _is_all_of_a_link(tag, email):
            yield Finding(where, f'<{tag.name}> with alt="" is all there is of a link', "say where the link leads")


def _is_all_of_a_link(tag: Tag, email: Email) -> bool:
    if tag.name != "img":
        return "href" in tag.attributes
    within = tag.within
    return within is not None and within.name == "a" and not within.words(email.masked)


def _no_width(email: Email) -> Iterator[Finding]:
    for tag in email.named("img"):  # MJML computes those of its own
        if not re.fullmatch(r"\d+%?|\{\{.*", tag.attributes.get("width", "").strip()):
            message = "<img> without a width: Outlook for Windows shows it as large as the file is"
            yield Finding(email.at(tag.start), message, 'write width="…", in pixels and without a unit')


def _source(email: Email) -> Iterator[Finding]:
    for tag in _images(email):
        url = tag.attributes.get("src", "").strip()
        if not _BEGINS_WELL.match(url):
            message = f"<{tag.name}> loads {url!r}, which no mail program finds" if url else f"<{tag.name}> without src"
            yield Finding(email.at(tag.attribute("src", email.masked)), message, 'write src="https://…"')


RULES = (
    Rule("no_alt", "error", "Every picture says in words what it shows.", _no_alt),
    Rule("no_width", "warning", "Every `<img>` has a width.", _no_width),
    Rule("image_source", "error", "Every picture comes from an https address.", _source),
)
