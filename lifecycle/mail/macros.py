"""Macros, written out where they are called.

MJML has to see a macro's blocks in their place to lay them out, and the subject is a template of its own. So before
anything else `{{ card(p) }}` becomes the content of the macro inside `{% with product=p %}`, which prints the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

from lifecycle.errors import TemplateError
from lifecycle.mail.environment import Sandbox
from lifecycle.mail.mask import VOID_TAGS, Masked
from lifecycle.mail.source import Pieces, Source
from lifecycle.mail.syntax import parse
from lifecycle.mail.tokens import Lexeme, Token, cut, lexemes
from lifecycle.mail.variables import variables_read

_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s>/]*)(?:"[^"]*"|'[^']*'|[^"'>])*?(/?)>""")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_OF_JINJA = ("caller", "varargs", "kwargs")


@dataclass(frozen=True)
class _Argument:
    """A parameter with its default, or an argument with its value, which stands in the source from start to end."""

    name: str  # "" for one that is given by its place
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class _Macro:
    name: str
    begin: Token
    end: Token
    parameters: tuple[_Argument, ...]
    reads: frozenset[str] = field(default=frozenset())  # what its content takes from outside

    @property
    def starts(self) -> int:
        return self.begin.start + len(self.begin.source)

    def content(self, text: str) -> tuple[int, int]:
        """Return where its content begins and ends, without the space that its `-` take away."""
        start, end = self.starts, self.end.start
        if self.begin.source.endswith("-%}"):
            start = end - len(text[start:end].lstrip())
        if self.end.source.startswith("{%-"):
            end = start + len(text[start:end].rstrip())
        return start, end


def with_macros(source: Source, environment: Sandbox) -> Source:
    """Return the source with each macro's content in place of its calls; raises TemplateError at what cannot be."""
    pieces = lexemes(source.mjml, environment)
    tokens = [piece for piece in cut(pieces) if isinstance(piece, Token)]
    if all(token.keyword != "macro" for token in tokens):
        return source
    return _Expansion(source, environment, tokens, pieces).expanded()


class _Expansion:
    def __init__(self, source: Source, environment: Sandbox, tokens: Sequence[Token], pieces: Sequence[Lexeme]) -> None:
        self._source, self._environment, self._tokens = source, environment, tokens
        self._words = [piece for piece in pieces if piece.kind not in ("data", "whitespace", "comment")]
        self._macros: dict[str, _Macro] = {}
        self._written = Pieces()

    def expanded(self) -> Source:
        for macro in self._definitions():
            self._define(macro)
        for macro in self._macros.values():
            self._macros[macro.name] = self._checked(macro)
        self._write(0, len(self._source.mjml), (), ())
        mjml, origins = self._written.join()
        return replace(self._source, mjml=mjml, origins=origins)

    def _error(self, at: int, message: str, hint: str) -> TemplateError:
        return TemplateError(self._source.at(at), message, hint)

    def _in(self, token: Token) -> list[Lexeme]:
        """Return what stands between the braces of a token, without white space."""
        end = token.start + len(token.source)
        return [word for word in self._words if token.start < word.start < end and not word.kind.endswith("_end")]

    # definitions

    def _definitions(self) -> Iterator[_Macro]:
        opened: list[Token] = []
        for token in self._tokens:
            if token.opens:
                if token.keyword == "macro" and opened:
                    outer = opened[-1].source
                    raise self._error(token.start, f"a macro inside {outer}", "define it outside, before it is called")
                opened.append(token)
            elif token.closes and opened and (begin := opened.pop()).keyword == "macro":
                _, name, *words = self._in(begin)
                yield _Macro(name.text, begin, token, tuple(_parameters(words)))

    def _define(self, macro: _Macro) -> None:
        known = self._macros.get(macro.name)
        if known and self._source.at(known.begin.start) != self._source.at(macro.begin.start):
            first = self._source.at(known.begin.start)
            raise self._error(
                macro.begin.start, f"a second macro {macro.name!r}", f"the first is at {first}; rename one"
            )
        self._macros[macro.name] = macro

    def _checked(self, macro: _Macro) -> _Macro:
        """Return it with what it reads, once it is known to open and close its own tags."""
        content = self._source.mjml[macro.starts : macro.end.start]
        names = ",".join(parameter.name for parameter in macro.parameters)
        tree = parse(f"{{% macro m({names}) %}}{content}{{% endmacro %}}", self._environment, self._source.at)
        reads = {variable.partition(".")[0] for variable in variables_read(tree)} - self._macros.keys()
        for name in _OF_JINJA:
            if name in reads:
                raise self._error(macro.begin.start, f"{name!r} in a macro", "give the macro parameters with names")
        self._check_tags(macro, Masked(content, self._environment))
        return replace(macro, reads=frozenset(reads))

    def _check_tags(self, macro: _Macro, content: Masked) -> None:
        opened: list[tuple[str, int]] = []
        hint = "a macro begins and ends all its tags itself; pass what varies as arguments"
        for tag in _TAG.finditer(content.text):
            name, at = tag[2].lower(), macro.starts + content.origin(tag.start())
            if tag[1]:
                if not opened or opened.pop()[0] != name:
                    raise self._error(at, f"</{name}> closes what macro {macro.name!r} did not open", hint)
            elif not tag[3] and name not in VOID_TAGS:
                opened.append((name, at))
        if opened:
            raise self._error(opened[-1][1], f"macro {macro.name!r} leaves <{opened[-1][0]}> open", hint)

    # calls

    def _write(self, start: int, end: int, within: tuple[str, ...], bound: tuple[frozenset[str], ...]) -> None:
        """Append the source from start to end; `bound` are the names bound by each statement around it."""
        at = start
        for token in self._tokens:
            if not at <= token.start < end:
                continue
            if token.keyword == "macro":
                self._written.copy(self._source, at, token.start)
                at = self._end_of(token)
                continue
            if (macro := self._called(token)) is not None:
                self._written.copy(self._source, at, token.start)
                self._write_call(token, macro, within, bound)
                at = token.start + len(token.source)
            if token.opens:
                bound = (*bound, _bound_by(token, self._in(token)))
            elif token.closes:
                bound = bound[:-1]
        self._written.copy(self._source, at, end)

    def _end_of(self, begin: Token) -> int:
        end = next(token for token in self._tokens if token.start > begin.start and token.keyword == "endmacro")
        return end.start + len(end.source)

    def _called(self, token: Token) -> _Macro | None:
        """Return the macro that a token calls, if it does nothing else; refuse one that is used in another way."""
        if token.keyword in ("raw", "call"):
            return None
        words = self._in(token)
        before = ["", *(word.text for word in words)]
        used = [
            word
            for word, last in zip(words, before, strict=False)
            if word.kind == "name" and word.text in self._macros and last not in (".", "|")
        ]
        if not used:
            return None
        is_call = token.keyword == "output" and used == [words[0]] and _is_one_call(words[1:])
        if not is_call:
            name = used[-1].text
            raise self._error(
                used[-1].start,
                f"macro {name!r} inside an expression or statement",
                f"call it alone, {{{{ {name}(…) }}}}; to change or keep what it prints, "
                f"write {{% set text %}}{{{{ {name}(…) }}}}{{% endset %}} and use text",
            )
        return self._macros[used[0].text]

    def _write_call(
        self, token: Token, macro: _Macro, within: tuple[str, ...], bound: tuple[frozenset[str], ...]
    ) -> None:
        if macro.name in within:
            raise self._error(token.start, f"macro {macro.name!r} calls itself", "write a {% for %} loop")
        hidden = sorted(macro.reads & frozenset().union(*bound))
        if hidden:
            raise self._error(
                token.start,
                f"macro {macro.name!r} reads {hidden[0]!r}, which is another {hidden[0]!r} here",
                "give the macro a parameter for it, and pass it",
            )
        bindings = self._bindings(token, macro)
        left = "-" if token.source.startswith("{{-") else ""
        right = "-" if token.source.endswith("-}}") else ""
        here = self._source.origin(token.start)._replace(stands_for=token.source)
        for arguments in bindings:
            self._written.add(f"{{%{left} with ", here)
            for number, argument in enumerate(arguments):
                self._written.add(f"{', ' if number else ''}{argument.name}=", here)
                self._written.copy(self._source, argument.start, argument.end)
            self._written.add(" %}", here)
        names = frozenset(parameter.name for parameter in macro.parameters)
        self._write(*macro.content(self._source.mjml), (*within, macro.name), (*bound, names))
        self._written.add(f"{{% endwith {right}%}}" * len(bindings), here)

    def _bindings(self, token: Token, macro: _Macro) -> list[list[_Argument]]:
        """Return what the parameters are in one call: those given, then each default, which may read them."""
        names = iter([parameter.name for parameter in macro.parameters])
        given: dict[str, _Argument] = {}
        for argument in _arguments(self._in(token)[1:]):
            name = argument.name or next(names, "")
            self._check_argument(token, macro, argument, name, given)
            given[name] = replace(argument, name=name)
        defaults = [parameter for parameter in macro.parameters if parameter.name not in given]
        for parameter in defaults:
            if not parameter.end:
                raise self._error(token.start, f"macro {macro.name!r} needs {parameter.name!r}", "pass it")
        return [list(given.values()), *([parameter] for parameter in defaults)]

    def _check_argument(
        self, token: Token, macro: _Macro, argument: _Argument, name: str, given: Collection[str]
    ) -> None:
        known = [parameter.name for parameter in macro.parameters]
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        if self._source.mjml.startswith("*", argument.start):
            raise self._error(argument.start, f"`*` in a call of macro {macro.name!r}", "write the arguments out")
        if not name:
            raise self._error(token.start, f"too many arguments for macro {macro.name!r}", takes)
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else takes
            raise self._error(token.start, f"macro {macro.name!r} has no parameter {name!r}", hint)
        if name in given:
            raise self._error(token.start, f"{name!r} twice in a call of macro {macro.name!r}", "remove one")


def _arguments(words: Sequence[Lexeme]) -> Iterator[_Argument]:
    """Yield what stands, with commas between, in the brackets that the words are."""
    depth, part = 0, list[Lexeme]()
    for word in words:
        step = _BRACKETS.get(word.text, 0) if word.kind == "operator" else 0
        depth += step
        if (depth == 1 and word.text == "," and word.kind == "operator") or depth == 0:
            if part:
                yield _argument(part)
            part = []
        elif not (depth == 1 and step == 1):
            part.append(word)


def _argument(words: Sequence[Lexeme]) -> _Argument:
    if len(words) > 2 and words[0].kind == "name" and words[1].text == "=":
        return _Argument(words[0].text, words[2].start, words[-1].end)
    return _Argument("", words[0].start, words[-1].end)


def _parameters(words: Sequence[Lexeme]) -> Iterator[_Argument]:
    """Yield the parameters that the brackets of a definition name; `end` is 0 without a default."""
    names = {word.start: word.text for word in words}
    for argument in _arguments(words):
        yield argument if argument.name else _Argument(names[argument.start])


def _is_one_call(words: Sequence[Lexeme]) -> bool:
    """Whether the words are one pair of brackets with all else in it."""
    depth = 0
    for at, word in enumerate(words):
        depth += _BRACKETS.get(word.text, 0) if word.kind == "operator" else 0
        if depth == 0:
            return word.text == ")" and at == len(words) - 1
    return False


def _bound_by(token: Token, words: Sequence[Lexeme]) -> frozenset[str]:
    """Return the names that a statement binds for what stands in it."""
    if token.keyword == "for":
        targets = []
        for word in words[1:]:
            if word.text == "in":
                break
            targets.append(word.text)
        return frozenset((*targets, "loop"))
    if token.keyword == "with":
        following = [*(word.text for word in words[1:]), ""]
        return frozenset(
            word.text for word, after in zip(words, following, strict=True) if word.kind == "name" and after == "="
        )
    return frozenset()
