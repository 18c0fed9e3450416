"""Pictures of HTML by an installed Chromium, asked through a pair of pipes: no driver, no network, no dependency."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lifecycle.errors import LifecycleError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_PATIENCE = 30.0  # seconds for the browser to start, and for the page with all its pictures
_ENDED = "the browser ended before there was a picture; does it start by itself?"
_TALLEST = 16_384  # pixels; beyond, Chromium draws nothing


def chromium() -> str | None:
    """The browser that draws the pictures: the first found on PATH, or where macOS has it; None if there is none."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    return next((path for path in _ON_MACOS if Path(path).is_file()), None)


def drawn(html: str, *, width: int, dark: bool) -> bytes:
    """The page in full height as PNG, `width` CSS pixels wide, as readers see it who prefer dark or light.

    Runs no scripts. Raises LifecycleError where there is no browser, or it does not answer.
    """
    browser = chromium()
    if browser is None:
        raise LifecycleError(
            "a picture needs Chromium or Chrome on PATH; get one with: apt install chromium, "
            "brew install --cask chromium, or from https://www.google.com/chrome"
        )
    with tempfile.TemporaryDirectory(prefix="lifecycle-", ignore_cleanup_errors=True) as folder:
        page = Path(folder, "page.html")
        page.write_text(html, encoding="utf-8", errors="replace")
        with _started(browser, folder) as tab:
            return _photograph(tab, page, width, dark)


def _photograph(tab: _Tab, page: Path, width: int, dark: bool) -> bytes:
    tab.ask("Page.enable")
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    tab.ask("Emulation.setEmulatedMedia", features=[scheme])
    _set_size(tab, width, 800)
    tab.ask("Page.navigate", url=page.as_uri())
    tab.wait("Page.loadEventFired")
    height = tab.ask("Page.getLayoutMetrics")["cssContentSize"]["height"]
    _set_size(tab, width, min(_TALLEST, max(1, int(height))))
    return base64.b64decode(tab.ask("Page.captureScreenshot", format="png")["data"])


def _set_size(tab: _Tab, width: int, height: int) -> None:
    tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)


class _Tab:
    """One page of a browser, asked in the DevTools protocol: JSON messages that end with a NUL, over two pipes."""

    def __init__(self, to: int, answers: int) -> None:
        self._to = to
        self._answers = answers
        self._until = time.monotonic() + _PATIENCE
        self._number = 0
        self._incoming = b""
        self._session: str | None = None
        self._seen: set[str] = set()
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        session = {"sessionId": self._session} if self._session else {}
        try:
            os.write(self._to, json.dumps(command | session).encode() + b"\0")
        except BrokenPipeError:
            raise LifecycleError(_ENDED) from None
        while True:
            message = self._read()
            if message.get("id") == self._number:
                if "error" in message:
                    raise LifecycleError(f"the browser refused {method}: {message['error'].get('message')}")
                answer: dict[str, Any] = message["result"]
                return answer

    def wait(self, event: str) -> None:
        """Until the browser tells of that event; at once if it has."""
        while event not in self._seen:
            self._read()

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._incoming:
            left = self._until - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                raise LifecycleError(f"the browser gave no picture within {_PATIENCE:g} seconds")
            read = os.read(self._answers, 1 << 20)
            if not read:
                raise LifecycleError(_ENDED)
            self._incoming += read
        raw, _, self._incoming = self._incoming.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        self._seen.add(message.get("method", ""))
        return message


# The protocol wants the pipes as descriptors 3 and 4. A shell puts them there: it is safe beside threads, as running
# Python between fork and exec is not, and keeps the environment.
_SHELL = 'exec "$@" 3</dev/fd/{} 4>/dev/fd/{}'


@contextmanager
def _started(browser: str, folder: str) -> Iterator[_Tab]:
    """A page of a browser of its own, gone after the block."""
    questions, to = os.pipe()
    answers, from_it = os.pipe()
    command = ["/bin/sh", "-c", _SHELL.format(questions, from_it), "sh", browser, *_FLAGS, f"--user-data-dir={folder}"]
    try:
        process = subprocess.Popen(
            command,
            pass_fds=(questions, from_it),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(questions)
        os.close(from_it)
    try:
        yield _Tab(to, answers)
    finally:
        os.close(to)
        os.close(answers)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
