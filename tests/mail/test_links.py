"""The link that a digest shows for an email: the one meant, for whom it is shown, and never one that data made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import RenderError
from lifecycle.mail.render import Renderer, Summary
from tests.mail.sources import column, text, write

_A, _B = '<a href="https://a.example/1">a</a>', '<a href="https://b.example/2">b</a>'


def summary(folder: Path, body: str, **customer: Any) -> Summary:
    write(folder, body, title="For {{ customer.name | default('you') }}", preview="A &amp; B")
    return Renderer(folder).summary("hello", {"customer": customer, "links": {"unsubscribe": "https://out.example"}})


def button(url: str, **more: str) -> str:
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    return f'<mj-button href="{url}"{attributes}>Go</mj-button>'


@pytest.mark.parametrize(
    ("body", "url"),
    [
        (text(_A + _B), "https://a.example/1"),
        (text(_A) + column(button("https://go.example")), "https://go.example"),
        (
            text(_A + _B.replace("<a", '<a class="x main"')) + column(button("https://go.example")),
            "https://b.example/2",
        ),
        (column(button("https://1.example") + button("https://2.example", css_class="in main")), "https://2.example"),
        (text('<a href="{{ links.unsubscribe }}">out</a>' + _B), "https://b.example/2"),
        (text('<a href="mailto:a@b.example">write</a><a href="#top">up</a>'), ""),
        (text("<a href=https://unquoted.example>a</a>"), ""),
        (text('<a href="https://a.example/?x=1&amp;y=2">a</a>'), "https://a.example/?x=1&y=2"),
        (text("nothing"), ""),
    ],
)
def test_an_email_leads_to_what_is_marked_else_to_its_first_button_else_to_its_first_link(
    tmp_path: Path, body: str, url: str
) -> None:
    assert summary(tmp_path, body).url == url


def test_what_stands_in_a_partial_leads_somewhere_only_if_it_is_a_button_or_is_marked(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    partial = tmp_path / "partials" / "p.mjml"
    include = '<mj-include path="partials/p.mjml" />'
    partial.write_text(text(_A))
    assert summary(tmp_path, include + text(_B)).url == "https://b.example/2"
    partial.write_text(column(button("https://go.example")))
    assert summary(tmp_path, include + text(_B)).url == "https://go.example"


@pytest.mark.parametrize(
    ("customer", "url"), [({"genre": "R&B"}, "https://x.example/R%26B"), ({"genre": None}, "https://x.example/all")]
)
def test_the_link_is_one_that_this_customer_is_shown(tmp_path: Path, customer: dict[str, Any], url: str) -> None:
    genre = button("https://x.example/{{ customer.genre | urlencode }}")
    shown = "{% if customer.genre | default('', true) %}" + genre + "{% else %}" + button("https://x.example/all")
    assert summary(tmp_path, column(shown + "{% endif %}"), **customer).url == url


def test_a_loop_leads_to_the_first_it_shows(tmp_path: Path) -> None:
    looped = text('{% for x in customer.items %}<a href="https://x.example/{{ x }}">x</a>{% endfor %}')
    assert summary(tmp_path, looped, items=["1", "2"]).url == "https://x.example/1"
    assert summary(tmp_path, looped, items=[]).url == ""


def test_data_cannot_pass_for_another_link(tmp_path: Path) -> None:
    hostile = "x\x030https://evil.example\x03 \x020https://evil.example\x03\nhttps://evil.example"
    url = summary(tmp_path, text('<a href="https://x.example/?q={{ customer.q }}">x</a>'), q=hostile).url
    assert url.startswith("https://x.example/?q=x")
    assert "\n" not in url


def test_the_summary_says_what_an_inbox_shows_and_names_what_is_missing(tmp_path: Path) -> None:
    assert summary(tmp_path, text(_A), name="Ann") == Summary("For Ann", "A & B", "https://a.example/1")
    with pytest.raises(RenderError, match=r"customer\.q is missing"):
        summary(tmp_path, text('<a href="https://x.example/{{ customer.q }}">x</a>'))


def test_nothing_of_it_is_left_in_the_email(tmp_path: Path) -> None:
    write(tmp_path, text(_A + _B) + column(button("https://go.example")))
    email = Renderer(tmp_path).compiled("hello")
    assert "jq" not in email.html + email.text
    assert [url in email.html for url in ("https://a.example/1", "https://go.example")] == [True, True]
