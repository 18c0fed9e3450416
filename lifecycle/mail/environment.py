"""How templates run: sandboxed, on plain data, and never with a hole in the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import escape

from lifecycle.mail import filters, urls, utm

# Each would let data skip the escaping, break replays, or print nothing that belongs in a letter.
_REMOVED_FILTERS = ("safe", "urlize", "xmlattr", "tojson", "random", "pprint", "attr")
# And what turns the rest of a line around: nobody's name needs it, and "pay 12" must not read "pay 21". Marks and
# isolates stay, by which Arabic and Hebrew are written right; they move nothing that stands outside them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
_SPECIAL = re.compile(f"{_CONTROLS.pattern[:-1]}&<>'\"]")  # and what is escaped in HTML
LONGEST_TEXT = 1_000_000
"""Characters that one value may have; so what is too large for any email costs no time."""
_NO_TEXT = (Mapping, list, tuple, set, frozenset, bytes)


class Missing(StrictUndefined):
    """A variable that the data does not have; its message is its bare name, which the renderer completes."""

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_name or self._undefined_hint or "")


class Empty(Missing):
    """A variable that is there and is None: false in conditions, an error in print unless it has a default."""

    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return other is None or isinstance(other, Empty)

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(None)


def in_html(value: object) -> str:
    """Return what stands for a value in HTML: `clean` and escaped, which most text is as it comes."""
    if type(value) is str and len(value) <= LONGEST_TEXT and _SPECIAL.search(value) is None:
        return value
    return str(value) if type(value) is int else escape(clean(value))


def in_text(value: object) -> str:
    """Return what stands for a value in a line of text: `clean`."""
    if type(value) is str and len(value) <= LONGEST_TEXT and value.isprintable():
        return value
    return str(clean(value))


class _Printing(CodeGenerator):
    """Prints each value by one call, in place of one to `clean` and one to `escape` or `str`, which cost twice that."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile:
            super()._output_child_pre(node, frame, finalize)
        else:  # with as many brackets as are closed behind it
            self.write(f"environment.{'in_html' if frame.eval_ctx.autoescape else 'in_text'}((")


class Sandbox(ImmutableSandboxedEnvironment):
    """Looks data up by key first, so that `event.items` is the property and never a method of dict."""

    code_generator_class = _Printing
    in_html = staticmethod(in_html)
    in_text = staticmethod(in_text)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict or isinstance(obj, Mapping):
            value = obj.get(attribute, self)
            if value is self:
                return self.undefined(obj=obj, name=attribute)
            if type(value) is str and len(value) > LONGEST_TEXT:
                raise too_long(value)  # before any filter works on it
            return Empty(obj=obj, name=attribute) if value is None else value
        if isinstance(obj, Missing) and obj._undefined_obj is not missing:
            # So that `customer.address.city | default("…")` serves a customer without an address.
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(argument, str) and isinstance(obj, Mapping):
            return self.getattr(obj, argument)
        return super().getitem(obj, argument)

    def is_safe_callable(self, obj: Any) -> bool:
        # No method of a class: `now.now()` is another moment in each preview and replay.
        return not isinstance(getattr(obj, "__self__", None), type) and super().is_safe_callable(obj)


def clean(value: object) -> object:
    """Return what is printed for a value: text without what no mail may hold or what reverses the text after it.

    Raises ValueError for a collection: no letter greets ['Siti'].
    """
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise too_long(value)
        if value.isprintable():
            return value
        # `type` and `str`, because a filter may have escaped it already, which must stay known.
        return type(value)(_CONTROLS.sub("", str(value).replace("\r\n", "\n").replace("\r", "\n")))
    if isinstance(value, _NO_TEXT):
        raise ValueError(f"a {type(value).__name__} is printed where text is expected; take one of it, or join it")
    return value


def too_long(text: str) -> ValueError:
    """Return the error about a text that no email has room for."""
    return ValueError(f"{text[:20]!r}… is a text of {len(text):,} characters, and there is room for {LONGEST_TEXT:,}")


def is_none(value: object) -> bool:
    """Return whether a value is None, also one that came out of the data as Empty."""
    return value is None or isinstance(value, Empty)


def html_environment() -> Sandbox:
    """Return the environment of the HTML part: escaped."""
    return _environment(autoescape=True)


def text_environment() -> Sandbox:
    """Return the environment of subject, preheader and text part: not escaped, statements leave no blank lines."""
    return _environment(autoescape=False, trim_blocks=True, lstrip_blocks=True)


def _environment(**options: bool) -> Sandbox:
    environment = Sandbox(undefined=Missing, finalize=clean, keep_trailing_newline=True, cache_size=0, **options)
    for name in _REMOVED_FILTERS:
        del environment.filters[name]
    environment.filters.update(
        default=filters.default,
        d=filters.default,
        money=filters.money,
        number=filters.number,
        percent=filters.percent,
        date=filters.date,
        time=filters.time,
        datetime=filters.datetime,
        # Written by the compiler only: an author's name that begins so is unknown.
        _link=urls.link,
        _picture=urls.picture,
        _pictures=urls.pictures,
        _tagged=utm.tag_in_html if options["autoescape"] else utm.tag_in_text,
    )
    environment.tests["none"] = is_none
    del environment.globals["lipsum"]
    return environment
