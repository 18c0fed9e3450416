"""Jinja tokens out of the way while MJML and premailer work, and back afterwards.

Each `{{ … }}` and `{% … %}` becomes an opaque word of letters and digits, which survives as text, in attribute values
and in URLs. Data then never passes through MJML or premailer.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from jinja2 import Environment

OUTPUT = "output"
VOID_TAGS = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)


@dataclass(frozen=True)
class Token:
    """One Jinja token: `keyword` is "output", "raw", or the statement's first word; `line` is where it stands."""

    word: str
    source: str
    keyword: str
    line: int

    @property
    def is_statement(self) -> bool:
        """Whether it controls what is printed instead of printing."""
        return self.keyword not in (OUTPUT, "raw")


class Masked:
    """A source text with words in place of its tokens."""

    def __init__(self, source: str, environment: Environment) -> None:
        """Raises jinja2.TemplateSyntaxError."""
        self.salt = _unused_salt(source)
        self.tokens: dict[str, Token] = {}
        self._starts: list[int] = []
        self._lines: list[int] = []
        parts: list[str] = []
        length = 0
        for line, keyword, text in _tokens(source, environment):
            if keyword:
                token = Token(f"{self.salt}{len(self.tokens)}z", text, keyword, line)
                self.tokens[token.word] = token
                text = token.word
            self._starts.append(length)
            self._lines.append(line)
            parts.append(text)
            length += len(text)
        self.text = "".join(parts)
        self.pattern = re.compile(rf"{self.salt}\d+z")

    def line_at(self, offset: int) -> int:
        """Return the line of the source that a position in the masked text comes from."""
        piece = bisect_right(self._starts, offset) - 1
        return self._lines[piece] + self.text.count("\n", self._starts[piece], offset)

    def words(self, text: str) -> list[str]:
        """Return the words in a text, in order."""
        return self.pattern.findall(text)

    def word_for(self, source: str) -> str:
        """Return a word for Jinja source that the compiler adds and that prints something."""
        found = next((word for word, token in self.tokens.items() if token.source == source), None)
        word = found or f"{self.salt}{len(self.tokens)}z"
        self.tokens.setdefault(word, Token(word, source, OUTPUT, 1))
        return word

    def replace(self, text: str, by: Callable[[Token], str]) -> str:
        """Return the text with each word replaced."""
        return self.pattern.sub(lambda match: by(self.tokens[match[0]]), text)


def literal(text: str) -> str:
    """Return text as a Jinja source that prints it, when it holds what Jinja would take for a token."""
    return re.sub(r"\{(?=[{%#])", "{{ '{' }}", text)


def _unused_salt(source: str) -> str:
    salt = "jq"
    while salt in source:
        salt += "q"
    return salt + "x"


def _tokens(source: str, environment: Environment) -> list[tuple[int, str, str]]:
    """Return (line, keyword or "", text) of the pieces of a source; comments are dropped."""
    pieces: list[tuple[int, str, str]] = []
    inside = ""  # the kind of token being collected
    start, keyword, text = 1, "", ""
    for line, kind, value in environment.lex(source):
        if not inside and kind == "data":
            pieces.append((line, "", value))
        elif not inside:
            inside, start, text = kind.removesuffix("_begin"), line, value
            keyword = {"variable": OUTPUT, "raw": "raw"}.get(inside, "")
        else:
            text += value
            if kind == "name" and not keyword:
                keyword = value
            if kind == f"{inside}_end":
                if inside != "comment":
                    pieces.append((start, keyword, text.rstrip()))  # `-%}` comes with the space it eats
                inside = ""
    return pieces
