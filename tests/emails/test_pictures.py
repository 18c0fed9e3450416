"""No shipped email looks different unnoticed: on a phone, in the dark, and on a desktop.

After a change that was meant: `python -m tests.emails.refresh --pictures`, then look at them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page

from lifecycle.mail.render import Renderer
from tests.emails.pictures import FONTS, PICTURES, VIEWS, View, difference, font_widths, golden_picture, letters, take
from tests.emails.sample import SHIPPED, TEMPLATES

RENDERER = Renderer(TEMPLATES)


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """A page with the fonts that the golden pictures were taken with."""
    page = chromium.new_page(device_scale_factor=1)
    if font_widths(page) != json.loads(FONTS.read_text(encoding="utf-8")):
        pytest.skip(
            "no email was looked at: this machine's fonts are not those that the golden pictures were taken with"
        )
    yield page
    page.close()


@pytest.fixture(scope="module")
def html() -> dict[str, str]:
    return letters(RENDERER)


def test_there_is_a_picture_of_every_email_and_no_other(html: dict[str, str]) -> None:
    expected = {golden_picture(start, view) for start in html for view in VIEWS}

    assert set(PICTURES.rglob("*.png")) == expected
    assert sum(path.stat().st_size for path in expected) < 3_000_000


@pytest.mark.xdist_group("chromium")
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@pytest.mark.parametrize("name", SHIPPED)
def test_no_email_looks_different_unnoticed(page: Page, html: dict[str, str], name: str, view: View) -> None:
    for start in [start for start in html if start.split(".")[0] == name]:
        golden = golden_picture(start, view)
        changed = difference(Image.open(golden), take(page, html[start], view))
        where = golden.relative_to(PICTURES)
        assert not changed, f"{where} changed: {changed}; if it was meant: python -m tests.emails.refresh --pictures"


@pytest.mark.parametrize(
    ("change", "is_seen"),
    [
        pytest.param(lambda draw: draw.rectangle((20, 20, 120, 60), fill="#4459EE"), True, id="a button's color"),
        pytest.param(lambda draw: draw.text((20, 100), "a word", fill="black"), True, id="a word"),
        pytest.param(lambda draw: draw.line((0, 150, 374, 150), fill="#F8F8F8"), False, id="what nobody sees"),
        pytest.param(lambda draw: draw.point((200, 200), fill="black"), False, id="one pixel"),
    ],
)
def test_what_people_would_see_is_a_difference(change: object, is_seen: bool) -> None:
    before = Image.new("RGB", (375, 800), "white")
    ImageDraw.Draw(before).rectangle((20, 20, 120, 60), fill="#1F35C7")
    after = before.copy()
    change(ImageDraw.Draw(after))  # type: ignore[operator]

    assert bool(difference(before, after)) == is_seen
    assert difference(before, before.crop((0, 0, 375, 700)))
