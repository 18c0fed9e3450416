"""The text part that somebody wrote by hand, as `<name>.txt`: what it reads, and what of it translators translate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2 import nodes

from lifecycle.errors import TemplateError
from lifecycle.mail.environment import text_environment
from lifecycle.mail.messages import Message, messages
from lifecycle.mail.source import Source, place
from lifecycle.mail.syntax import parse
from lifecycle.mail.variables import variables_read


@dataclass(frozen=True, slots=True)
class Written:
    """Its `messages`, and the `places` where it reads each variable first; empty where no text is written by hand."""

    messages: tuple[Message, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)


def read_written(source: Source) -> Written:
    """Read the text part of a source; raises TemplateError with file:line:column."""
    return Written() if source.text is None else _read(str(source.path.with_suffix(".txt")), source.text)


@lru_cache(maxsize=64)  # all editions of an email ask
def _read(path: str, text: str) -> Written:
    def at(offset: int) -> str:
        return place(path, text, offset)

    tree = parse(text, text_environment(), at)
    for found in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
        raise TemplateError(at(found.lineno), "a text part cannot include", "write it out")
    return Written(
        tuple(messages(tree, at)), {variable: at(offset) for variable, offset in variables_read(tree).items()}
    )
