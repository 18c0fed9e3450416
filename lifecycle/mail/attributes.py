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
_CODE = re.compile(r"<(style|script)\b.*?(?:</\1|$)", re.DOTALL | re.IGNORECASE)
# Printed as they are, in attributes where escaping protects; all others are computed with, or become CSS.
_PRINTED = frozenset({
    "alt", "title", "href", "rel", "target", "src", "srcset", "sizes", "usemap", "name", "lang", "role", "base-url",
    "thumbnails-src", "icon-wrapped-url", "icon-wrapped-alt", "icon-unwrapped-url", "icon-unwrapped-alt",
})  # fmt: skip
_NAMES_A_THING = frozenset({"mj-social-element", "mj-font", "mj-class", "mj-html-attribute"})
# What MJML computes with where it says `unit(…)`.
_LENGTHS = re.compile(r"\s*(?:-?[\d.,]+(?:px|%|r?em)?\s*){1,4}|\s*auto\s*|\s*")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong at an offset of the masked text, and the remedy."""

    at: int
    message: str
    hint: str
    code: str = "template"


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
    for code in _CODE.finditer(text):
        for word in masked.pattern.finditer(code[0]):
            message = f"a variable or statement in a {code[1].lower()}"
            yield Mistake(start + code.start() + word.start(), message, "use {% if %} around two", "variable_in_style")
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
        yield Mistake(at, message, "use {% if %} around two tags", "variable_in_style")


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


def of_component(
    tag: str, text: str, start: int, known: Mapping[str, str | None], *, are_defaults: bool
) -> Iterator[Mistake]:
    """Yield the attributes of a tag of MJML that it does not have, or whose values it cannot compute with.

    `known` are those it has, with MJML's words for their types; defaults for all tags may name what only some have.
    """
    for found in _ATTRIBUTE.finditer(text, len(f"<{tag}")):
        name, value, at = found[1].lower(), (found[2] or "").strip("\"'"), start + found.start()
        if (known.get(name) or "").startswith("unit(") and not _LENGTHS.fullmatch(value):
            yield Mistake(at, f"{name}={value!r} of <{tag}> is no length", "write 120px, or 50%")
        elif known and not are_defaults and name not in known and name not in ("mj-class", "css-class"):
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(sorted(known))}"
            yield Mistake(at, f"<{tag}> has no attribute {name!r}", hint)


def value_of(name: str, text: str) -> int | None:
    """Return where the quoted value of an attribute begins in the text of a tag, behind white space, or None."""
    for each, value, begin in _quoted(text):
        if each == name:
            return begin + len(value) - len(value[1:].lstrip())
    return None


def _quoted(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the attributes of a tag that have quoted values: name, value with quotes, where that begins."""
    for found in _ATTRIBUTE.finditer(text):
        if found[2] and found[2][0] in "\"'":
            yield found[1].lower(), found[2], found.start(2)
