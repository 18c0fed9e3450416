"""UTM parameters: in every link that should have them, the same in HTML and text, and never to a link's harm."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lifecycle import Sender, Utm
from lifecycle.flow.mailer import Envelope, Mailer
from lifecycle.mail.render import Rendered, Renderer
from lifecycle.mail.unsubscribe import UnsubscribeLinks
from lifecycle.mail.utm import covers, tagged
from lifecycle.testing import Outbox
from tests.mail.sources import column, text, write

UTM = "utm_source=shop&utm_medium=email&utm_campaign=win_back"

_words = st.text(st.characters(codec="utf-8", exclude_characters="?#&= \t\r\n/\\@:"), max_size=8)
_encoded = _words.map(quote) | st.sampled_from(["%20", "%C3%BC", "%ZZ", "+", "%26", "%3D", "%23", "ü", "a b"])
_names = _words | st.sampled_from(["utm_source", "UTM_Campaign", "utm%5Fmedium", "utm_id", "a", "utm_content"])
_parameters = st.tuples(_names, st.sampled_from(["", "="]), _encoded).map("".join)
_hosts = st.sampled_from(
    ["x.example", "bücher.example", "xn--bcher-kva.example", "[2001:db8::1]:8443", "u:p@x.example"]
)


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Any https URL: queries and fragments that are missing, empty, odd or full."""
    path = draw(st.sampled_from(["", "/"]) | st.lists(_encoded, max_size=3).map(lambda parts: "/" + "/".join(parts)))
    query = draw(st.none() | st.lists(_parameters | st.just(""), max_size=4).map("&".join))
    fragment = draw(st.none() | _words | st.sampled_from(["/route?x=1&y=2", "?", "#", "&a"]))
    rest = ("" if query is None else f"?{query}") + ("" if fragment is None else f"#{fragment}")
    return f"https://{draw(_hosts)}{path}{rest}"


def _split(url: str) -> tuple[str, str, str]:
    """What stands before the query, the query, and from the fragment's mark on."""
    head, mark, fragment = url.partition("#")
    path, _, query = head.partition("?")
    return path, query, mark + fragment


@given(url=urls())
def test_a_url_is_what_it_was_once_the_parameters_are_taken_away(url: str) -> None:
    path, query, fragment = _split(url)

    new_path, new_query, new_fragment = _split(tagged(url, UTM))

    assert (new_path, new_fragment) == (path, fragment)
    assert new_query.startswith(query)
    added = new_query.removeprefix(query).removeprefix("&" if query else "")
    assert added == "&".join(each for each in UTM.split("&") if each in added)


@given(url=urls())
def test_browsers_and_servers_read_what_they_did_and_the_parameters(url: str) -> None:
    before, after = urlsplit(url), urlsplit(tagged(url, UTM))

    assert (after.scheme, after.netloc, after.path, after.fragment) == (*before[:3], before.fragment)
    pairs, new = (parse_qsl(each.query, keep_blank_values=True) for each in (before, after))
    assert new[: len(pairs)] == pairs
    there = {name.lower() for name, _ in pairs}
    assert new[len(pairs) :] == [pair for pair in parse_qsl(UTM) if pair[0] not in there]


@given(url=urls())
def test_adding_twice_is_adding_once(url: str) -> None:
    once = tagged(url, UTM)

    assert tagged(once, UTM) == once
    assert tagged(once, "utm_source=other&utm_medium=other&utm_campaign=other") == once


@given(url=st.text())
def test_what_is_no_https_url_stays(url: str) -> None:
    assume(not url.lower().startswith("https://"))
    assert tagged(url, UTM) == url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://x.example", f"https://x.example?{UTM}"),
        ("https://x.example/a?", f"https://x.example/a?{UTM}"),
        ("https://x.example/a?b=1&", f"https://x.example/a?b=1&{UTM}"),
        ("https://x.example/#/route?b=1", f"https://x.example/?{UTM}#/route?b=1"),
        ("https://x.example/?q=a%26b%23c#d", f"https://x.example/?q=a%26b%23c&{UTM}#d"),
        ("https://x.example/?utm_campaign=own", "https://x.example/?utm_campaign=own&utm_source=shop&utm_medium=email"),
        (
            "https://x.example/?UTM_Source=own",
            "https://x.example/?UTM_Source=own&utm_medium=email&utm_campaign=win_back",
        ),
        ("mailto:a@x.example?subject=x", "mailto:a@x.example?subject=x"),
        ("tel:+1", "tel:+1"),
    ],
)
def test_parameters_come_last_in_the_query_and_before_the_fragment(url: str, expected: str) -> None:
    assert tagged(url, UTM) == expected


@pytest.mark.parametrize(
    ("host", "url", "is_covered"),
    [
        ("x.example", "https://x.example/", True),
        ("x.example", "https://www.X.example:8443?a", True),
        ("x.example", "https://user@x.example", True),
        ("x.example", "https://notx.example/", False),
        ("x.example", "https://x.example.evil.example/", False),
        ("x.example", "https://evil.example/x.example", False),
        ("x.example", "https://x.example@evil.example/", False),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
        ("bücher.example", "https://b%C3%BCcher.example/", True),
        ("xn--bcher-kva.example", "https://bücher.example/", True),
        ("x.example", "https://" + "ü" * 200 + "/", False),
    ],
)
def test_hosts_are_those_named_and_their_subdomains_however_written(host: str, url: str, is_covered: bool) -> None:
    assert covers([host], url) is is_covered
    assert covers([], url)


# In emails

LINKS = """<mj-text>
<a href="https://x.example/plain">plain</a>
<a href="https://x.example/both?a=1&amp;b=%20#c">both</a>
<a href="https://x.example/gr&ouml;&szlig;e?">odd</a>
<a href="https://x.example/own?utm_source=own">own</a>
<a href="https://x.example/{{ word }}?q={{ word }}&amp;r='#{{ word }}">printed</a>
<a href="{{ url }}">whole</a>
<a href="{% if url %}https://x.example/if{% else %}https://x.example/else{% endif %}">statement</a>
<a href="mailto:a@x.example">mail</a>
<a href="mailto:{{ word }}@x.example">mail</a>
<a href="{{ links.unsubscribe }}">out</a>
<img src="https://x.example/a.png" alt="" width="1">
</mj-text>"""
DATA = {
    "word": 'R&B/"Soul"',
    "url": "https://x.example/whole?a=1&b='2'#c",
    "links": {"unsubscribe": "https://x.example/u/1"},
    "utm": UTM,
}


def _rendered(folder: Path, utm: Utm | None, **more: object) -> Rendered:
    write(folder, column(LINKS))
    return Renderer(folder, utm=utm).render("hello", {**DATA, **more})


def _hrefs(page: str) -> list[str]:
    return [html.unescape(url) for url in re.findall(r'\s(?:href|src)="([^"]*)"', page)]


def test_each_link_of_an_email_gets_the_parameters_and_nothing_else_changes(tmp_path: Path) -> None:
    plain = _hrefs(_rendered(tmp_path, None).html)

    with_utm = _hrefs(_rendered(tmp_path, Utm("shop")).html)

    untouched = ("mailto:", "https://x.example/u/1", "https://x.example/a.png")
    assert with_utm == [url if url.startswith(untouched) else tagged(url, UTM) for url in plain]
    assert sum("utm_medium" in url for url in with_utm) == 7


def test_the_text_part_has_the_links_of_the_html(tmp_path: Path) -> None:
    rendered = _rendered(tmp_path, Utm("shop"))

    words = rendered.text.replace("(", " ").replace(")", " ").split()
    for url in _hrefs(rendered.html):
        if url.startswith("https:") and " " not in url and not url.endswith(".png"):
            assert any(word.startswith(url) for word in words), url


def test_without_a_policy_nothing_is_added(tmp_path: Path) -> None:
    rendered = _rendered(tmp_path, None)

    assert "utm_" not in (rendered.html + rendered.text).replace("utm_source=own", "")


def test_with_hosts_only_links_to_them_get_the_parameters(tmp_path: Path) -> None:
    urls = ("https://x.example/a", "https://y.example/a", "https://www.x.example/{{ a }}", "https://y.example/{{ a }}")
    write(tmp_path, text("".join(f'<a href="{url}">x</a>' for url in (*urls, "{{ x }}", "{{ y }}"))))
    renderer = Renderer(tmp_path, utm=Utm("shop", hosts=["x.example"]))

    context = {"a": "b", "x": "https://x.example/c", "y": "https://y.example/c", "utm": UTM}
    for part in (renderer.render("hello", context).html, renderer.render("hello", context).text):
        hosts = re.findall(r"https://([\w.]+)/\w+(\?utm_source)?", part)
        assert sorted({host for host, mark in hosts if mark}) == ["www.x.example", "x.example"]
        assert {host for host, mark in hosts if not mark} == {"y.example"}


def test_a_text_part_written_by_hand_has_them_in_the_same_links(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text(
        "See https://x.example/a?b=1#c, (https://x.example/{{ word | urlencode }}).\n"
        "{% if url %}https://x.example/if{% else %}https://x.example/{% if a %}a{% endif %}{% endif %};\n"
        "{{url}} {{ word }} https://x.example/?utm_medium=own https://y.example/\nOut: {{ links.unsubscribe }}\n"
    )

    rendered = _rendered(tmp_path, Utm("shop", hosts=["x.example"]), word="w")

    assert rendered.text == (
        f"See https://x.example/a?b=1&{UTM}#c, (https://x.example/w?{UTM}).\n"
        f"https://x.example/if?{UTM};\n"
        f"{tagged(str(DATA['url']), UTM)} w https://x.example/?utm_medium=own&utm_source=shop&utm_campaign=win_back "
        "https://y.example/\nOut: https://x.example/u/1\n"
    )


@given(url=urls())
def test_a_link_from_data_arrives_as_it_was_but_for_the_parameters(renderer: Renderer, url: str) -> None:
    rendered = renderer.render("hello", {"url": url, "links": {}, "utm": UTM})

    # No mail holds control characters, and white space around a URL is nothing.
    expected = tagged(re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\u202a-\u202e]", "", url).strip(), UTM)
    assert _hrefs(rendered.html) == [expected]
    assert f"\n[1] {' '.join(expected.split())}\n" in rendered.text


@pytest.fixture(name="renderer", scope="module")
def _renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    folder = tmp_path_factory.mktemp("emails")
    write(folder, text('<a href="{{ url }}">x</a>'))
    return Renderer(folder, utm=Utm("shop"))


def test_what_was_compiled_without_them_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    write(tmp_path, text('<a href="https://x.example/">x</a>'))
    for utm in (None, Utm("shop"), Utm("shop", hosts=["y.example"])):
        renderer = Renderer(tmp_path, tmp_path / "cache", utm=utm)
        assert ("utm" in renderer.compiled("hello").html) is (utm is not None and not utm.hosts)
        assert Renderer(tmp_path, tmp_path / "cache", utm=utm).compiled("hello") == renderer.compiled("hello")


def test_a_message_says_its_own_journey_email_and_topic(tmp_path: Path) -> None:
    write(tmp_path, text('<a href="https://x.example/">x</a> <a href="{{ links.unsubscribe }}">out</a>'))
    renderer = Renderer(tmp_path, utm=Utm("shop", campaign="{topic}-{journey}"))
    links = UnsubscribeLinks("http://localhost:8000", "a secret of tests, of no use to anybody")
    mailer = Mailer(Sender("Shop", "hi@x.example", "12 Harbour Lane"), renderer, links, Outbox())

    for journey in ("win_back", "birthday"):
        envelope = Envelope(1, "42", "siti@x.example", "<1@x.example>", "offers", True, journey)
        content = mailer.render("hello", envelope, {}, {}, datetime(2026, 1, 15, tzinfo=UTC))
        campaign = f"utm_source=shop&utm_medium=email&utm_campaign=offers-{journey}&utm_content=hello"
        assert _hrefs(content.rendered.html) == [f"https://x.example/?{campaign}", content.unsubscribe]


def test_a_url_that_holds_what_looks_like_jinja_is_printed_and_has_them(tmp_path: Path) -> None:
    write(tmp_path, text('<a href="https://x.example/?q=&#123;&#123;a}}&amp;b=\'">x</a>'))

    rendered = Renderer(tmp_path, utm=Utm("shop")).render("hello", {"utm": UTM})

    [href] = _hrefs(rendered.html)
    assert href == f"https://x.example/?q={{{{a}}}}&b='&{UTM}"
    assert href in rendered.text
