"""Light and dark: an email as a mail program in either mode shows it, whatever the browser around it prefers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

Scheme = Literal["light", "dark"]

_TAG = re.compile(r"(<[a-zA-Z/!][^<>]*>)")
_MEDIA = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)", re.IGNORECASE)
_PROPERTY = re.compile(r"(?<![-\w])(color-scheme\s*:\s*)([a-z ]+)", re.IGNORECASE)
_META = re.compile(r"<meta\b[^>]*\bname\s*=\s*[\"']?color-scheme\b", re.IGNORECASE)
_CONTENT = re.compile(r"(\bcontent\s*=\s*[\"'])([a-z ]+)", re.IGNORECASE)
# Media features that hold for every screen and for none; unlike `all`, they may stand anywhere in a query.
_ALWAYS, _NEVER = "(min-width:0)", "(max-width:0)"


def as_shown_in(scheme: Scheme, html: str) -> str:
    """The HTML with its questions about light and dark answered, because no page can force them on an iframe.

    Only style sheets and attributes change, never what a reader sees as text.
    """
    return "".join(_answered(scheme, html)) if "color-scheme" in html.lower() else html


def knows_dark(html: str) -> bool:
    """Whether the email has styles of its own for dark mode; of others, mail programs turn the colours themselves."""
    return any(found[1].lower() == "dark" for found in _MEDIA.finditer(html))


def _answered(scheme: Scheme, html: str) -> Iterator[str]:
    in_style = False
    for number, piece in enumerate(_TAG.split(html)):
        is_tag = number % 2 == 1
        if is_tag or in_style:
            yield _answer(scheme, piece)
        else:
            yield piece
        if is_tag:
            in_style = piece[:6].lower() == "<style" or (in_style and piece[:7].lower() != "</style")


def _answer(scheme: Scheme, piece: str) -> str:
    """One tag, or a piece of a style sheet."""
    if "color-scheme" not in piece.lower():
        return piece
    piece = _MEDIA.sub(lambda found: _ALWAYS if found[1].lower() == scheme else _NEVER, piece)
    piece = _PROPERTY.sub(lambda found: found[1] + _chosen(scheme, found[2]), piece)
    return _CONTENT.sub(lambda found: found[1] + _chosen(scheme, found[2]), piece) if _META.match(piece) else piece


def _chosen(scheme: Scheme, offered: str) -> str:
    """`light dark` offers both; what offers one only stays with it."""
    return scheme if {"light", "dark"} <= set(offered.lower().split()) else offered
