"""Sample data of one email: made up from the vocabulary's types, and what `<email>.sample.json` says besides."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifecycle.core.profile import merge
from lifecycle.errors import TemplateError
from lifecycle.journey.project import Project
from lifecycle.journey.sample import sample_customer, sample_event
from lifecycle.journey.vocabulary import RESERVED, Vocabulary, nearest

GROUPS = ("customer", "event", "orders", "recommended")
"""What a sample file may hold, all of it optional: two objects, two lists of objects."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The data of nobody; `orders` and `recommended` are None where no file says any."""

    customer: Mapping[str, Any]
    event: Mapping[str, Any]
    orders: tuple[Mapping[str, Any], ...] | None = None
    recommended: tuple[Mapping[str, Any], ...] | None = None


def sample(project: Project, templates: Path, template: str, event: str | None, locale: str | None = None) -> Sample:
    """The sample data of an email that is started by `event`, for somebody who reads `locale`.

    A file `<template>.sample.json` is laid over what is made up, and `<template>.<locale>.sample.json` over both; a
    null takes something away. Raises TemplateError with the place of what cannot be used.
    """
    words, read = project.vocabulary, locale or project.policy.locale
    found = Sample(sample_customer(words, read), sample_event(words, event))
    for name in (template, f"{template}.{read}"):
        path = templates / f"{name}.sample.json"
        if path.is_file():
            found = _File(path).over(found, words, event)
    return found if locale is None else replace(found, customer={**found.customer, "locale": locale})


class _File:
    """One sample file; its mistakes are told with line and column."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._text = path.read_text(encoding="utf-8-sig")
            self._groups = json.loads(self._text)
        except json.JSONDecodeError as error:
            message = f"this is no JSON: {error.msg[:1].lower()}{error.msg[1:]}"
            raise TemplateError(f"{path}:{error.lineno}:{error.colno}", message, "mend the line") from error
        except (UnicodeDecodeError, RecursionError) as error:
            raise TemplateError(
                f"{path}:1:1", "this is no JSON in UTF-8 that could be read", "write it anew"
            ) from error

    def over(self, made_up: Sample, words: Vocabulary, event: str | None) -> Sample:
        """What is made up with what the file says over it."""
        self._shapes()
        traits, properties = self._groups.get("customer", {}), self._groups.get("event", {})
        self._known("customer", traits, {*RESERVED, *words.attributes}, "declare it in vocabulary.py")
        if properties and event is None:
            raise self._wrong("no event starts a journey that sends this email", "drop it", "event")
        declared = words.events[event].properties if event and event in words.events else {}
        self._known("event", properties, declared, f"declare it in {event} in vocabulary.py")
        customer = dict(made_up.customer)
        for name, value in traits.items():
            if faults := merge(customer, {name: value}):
                raise self._wrong(faults[0], "mend the value", "customer", name)
        merged = {name: value for name, value in {**made_up.event, **properties}.items() if value is not None}
        orders, recommended = (self._groups.get(name) for name in ("orders", "recommended"))
        return Sample(
            customer,
            merged,
            made_up.orders if orders is None else tuple(orders),
            made_up.recommended if recommended is None else tuple(recommended),
        )

    def _shapes(self) -> None:
        """Every group is one that there is, and of the shape that it has."""
        if not isinstance(self._groups, dict):
            raise self._wrong("sample data are an object", f"write an object with {', '.join(GROUPS)}")
        self._known("", self._groups, GROUPS, f"a sample has {', '.join(GROUPS)}")
        for name, value in self._groups.items():
            if name in ("customer", "event"):
                if not isinstance(value, dict):
                    raise self._wrong(f"{name!r} is no object", f'write "{name}": {{…}}', name)
            elif not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
                raise self._wrong(f"{name!r} is no list of objects", f'write "{name}": [{{…}}, {{…}}]', name)

    def _known(self, group: str, names: Iterable[str], known: Iterable[str], otherwise: str) -> None:
        for name in names:
            if name not in known:
                what = f"{group}.{name}" if group else f"the key {name!r}"
                message = f"{what} is nothing that an email could print"
                raise self._wrong(message, nearest(name, known, otherwise), *filter(None, (group, name)))

    def _wrong(self, message: str, hint: str, *keys: str) -> TemplateError:
        """The mistake, at the last of `keys`, each looked for behind the one before."""
        at = 0
        for key in keys:
            found = re.compile(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:").search(self._text, at)
            at = found.start() if found else at
        line, column = self._text.count("\n", 0, at) + 1, at - (self._text.rfind("\n", 0, at) + 1) + 1
        return TemplateError(f"{self._path}:{line}:{column}", message, hint)
