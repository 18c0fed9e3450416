"""Rules on how much there is of an email."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from .email import Email
from .rule import Finding, Rule

LARGE, TOO_LARGE = 90_000, 100_000
"""Bytes of HTML: Gmail clips at 102 KB, and with it hides the unsubscribe link."""

_LEAST_OF_WORDS = 0.1
_WORD = re.compile(r"\w+")
_UNSEEN = re.compile(r"<head\b.*?</head>|<style\b.*?</style>|<!--.*?-->|<[^>]*>", re.DOTALL)


def _large(email: Email) -> Iterator[Finding]:
    if LARGE < _size(email) <= TOO_LARGE:
        message = f"the HTML has {_size(email):,} bytes with sample data; from 102 KB on, Gmail cuts it off"
        yield Finding(email.place("mj-body"), message, "drop a section, or move styles into an mj-style")


def _too_large(email: Email) -> Iterator[Finding]:
    if _size(email) > TOO_LARGE:
        message = f"the HTML has {_size(email):,} bytes with sample data, and Gmail cuts it off"
        yield Finding(email.place("mj-body"), message, "drop sections, or make two emails of it")


def _size(email: Email) -> int:
    return len(email.rendered.html.encode()) if email.rendered else 0


def _no_text(email: Email) -> Iterator[Finding]:
    if email.rendered and not email.rendered.text.strip():
        yield Finding(_text_place(email), "the text part is blank", "write it, or remove the file: one is made then")


def _thin_text(email: Email) -> Iterator[Finding]:
    if email.rendered and email.rendered.text.strip():
        shown, written = _words(email.rendered.html), len(_WORD.findall(email.rendered.text))
        if written < shown * _LEAST_OF_WORDS:
            message = f"the text part has {written} words of the {shown} in the HTML, which spam filters compare"
            yield Finding(_text_place(email), message, "say in it what the HTML says")


def _text_place(email: Email) -> str:
    return email.place("mj-body") if email.source.text is None else f"{email.text_file}:1:1"


def _words(html: str) -> int:
    """How many words a reader sees."""
    return len(_WORD.findall(unescape(_UNSEEN.sub(" ", html))))


RULES = (
    Rule("large", "warning", f"The HTML has at most {LARGE // 1000} KB.", _large, of_outcome=True),
    Rule(
        "too_large",
        "error",
        f"The HTML has at most {TOO_LARGE // 1000} KB: Gmail clips what is longer.",
        _too_large,
        of_outcome=True,
    ),
    Rule("no_text", "error", "There is a text part.", _no_text, of_outcome=True),
    Rule(
        "thin_text", "warning", "The text part has at least a tenth of the HTML's words.", _thin_text, of_outcome=True
    ),
)
