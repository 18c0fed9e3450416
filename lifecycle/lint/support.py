"""What major mail programs do not support, by caniemail's tables: scripts/refresh_caniemail.py makes ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .css import Declaration

WORD = "Outlook for Windows"
"""Its classic versions, which draw mail as Word does."""

# Without these an email looks plainer and reads the same: rounded corners are square, a phone rule does nothing.
_PLAINER = """
    @font-face @keyframes @media @supports
    accent-color animation backdrop-filter background-blend-mode background-position background-repeat
    background-size border-image border-radius box-shadow box-sizing caption-side color-scheme cursor empty-cells
    font-kerning font-size-adjust font-stretch height hyphenate-character hyphenate-limit-chars hyphens
    list-style-image list-style-position max-height min-height min-width mix-blend-mode opacity orphans outline
    outline-offset overflow overflow-wrap resize scroll-snap tab-size table-layout text-decoration-color
    text-decoration-line text-decoration-skip-ink text-decoration-style text-decoration-thickness text-emphasis
    text-emphasis-position text-justify text-overflow text-shadow text-underline-offset text-underline-position
    text-wrap transition user-select white-space white-space-collapse widows word-break word-spacing word-wrap z-index
    <abbr> <acronym> <bdi> <body> <link> <meter> <progress> <rp> <rt> <ruby> <wbr>
"""
_VENDOR = re.compile(r"^-(?:webkit|moz|ms|o)-|^mso-")
_FUNCTION = re.compile(r"([a-z-]+)\(")
_UNIT = re.compile(r"(?<![\w#-])[\d.]+([a-z]+)")
_IMAGE = re.compile(r"\.([a-z0-9]{2,5})(?=$|[?#'\")])")


def as_of() -> str:
    """The day of the tables."""
    return str(_data()["date"])


def programs() -> list[str]:
    """The programs that count."""
    return list(_data()["programs"])


def without(mark: str) -> Sequence[str]:
    """The programs that lack what a mark stands for ("gap", "display:flex", "rem unit" as "0rem", "<svg>", ".webp")."""
    return () if mark in _plainer() else _by_mark().get(mark, ())


def of_image(url: str) -> Iterator[str]:
    """The mark of an image's format, by its name."""
    if found := _IMAGE.search(url.lower()):
        yield f".{found[1]}"


def of_declaration(declaration: Declaration) -> Iterator[str]:
    """The marks of what a declaration uses."""
    name, value = declaration.property, declaration.value
    if _VENDOR.match(name) or name.startswith("--"):
        return  # known to be for one program only
    yield name
    if name.startswith("@"):
        return
    for word in value.split():
        yield f"{name}:{word}"
        yield f":{word}"
    for function in _FUNCTION.findall(value):
        yield f"{function}()"
    for unit in _UNIT.findall(re.sub(r"url\([^)]*\)", "", value)):
        yield f"0{unit}"


@cache
def _data() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads(Path(__file__).with_name("caniemail.json").read_text(encoding="utf-8"))
    return loaded


@cache
def _plainer() -> frozenset[str]:
    return frozenset(_PLAINER.split())


@cache
def _by_mark() -> dict[str, tuple[str, ...]]:
    features = _data()["features"].values()
    return {mark: tuple(feature["lacking"]) for feature in features for mark in feature["marks"]}
