"""How soon the gallery is seen: from asking for its page to the first paint in Chromium, the server's start apart."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests import chromium

from .bars import Line, median
from .bench import ROOT, Bench

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_LOADED = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"


def run(bench: Bench) -> Iterator[Line]:
    """All lines of the part; without a browser there are none, and it says so."""
    if chromium.find() is None:
        print(f"– skipped: {chromium.MISSING}", flush=True)
        return
    with chromium.launch() as browser:
        with _served(bench, bench.folder) as url:
            _look(browser, url)  # fills the cache
            seen = [_look(browser, url) for _ in range(bench.sizes.pick(9, 3))]
        yield Line("gallery.paint", "", [paint for paint, _ in seen], _beside(seen, "compiled by an earlier look"))
        cold = []
        for _ in range(3):
            with tempfile.TemporaryDirectory(dir=bench.folder) as home, _served(bench, Path(home)) as url:
                cold.append(_look(browser, url))
        what = "first paint of the gallery, nothing compiled yet"
        yield Line(None, "", [paint for paint, _ in cold], _beside(cold, "compiled meanwhile"), what, "ms")


def _beside(seen: list[tuple[float, float]], how: str) -> str:
    return f"all emails {how} and on the page after {median([loaded for _, loaded in seen])} ms"


def _look(browser: Browser, url: str) -> tuple[float, float]:
    """Milliseconds to the first paint and to the last email, in a window that has seen nothing before."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        page.goto(url)
        return page.wait_for_function(_FIRST_PAINT).json_value(), page.evaluate(_LOADED)
    finally:
        context.close()


@contextmanager
def _served(bench: Bench, home: Path) -> Iterator[str]:
    """The gallery of the shipped emails in a process of its own, and its address."""
    command = [str(Path(sys.executable).with_name("lifecycle")), "preview", "--serve", "--port", "0"]
    environment = bench.environment(LIFECYCLE_HOME=str(home))
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()
