"""Made-up data for a look at an email: something plausible for every word of the vocabulary, always the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from lifecycle.mail.recommended import Recommended
from lifecycle.mail.sections import Section

from .entries import On
from .journey import Journey
from .project import Project
from .steps import Send, walk_steps
from .vocabulary import Vocabulary

A_DAY = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
_BY_NAME: Mapping[str, Any] = {
    "email": "alice@example.com",
    "first_name": "Alice",
    "last_name": "Example",
    "birthday": date(1990, 5, 17),
    "timezone": "Europe/London",
    "created_at": A_DAY,
}
_BY_LANGUAGE: Mapping[str, Mapping[str, Any]] = {
    "id": {"email": "siti@example.com", "first_name": "Siti", "last_name": "Contoh", "timezone": "Asia/Jakarta"},
}
_BY_TYPE: Mapping[type, Any] = {
    int: 2,
    float: 42.5,
    Decimal: 42.5,
    bool: True,
    date: "2026-05-17",
    datetime: A_DAY,
    list: [{"product_id": "P1001", "name": "Blue mug", "price": 12.5, "quantity": 2}],
}
_PRODUCTS = (("P1001", "Blue mug", "12.50"), ("P1002", "Teapot for two", "48"), ("P1003", "Linen towel", "9.90"))


def sample_customer(vocabulary: Vocabulary, locale: str = "en") -> dict[str, Any]:
    """The traits of nobody: all reserved ones and all that the vocabulary declares, as events would bring them."""
    declared = {name: _value(name, word.python_type) for name, word in vocabulary.attributes.items()}
    own = _BY_LANGUAGE.get(locale.replace("_", "-").partition("-")[0].lower(), {})
    return {**declared, **_BY_NAME, **own, "locale": locale}


def sample_event(vocabulary: Vocabulary, event: str | None) -> dict[str, Any]:
    """The properties of an event that never happened; none where there is no such event."""
    declared = vocabulary.events.get(event) if event is not None else None
    if declared is None:
        return {}
    return {name: _value(name, word.python_type) for name, word in declared.properties.items()}


def sample_orders(project: Project) -> list[dict[str, Any]]:
    """Orders that nobody placed, the newest in front, as templates see them; none where the policy names no order."""
    purchases = project.policy.purchases
    if purchases is None:
        return []
    sample = sample_event(project.vocabulary, purchases.event)
    return [{**sample, "at": A_DAY - timedelta(days=30 * number)} for number in range(purchases.orders)]


def sample_recommended() -> Recommended:
    """Products that nobody sells, as templates see what is recommended."""
    return Recommended(
        [
            {
                "id": id,
                "name": name,
                "url": f"https://example.com/{id}",
                "image": f"https://example.com/{id}.png",
                "price": Decimal(price),
                "currency": None,
                "category": "Kitchen",
            }
            for id, name, price in _PRODUCTS
        ]
    )


def sample_sections(project: Project) -> tuple[Section, ...]:
    """What a digest could gather of these journeys: all that may go into one, or, where nothing may, some marketing."""
    sends = [
        (journey, step)
        for journey in project.journeys.values()
        for step in walk_steps(journey.steps)
        if isinstance(step, Send) and journey.kind == "marketing"
    ]
    gathered = [each for each in sends if each[1].on_capped == "digest"] or sends[:3]
    return tuple(
        Section(number, journey.topic, journey.name, step.template, "sample", _trigger(project, journey))
        for number, (journey, step) in enumerate(gathered[: project.policy.digest.most])
    )


def _trigger(project: Project, journey: Journey) -> dict[str, Any]:
    return sample_event(project.vocabulary, journey.enter.event if isinstance(journey.enter, On) else None)


def _value(name: str, kind: type) -> Any:
    if kind is str:
        if name.endswith(("url", "link", "image")):
            return f"https://example.com/{name}"
        return "A1001" if name.endswith("id") else name.replace("_", " ").capitalize()
    return _BY_TYPE[kind]
