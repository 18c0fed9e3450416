"""Sample data of one email: made up from the vocabulary's types, and what `<email>.sample.json` says besides."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lifecycle.core.profile import merge
from lifecycle.errors import TemplateError
from lifecycle.journey.project import Project
from lifecycle.journey.sample import A_DAY, sample_customer, sample_event, sample_orders, sample_recommended
from lifecycle.journey.vocabulary import RESERVED, Vocabulary, nearest
from lifecycle.mail.locales import language, normal
from lifecycle.mail.recommended import ORDERS, RECOMMENDED, Recommended

GROUPS = ("customer", "event", ORDERS, RECOMMENDED)
"""What a sample file may hold, all of it optional: two objects, two lists of objects."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The data of nobody; `more` is what only some emails read, none where the policy has no `purchases=`."""

    customer: Mapping[str, Any]
    event: Mapping[str, Any]
    more: Mapping[str, Any]


def sample(project: Project, templates: Path, template: str, event: str | None, locale: str | None = None) -> Sample:
    """The sample data of an email that is started by `event`, for somebody who reads `locale`.

    A file `<template>.sample.json` is laid over what is made up, and over both `<template>.<locale>.sample.json`, that
    of the language first; a null takes something away. Raises TemplateError with the place of what cannot be used.
    """
    words, read, purchases = project.vocabulary, locale or project.policy.locale, project.policy.purchases
    more = {ORDERS: sample_orders(project), RECOMMENDED: sample_recommended()} if purchases else {}
    found = Sample(sample_customer(words, read), sample_event(words, event), more)
    theirs = normal(read) or read
    for name in dict.fromkeys((template, f"{template}.{language(theirs)}", f"{template}.{theirs}")):
        path = templates / f"{name}.sample.json"
        if path.is_file():
            found = _File(path).over(found, project, event)
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
        except UnicodeDecodeError as error:
            raise TemplateError(f"{path}:1:1", "the file is not UTF-8", "save it as UTF-8") from error
        except RecursionError as error:
            raise TemplateError(f"{path}:1:1", "it is nested too deeply to be read", "write less of it") from error

    def over(self, made_up: Sample, project: Project, event: str | None) -> Sample:
        """What is made up with what the file says over it."""
        self._shapes()
        more = dict(made_up.more)
        for name in (ORDERS, RECOMMENDED):
            if name not in self._groups:
                continue
            if project.policy.purchases is None:
                hint = "write purchases= in policy.py, or drop it"
                raise self._wrong(f"emails have no {name} where the policy names no purchases", hint, name)
            rows = self._orders(project) if name == ORDERS else self._products()
            more[name] = rows if name == ORDERS else Recommended(rows)
        return Sample(
            self._customer(made_up.customer, project.vocabulary),
            self._event(made_up.event, project.vocabulary, event),
            more,
        )

    def _customer(self, made_up: Mapping[str, Any], words: Vocabulary) -> dict[str, Any]:
        traits, customer = self._groups.get("customer", {}), dict(made_up)
        self._known(traits, {*RESERVED, *words.attributes}, "declare it in vocabulary.py", "customer")
        for name, value in traits.items():
            if faults := merge(customer, {name: value}):
                raise self._wrong(faults[0], "mend the value", "customer", name)
        return customer

    def _event(self, made_up: Mapping[str, Any], words: Vocabulary, event: str | None) -> dict[str, Any]:
        properties = self._groups.get("event", {})
        if properties and event is None:
            raise self._wrong("no event starts a journey that sends this email", "drop it", "event")
        declared = _properties(words, event)
        self._known(properties, declared, f"declare it in {event} in vocabulary.py", "event")
        return {name: value for name, value in {**made_up, **properties}.items() if value is not None}

    def _orders(self, project: Project) -> list[dict[str, Any]]:
        """The orders as emails see them; one that does not say when it was is from some day."""
        orders, purchases = self._groups[ORDERS], project.policy.purchases
        event = purchases.event if purchases else None
        known = {*_properties(project.vocabulary, event), "at"}
        for order in orders:
            self._known(order, known, f"declare it in {event} in vocabulary.py", ORDERS)
        return [{**order, "at": self._moment(order["at"]) if "at" in order else A_DAY} for order in orders]

    def _products(self) -> list[dict[str, Any]]:
        """The products as emails see them; what one does not say is made up."""
        (made_up,) = sample_recommended()(1)
        for product in self._groups[RECOMMENDED]:
            self._known(product, made_up, f"a product has {', '.join(made_up)}", RECOMMENDED)
        return [{**made_up, **product} for product in self._groups[RECOMMENDED]]

    def _moment(self, at: object) -> datetime:
        try:
            moment = datetime.fromisoformat(at if isinstance(at, str) else "")
        except ValueError:
            hint = 'write "at": "2026-11-22T09:00:00Z"'
            raise self._wrong(f"an order's at is no moment: {at!r}", hint, ORDERS, "at") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _shapes(self) -> None:
        """Every group is one that there is, and of the shape that it has."""
        if not isinstance(self._groups, dict):
            raise self._wrong("sample data are an object", f"write an object with {', '.join(GROUPS)}")
        self._known(self._groups, GROUPS, f"a sample has {', '.join(GROUPS)}")
        for name, value in self._groups.items():
            if name not in (ORDERS, RECOMMENDED):
                if not isinstance(value, dict):
                    raise self._wrong(f"{name!r} is no object", f'write "{name}": {{…}}', name)
            elif not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
                raise self._wrong(f"{name!r} is no list of objects", f'write "{name}": [{{…}}, {{…}}]', name)

    def _known(self, names: Iterable[str], known: Collection[str], otherwise: str, *within: str) -> None:
        for name in names:
            if name not in known:
                message = f"{'.'.join((*within, name))!r} is nothing that an email could print"
                raise self._wrong(message, nearest(name, known, otherwise), *within, name)

    def _wrong(self, message: str, hint: str, *keys: str) -> TemplateError:
        """The mistake, at the last of `keys`, each looked for behind the one before."""
        at = 0
        for key in keys:
            found = re.compile(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:").search(self._text, at)
            at = found.start() if found else at
        line, column = self._text.count("\n", 0, at) + 1, at - (self._text.rfind("\n", 0, at) + 1) + 1
        return TemplateError(f"{self._path}:{line}:{column}", message, hint)


def _properties(words: Vocabulary, event: str | None) -> Collection[str]:
    return words.events[event].properties if event is not None and event in words.events else ()
