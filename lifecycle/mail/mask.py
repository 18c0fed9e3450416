"""Jinja tokens out of the way while MJML and premailer work, and back afterwards.

Each `{{ … }}` and `{% … %}` becomes an opaque word of letters and digits, which survives as text, in attribute values
and in URLs. Data then never passes through MJML or premailer.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

from jinja2 import Environment

from lifecycle.mail.tokens import Token, cut, lexemes

__all__ = ["VOID_TAGS", "Masked", "Token", "literal", "printed"]

_BRACE = "{{ '{' }}"
VOID_TAGS = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)


class Masked:
    """A source text with words in place of its tokens."""

    def __init__(self, source: str, environment: Environment) -> None:
        """Raises jinja2.TemplateSyntaxError."""
        self.salt = unused_salt(source)
        self.tokens: dict[str, Token] = {}
        self._starts: list[int] = []
        self._pieces: list[Token | int] = []  # a token, or the offset in the source of a text
        parts: list[str] = []
        length = 0
        for piece in cut(lexemes(source, environment)):
            if isinstance(piece, Token):
                text = f"{self.salt}{len(self.tokens)}z"
                self.tokens[text] = piece
            else:
                text = piece.text
            self._starts.append(length)
            self._pieces.append(piece if isinstance(piece, Token) else piece.start)
            parts.append(text)
            length += len(text)
        self.text = "".join(parts)
        self.pattern = re.compile(rf"{self.salt}\d+z")

    def origin(self, offset: int) -> int:
        """Return the offset in the source that one in the masked text comes from."""
        index = bisect_right(self._starts, offset) - 1
        piece = self._pieces[index]
        return piece.start if isinstance(piece, Token) else piece + offset - self._starts[index]

    def words(self, text: str) -> list[str]:
        """Return the words in a text, in order."""
        return self.pattern.findall(text)

    def word_for(self, source: str) -> str:
        """Return a word for Jinja source that the compiler adds and that prints something."""
        found = next((word for word, token in self.tokens.items() if token.source == source), None)
        word = found or f"{self.salt}{len(self.tokens)}z"
        self.tokens.setdefault(word, Token(0, source, "output"))
        return word

    def replace(self, text: str, by: Callable[[Token], str]) -> str:
        """Return the text with each word replaced."""
        return self.pattern.sub(lambda match: by(self.tokens[match[0]]), text)


def literal(text: str) -> str:
    """Return text as a Jinja source that prints it, when it holds what Jinja would take for a token."""
    return re.sub(r"\{(?=[{%#])", _BRACE, text)


def printed(source: str) -> str:
    """Return the text that `literal` made a source of."""
    return source.replace(_BRACE, "{")


def unused_salt(text: str) -> str:
    """Return the beginning of words that a text does not hold."""
    salt = "jq"
    while salt in text:
        salt += "q"
    return salt + "x"
