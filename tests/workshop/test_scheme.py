"""Light and dark, answered in the HTML itself."""

from __future__ import annotations

import html as entities
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.workshop.scheme import Scheme, as_shown_in, knows_dark

ALWAYS, NEVER = "(min-width:0)", "(max-width:0)"


@pytest.mark.parametrize(
    ("asked", "in_dark", "in_light"),
    [
        ("(prefers-color-scheme: dark)", ALWAYS, NEVER),
        ("(prefers-color-scheme: light)", NEVER, ALWAYS),
        (
            "screen and ( PREFERS-color-scheme :dark ) and (hover)",
            f"screen and {ALWAYS} and (hover)",
            f"screen and {NEVER} and (hover)",
        ),
        ("not (prefers-color-scheme: dark)", f"not {ALWAYS}", f"not {NEVER}"),
    ],
)
def test_questions_about_the_scheme_are_answered_wherever_they_stand(asked: str, in_dark: str, in_light: str) -> None:
    page = "<style>@media {} {{ p > b {{ color: red }} }}</style><picture><source media='{}'></picture>"

    assert as_shown_in("dark", page.format(asked, asked)) == page.format(in_dark, in_dark)
    assert as_shown_in("light", page.format(asked, asked)) == page.format(in_light, in_light)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_offers_both_schemes_gets_the_chosen_one_and_what_offers_one_keeps_it(scheme: Scheme) -> None:
    page = (
        '<meta name="color-scheme" content="{0}"><style>:root {{ color-scheme: {0}; }}</style>'
        '<p style="color-scheme:{0}">'
    )

    assert as_shown_in(scheme, page.format("light dark")) == page.format(scheme)
    assert as_shown_in(scheme, page.format("light")) == page.format("light")


def test_other_names_and_other_media_are_left_alone() -> None:
    page = (
        '<meta name="supported-color-schemes" content="light dark"><meta name="description" content="light dark">'
        "<style>@media (max-width:480px) { p { color: red } } :root { supported-color-schemes: light dark }</style>"
    )

    assert as_shown_in("dark", page) == page


@given(
    st.lists(st.sampled_from(["(prefers-color-scheme: dark)", "color-scheme: light dark", "<style>", "words & ", "“"]))
)
def test_what_a_reader_sees_as_text_never_changes(words: list[str]) -> None:
    text = "".join(words)
    page = f"<style>@media (prefers-color-scheme: dark) {{}}</style><p>{entities.escape(text)}</p>"

    assert _text(as_shown_in("dark", page)) == text


def test_whether_an_email_knows_dark_mode_is_told_by_its_styles() -> None:
    assert knows_dark("<style>@media (prefers-color-scheme:dark) {}</style>")
    assert not knows_dark("<style>@media (prefers-color-scheme:light) {}</style>")


def _text(page: str) -> str:
    words: list[str] = []

    class Reader(HTMLParser):
        style = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.style = tag == "style"

        def handle_endtag(self, tag: str) -> None:
            self.style = False

        def handle_data(self, data: str) -> None:
            if not self.style:
                words.append(data)

    reader = Reader()
    reader.feed(page)
    reader.close()
    return "".join(words)
