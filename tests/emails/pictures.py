"""Pictures of the shipped emails, and whether two of them show the same.

What machines differ in must not matter: edges are smoothed differently, so pictures are compared reduced to a quarter;
fonts break lines elsewhere, so beside the pictures stands how wide the fonts are with which they were taken.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, ImageChops
from playwright.sync_api import Page

from lifecycle.mail.render import Renderer
from tests.emails.sample import PEOPLE, REGULARS, SHIPPED, golden_start

PICTURES = Path(__file__).parent / "pictures"
FONTS = PICTURES / "fonts.json"

_COLORS = 64  # of the palette: enough for flat colors and the edges of letters, at a third of the bytes
_REDUCED = 4  # pixels that become one before the comparison, in each direction
_VISIBLE = 28  # of 255: by how much a color must differ to be another; the palette's differ by up to 15
_SHARE = 0.0005  # of the pixels may differ visibly: some four letters of a long email
_STACKS = (
    "Georgia, 'Times New Roman', Times, serif",
    "'Helvetica Neue', Helvetica, Arial, sans-serif",
    "'Courier New', Courier, monospace",
)
_MEASURE = """styles => styles.map(style => {
  const span = document.createElement('span');
  span.style.cssText = style + ';white-space:nowrap;position:absolute;font-size:100px';
  span.textContent = 'Sphinx of black quartz, judge my vow 0123456789 ●○“”';
  document.body.append(span);
  const width = Math.round(span.getBoundingClientRect().width);
  span.remove();
  return width;
})"""


@dataclass(frozen=True)
class View:
    """How an email is looked at."""

    name: str
    width: int
    scheme: Literal["light", "dark"]


VIEWS = (View("phone", 375, "light"), View("night", 375, "dark"), View("desktop", 700, "light"))


def letters(renderer: Renderer) -> dict[str, str]:
    """The HTML of which pictures are taken, by how the names of the pictures begin."""
    return {
        golden_start(renderer, name, locale): renderer.render(name, PEOPLE[REGULARS[locale]], locale).html
        for name in SHIPPED
        for locale in renderer.locales(name)
    }


def golden_picture(start: str, view: View) -> Path:
    """Where the golden picture of an email is."""
    return PICTURES / f"{start}.{view.name}.png"


def font_widths(page: Page) -> dict[str, int]:
    """How wide a line is in each of the fonts that the emails use: what tells apart where they come from."""
    page.set_content("<body></body>")
    styles = [
        f"font-family:{stack};font-weight:{weight};font-style:{slant}"
        for stack in _STACKS
        for weight, slant in ((400, "normal"), (700, "normal"), (400, "italic"))
    ]
    return dict(zip(styles, page.evaluate(_MEASURE, styles), strict=True))


def take(page: Page, html: str, view: View) -> Image.Image:
    """Take a picture of the whole email."""
    page.set_viewport_size({"width": view.width, "height": 600})
    page.emulate_media(color_scheme=view.scheme)
    page.set_content(html)
    return Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture with few colors and few bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.quantize(_COLORS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def difference(one: Image.Image, other: Image.Image) -> str:
    """Say in what two pictures differ visibly; "" if in nothing."""
    if one.width != other.width or abs(one.height - other.height) > _REDUCED:
        return f"{one.width} × {one.height} pixels against {other.width} × {other.height}"
    size = (one.width, min(one.height, other.height))
    reduced = [picture.convert("RGB").crop((0, 0, *size)).reduce(_REDUCED) for picture in (one, other)]
    red, green, blue = ImageChops.difference(*reduced).split()
    visible = ImageChops.lighter(ImageChops.lighter(red, green), blue).point(
        [at > _VISIBLE and 255 for at in range(256)]
    )
    share = visible.histogram()[255] / (visible.width * visible.height)
    if share <= _SHARE:
        return ""
    left, top, right, bottom = (side * _REDUCED for side in visible.getbbox() or (0, 0, 0, 0))
    return f"{share:.2%} of the picture, between ({left}, {top}) and ({right}, {bottom})"
