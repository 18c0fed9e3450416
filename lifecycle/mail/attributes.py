"""What may stand in the attributes of a tag, and where a Jinja token may."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lifecycle.mail.mask import Masked, Token

# Values without quotes are read too, so that `a=b"href="…"` is not taken for an href.
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>]+))?""")
_TAG = re.compile(r"""<(?![/!])(?:"[^"]*"|'[^']*'|[^"'>])*>""")
# Printed as they are, in attributes where escaping protects; all others are computed with, or become CSS.
_PRINTED = frozenset({
    "alt", "title", "href", "rel", "target", "src", "srcset", "sizes", "usemap", "name", "lang", "role", "base-url",
    "thumbnails-src", "icon-wrapped-url", "icon-wrapped-alt", "icon-unwrapped-url", "icon-unwrapped-alt",
})  # fmt: skip
_NAMES_A_THING = frozenset({"mj-social-element", "mj-font", "mj-class", "mj-html-attribute"})


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at an offset of the masked text, and the remedy."""

    at: int
    message: str
    hint: str


def of_tag(tag: str, text: str, start: int, masked: Masked) -> Iterator[Mistake]:
    """Yield what is wrong with the tokens in a tag's attributes; `text` is the tag, which begins at `start`."""
    in_quotes: list[str] = []
    for name, value, begin in _quoted(text):
        at = start + begin
        for word in masked.pattern.finditer(value):
            in_quotes.append(word[0])
            yield from _of_token(tag, name, masked.tokens[word[0]], at + word.start())
        yield from unbalanced(value, at, masked)
    for word in masked.pattern.finditer(text):
        if word[0] not in in_quotes:
            message = "a variable or statement in a tag, but outside a quoted attribute value"
            yield Mistake(start + word.start(), message, 'write name="{{ … }}", with quotes')


def of_comment(text: str, start: int, masked: Masked) -> Iterator[Mistake]:
    """Yield what is wrong in a conditional comment for Outlook, whose tags must be as safe as all others."""
    yield from unbalanced(text, start, masked)
    for tag in _TAG.finditer(text):
        yield from of_tag("", tag[0], start + tag.start(), masked)


def _of_token(tag: str, name: str, token: Token, at: int) -> Iterator[Mistake]:
    if tag.startswith("mj") and (name not in _PRINTED or (name == "name" and tag in _NAMES_A_THING)):
        yield Mistake(
            at,
            f"a variable in {name!r} of <{tag}>: the layout is computed before there is data",
            "write two blocks with {% if %} … {% else %} … {% endif %} around them",
        )
    elif name == "style" or name.startswith("on"):
        message = f"a variable in {name!r}, where escaping does not protect"
        yield Mistake(at, message, "use {% if %} around two tags")


def unbalanced(text: str, start: int, masked: Masked) -> Iterator[Mistake]:
    """Yield the statement that begins or ends in an attribute or comment but not both."""
    opened: list[tuple[Token, int]] = []
    for word in masked.pattern.finditer(text):
        token, at = masked.tokens[word[0]], start + word.start()
        if token.opens:
            opened.append((token, at))
        elif token.closes and not (opened and opened.pop()[0].is_closed_by(token)):
            yield Mistake(at, f"{token.source} closes what began outside this attribute", "begin it inside the quotes")
    if opened:
        token, at = opened[-1]
        yield Mistake(at, f"{token.source} is not closed inside the attribute", "end it before the quote")


def unknown(tag: str, name: str, known: Mapping[str, str | None]) -> str | None:
    """Return the remedy for an attribute that a tag does not have, or None if it has it."""
    if name in known or name in ("mj-class", "css-class") or not known:
        return None
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(sorted(known))}"


def value_of(name: str, text: str) -> int | None:
    """Return where the quoted value of an attribute begins in the text of a tag, or None."""
    return next((begin + 1 for each, _, begin in _quoted(text) if each == name), None)


def _quoted(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the attributes of a tag that have quoted values: name, value with quotes, where that begins."""
    for found in _ATTRIBUTE.finditer(text):
        if found[2] and found[2][0] in "\"'":
            yield found[1].lower(), found[2], found.start(2)
