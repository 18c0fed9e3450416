"""The gallery in a real browser: what a marketer does at the desk, end to end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.workshop.conftest import Gallery, email, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 375, "height": 812}
LONG = email(body="<p>Come in</p>" + "".join(f"<p>line {number}</p>" for number in range(120)))


class Desk:
    """A page of the browser, and everything that its console said."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))

    def picture(self) -> Frame:
        """The only picture of the page."""
        (frame,) = self.page.frames[1:]
        return frame

    def reads(self, text: str) -> bool:
        """Whether the picture says that."""
        return len(self.page.frames) == 2 and text in self.picture().evaluate("document.body?.innerText ?? ''")

    def wait(self, until: Callable[[], bool]) -> float:
        """How long it took until something came true; the page lives on meanwhile."""
        from playwright.sync_api import Error

        began = time.monotonic()
        while True:
            try:
                if until():
                    return time.monotonic() - began
            except Error:  # the picture is being replaced in this very moment
                pass
            assert time.monotonic() - began < 10, "it did not come true"
            self.page.wait_for_timeout(20)


@contextmanager
def _at(browser: Browser, viewport: dict[str, int] = DESK, **options: str) -> Iterator[Desk]:
    context = browser.new_context(viewport=viewport, **options)  # type: ignore[arg-type]
    try:
        yield Desk(context.new_page())
    finally:
        context.close()


def test_a_marketer_looks_edits_breaks_and_mends(chromium: Browser, gallery: Gallery) -> None:
    file = gallery.write_email("alone", LONG)
    with _at(chromium) as desk:
        page = desk.page
        page.goto(gallery.url)
        page.get_by_role("link", name="alone").click()
        page.wait_for_url("**/email/alone")
        assert len(page.frames) == 3

        page.get_by_role("link", name="Phone 375").click()
        page.get_by_role("link", name="Dark").click()
        page.wait_for_url("**/email/alone?scheme=dark&width=phone")
        desk.wait(lambda: desk.reads("Come in"))
        assert page.locator("iframe").bounding_box()["width"] == 375  # type: ignore[index]
        assert (
            desk.picture().evaluate("getComputedStyle(document.querySelector('.ink div')).color")
            == "rgb(255, 255, 255)"
        )

        desk.wait(lambda: page.locator("iframe").bounding_box()["height"] > 2000)  # type: ignore[index]
        page.mouse.wheel(0, 700)
        desk.wait(lambda: page.evaluate("scrollY") == 700)
        file.write_text(LONG.replace("Come in", "Step in"))
        assert desk.wait(lambda: desk.reads("Step in")) < 1
        assert page.evaluate("scrollY") == 700

        file.write_text(LONG.replace("</mj-column>", "</mj-colum>"))
        trouble = page.locator(".trouble")
        assert desk.wait(lambda: trouble.count() == 1) < 1
        assert re.search(r"alone\.mjml:\d+", trouble.inner_text())
        assert trouble.is_visible()
        assert page.locator("iframe").count() == 0

        file.write_text(LONG)
        assert desk.wait(lambda: desk.reads("Come in")) < 1
        assert page.locator(".trouble").count() == 0
        assert page.evaluate("scrollY") == 700
    assert desk.said == []


def test_a_card_changes_with_its_email_and_the_others_stay(chromium: Browser, gallery: Gallery) -> None:
    with _at(chromium) as desk:
        desk.page.goto(gallery.url)
        card = desk.page.locator('[data-part="card:alone"]')
        desk.page.evaluate("document.querySelector('[data-part=\"card:thanks/soon\"]').dataset.same = 'yes'")

        gallery.write_email("alone", email("Another subject"))

        assert desk.wait(lambda: "Another subject" in card.inner_text()) < 1
        assert desk.page.locator("[data-same=yes]").count() == 1
    assert desk.said == []


def test_everything_can_be_reached_with_keys(chromium: Browser, gallery: Gallery) -> None:
    with _at(chromium) as desk:
        page = desk.page
        page.goto(gallery.url)
        page.keyboard.press("/")
        page.keyboard.type("later")
        desk.wait(lambda: page.locator(".card:visible").count() == 1)
        page.keyboard.press("Enter")
        page.wait_for_url("**/email/thanks/later")
        page.keyboard.press("ArrowRight")
        page.wait_for_url("**/email/alone")
        page.keyboard.press("d")
        page.wait_for_url("**/email/alone?scheme=dark")
        page.keyboard.press("ArrowLeft")
        page.wait_for_url("**/email/thanks/later?scheme=dark")
        page.keyboard.press("Escape")
        page.wait_for_url("**/?scheme=dark")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.textContent.trim()") == "thanks/soon"
    assert desk.said == []


@pytest.mark.parametrize(
    "path", ["", "email/alone", "email/alone?part=source", "email/alone?part=text", "email/nowhere"]
)
def test_nothing_sticks_out_on_a_phone(chromium: Browser, still: Gallery, path: str) -> None:
    with _at(chromium, PHONE) as desk:
        desk.page.goto(still.url + path)

        assert desk.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("wrong", ["{{ customer.nickname }}", "{% if %}"])
def test_nor_does_what_is_wrong(chromium: Browser, gallery: Gallery, wrong: str) -> None:
    gallery.write_email("thanks/soon", email(body=wrong))
    with _at(chromium, PHONE) as desk:
        for part in ("picture", "source"):
            desk.page.goto(f"{gallery.url}email/thanks/soon?part={part}")

            assert desk.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            assert desk.page.locator(".trouble, .problems").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_follows_the_switch_and_not_the_readers_own_preference(
    chromium: Browser, still: Gallery, scheme: str
) -> None:
    colours = {}
    with _at(chromium, color_scheme=scheme) as desk:
        for chosen in ("light", "dark"):
            desk.page.goto(f"{still.url}email/alone?width=phone&scheme={chosen}")
            colours[chosen] = desk.picture().evaluate("getComputedStyle(document.querySelector('.ink div')).color")

    assert colours == {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}


def test_no_script_of_an_email_runs_and_the_page_is_out_of_its_reach(
    chromium: Browser, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = "parent.document.title = document.title = 'owned'"
    hostile = f"""<title>harmless</title><script>{owned}</script><img src="/nothing.png" onerror="{owned}">
        <form action="/x"><button id="send">send</button></form>
        <a id="out" target="_top" href="/email/thanks/soon">out</a> <a id="script" href="javascript:{owned}">in</a>"""
    # Compiling refuses all of it already; the pages must not rely on that.
    monkeypatch.setattr("lifecycle.workshop.gallery.as_shown_in", lambda *_: hostile)
    address = f"{gallery.url}email/alone?width=phone"
    with _at(chromium) as desk:
        desk.page.goto(address)
        for id in ("send", "out", "script"):
            desk.picture().locator(f"#{id}").click(no_wait_after=True)
            desk.page.wait_for_timeout(100)

        assert desk.page.url == address
        assert desk.picture().url.startswith(f"{gallery.url}picture/alone")
        assert desk.picture().title() == "harmless"
        assert desk.page.title() == "alone · lifecycle"
        desk.page.goto(f"{gallery.url}picture/alone")
        assert desk.page.title() == "harmless"


def test_the_token_opens_everything_and_is_gone_from_the_address(chromium: Browser, shop: Path) -> None:
    with serving(shop, "0.0.0.0") as gallery, _at(chromium) as desk:
        desk.page.goto(f"http://127.0.0.1:{gallery.address.port}/email/alone?width=phone&token={gallery.address.token}")
        desk.wait(lambda: desk.reads("Hello there"))

        assert desk.page.url.endswith("/email/alone?width=phone")
        assert desk.page.evaluate("document.cookie") == ""
        gallery.write("templates/email/alone.mjml", email(body="Hello again"))
        assert desk.wait(lambda: desk.reads("Hello again")) < 1
    assert desk.said == []


def test_ctrl_c_ends_it_with_a_page_open_and_leaves_nothing(chromium: Browser, shop: Path) -> None:
    with _process(shop) as (process, url), _at(chromium) as desk:
        desk.page.goto(f"{url}email/alone")
        desk.page.wait_for_timeout(200)
        assert psutil.Process(process.pid).children(recursive=True) == []

        process.send_signal(signal.SIGINT)

        assert process.wait(5) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
        desk.wait(lambda: "has stopped" in desk.page.locator(".live").inner_text())


@contextmanager
def _process(shop: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a marketer starts it, and the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lifecycle.cli", "preview", "--serve", "--port", "0"],
        cwd=shop,
        env=os.environ | {"LIFECYCLE_HOME": str(shop / "home")},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()[0]
        finally:
            process.kill()
