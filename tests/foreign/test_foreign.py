"""Documents that others wrote look as the reference renderer draws them.

The reference is the `mjml` package of npm; the documents are the examples in the manuals of its components, and the
letters of a design system. All are installed when the test is set up, by `package-lock.json` beside this file, into a
cache that pytest keeps outside version control. Pictures are replaced by one of our own, web fonts are not loaded.
Both drawings are looked at in one browser, so a pixel may differ by a shade that no eye sees, and no pixel by more.
"""

from __future__ import annotations

import fcntl
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page, Route

from lifecycle.mail.drawing import draw
from tests.chromium import launch, needs_chromium

pytestmark = [
    needs_chromium,
    pytest.mark.foreign,
    pytest.mark.xdist_group("foreign"),  # one worker sets it up
    pytest.mark.skipif(not shutil.which("npm"), reason="the reference renderer was not asked: no node and npm on PATH"),
]

HERE = Path(__file__).parent
WIDTHS = (375, 700)
A_SHADE = 8  # of 255
# `position="file-start"` prints before the document type, which makes browsers and mail programs guess.
NOT_DRAWN = frozenset({"mjml-raw: 3"})


@dataclass(frozen=True)
class Document:
    """A document, and the reference's HTML for it."""

    name: str
    mjml: str
    html: str


@pytest.fixture(name="documents", scope="module")
def _documents(request: pytest.FixtureRequest) -> list[Document]:
    sources = [HERE / name for name in ("package.json", "package-lock.json", "draw.mjs")]
    version = blake2b(b"".join(source.read_bytes() for source in sources), digest_size=8).hexdigest()
    folder = request.config.cache.mkdir(f"foreign-{version}")
    drawn = folder / "drawn.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be fetching them too
        if not drawn.exists():
            for source in sources:
                shutil.copy(source, folder)
            _run(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
            _run(folder, "node", "draw.mjs", "unfinished.json")
            (folder / "unfinished.json").replace(drawn)
    return [Document(**each) for each in json.loads(drawn.read_text(encoding="utf-8"))]


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"the reference renderer was not asked: {' '.join(command)} said: {done.stderr.strip()[-300:]}")


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Browser]:
    with launch() as browser:
        yield browser


def _a_picture() -> bytes:
    picture = Image.new("RGB", (200, 120))
    picture.putdata([(x, 2 * y, (x * y) % 256) for y in range(120) for x in range(200)])
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _page(browser: Browser, width: int) -> Page:
    picture = _a_picture()

    def answer(route: Route) -> None:
        if route.request.resource_type == "image":
            route.fulfill(body=picture, content_type="image/png")
        else:
            route.abort()

    page = browser.new_page(viewport={"width": width, "height": 600})
    page.route("**/*", answer)
    return page


def _look(page: Page, html: str) -> Image.Image:
    page.set_content(html)
    return Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")


def _different(one: Image.Image, other: Image.Image) -> str:
    if one.size != other.size:
        return f"is {one.size}, not {other.size}"
    difference = ImageChops.difference(one, other)
    beyond = difference.point(lambda value: 255 * (value > A_SHADE))
    return f"differs within {beyond.getbbox()}" if beyond.getbbox() else ""


@pytest.mark.parametrize("width", WIDTHS)
def test_documents_that_others_wrote_look_as_the_reference_draws_them(
    documents: list[Document], browser: Browser, width: int
) -> None:
    page = _page(browser, width)
    seen, wrong = 0, []
    for document in documents:
        if document.name in NOT_DRAWN:
            continue
        ours = _look(page, draw(document.mjml))
        if difference := _different(ours, _look(page, document.html)):
            wrong.append(f"{document.name}: {difference}")
        seen += ours.getcolors(maxcolors=1) is None  # more than a blank page
    assert not wrong
    assert seen >= 20


def test_another_look_is_noticed(documents: list[Document], browser: Browser) -> None:
    page = _page(browser, WIDTHS[0])
    (letter,) = [document for document in documents if document.name == "mjml-table: 1"]

    other = draw(letter.mjml.replace("<mj-table", '<mj-table padding-top="11px"'))

    assert _different(_look(page, other), _look(page, letter.html))
