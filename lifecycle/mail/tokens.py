"""The Jinja tokens of a source, `{{ … }}` and `{% … %}`, each with the offset where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError

_CLOSED_BY = {
    "if": "endif",
    "for": "endfor",
    "with": "endwith",
    "filter": "endfilter",
    "set": "endset",
    "macro": "endmacro",
    "call": "endcall",
    "block": "endblock",
    "autoescape": "endautoescape",
    "trans": "endtrans",
}
_MIDDLES = frozenset({"elif", "else"})
_PLACE_IN_MESSAGE = re.compile(r" at \d+$")


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A piece of a source as Jinja's lexer cuts it; `kind` is Jinja's word for it."""

    start: int
    kind: str
    text: str

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Token:
    """One `{{ … }}`, `{% … %}` or raw block; `keyword` is "output", "raw", or the statement's first word."""

    start: int
    source: str
    keyword: str

    @property
    def is_statement(self) -> bool:
        """Whether it controls what is printed instead of printing."""
        return self.keyword not in ("output", "raw")

    @property
    def opens(self) -> bool:
        """Whether another token has to close it."""
        return self.keyword in _CLOSED_BY and not (self.keyword == "set" and "=" in self.source)

    @property
    def closes(self) -> bool:
        """Whether it closes another."""
        return self.keyword in _CLOSED_BY.values()

    @property
    def is_middle(self) -> bool:
        """Whether it stands between one that opens and one that closes."""
        return self.keyword in _MIDDLES

    def is_closed_by(self, other: Token) -> bool:
        """Whether the other is the one that closes it."""
        return _CLOSED_BY.get(self.keyword) == other.keyword


def lexemes(source: str, environment: Environment) -> list[Lexeme]:
    """Return the pieces of a source; raises TemplateSyntaxError with an offset as its `lineno`."""
    found: list[Lexeme] = []
    at = 0
    try:
        for _, kind, text in environment.lex(source):
            at = source.index(text, at)  # past the white space that `{%-` eats, which no piece has
            found.append(Lexeme(at, kind, text))
            at += len(text)
    except TemplateSyntaxError as error:
        at = len(source) - len(source[at:].lstrip())
        raise TemplateSyntaxError(_PLACE_IN_MESSAGE.sub("", error.message or ""), at) from error
    return found


def cut(pieces: Sequence[Lexeme]) -> Iterator[Lexeme | Token]:
    """Yield the tokens of a source and the text between them; comments are dropped."""
    inside = ""  # the kind of token being collected
    start, keyword, text = 0, "", ""
    for piece in pieces:
        if not inside and piece.kind == "data":
            yield piece
        elif not inside:
            inside, start, text = piece.kind.removesuffix("_begin"), piece.start, piece.text
            keyword = {"variable": "output", "raw": "raw"}.get(inside, "")
        else:
            text += piece.text
            if piece.kind == "name" and not keyword:
                keyword = piece.text
            if piece.kind == f"{inside}_end":
                if inside != "comment":
                    yield Token(start, text.rstrip(), keyword)  # `-%}` comes with the space it eats
                inside = ""


def innermost_open(tokens: Sequence[Token]) -> Token | None:
    """Return the last token that nothing closes, or None."""
    opened: list[Token] = []
    for token in tokens:
        if token.opens:
            opened.append(token)
        elif token.closes and opened:
            opened.pop()
    return opened[-1] if opened else None
