"""The tags of a source, MJML's and HTML's alike, each with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

from lifecycle.mail.mask import VOID_TAGS, Masked

_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)\s*=\s*("[^"]*"|'[^']*')""")
_MARKUP = re.compile(r"<[^>]*>")


@dataclass(slots=True)
class Tag:
    """A start tag at `start` in the masked text, with its content between `inside` and `end`.

    Attributes have their Jinja tokens as the author wrote them. `word_hides`: Outlook for Windows does not show it.
    """

    name: str
    attributes: Mapping[str, str]
    start: int
    inside: int
    end: int
    within: Tag | None
    word_hides: bool

    def attribute(self, name: str, masked: Masked) -> int:
        """Where the value of an attribute begins, else where the tag does."""
        for found in _ATTRIBUTE.finditer(masked.text, self.start, self.inside):
            if found[1].lower() == name:
                return found.start(2) + 1
        return self.start

    def words(self, masked: Masked) -> str:
        """The text in it, without markup."""
        return " ".join(_MARKUP.sub(" ", masked.text[self.inside : self.end]).split())


def read_tags(masked: Masked) -> tuple[Tag, ...]:
    """All tags of a source, in order."""
    walk = _Walk(masked)
    walk.feed(masked.text)
    walk.close()
    return tuple(walk.tags)


class _Walk(HTMLParser):
    def __init__(self, masked: Masked) -> None:
        super().__init__(convert_charrefs=False)
        self._masked = masked
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", masked.text))]
        self._open: list[Tag] = []
        self.tags: list[Tag] = []

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID_TAGS:
            self._open.append(self.tags[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        start, within = self._offset(), self._open[-1] if self._open else None
        inside = start + len(self.get_starttag_text() or "")
        own = {name: self._masked.replace(value or "", lambda token: token.source) for name, value in attrs}
        hides = "mso-hide:all" in own.get("style", "").replace(" ", "")
        hides = hides or (within is not None and within.word_hides)
        self.tags.append(Tag(tag, own, start, inside, inside, within, hides))

    def handle_endtag(self, tag: str) -> None:
        if any(each.name == tag for each in self._open):
            while self._open:
                closed = self._open.pop()
                closed.end = self._offset()
                if closed.name == tag:
                    break
