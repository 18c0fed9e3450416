"""UTM parameters in the query of an email's links, the same in its HTML and its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape, unescape
from typing import Literal
from urllib.parse import unquote

from jinja2 import pass_context
from jinja2.runtime import Context

from lifecycle.mail.mask import Masked, literal, printed
from lifecycle.mail.urls import Url, is_own, replace_urls

_HTTPS = re.compile(r"https://", re.IGNORECASE)
_HOST = re.compile(r"https://(?:[^/?#\\]*@)?([^/?#\\:]*)", re.IGNORECASE)
_SLOT = "{{ utm }}"
_IN_TEXT = re.compile(
    r"""(https://(?:\{\{.*?\}\}|[^\s<>"'{}])+)(\{%[-+]?\s*(?:if|for|filter|set|with)\b)?|\{\{.*?\}\}""", re.DOTALL
)
_PUNCTUATION = ".,;:!?)"


def tagged(url: str, utm: str) -> str:
    """Return an https URL with those of the parameters in `utm` that its query does not have.

    They come last in the query, before the fragment; all else stays as it is, character by character.
    """
    if not _HTTPS.match(url):
        return url
    head, mark, fragment = url.partition("#")
    _, question, query = head.partition("?")
    wanted = utm if not query else _missing(query, utm)
    if not wanted:
        return url
    joint = "?" if not question else "" if not query or query.endswith("&") else "&"
    return f"{head}{joint}{wanted}{mark}{fragment}"


def _missing(query: str, utm: str) -> str:
    """Those of the parameters that a query does not have."""
    if "utm" not in query.lower() and "%" not in query:  # as good as always, and a fifth of the time
        return utm
    there = {_name(each) for each in query.split("&")}
    return "&".join(each for each in utm.split("&") if _name(each) not in there)


def covers(hosts: Sequence[str], url: str) -> bool:
    """Whether an https URL leads to one of the hosts or to a subdomain; no hosts are all hosts."""
    found = _HOST.match(url)
    return found is not None and (not hosts or _is_within(found[1], tuple(hosts)))


@lru_cache(maxsize=1024)
def _is_within(host: str, hosts: tuple[str, ...]) -> bool:
    host = _ascii(unquote(host))
    return any(host == each or host.endswith(f".{each}") for each in map(_ascii, hosts))


def _ascii(host: str) -> str:
    try:
        return host.lower().rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:
        return host.lower()


def _name(parameter: str) -> str:
    return unquote(parameter.partition("=")[0]).lower()


# While rendering, for what only the data tell


@pass_context
def tag_in_text(context: Context, url: str, *hosts: str) -> str:
    """Return the URL with the message's own parameters, if it is a link to one of the hosts and not the engine's."""
    url = url.strip()
    return tagged(url, context["utm"]) if covers(hosts, url) and not is_own(context, url) else url


@pass_context
def tag_in_html(context: Context, url: str, *hosts: str) -> str:
    """As `tag_in_text`, of a URL that is escaped."""
    return escape(tag_in_text(context, unescape(url), *hosts))


# While compiling


class Slots:
    """What stands in place of each URL of an email, so that links to these hosts get their parameters."""

    def __init__(self, masked: Masked, hosts: Sequence[str]) -> None:
        self._masked = masked
        self._hosts = hosts

    def in_html(self, url: Url) -> str:
        """The Jinja source for the HTML, with the words of the tokens in it."""
        match self._kind(url):
            case "same":
                return url.value
            case "printed":
                return _filtered(url.value, self._hosts)
            case _:
                slot = self._masked.word_for(_SLOT)
                return literal(escape(tagged(unescape(printed(url.value).strip()), slot)))

    def in_text(self, url: Url) -> str:
        """The same for the text part that is derived from the masked HTML: what is new is one word of a token."""
        match self._kind(url):
            case "same":
                return url.value
            case "printed":
                plain = self._masked.replace(literal(unescape(url.value)), lambda token: token.source)
                return self._masked.word_for(_filtered(plain, self._hosts))
            case _:
                return escape(tagged(unescape(url.value.strip()), self._masked.word_for(_SLOT)))

    def in_written(self, text: str, html: str) -> str:
        """A text part written by hand, a Jinja source, with the parameters in its links, as in the masked HTML.

        Links are https URLs, and every `{{ … }}` that is a whole link in the HTML.
        """
        printed: set[str] = set()

        def note(url: Url) -> str:
            if url.leads and (token := self._masked.tokens.get(url.value.strip())):
                printed.add("".join(token.source.split()))
            return url.value

        def add(found: re.Match[str]) -> str:
            if not found[1]:
                is_link = "".join(found[0].split()) in printed
                return _filtered(found[0], self._hosts) if is_link else found[0]
            if found[2]:
                return found[0]  # the URL goes on inside a statement
            url = found[1].rstrip(_PUNCTUATION)
            return self._written(url) + found[1][len(url) :]

        replace_urls(html, note)
        return _IN_TEXT.sub(add, text)

    def _written(self, url: str) -> str:
        if "{{" in url or _has_some(url):
            return _filtered(url, self._hosts)
        return tagged(url, _SLOT) if covers(self._hosts, url) else url

    def _kind(self, url: Url) -> Literal["same", "printed", "written"]:
        """Whether a link stays as it is, is known only when it is printed, or was written by the author."""
        first = self._masked.pattern.search(url.value)
        beginning = unescape(url.value[: first.start()] if first else url.value).strip()
        if not url.leads or not (_HTTPS.match(beginning) or (first and not beginning)):
            return "same"
        if first or _has_some(beginning):
            return "printed"
        return "written" if covers(self._hosts, beginning) else "same"


def _has_some(url: str) -> bool:
    return "utm" in url.lower()


def _filtered(url: str, hosts: Sequence[str]) -> str:
    arguments = ", ".join(f'"{host}"' for host in hosts)
    return f"{{%+ filter _tagged({arguments}) +%}}{url}{{%+ endfilter +%}}"
