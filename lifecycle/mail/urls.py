"""The law of links: absolute https, mailto or tel when rendered, or the message fails and names the link's place.

Most links keep or break it whatever the data are. Around the others the compiler puts a filter that looks at the whole
attribute, so that parts of the data cannot add up to what none of them is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

from jinja2 import pass_context
from jinja2.runtime import Context

from lifecycle.mail.mask import Masked

_TAG = re.compile(r"""<([a-z][^\s/>]*)(?:"[^"]*"|'[^']*'|[^"'>])*>""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*')""")
_FILTERS = {
    "href": "link",
    "xlink:href": "link",
    "action": "link",
    "formaction": "link",
    "src": "picture",
    "background": "picture",
    "poster": "picture",
    "srcset": "pictures",
}
"""The attributes that hold URLs, and the kind of each, by which its filter is called."""

# The beginning says enough: what follows a host, an address or a number cannot change what it is. Matched against
# what is escaped for HTML, which none of these characters is.
_WEB = r"https://[\w\[%]"
_LINK = re.compile(rf"\s*(?:{_WEB}|mailto:[^\s?]|tel:[+\d(*#])", re.IGNORECASE)
_PICTURE = re.compile(rf"\s*(?:{_WEB}|cid:\S)", re.IGNORECASE)
_PICTURES = re.compile(rf"\s*{_WEB}\S*(?:\s+[\d.]+[wx])?\s*(?:,\s*{_WEB}\S*(?:\s+[\d.]+[wx])?\s*)*", re.IGNORECASE)
_FOLDED = re.compile(r"\s*[\t\r\n]\s*")
_LONE_AMPERSAND = re.compile(r"&(?!#?\w+;)")
_SHOWN = 60  # characters of a bad link in its error


class BadLinkError(ValueError):
    """A URL that no mail may hold; `number` is that of its place among the email's `link_places`."""

    def __init__(self, url: str, number: int, kinds: str) -> None:
        self.number = number
        url = unescape(str(url[: 6 * _SHOWN])).strip()
        shown = url if len(url) <= _SHOWN else f"{url[:_SHOWN]}…"
        super().__init__(f"the link {shown!r} is not absolute {kinds}" if shown else "a link is empty")


@pass_context
def link(context: Context, url: str, number: int) -> str:
    """Return the value of an href if it is absolute https, mailto or tel; raises BadLinkError."""
    if _LINK.match(url) or _is_the_engines(context, url):
        return url
    raise BadLinkError(url, number, "https, mailto or tel")


def picture(url: str, number: int) -> str:
    """Return the value of a src if it is absolute https or cid; raises BadLinkError."""
    if _PICTURE.match(url):
        return url
    raise BadLinkError(url, number, "https or cid")


def pictures(urls: str, number: int) -> str:
    """Return the value of a srcset if all its URLs are absolute https; raises BadLinkError."""
    if _PICTURES.fullmatch(urls):
        return urls
    raise BadLinkError(urls, number, "https")


def _is_the_engines(context: Context, url: str) -> bool:
    # LIFECYCLE_BASE_URL may be http while developing, and only then: the settings see to it.
    return url.startswith("http://") and is_own(context, unescape(url))


def is_own(context: Context, url: str) -> bool:
    """Whether a URL is one of the engine's own, `links` in the data."""
    links = context.get("links")
    return isinstance(links, dict) and url in links.values()


# While compiling


@dataclass(frozen=True, slots=True)
class Url:
    """The value of an attribute that holds a URL, escaped and masked."""

    tag: str
    attribute: str
    value: str

    @property
    def leads(self) -> bool:
        """Whether it is a link that readers follow, and no picture or style sheet."""
        return _FILTERS[self.attribute] == "link" and self.tag not in ("link", "base")


def replace_urls(html: str, by: Callable[[Url], str]) -> str:
    """Return the masked HTML with the value of each attribute that holds a URL replaced."""

    def in_tag(tag: re.Match[str]) -> str:
        def in_attribute(found: re.Match[str]) -> str:
            name, quote = found[1].lower(), found[3][0]
            if name not in _FILTERS:
                return found[0]
            return f"{found[1]}{found[2]}{quote}{by(Url(tag[1].lower(), name, found[3][1:-1]))}{quote}"

        return _ATTRIBUTE.sub(in_attribute, tag[0])

    return _TAG.sub(in_tag, html)


def as_browsers_read(url: Url) -> str:
    """Return the URL written so that MJML and premailer, too, read it as browsers do.

    White space around it and line breaks in it are none of it; `&copy=` without a semicolon is no ©.
    """
    value = _LONE_AMPERSAND.sub("&amp;", url.value.strip())
    return value if url.attribute == "srcset" else _FOLDED.sub("", value)


def as_is(url: Url) -> str:
    """Return the URL as it stands."""
    return url.value


def guarded(
    html: str, masked: Masked, where: Callable[[int], str], write: Callable[[Url], str] = as_is
) -> tuple[str, tuple[str, ...]]:
    """Put its filter around every URL of which the masked HTML does not say that it keeps the law.

    Also around one that is sure to break it: the email compiles, for a look at it and for the linter, but no message
    goes out. `where` gives the place of an offset in the masked source, `write` what stands for the URL. Returns the
    HTML and the places.
    """
    starts = _starts(masked)
    places: list[str] = []

    def guard(url: Url) -> str:
        first = masked.pattern.search(url.value)
        if _keeps_the_law(url, url.value[: first.start()] if first else url.value, is_whole=first is None):
            return write(url)
        places.append(where(starts.get(first[0] if first else _bare(url.value), 0)))
        return f"{{% filter _{_FILTERS[url.attribute]}({len(places) - 1}) %}}{write(url)}{{% endfilter %}}"

    return replace_urls(html, guard), tuple(places)


def _keeps_the_law(url: Url, beginning: str, *, is_whole: bool) -> bool:
    match _FILTERS[url.attribute]:
        case "pictures":
            return is_whole and _PICTURES.fullmatch(beginning) is not None
        case "picture":
            return _PICTURE.match(beginning) is not None
        case _:
            return _LINK.match(beginning) is not None


def _starts(masked: Masked) -> dict[str, int]:
    """Where in the masked source each attribute value begins, by the value and by the words in it."""
    starts: dict[str, int] = {}
    for tag in _TAG.finditer(masked.text):
        for found in _ATTRIBUTE.finditer(tag[0]):
            start = tag.start() + found.start(3) + 1
            for key in (_bare(found[3][1:-1]), *masked.words(found[3])):
                starts.setdefault(key, start)
    return starts


def _bare(url: str) -> str:
    """A URL as it is however MJML and premailer write it."""
    return "".join(unquote(unescape(url)).split())
