"""The gallery as it answers: what it shows, what it tells of what is broken, and whom it refuses."""

from __future__ import annotations

import html
import io
import logging
import re
import threading
import time
from email import message_from_bytes, policy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from PIL import Image
from watchfiles import awatch

from lifecycle.cli import lifecycle
from lifecycle.errors import LifecycleError
from lifecycle.workshop import asked
from lifecycle.workshop.serve import listen
from tests.chromium import needs_chromium
from tests.workshop.conftest import Gallery, email, serving

PAGES = ("/", "/email/thanks/soon", "/email/thanks/soon?part=source", "/email/nowhere", "/nowhere")
EVERYTHING = (*PAGES, "/picture/thanks/soon", "/letter/thanks/soon", "/assets/gallery.css", "/assets/gallery.js")


# What it shows


def test_every_email_stands_under_its_journey_in_the_order_of_the_steps_and_the_rest_apart(still: Gallery) -> None:
    page = still.get("/").text

    places = [page.index(f'data-part="{each}"') for each in ("card:thanks/soon", "card:thanks/later", "card:alone")]
    headings = [page.index(f">{each}</h2>") for each in ("thanks", "Sent by no journey")]
    assert headings[0] < places[0] < places[1] < headings[1] < places[2]


def test_the_page_begins_before_any_email_is_rendered(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, look = threading.Event(), asked.look
    monkeypatch.setattr(asked, "look", lambda *given: (let_go.wait(5), look(*given))[1])
    response = _open(gallery, "/")

    beginning = response.read1(200)
    let_go.set()

    assert b"<!doctype html>" in beginning
    assert b"Thanks for A1001" in response.read()


def test_an_email_is_shown_as_a_row_of_an_inbox_at_both_widths(still: Gallery) -> None:
    page = still.get("/email/thanks/soon").text

    assert '<span class="sender" title="hello@shop.example">Shop</span>' in page
    assert '<span class="subject">Thanks for A1001</span>' in page
    assert '<span class="preheader">In short</span>' in page
    assert re.findall(r'data-part="picture:(\w+)" sandbox="([a-z-]*)"', page) == [
        ("desktop", "allow-same-origin"),
        ("phone", "allow-same-origin"),
    ]
    assert 'data-part="picture:desktop"' not in still.get("/email/thanks/soon?width=phone").text


def test_the_picture_is_the_html_that_is_sent_but_for_light_and_dark(still: Gallery) -> None:
    letter = message_from_bytes(still.get("/letter/thanks/soon").body, policy=policy.default)
    part = letter.get_body(("html",))
    assert part is not None
    sent = part.get_content().replace("\r\n", "\n").rstrip()

    light, dark = (still.get(f"/picture/thanks/soon?scheme={scheme}").text for scheme in ("light", "dark"))

    assert sent.count("(prefers-color-scheme: dark)") == 1
    assert light.rstrip() == sent.replace("(prefers-color-scheme: dark)", "(max-width:0)")
    assert dark.rstrip() == sent.replace("(prefers-color-scheme: dark)", "(min-width:0)")


def test_the_parts_of_an_email_can_be_read(still: Gallery) -> None:
    assert "42.5 dollars" in still.get("/email/thanks/soon?part=text").text
    links = still.get("/email/thanks/soon?part=links").text
    assert "<span>Shop</span> <code>https://shop.example/</code>" in links
    assert '<span class="count">2</span>' in links


def test_the_source_has_its_lines_numbered_and_what_is_wrong_beside_its_line(gallery: Gallery) -> None:
    gallery.write_email("thanks/soon", email(body="{{ event.totl }}"))

    page = gallery.get("/email/thanks/soon?part=source").text

    (marked,) = re.findall(
        r'<li id="[^"]*" class="marked"><span class="number">(\d+)</span>(.*?)</li>', page, re.DOTALL
    )
    assert marked[0] == "5"
    assert "event.totl" in marked[1]
    assert '<span class="id">unknown_variable</span>' in marked[1]
    assert '<span class="count error">1</span>' in page


def test_the_meter_says_what_gmail_would_clip(gallery: Gallery) -> None:
    assert "Gmail clips it" not in gallery.get("/email/alone").text

    gallery.write_email("alone", email(body="Many words. " * 10_000))

    assert "Gmail clips it" in gallery.get("/email/alone").text


def test_the_moment_can_be_chosen(gallery: Gallery) -> None:
    gallery.write_email("alone", email(subject="{{ now.year }}"))

    assert '<span class="subject">2031</span>' in gallery.get("/email/alone?at=2031-12-01T09:00").text
    assert "is no moment like 2026-12-01T09:00" in gallery.get("/email/alone?at=soon").text
    for far in ("0001-01-01T00:00%2B14:00", "9999-12-31T23:59-12:00"):
        assert "is too far away; stay from 1970 to 9998" in gallery.get(f"/email/alone?at={far}").text


def test_an_email_in_several_languages_has_a_switch_for_them(gallery: Gallery) -> None:
    assert 'aria-label="Language"' not in gallery.get("/email/alone").text

    gallery.write_email("alone.id", email("Sendiri"))

    page = gallery.get("/email/alone?locale=id").text
    assert '<span class="subject">Sendiri</span>' in page
    assert re.findall(r'data-switch="locale">([^<]+)<', page) == ["Their own", "en", "id"]
    assert '<p class="subject">Sendiri</p>' in gallery.get("/?locale=id").text
    assert "Alone" in gallery.get("/email/alone").text


@needs_chromium
@pytest.mark.parametrize(("width", "pixels"), [("desktop", 700), ("phone", 375)])
def test_a_picture_of_an_email_can_be_kept(still: Gallery, width: str, pixels: int) -> None:
    answer = still.get(f"/png/thanks/soon?width={width}&scheme=dark")

    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert f"thanks-soon-{pixels}-dark.png" in answer.headers["content-disposition"]
    assert Image.open(io.BytesIO(answer.body)).width == pixels


def test_where_there_is_no_browser_no_picture_is_offered_and_one_asked_for_says_why(
    still: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.workshop.picture.chromium", lambda: None)

    assert "/png/" not in still.get("/email/thanks/soon").text
    assert "needs Chromium or Chrome on PATH; get one with" in still.get("/png/thanks/soon").text


def test_neighbours_are_linked_and_choices_stay(still: Gallery) -> None:
    page = still.get("/email/thanks/later?scheme=dark&at=2031-12-01T09:00").text

    kept = "?at=2031-12-01T09%3A00&amp;scheme=dark"
    assert f'rel="prev" href="/email/thanks/soon{kept}"' in page
    assert f'rel="next" href="/email/alone{kept}"' in page


# Customers


def test_customers_are_found_by_id_and_by_a_part_of_their_address(gallery_with_customers: Gallery) -> None:
    get = gallery_with_customers.get

    assert '<span class="subject">Dear Siti</span>' in get("/email/thanks/later?customer=7").text
    assert get("/email/thanks/later?customer=ayu%40else&scheme=dark").headers["location"] == (
        "/email/thanks/later?customer=9&scheme=dark"
    )
    several = get("/email/thanks/later?customer=shop.example").text
    assert re.findall(r'href="/email/thanks/later\?customer=(\d)"><b>', several) == ["7", "8"]
    assert "Nobody is found" in get("/email/thanks/later?customer=nobody").text


def test_without_a_database_there_are_samples_only(still: Gallery) -> None:
    assert "There is no database yet, so samples only" in still.get("/email/thanks/later?customer=7").text
    assert still.get("/email/thanks/later").status == 200


# What is broken


def test_a_broken_email_shows_where_why_and_the_remedy_and_recovers(gallery: Gallery) -> None:
    sound = (gallery.folder / "templates/email/alone.mjml").read_text()
    file = gallery.write_email("alone", sound.replace("</mj-column>", "</mj-colum>"))

    page = gallery.get("/email/alone").text

    assert "This email cannot be compiled" in page
    assert re.search(rf'<p class="where">{re.escape(str(file))}:7(:\d+)?</p>', page)
    assert re.search(r'class="marked"><span class="number">7</span><code>[^\n]*mj-colum', page)
    assert "<iframe" not in page
    assert gallery.get("/").text.count("This email cannot be compiled") == 1
    assert gallery.get("/email/thanks/soon").text.count("<iframe") == 2
    gallery.write_email("alone", sound)
    assert gallery.get("/email/alone").text.count("<iframe") == 2


def test_data_that_an_email_cannot_be_rendered_with_are_named(gallery: Gallery) -> None:
    gallery.write_email("alone", email(body="{{ customer.nickname }}"))

    page = html.unescape(gallery.get("/email/alone").text)

    assert "cannot be rendered" in page
    assert "nickname" in page


def test_broken_journeys_are_told_of_on_every_page_until_they_are_mended(gallery: Gallery) -> None:
    def shows_an_error() -> bool:
        return "The journeys are broken" in gallery.get("/email/alone").text

    file = gallery.folder / "journeys/thanks.py"
    sound = file.read_text()
    file.write_text(f"{sound}\nx = = 1\n")
    gallery.wait(shows_an_error)

    assert f"{file}:9" in gallery.get("/").text
    file.write_text(sound)
    gallery.wait(lambda: not shows_an_error())


def test_a_save_is_told_of_within_a_second(gallery: Gallery) -> None:
    events = gallery.follow()
    first = _next_version(events)

    began = time.monotonic()
    gallery.write("templates/email/alone.mjml", email("Another"))
    second = _next_version(events)

    assert time.monotonic() - began < 1
    assert first != second
    assert "Another" in gallery.get("/email/alone").text


def test_where_the_system_watches_no_more_folders_the_files_are_looked_at_again_and_again(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watch(*folders: Path, force_polling: bool | None = None, **options: Any) -> Any:
        if not force_polling:
            raise OSError(28, "OS file watch limit reached.")
        return awatch(*folders, force_polling=True, **options)

    monkeypatch.setattr("lifecycle.workshop.live.awatch", watch)
    with serving(shop) as gallery:
        gallery.write_email("new", email(subject="Come in"))

        assert '<span class="subject">Come in</span>' in gallery.get("/email/new").text


def test_what_editors_leave_beside_a_file_is_no_change(gallery: Gallery) -> None:
    version = gallery.version
    for name in (".alone.mjml.swp", "#alone.mjml#", "alone.mjml~", "4913"):
        gallery.write(f"templates/email/{name}", "x")
    gallery.write_email("alone", email("Another"))

    assert gallery.version.partition("-")[0] == version.partition("-")[0]
    assert int(gallery.version.partition("-")[2]) == int(version.partition("-")[2]) + 1


def test_an_email_without_end_is_stopped_and_holds_up_nobody(gallery: Gallery) -> None:
    gallery.serving.live.patience = 2
    rows = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    gallery.write_email("alone", email(body=rows))
    page: list[str] = []
    asking = threading.Thread(target=lambda: page.append(gallery.get("/email/alone").text))
    asking.start()

    other = gallery.get("/email/thanks/soon").text
    was_first = asking.is_alive()
    asking.join()

    assert other.count("<iframe") == 2
    assert was_first
    assert "This email takes too long" in page[0]
    gallery.wait(lambda: not any(thread.name == "workshop" for thread in threading.enumerate()))


@pytest.mark.parametrize("path", ["/email/thanks/son", "/picture/thanks/son", "/letter/thanks/son", "/png/thanks/son"])
def test_an_email_that_is_not_there_is_a_404_with_the_nearest_that_is(still: Gallery, path: str) -> None:
    answer = still.get(path)

    assert answer.status == 404
    assert 'Did you mean <a href="/email/thanks/soon">' in answer.text


@pytest.mark.parametrize(
    "path", ["/email/../../journeys/policy", "/picture/..%2f..%2fjourneys%2fpolicy.py", "/assets/..%2fstill.py"]
)
def test_no_file_but_the_emails_can_be_asked_for(still: Gallery, path: str) -> None:
    answer = still.get(path)

    assert answer.status == 404
    assert "Sender(" not in answer.text


# Whom it refuses


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_answer_says_what_browsers_may_do_with_it(still: Gallery, path: str) -> None:
    headers = still.get(path).headers

    directives = headers["content-security-policy"].split("; ")
    assert directives[0] == "default-src 'none'"
    assert not any(word in headers["content-security-policy"] for word in ("unsafe-eval", "*", "http:"))
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    if path.startswith("/picture/"):
        assert headers["x-frame-options"] == "SAMEORIGIN"
        assert {"sandbox allow-same-origin", "frame-ancestors 'self'", "style-src 'unsafe-inline'"} < set(directives)
        assert "script-src" not in headers["content-security-policy"]
    else:
        assert headers["x-frame-options"] == "DENY"
        assert {"script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} < set(directives)


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_no_script_and_no_style_of_their_own(still: Gallery, path: str) -> None:
    assert _Inline.of(still.get(path).text) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(still: Gallery, method: str) -> None:
    answer = still.get("/", method=method)

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_head_is_answered_without_a_body(still: Gallery) -> None:
    for path in ("/", "/changes", "/email/alone"):
        answer = still.get(path, method="HEAD")
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8026", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8026", 200),
        ("attacker.example", 421),
        ("127.0.0.1.attacker.example", 421),
        ("localhost.attacker.example:8026", 421),
        ("attacker.example@localhost", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_it_answers_only_to_its_own_names(still: Gallery, host: str, status: int) -> None:
    answer = still.get("/email/alone", Host=host)

    assert answer.status == status
    assert ("<iframe" in answer.text) == (status == 200)


def test_other_sites_may_link_to_it_but_not_load_from_it(still: Gallery) -> None:
    assert still.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document").status == 200
    assert still.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="image").status == 403
    assert still.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="iframe").status == 403


def test_on_loopback_there_is_no_token_and_elsewhere_nothing_without_it(
    shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert listen_and_close("127.0.0.1") is None
    with serving(shop, "0.0.0.0") as gallery:
        token = gallery.address.token
        assert token is not None
        assert len(token) >= 32
        assert gallery.url.endswith(f":{gallery.address.port}/?token={token}")
        for path in ("/", "/picture/alone", "/changes", "/assets/gallery.css", "/?token=", f"/?token={token[:-1]}"):
            answer = gallery.get(path)
            assert answer.status == 401, path
            assert "hello" not in answer.text.lower()

        brought = gallery.get(f"/email/alone?scheme=dark&token={token}")
        cookie = brought.headers["set-cookie"]
        assert (brought.status, brought.headers["location"]) == (303, "/email/alone?scheme=dark")
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        name, value = cookie.partition(";")[0].split("=")
        assert gallery.get("/email/alone", Cookie=f"{name}={value}").status == 200
        assert gallery.get("/email/alone", Cookie=f"{name}={value[:-1]}é").status == 401
        assert gallery.get("/email/alone", Cookie=f"{name}={value}", Host="attacker.example").status == 421
    assert token not in caplog.text


def test_a_token_brings_nobody_to_another_site(shop: Path) -> None:
    with serving(shop, "0.0.0.0") as gallery:
        answer = gallery.get(f"//attacker.example/?token={gallery.address.token}")

    assert not answer.headers.get("location", "").startswith("//")


def listen_and_close(host: str) -> str | None:
    address = listen(host, 0)
    address.socket.close()
    return address.token


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    address = listen("127.0.0.1", 0)
    try:
        with pytest.raises(
            LifecycleError, match=rf"port {address.port} on 127.0.0.1 is taken.*--port {address.port + 1}"
        ):
            listen("127.0.0.1", address.port)
    finally:
        address.socket.close()


def test_a_host_of_other_machines_is_one_clear_line() -> None:
    with pytest.raises(LifecycleError, match=r"cannot listen on 192\.0\.2\.1.*; leave --host away"):
        listen("192.0.2.1", 0)
    with pytest.raises(LifecycleError, match="--host no such host"):
        listen("no such host", 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "8027"], "--host and --port are for the gallery; add --serve"),
        (["--serve", "thanks/soon"], "with --serve, everything else is chosen on the page"),
        (["--serve", "--png"], "with --serve, everything else is chosen on the page"),
        (["--serve", "--dark"], "with --serve, everything else is chosen on the page"),
        ([], "name an email, or say --serve to see all of them"),
    ],
)
def test_options_that_do_not_go_together_are_told_of(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(lifecycle, ["preview", *arguments])

    assert result.exit_code == 2
    assert says in result.stderr


# Hostile words

_HOSTILE = "\"><script>alert(1)<!--'><img src=x onerror=alert(1)>"


def test_the_name_of_an_email_is_only_words(gallery: Gallery) -> None:
    name = "<script>alert(1)<!--'\"&?#%41"
    gallery.write_email(name, email("Odd"))

    for page in (gallery.get("/").text, gallery.get(f"/email/{quote(name)}").text):
        assert _Inline.of(page) == []
        assert "Odd" in page
    assert gallery.get(f"/picture/{quote(name)}").status == 200


def test_subject_and_preheader_are_only_words(gallery: Gallery) -> None:
    hostile = "{{ '" + _HOSTILE.replace("'", "\\'").replace("<", "\\x3c") + "' }}"
    gallery.write_email("alone", email(hostile, "x", hostile))

    for path in ("/", "/email/alone", "/email/alone?part=source", "/email/alone?part=text"):
        page = gallery.get(path).text
        assert _Inline.of(page) == []
        assert "<img" not in page
    assert html.escape(_HOSTILE, quote=True).replace("&#x27;", "&#39;") in gallery.get("/email/alone").text.replace(
        "&#34;", "&quot;"
    )


@pytest.mark.parametrize("name", ["customer", "locale", "at", "scheme", "width", "part", "token", "other"])
@pytest.mark.parametrize("page", ["/", "/email/alone", "/email/nowhere"])
def test_what_stands_in_an_address_is_only_words(still: Gallery, page: str, name: str) -> None:
    answer = still.get(f"{page}?{name}={quote(_HOSTILE)}")

    assert "<h" in answer.text
    assert _Inline.of(answer.text) == []


def test_a_hostile_customer_is_only_words(gallery_with_customers: Gallery) -> None:
    id = '"><script>alert(1)</script>'
    found = gallery_with_customers.get("/email/thanks/later?customer=hostile").headers["location"]

    page = gallery_with_customers.get(found).text

    assert found.endswith(f"?customer={quote(id, safe='')}")
    assert "alert(2)" in page
    assert _Inline.of(page) == []
    assert "<script>alert" not in gallery_with_customers.get(found.replace("/email/", "/picture/")).text


def test_an_error_that_quotes_a_template_is_only_words(gallery: Gallery) -> None:
    gallery.write_email("alone", email(body="{% if <script>alert(1)</script> %}"))

    for path in ("/", "/email/alone", "/email/alone?part=source"):
        page = gallery.get(path).text
        assert _Inline.of(page) == []
        assert "cannot be compiled" in page or "part=source" in path


def _open(gallery: Gallery, path: str):  # type: ignore[no-untyped-def]
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", gallery.address.port, timeout=20)
    gallery.opened.callback(connection.close)
    connection.request("GET", path)
    response = connection.getresponse()
    gallery.opened.callback(response.close)
    return response


def _next_version(events) -> str:  # type: ignore[no-untyped-def]
    for line in events:
        if line.startswith(b"data: "):
            return str(line[6:].decode().strip())
    raise AssertionError("the events have ended")


class _Inline(HTMLParser):
    """Scripts, styles and handlers that stand in the page itself."""

    @classmethod
    def of(cls, page: str) -> list[str]:
        reader = cls()
        reader.found = []
        reader.feed(page)
        return reader.found

    found: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and given.get("src") != "/assets/gallery.js"):
            self.found.append(tag)
        self.found += [name for name in given if name.startswith("on") or name in ("style", "srcdoc")]
        for name in ("href", "src", "action"):
            if not (given.get(name) or "/").startswith(("/", "#")):
                self.found.append(f"{name}={given[name]}")
