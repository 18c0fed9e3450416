"""The law of links: absolute https, mailto or tel when rendered, or the message fails and names the place."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import RenderError
from lifecycle.mail.render import Renderer
from tests.mail.sources import FIRST_BODY_LINE, column, text, write

# One link of every kind that MJML draws, each on a line of its own.
EVERY_KIND = column(
    '<mj-text>\n<a href="{{ url }}">a</a>\n'
    "<a href='{{ url }}'>a</a>\n</mj-text>\n"
    '<mj-button href="{{ url }}">Go</mj-button>\n'
    '<mj-image href="{{ url }}" src="https://x.example/a.png" alt="" />\n'
    '<mj-social><mj-social-element name="facebook-noshare" href="{{ url }}">f</mj-social-element></mj-social>\n'
    '<mj-navbar><mj-navbar-link href="{{ url }}">n</mj-navbar-link></mj-navbar>\n'
    '<mj-raw><!--[if mso]><v:roundrect href="{{ url }}"></v:roundrect><![endif]--></mj-raw>'
)
BAD = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "\u200bjavascript:alert(1)",
    "javascript&#58;alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://x.example/1",
    "http://x.example",
    "//x.example",
    "/shelves",
    "shelves",
    "?page=2",
    "#top",
    "#",
    "",
    "   ",
    "sms:+1",
    "cid:a",
    "https:",
    "https://",
    "https:///x",
    "https://?x",
    "https:x.example",
    "https:\\\\x.example",
    "https://\u200bx.example",
    'https://"x',
    "mailto:",
    "mailto:?bcc=a@b.example",
    "tel:",
]
GOOD = [
    "https://x.example",
    "HTTPS://x.example/",
    "https://x.example/?a=1&b=2#c",
    "https://bücher.example/größe?q=ü",
    "https://[2001:db8::1]/",
    "https://user@x.example:8443/a b",
    "mailto:a@b.example?subject=Hi%20you",
    "tel:+62-21-555",
]


@pytest.fixture(name="every_kind", scope="module")
def _every_kind(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    folder = tmp_path_factory.mktemp("emails")
    write(folder, EVERY_KIND)
    return Renderer(folder)


def hrefs(page: str) -> list[str]:
    return [html.unescape(found[1] or found[2]) for found in re.finditer(r"""\shref=(?:"([^"]*)"|'([^']*)')""", page)]


@pytest.mark.parametrize("url", BAD)
@pytest.mark.parametrize("tag", ["a", "button", "image", "social", "navbar", "roundrect"])
def test_a_link_that_is_not_absolute_stops_the_message(tmp_path: Path, tag: str, url: str) -> None:
    drawn = {
        "a": text('<a href="{{ url }}">a</a>'),
        "button": column('<mj-button href="{{ url }}">Go</mj-button>'),
        "image": column('<mj-image href="{{ url }}" src="https://x.example/a.png" alt="" />'),
        "social": column(
            '<mj-social><mj-social-element name="facebook-noshare" href="{{ url }}">f</mj-social-element></mj-social>'
        ),
        "navbar": column('<mj-navbar><mj-navbar-link href="{{ url }}">n</mj-navbar-link></mj-navbar>'),
        "roundrect": column('<mj-raw><!--[if mso]><v:roundrect href="{{ url }}"></v:roundrect><![endif]--></mj-raw>'),
    }
    write(tmp_path, drawn[tag])

    with pytest.raises(RenderError, match=r"absolute https, mailto or tel|a link is empty") as caught:
        Renderer(tmp_path).render("hello", {"url": url})
    assert f"{tmp_path / 'hello.mjml'}:{FIRST_BODY_LINE}" in caught.value.message


@pytest.mark.parametrize("url", GOOD)
def test_an_absolute_link_stays_as_it_is(every_kind: Renderer, url: str) -> None:
    assert hrefs(every_kind.render("hello", {"url": url}).html).count(url) >= 7


@given(url=st.text(max_size=30))
def test_whatever_the_data_are_the_link_is_absolute_or_nothing_goes_out(every_kind: Renderer, url: str) -> None:
    try:
        rendered = every_kind.render("hello", {"url": url})
    except RenderError:
        return
    for each in hrefs(rendered.html):
        assert re.match(r"\s*(https://\w|mailto:.|tel:.)", each, re.IGNORECASE)


@pytest.mark.parametrize("url", ["http://x.example/a.png", "a.png", "", "data:image/png;base64,AAAA", "javascript:x"])
@pytest.mark.parametrize("written", [True, False])
def test_a_picture_from_elsewhere_than_https_or_the_mail_stops_the_message(
    tmp_path: Path, url: str, written: bool
) -> None:
    write(tmp_path, text(f'<img src="{url if written else "{{ url }}"}" alt="" width="1">'))

    with pytest.raises(RenderError, match=r"not absolute https or cid|a link is empty"):
        Renderer(tmp_path).render("hello", {"url": url})


@pytest.mark.parametrize(
    ("srcset", "is_good"),
    [
        ("https://x.example/a.png 1x, https://x.example/b.png 2x", True),
        ("https://x.example/a.png", True),
        ("https://x.example/a.png 1x, http://x.example/b.png 2x", False),
        ("https://x.example/a.png 1x, javascript:x 2x", False),
        ("", False),
    ],
)
def test_each_url_of_a_srcset_counts(tmp_path: Path, srcset: str, is_good: bool) -> None:
    write(tmp_path, text('<img src="https://x.example/a.png" srcset="{{ srcset }}" alt="" width="1">'))
    renderer = Renderer(tmp_path)

    if is_good:
        assert f'srcset="{srcset}"' in renderer.render("hello", {"srcset": srcset}).html
    else:
        with pytest.raises(RenderError, match=r"not absolute https|a link is empty"):
            renderer.render("hello", {"srcset": srcset})


@pytest.mark.parametrize(
    "link", ["{{ a }}{{ b }}", "{% if a %}{{ a }}{% endif %}{{ b }}", " {{ a }}:{{ b }}", "{{ a ~ b }}"]
)
def test_a_scheme_cannot_be_put_together_from_parts(tmp_path: Path, link: str) -> None:
    write(tmp_path, text(f'<a href="{link}">x</a>'))

    with pytest.raises(RenderError, match="is not absolute"):
        Renderer(tmp_path).render("hello", {"a": "javascript", "b": ":alert(1)"})


@pytest.mark.parametrize(
    "url", ["#", "", "shelves/new", "http://x.example/", "www.x.example", "java&#115;cript:x", "/a b", "/ü?a&amp;b"]
)
def test_a_bad_link_of_the_author_is_named_where_it_stands_in_a_partial(tmp_path: Path, url: str) -> None:
    (tmp_path / "foot.mjml").write_text(f'<mj-text>\n\n  <a href="{url}">x</a></mj-text>')
    write(tmp_path, column('<mj-text>Hi</mj-text><mj-include path="foot.mjml" />'))

    with pytest.raises(RenderError) as caught:
        Renderer(tmp_path).render("hello", {})
    assert f"{tmp_path / 'foot.mjml'}:3:12;" in caught.value.message


def test_what_is_not_shown_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path, text('{% if url %}<a href="{{ url }}">x</a>{% else %}-{% endif %}'))

    assert "<a " not in Renderer(tmp_path).render("hello", {"url": ""}).html


def test_a_long_url_is_shortened_in_the_error(tmp_path: Path) -> None:
    write(tmp_path, text('<a href="{{ url }}">x</a>'))

    with pytest.raises(RenderError) as caught:
        Renderer(tmp_path).render("hello", {"url": "javascript:" + "<x>" * 1_000_000})
    assert len(caught.value.message) < 300 + len(str(tmp_path))
    assert "javascript:<x><x>" in caught.value.message


def test_only_the_engine_itself_may_link_to_http(tmp_path: Path) -> None:
    # Given: an installation on this machine, where the settings allow http
    write(tmp_path, text('<a href="{{ links.unsubscribe }}">out</a> <a href="{{ url }}">x</a>'))
    here = "http://localhost:8000/u/a&b"
    context = {"links": {"unsubscribe": here}}

    assert here in hrefs(Renderer(tmp_path).render("hello", {**context, "url": here}).html)
    with pytest.raises(RenderError, match="is not absolute"):
        Renderer(tmp_path).render("hello", {**context, "url": "http://localhost:8000/u/else"})
    with pytest.raises(RenderError, match="is not absolute"):
        Renderer(tmp_path).render("hello", {"links": {"unsubscribe": "javascript:x"}, "url": "https://x.example"})


def test_what_only_looks_like_a_link_is_text(tmp_path: Path) -> None:
    write(tmp_path, text('Write &lt;a href="/x"&gt; or href="{{ word }}", never src="#"'))

    assert 'href="{{ hm }}"' in Renderer(tmp_path).render("hello", {"word": "{{ hm }}"}).text


def test_a_link_that_keeps_the_law_whatever_the_data_are_costs_nothing(tmp_path: Path) -> None:
    write(
        tmp_path, text('<a href="https://x.example/{{ a }}">x</a><a href="mailto:hi@x.example?subject={{ a }}">x</a>')
    )

    assert "filter" not in Renderer(tmp_path).compiled("hello").html


def test_white_space_around_a_link_is_none_of_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        text('<a href=" {{ url }}\n">a</a><a href=" https://x.example/b\n  ?c=1 ">b</a>')
        + column('<mj-button href=" {{ url }} " css-class="main">c</mj-button>'),
    )

    rendered = Renderer(tmp_path).render("hello", {"url": "https://x.example/a"})

    assert re.findall(r'href="([^"]*)"', rendered.html) == [
        "https://x.example/a",
        "https://x.example/b?c=1",
        "https://x.example/a",
    ]
    assert rendered.text.endswith("[1] https://x.example/a\n[2] https://x.example/b?c=1\n")
    assert Renderer(tmp_path).summary("hello", {"url": "https://x.example/a"}).url == "https://x.example/a"


def test_an_ampersand_of_a_query_begins_no_entity(tmp_path: Path) -> None:
    urls = "https://x.example/?a=1&copy=2&reg=3&amp;sect=4"
    write(tmp_path, text(f'<a href="{urls}">a</a>') + column(f'<mj-button href="{urls}">b</mj-button>'))

    found = re.findall(r'href="([^"]*)"', Renderer(tmp_path).render("hello", {}).html)

    assert found == ["https://x.example/?a=1&amp;copy=2&amp;reg=3&amp;sect=4"] * 2
