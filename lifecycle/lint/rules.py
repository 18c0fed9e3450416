"""All rules, in the order in which `lifecycle templates lint --rules` and docs/lint.md list them."""

from __future__ import annotations

from . import access, data, images, inbox, law, links, locales, size, styles
from .rule import Rule

RULES: tuple[Rule, ...] = (
    *data.RULES,
    data.TRIAL,
    *inbox.RULES,
    *law.RULES,
    *links.RULES,
    *images.RULES,
    *access.RULES,
    *styles.RULES,
    *size.RULES,
    *locales.RULES,
    Rule("template", "error", "The email compiles."),
    Rule("lint_off", "error", "What turns a rule off names one that there is, and a reason."),
)
