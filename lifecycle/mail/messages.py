"""The texts of an email that translators translate: what `_("…")` and `ngettext("…", "…", n)` say in its source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import TemplateSyntaxError, nodes

from lifecycle.errors import TemplateError
from lifecycle.mail.environment import text_environment
from lifecycle.mail.speech import Speech

FUNCTIONS = ("_", "gettext", "ngettext")
_PARAMETER = re.compile(r"%\((\w+)\)s")
_TOKEN = re.compile(r"\{\{(?![-+])[^{}]*(?<![-+])\}\}")
# Filters whose result depends on nothing but the text: what they are given when compiling, they are given for good.
_PURE = frozenset({"capitalize", "indent", "lower", "replace", "title", "trim", "truncate", "upper", "wordwrap"})


@dataclass(frozen=True, slots=True)
class Message:
    """One call: its text, the plural of it if it counts, and where it stands."""

    text: str
    plural: str | None
    place: str

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
            yield _message(call, call.node.name, where(call.lineno))


def _message(call: nodes.Call, name: str, place: str) -> Message:
    counts = name == "ngettext"
    texts = [each.value for each in call.args[: 1 + counts] if isinstance(each, nodes.Const)]
    example = 'ngettext("%(num)s CD", "%(num)s CDs", n)' if counts else '_("Hi %(name)s", name=…)'
    if len(texts) != 1 + counts or not all(isinstance(text, str) and text for text in texts):
        raise TemplateError(place, f"{name}() without its text, which translators could not see", f"write {example}")
    if len(call.args) != (3 if counts else 1) or call.dyn_args is not None or call.dyn_kwargs is not None:
        raise TemplateError(place, f"{name}() with other arguments than it takes", f"write {example}")
    given = {keyword.key for keyword in call.kwargs} | ({"num"} if counts else set())
    for lacking in sorted(frozenset().union(*map(parameters, texts)) - given):
        raise TemplateError(place, f"{name}() is not given {lacking!r}, which its text names", f"add {lacking}=…")
    return Message(texts[0], texts[1] if counts else None, place)


# What is the same for everybody, and so is said when compiling


@lru_cache(maxsize=4096)
def constant(token: str) -> Callable[[Speech], str] | None:
    """What says a token that prints texts and nothing of the data, like `{{ _("Hello") }}`; None for any other."""
    if ("_(" not in token and "gettext(" not in token) or not _TOKEN.fullmatch(token):
        return None
    environment = text_environment()
    try:
        [output] = environment.parse(token).body
    except (TemplateSyntaxError, ValueError):
        return None
    names = {name.name for name in output.find_all(nodes.Name)}
    filters = {each.name for each in output.find_all(nodes.Filter)}
    if not names or not names <= set(FUNCTIONS) or not filters <= _PURE:
        return None
    template = environment.from_string(token)
    return lambda speech: template.render(_=speech.gettext, gettext=speech.gettext, ngettext=speech.ngettext)


def with_constants(text: str, speech: Speech) -> str:
    """A Jinja source without escaping, with its constant tokens said."""

    def say(token: re.Match[str]) -> str:
        says = constant(token[0])
        said = token[0] if says is None else says(speech)
        return token[0] if "{" in said else said  # a brace could begin a token

    return _TOKEN.sub(say, text)
