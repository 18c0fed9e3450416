"""Jinja's syntax tree with exact places.

Jinja knows lines only. Here its lexer's tokens are numbered by their offsets in the source instead, so that the parser
carries these on as the `lineno` of every node and of every error.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from lifecycle.errors import TemplateError
from lifecycle.mail.tokens import Lexeme, Token, cut, innermost_open, lexemes

_NEVER_WITHIN = re.compile(r"</|\{[{%]")  # a closing tag or another token
_END_OF = {"{{": "}}", "{%": "%}", "{#": "#}"}


def parse(source: str, environment: Environment, where: Callable[[int], str]) -> nodes.Template:
    """Return the tree of a source, `lineno` being offsets; raises TemplateError at what `where` says of an offset."""
    pieces: list[Lexeme] = []
    try:
        pieces = lexemes(source, environment)
        tree = _tree(pieces, environment)
        # Jinja itself puts off an unknown filter inside an `if` until it runs.
        for call in tree.find_all(nodes.Filter):
            _check_known("filter", call, environment.filters, source, where)
        for test in tree.find_all(nodes.Test):
            _check_known("test", test, environment.tests, source, where)
        environment.compile(tree, raw=True)
    except TemplateSyntaxError as error:
        raise _located(error, source, pieces, where) from error
    return tree


def parse_again(source: str, environment: Environment) -> nodes.Template:
    """Return the tree of a source that has been parsed without an error, as `parse`, in half the time."""
    return _tree(lexemes(source, environment), environment)


def _tree(pieces: list[Lexeme], environment: Environment) -> nodes.Template:
    parser = Parser(environment, "")
    numbered = ((piece.start, piece.kind, piece.text) for piece in pieces)
    parser.stream = TokenStream(environment.lexer.wrap(numbered, None, None), None, None)
    return parser.parse()


def _check_known(
    kind: str,
    call: nodes.Filter | nodes.Test,
    known: Collection[str],
    source: str,
    where: Callable[[int], str],
) -> None:
    if call.name not in known or call.name.startswith("_"):
        at = source.find(call.name, call.lineno)
        raise TemplateError(where(at), f"unknown {kind} {call.name!r}", _nearest(call.name, known), "unknown_filter")


def _nearest(name: str, known: Collection[str]) -> str:
    words = sorted(filter(str.isalpha, known))
    close = difflib.get_close_matches(name, words, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(words)}"


def _located(
    error: TemplateSyntaxError, source: str, pieces: list[Lexeme], where: Callable[[int], str]
) -> TemplateError:
    """The error in words that tell an author more than Jinja's, where they are known."""
    message = (error.message or str(error)).rstrip(".")
    if opening := _unclosed(source, error.lineno):
        mark = source[opening.start() : opening.start() + 2]
        return TemplateError(
            where(opening.start()), f"Jinja: {mark} is never closed", f"write {_END_OF[mark]} after it"
        )
    if message.startswith("Unexpected end of template"):
        tokens = [piece for piece in cut(pieces) if isinstance(piece, Token)]
        if (token := innermost_open(tokens)) is not None:
            hint = f"write {{% end{token.keyword} %}} where it ends"
            return TemplateError(where(token.start), f"Jinja: {token.source} is never closed", hint)
    return TemplateError(where(error.lineno), f"Jinja: {message}", "mend the {{ … }} or {% … %} there")


def _unclosed(source: str, at: int) -> re.Match[str] | None:
    """Return the `{{` or `{%` before an offset if it swallows what follows it for want of its end."""
    begins = list(re.finditer(r"\{[{%#]", source[: at + 1]))
    if not begins:
        return None
    mark = begins[-1]
    end = source.find(_END_OF[mark[0]], mark.end())
    within = source[mark.end() : end if end >= 0 else None]
    if end >= 0 and (end < at or not _NEVER_WITHIN.search(within)):
        return None
    return mark
