"""Mutes: times at which somebody gets no marketing."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifecycle.errors import DefinitionError

from .conditions import Condition, of_customer
from .origin import here, is_text


@dataclass(frozen=True, slots=True, init=False)
class Mute:
    """No marketing to whom `when` holds; what is planned waits, and expires rather than piling up."""

    name: str
    when: Condition
    defined_at: str = field(compare=False, repr=False)

    def __init__(self, name: str, *, when: Condition) -> None:
        if not is_text(name):
            raise DefinitionError(here(), f"Mute({name!r}) has no name", 'write Mute("open complaint", when=…)')
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "when", of_customer(when, f"Mute({name!r})"))
        object.__setattr__(self, "defined_at", here())
