"""The Chromium of this machine, for tests that look at what people see.

Tests ask for the fixture `chromium` (a Playwright browser, shared by the tests of a module) or carry `needs_chromium`.
Where none is on the PATH they skip, and the end of the test run says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = f"nothing was looked at: no {' or '.join(_NAMES[:3])} on the PATH (Debian: apt install chromium)"
"""Why tests skip."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The same picture on every machine that has the same fonts.
    "--disable-lcd-text",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)


@cache
def find() -> str | None:
    """Return the path of the first Chromium or Chrome on the PATH, if any."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


needs_chromium = pytest.mark.skipif(find() is None, reason=MISSING)


@contextmanager
def launch() -> Iterator[Browser]:
    """A browser with an empty profile; raises LookupError where none is installed.

    While it is open its thread counts as one with a running event loop, in which `asyncio.run` refuses to work.
    """
    from playwright.sync_api import sync_playwright  # takes a while, and most test runs need none

    path = find()
    if path is None:
        raise LookupError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
