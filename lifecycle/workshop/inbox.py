"""What an inbox shows of a letter, read from its very bytes; and where its links lead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from html.parser import HTMLParser

from .look import Look

GMAIL_CLIPS = 102 * 1024
"""Bytes of HTML: of a longer email Gmail hides the rest, the unsubscribe link with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One email in a list of many."""

    sender: str
    address: str
    subject: str
    preheader: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """Where a click leads, and on what."""

    url: str
    text: str


def row(look: Look) -> Row:
    """The letter as its row in an inbox."""
    headers = BytesHeaderParser(EmailMessage, policy=policy.default).parsebytes(look.letter)
    sender = headers["From"].addresses[0]
    return Row(
        sender.display_name or sender.addr_spec,
        sender.addr_spec,
        str(headers["Subject"]),
        look.rendered.preheader,
        look.moment,
    )


def links(html: str) -> list[Link]:
    """All links of an email in their order."""
    reader = _Links()
    reader.feed(html)
    reader.close()
    return reader.found


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Link] = []
        self._url: str | None = None
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("a", "area") and given.get("href"):
            self._url, self._words = given["href"], []
        elif tag == "img" and self._url is not None:
            self._words.append(given.get("alt") or "a picture without words")

    def handle_data(self, data: str) -> None:
        if self._url is not None:
            self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._url is not None:
            self.found.append(Link(self._url, " ".join(" ".join(self._words).split())))
            self._url = None
