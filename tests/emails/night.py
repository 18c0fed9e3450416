"""An email in the dark: its rules for `prefers-color-scheme: dark` win over its inline styles."""

from __future__ import annotations

import re

from cssselect import parse
from lxml import html as markup

_DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{((?:[^{}]*\{[^{}]*\})*)\s*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


def dark_rules(html: str) -> list[tuple[str, str]]:
    """The selectors and declarations for the dark, those that win last."""
    rules = [
        (selector.strip(), declarations.strip())
        for block in _DARK.findall(html)
        for selectors, declarations in _RULE.findall(block)
        for selector in selectors.split(",")
    ]
    return sorted(rules, key=lambda rule: parse(rule[0])[0].specificity())


def in_the_dark(html: str) -> str:
    """The email with its dark rules in its inline styles; they must all be `!important`, or inline styles would win."""
    tree = markup.document_fromstring(html)
    for selector, declarations in dark_rules(html):
        assert declarations.count("!important;") == declarations.count(":"), f"{selector} {{ {declarations} }}"
        for element in tree.cssselect(selector):
            element.set("style", f"{element.get('style', '')};{declarations.replace('!important', '')}")
    return str(markup.tostring(tree, encoding="unicode"))
