"""What `_` and `ngettext` say in one locale, while an email is rendered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from gettext import c2py

from markupsafe import Markup, escape

ENGLISH_PLURAL = "(n != 1)"
"""The plural rule of texts that are not translated, as catalogues write it."""

_LONE_PERCENT = re.compile(r"%(?!\(\w+\)s|%)")


class Speech:
    """The translations that an email needs, by its own texts; what is missing is said as the email says it.

    A text is plain and is escaped like data where it is printed. Values are put in place of `%(name)s`, as they are,
    unless one of them is a piece of the template (`{% set link %}…{% endset %}`), whose markup then stays markup.
    """

    def __init__(self, texts: Mapping[str, str], plurals: Mapping[tuple[str, str], Sequence[str]], rule: str) -> None:
        self._texts = texts
        self._plurals = plurals
        self._form = _rule(rule)

    def gettext(self, text: str, /, **values: object) -> str:
        """The text in this locale."""
        said = self._texts.get(text, text)
        return _filled(said, values) if values else said

    def ngettext(self, singular: str, plural: str, number: object, /, **values: object) -> str:
        """The form of the text for that many; `%(num)s` is the number. Raises ValueError for what is none."""
        count = _whole(number)
        forms = self._plurals.get((singular, plural))
        said = forms[self._form(count)] if forms else (singular if count == 1 else plural)
        return _filled(said, {"num": number, **values})


def _filled(text: str, values: Mapping[str, object]) -> str:
    if any(isinstance(value, Markup) for value in values.values()):
        return escape(_pattern(text)) % values
    return _pattern(text) % values


@lru_cache(maxsize=4096)
def _pattern(text: str) -> str:
    # A per cent sign is one, whether doubled, as tools for translators want it in such texts, or not.
    return _LONE_PERCENT.sub("%%", text)


def _whole(number: object) -> int:
    try:
        count = int(number)  # type: ignore[call-overload]
        if isinstance(number, str) or count == number:
            return abs(int(count))
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"ngettext counts whole things, not {str(number)[:40]!r}")


@lru_cache(maxsize=64)
def _rule(expression: str) -> Callable[[int], int]:
    rule: Callable[[int], int] = c2py(expression)
    return rule
