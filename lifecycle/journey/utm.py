"""UTM parameters as the policy declares them: by what web analytics tell which email brought a visit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from lifecycle.errors import DefinitionError

from .origin import here, is_text
from .vocabulary import nearest

_PLACEHOLDERS = ("journey", "template", "topic")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_HOST = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_]{2,}")


@dataclass(frozen=True, slots=True, init=False)
class Utm:
    """What is added to the query of the https links in emails.

    Each value may hold {journey}, {template} and {topic}; one that comes out blank is left away. `hosts`: only links
    to these and to their subdomains get them; without it all do.
    """

    source: str
    medium: str
    campaign: str
    content: str
    term: str
    hosts: tuple[str, ...]

    def __init__(
        self,
        source: str,
        *,
        medium: str = "email",
        campaign: str = "{journey}",
        content: str = "{template}",
        term: str = "",
        hosts: Sequence[str] = (),
    ) -> None:
        values = {"source": source, "medium": medium, "campaign": campaign, "content": content, "term": term}
        for name, value in values.items():
            if not (value == "" and name not in ("source", "medium")):
                _check(name, value)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "hosts", _checked_hosts(hosts))

    def query(self, *, journey: str = "", template: str = "", topic: str = "") -> str:
        """The parameters of one message's links, encoded: "utm_source=…&utm_medium=…"."""
        return _query(self, journey, template, topic)


@lru_cache(maxsize=1024)
def _query(utm: Utm, journey: str, template: str, topic: str) -> str:
    known = {"journey": journey, "template": template, "topic": topic}
    pairs = []
    for name in ("source", "medium", "campaign", "content", "term"):
        value = _PLACEHOLDER.sub(lambda found: known[found[1]], getattr(utm, name)).strip()
        if value:
            pairs.append(f"utm_{name}={quote(value, safe='/')}")
    return "&".join(pairs)


def _check(name: str, value: object) -> None:
    if not isinstance(value, str) or not is_text(value) or not value.isprintable():
        raise DefinitionError(here(), f"Utm: {name}={value!r} is no line of text", f"give {name}=, or leave it away")
    for placeholder in _PLACEHOLDER.findall(value):
        if placeholder not in _PLACEHOLDERS:
            hint = nearest(placeholder, _PLACEHOLDERS, f"there are {', '.join(f'{{{one}}}' for one in _PLACEHOLDERS)}")
            raise DefinitionError(here(), f"Utm: {name}={value!r} holds the unknown {{{placeholder}}}", hint)
    if name == "source" and "{" in value:
        raise DefinitionError(here(), f"Utm: source={value!r} varies", "name the one who sends: source='newsletter'")
    if set("{}") & set(_PLACEHOLDER.sub("", value)):
        raise DefinitionError(here(), f"Utm: {name}={value!r} has a stray brace", "write {journey}")


def _checked_hosts(hosts: object) -> tuple[str, ...]:
    if not isinstance(hosts, list | tuple):
        raise DefinitionError(here(), f"Utm: hosts={hosts!r} is no list", f"put brackets around: hosts=[{hosts!r}]")
    for host in hosts:
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise DefinitionError(here(), f"Utm: {host!r} is no host", "write the bare name: hosts=['shop.example']")
    return tuple(hosts)
