"""The gallery's own pages: escaped throughout, with no script or style in them, and no build step behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response, StreamingResponse

from lifecycle import clock

from .inbox import GMAIL_CLIPS
from .listing import Place

_ASSETS = {"gallery.css": "text/css", "gallery.js": "text/javascript", "mark.svg": "image/svg+xml"}


class Pages:
    """Draws pages from `pages/*.html`; reads them once."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("lifecycle.workshop", "pages"),
            autoescape=True,
            undefined=StrictUndefined,
            enable_async=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "kilobytes": _kilobytes,
            "line_of": _line_of,
            "sentence": _sentence,
            "short_moment": _short_moment,
            "whole_moment": _whole_moment,
        }
        self._environment.globals["clips"] = GMAIL_CLIPS
        folder = files("lifecycle.workshop") / "pages"
        self._assets = {name: (folder / name).read_bytes() for name in _ASSETS}

    async def page(self, name: str, status: int = 200, **context: Any) -> Response:
        """A whole page."""
        page = await self._environment.get_template(name).render_async(context)
        return HTMLResponse(page.encode("utf-8", "replace"), status)

    def stream(self, name: str, **context: Any) -> Response:
        """A page that is sent as it is drawn, so that its beginning is seen while its end is still awaited."""
        return StreamingResponse(self._pieces(name, context), media_type="text/html")

    async def _pieces(self, name: str, context: dict[str, Any]) -> AsyncIterator[bytes]:
        async for piece in self._environment.get_template(name).generate_async(context):
            yield piece.encode("utf-8", "replace")

    def asset(self, name: str) -> Response | None:
        """The style sheet, the script or the mark; None for anything else."""
        return Response(self._assets[name], media_type=_ASSETS[name]) if name in _ASSETS else None


def _kilobytes(size: int) -> str:
    return f"{size / 1024:.1f} KB"


def _line_of(where: str) -> str:
    """The id of the line that an error names."""
    place = Place.read(where)
    return f"{place.file}:{max(1, place.line)}"


def _sentence(message: str) -> str:
    """With a capital; what it quotes first stays as it is."""
    return message[:1].upper() + message[1:]


def _short_moment(moment: datetime) -> str:
    """As inboxes write it: the time of today's, the day of others."""
    if moment.date() == clock.now().astimezone(moment.tzinfo).date():
        return f"{moment:%H:%M}"
    return f"{moment.day} {moment:%b}"


def _whole_moment(moment: datetime) -> str:
    return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M} {moment.tzinfo}"
