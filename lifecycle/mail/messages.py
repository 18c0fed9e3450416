"""The texts of an email that translators translate: what `_("…")` and `ngettext("…", "…", n)` say in its source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jinja2 import Environment, nodes

from lifecycle.errors import TemplateError

FUNCTIONS = ("_", "gettext", "ngettext")
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True, slots=True)
class Message:
    """One call: its text, the plural of it if it counts, and the line at which Jinja saw it."""

    text: str
    plural: str | None
    line: int

    @property
    def key(self) -> str | tuple[str, str]:
        """By what catalogues know it."""
        return self.text if self.plural is None else (self.text, self.plural)


def parameters(text: str) -> frozenset[str]:
    """The names in a text that values are put in place of: "Hi %(name)s" → {"name"}."""
    return frozenset(_PARAMETER.findall(text))


def messages(tree: nodes.Template, where: Callable[[int], str]) -> Iterator[Message]:
    """The messages of a template in order; raises TemplateError where one could not be translated."""
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in FUNCTIONS:
            yield _message(call, call.node.name, where)


def _message(call: nodes.Call, name: str, where: Callable[[int], str]) -> Message:
    counts = name == "ngettext"
    texts = [each.value for each in call.args[: 1 + counts] if isinstance(each, nodes.Const)]
    example = 'ngettext("%(num)s CD", "%(num)s CDs", n)' if counts else '_("Hi %(name)s", name=…)'
    place = where(call.lineno)
    if len(texts) != 1 + counts or not all(isinstance(text, str) and text for text in texts):
        raise TemplateError(place, f"{name}() without its text, which translators could not see", f"write {example}")
    if len(call.args) != (3 if counts else 1) or call.dyn_args is not None or call.dyn_kwargs is not None:
        raise TemplateError(place, f"{name}() with other arguments than it takes", f"write {example}")
    given = {keyword.key for keyword in call.kwargs} | ({"num"} if counts else set())
    for lacking in sorted(frozenset().union(*map(parameters, texts)) - given):
        raise TemplateError(place, f"{name}() is not given {lacking!r}, which its text names", f"add {lacking}=…")
    return Message(texts[0], texts[1] if counts else None, call.lineno)


def constant(source: str, environment: Environment) -> str | None:
    """The text of a token that is nothing but `{{ _("…") }}`; None for any other."""
    if not re.match(r"\{\{[^-+]\s*(?:_|gettext)\s*\(", source) or source.endswith("-}}"):
        return None
    match environment.parse(source).body:
        case [nodes.Output(nodes=[nodes.Call(args=[nodes.Const(value=str(text))], kwargs=[])])]:
            return text
    return None
