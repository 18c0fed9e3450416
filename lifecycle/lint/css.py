"""The CSS that an author wrote: declarations and at-rules with their places, from style sheets and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_PIECE = re.compile(r"""(?:"[^"]*"|'[^']*'|\([^()]*\)|[^{};"'])+|[{};"']""")
_AT_RULE = re.compile(r"@(-\w+-)?([\w-]+)")


class Declaration(NamedTuple):
    """`property: value`, or an at-rule as "@media" with its prelude; `at` counts from the beginning of the CSS.

    `conditional`: it stands in an at-rule, so only programs that know those obey it.
    """

    property: str
    value: str
    at: int
    conditional: bool = False


def declarations(css: str) -> Iterator[Declaration]:
    """All declarations and at-rules of a style sheet or a style attribute."""
    css = _COMMENT.sub(lambda comment: " " * len(comment[0]), css)
    open_rules: list[bool] = []  # per open block: whether an at-rule opened it
    waiting = ("", 0)
    for piece in _PIECE.finditer(css):
        text = piece[0]
        if text == "{":
            prelude, at = waiting
            rule = _AT_RULE.match(prelude.strip())
            if rule:
                yield Declaration(f"@{rule[2].lower()}", prelude.strip()[rule.end() :].strip(), at, any(open_rules))
            open_rules.append(rule is not None)
            waiting = ("", 0)
        elif text in "};":
            yield from _declaration(*waiting, conditional=any(open_rules))
            waiting = ("", 0)
            if text == "}" and open_rules:
                open_rules.pop()
        else:
            waiting = (text, piece.start() + len(text) - len(text.lstrip()))
    yield from _declaration(*waiting, conditional=False)


def _declaration(text: str, at: int, *, conditional: bool) -> Iterator[Declaration]:
    name, colon, value = text.partition(":")
    if colon and name.strip():
        yield Declaration(
            name.strip().lower(), value.strip().removesuffix("!important").strip().lower(), at, conditional
        )
