"""Rules on where links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from .email import Email
from .rule import Finding, Rule

_LINKS = ("a", "area", "mj-button", "mj-carousel-image", "mj-image", "mj-navbar-link", "mj-social-element")
_NEED_HREF = ("mj-button", "mj-navbar-link")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_JINJA = re.compile(r"\{[{%]")

# Filters distrust them, because nobody sees where they lead, and all their users share one reputation.
_SHORTENERS = """
    bit.ly bitly.com buff.ly cutt.ly dlvr.it fb.me fw.to goo.gl is.gd j.mp lc.chat lnkd.in linktr.ee ow.ly rb.gy
    rebrand.ly s.id shorte.st shorturl.at snip.ly soo.gd surl.li t.co t.ly tiny.cc tinyurl.com tr.im trib.al v.gd
    wp.me x.co
"""


class _Link(NamedTuple):
    """A URL as the author wrote it, up to its first Jinja token; `is_whole`: it has none."""

    url: str
    is_whole: bool
    where: str


def _links(email: Email) -> Iterator[_Link]:
    for tag in email.named(*_LINKS):
        if tag.within is not None and tag.within.name == "mj-attributes":
            continue
        if "href" not in tag.attributes:
            if tag.name in _NEED_HREF or (tag.name == "a" and not {"id", "name"} & tag.attributes.keys()):
                yield _Link("", True, email.at(tag.start))
            continue
        href = tag.attributes["href"].strip()
        written = _JINJA.split(href, maxsplit=1)[0]
        yield _Link(written, written == href, email.at(tag.attribute("href", email.masked)))


def _empty(email: Email) -> Iterator[Finding]:
    for link in _links(email):
        if link.is_whole and not link.url:
            yield Finding(link.where, "a link that leads nowhere", 'write href="https://…"')


def _placeholder(email: Email) -> Iterator[Finding]:
    for link in _links(email):
        if link.url.startswith("#"):
            yield Finding(
                link.where,
                f'href="{link.url}" leads nowhere in most mail programs',
                'write href="https://…", or drop it',
            )


def _relative(email: Email) -> Iterator[Finding]:
    for link in _links(email):
        if link.url and not link.url.startswith("#") and not _SCHEME.match(link.url):
            message = f"{link.url!r} is relative, and an email stands on no site"
            yield Finding(link.where, message, "begin it with https:// and the site's name")


def _insecure(email: Email) -> Iterator[Finding]:
    for link in _links(email):
        if link.url.lower().startswith("http:"):
            yield Finding(link.where, f"{link.url!r} is not encrypted on its way", "begin it with https://")


def _scheme(email: Email) -> Iterator[Finding]:
    for link in _links(email):
        scheme = _SCHEME.match(link.url)
        if scheme and scheme[1].lower() not in ("https", "http", "mailto", "tel"):
            yield Finding(link.where, f"a link with {scheme[0]!r}", "links are https, mailto or tel")


def _shortened(email: Email) -> Iterator[Finding]:
    for link in _links(email):
        host = (urlsplit(link.url).hostname or "").removeprefix("www.") if "//" in link.url else ""
        if host in _SHORTENERS.split():
            message = f"{host} hides where the link leads, and spam filters distrust it"
            yield Finding(link.where, message, "link to the page itself")


RULES = (
    Rule("empty_link", "error", "Every link and button leads somewhere.", _empty),
    Rule("placeholder_link", "error", 'No link is a placeholder like `href="#"`.', _placeholder),
    Rule("relative_link", "error", "Links name their site.", _relative),
    Rule("insecure_link", "error", "Links are https, not http.", _insecure),
    Rule("link_scheme", "error", "Links are https, mailto or tel.", _scheme),
    Rule("shortened_link", "warning", "Links lead straight to their page, not through a shortener.", _shortened),
)
