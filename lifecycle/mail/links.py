"""Where an email leads: the one link that a digest shows for it.

It is the link of class `main`, else the first button, else the first link in the email's own file. Which of them is
shown to whom only the data tell: so the candidates are compiled to a Jinja source of their own, with the statements
around them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape

from lifecycle.mail.mask import Masked, literal

_MAIN, _BUTTON, _PLAIN = range(3)
_BEGIN, _END = "\x02", "\x03"  # no data hold these characters by the time they are printed
_FOUND = re.compile(f"{_BEGIN}([0-2])([^{_END}]*){_END}")
_ELSEWHERE = ("#", "mailto:", "tel:", "sms:")


@dataclass(frozen=True, slots=True)
class Link:
    """A candidate: where its URL begins in the masked source, and its rank, the lowest of those shown being chosen."""

    start: int
    rank: int


def rank(tag: str, attributes: Mapping[str, str | None], href: str, *, is_its_own: bool) -> int | None:
    """The rank of an `a` or `mj-button`, or None if an email does not lead there.

    `href` is as the author wrote it; `is_its_own`: it stands in the email's own file and not in a partial.
    """
    if not href or href.startswith(_ELSEWHERE) or "links.unsubscribe" in href:
        return None
    classes = f"{attributes.get('class') or ''} {attributes.get('css-class') or ''}".split()
    if "main" in classes:
        return _MAIN
    if tag == "mj-button":
        return _BUTTON
    return _PLAIN if is_its_own else None


def with_marks(masked: Masked, links: Sequence[Link]) -> str:
    """The masked source, with a word before the URL of each of `links`, by which `link_source` knows it again."""
    text = masked.text
    for link in sorted(links, key=lambda link: -link.start):
        text = f"{text[: link.start]}{masked.salt}link{link.rank}z{text[link.start :]}"
    return text


def link_source(html: str, masked: Masked) -> tuple[str, str]:
    """The Jinja source that prints the marked links, "" if there are none, and the HTML without the marks."""
    mark = rf"{masked.salt}link(\d)z"
    parts: list[str] = []
    kept: list[list[str]] = []  # links within each open {% set %}…{% endset %}, which prints nothing where it stands
    for found in re.finditer(rf'"{mark}([^"]*)"|{masked.pattern.pattern}', html):
        if found[1]:
            link = f"{_BEGIN}{found[1]}{literal(unescape(found[2]))}{_END}"
            (kept[-1] if kept else parts).append(link)
        elif (token := masked.tokens[found[0]]).is_statement:
            parts.append(found[0])
            if token.keyword == "set" and token.opens:
                kept.append([])
            elif token.keyword == "endset" and kept:
                links = kept.pop()
                (kept[-1] if kept else parts).extend(links)
    source = masked.replace("".join(parts), lambda token: token.source)
    return source if _BEGIN in source else "", re.sub(mark, "", html)


def main_link(printed: str) -> str:
    """The URL to lead to, of what `link_source` printed for one customer; "" if they are shown none."""
    links = _FOUND.findall(printed)
    return str(min(links, key=lambda link: int(link[0]))[1]).strip() if links else ""
