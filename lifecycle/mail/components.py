"""MJML's components as the package draws them, and ours where it falls short of the reference renderer.

Imported where MJML is used only: it loads the whole package.
"""

from __future__ import annotations

from typing import Any

from mjml.core.registry import register_components, register_core_components
from mjml.elements.head import MjFont, MjStyle


class Font(MjFont):  # type: ignore[misc]
    """Does nothing: MJML cannot take a font twice or one that it knows; `drawing` writes the links."""

    def handler(self) -> None:
        return None


class Style(MjStyle):  # type: ignore[misc]
    """Never `inline`: premailer inlines all rules, and MJML would need another library for it."""

    def get_attr(self, name: str, *, missing_ok: bool = False) -> Any:
        return "" if name == "inline" else super().get_attr(name, missing_ok=missing_ok)


MENDED = (Font, Style)


def drawn() -> dict[str, Any]:
    """Return all components by tag."""
    components: dict[str, Any] = register_core_components()
    register_components(MENDED)
    return components
