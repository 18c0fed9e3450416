"""MJML's components as the package draws them, and ours where it falls short of the reference renderer.

Imported where MJML is used only: it loads the whole package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from random import Random
from typing import Any

from mjml.core.registry import register_components, register_core_components
from mjml.elements import MjSocialElement, mj_carousel, mj_navbar, mj_social_element
from mjml.elements._base import BodyComponent
from mjml.elements.head import MjAttributes, MjFont, MjHead, MjStyle

AUTHORS = "/*written by the author*/"
"""Stands before the author's rules in the style sheets of what is drawn."""

_SIDES = ("top", "right", "bottom", "left")
_ADDED_SINCE = {"background-color": "#000000", "src": f"{mj_social_element.IMG_BASE_URL}twitter-x.png"}


class Head(MjHead):  # type: ignore[misc]
    """Takes a class, default or selector twice, the later values winning; the package refuses."""

    def getChildContext(self) -> dict[str, Any]:  # noqa: N802 (their name)
        return self._context

    @cached_property
    def _context(self) -> dict[str, Any]:
        first: Callable[..., None] = self.context["add"]
        known: dict[tuple[str, str], dict[str, Any]] = {}

        def add(kind: str, *values: Any) -> None:
            if len(values) < 2:
                first(kind, *values)
            elif (key := (kind, values[0])) in known:
                known[key].update(values[1])
            else:
                known[key] = dict(values[1])
                first(kind, values[0], known[key])

        return {**self.context, "add": add}


class Attributes(MjAttributes):  # type: ignore[misc]
    """Takes tags inside `mj-class`, which set what the class means for children; the package refuses."""

    def handler(self) -> None:
        add = self.context["add"]
        for child in self.props.get("children") or ():
            attributes = dict(child["attributes"])
            if child["tagName"] != "mj-class":
                add("defaultAttributes", child["tagName"], attributes)
                continue
            name = attributes.pop("name")
            add("classes", name, attributes)
            add("classesDefault", name, {inner["tagName"]: inner["attributes"] for inner in child["children"]})


class Font(MjFont):  # type: ignore[misc]
    """Does nothing: MJML cannot take a font twice or one that it knows; `drawing` writes the links."""

    def handler(self) -> None:
        return None


class Style(MjStyle):  # type: ignore[misc]
    """Never `inline`: premailer inlines the author's rules, and MJML would need another library for it."""

    def get_attr(self, name: str, *, missing_ok: bool = False) -> Any:
        return "" if name == "inline" else super().get_attr(name, missing_ok=missing_ok)

    def getContent(self) -> str:  # noqa: N802 (their name)
        return f"{AUTHORS}{super().getContent()}"


class SocialElement(MjSocialElement):  # type: ignore[misc]
    """Knows the paddings of single sides, which the package drops."""

    def get_styles(self) -> dict[str, Any]:
        styles: dict[str, Any] = super().get_styles()
        styles["td"] |= {f"padding-{side}": self.getAttribute(f"padding-{side}") for side in _SIDES}
        return styles


def _in_whole_pixels(measure: Callable[..., float]) -> Callable[..., int]:
    """Cut a length as the reference does: of a padding of 1.75rem it takes 1 off the width."""
    return lambda *arguments, **options: int(measure(*arguments, **options))


BodyComponent.getShorthandAttrValue = _in_whole_pixels(BodyComponent.getShorthandAttrValue)


def drawn() -> dict[str, Any]:
    """Return all components by tag, ready to draw one document; the same document gets the same ids again."""
    components: dict[str, Any] = register_core_components()
    register_components([Head, Attributes, Font, Style, SocialElement])
    networks = mj_social_element.defaultSocialNetworks
    networks.setdefault("x", {**networks["twitter"], **_ADDED_SINCE})
    networks.setdefault("x-noshare", {**networks["twitter-noshare"], **_ADDED_SINCE})
    mj_carousel.random = mj_navbar.random = Random(0)
    return components
