"""Rules on the locales of an email."""

from __future__ import annotations

from .rule import Rule

RULES: tuple[Rule, ...] = ()
