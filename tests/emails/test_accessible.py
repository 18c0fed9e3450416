"""Do the shipped emails say what they are to a screen reader, and keep their dark palette on the way to it."""

from __future__ import annotations

import re

import pytest
from lxml import html as markup

from lifecycle.mail.render import Renderer
from tests.emails.night import dark_rules
from tests.emails.sample import LOCALES, PEOPLE, SHIPPED, TEMPLATES

# A letter needs no headline.
_WITHOUT_HEADLINE = {"win_back/personal_note"}
# Tables that say something by their rows; all others only place things.
_DATA_TABLES = {"onboarding/how_it_works": 1, "onboarding/welcome": 1, "post_purchase/thanks": 1}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(TEMPLATES)


@pytest.fixture(params=[(name, locale) for name in SHIPPED for locale in LOCALES], ids="-".join)
def email(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The name and locale of a shipped email."""
    name, locale = request.param
    return name, locale


@pytest.fixture
def page(renderer: Renderer, email: tuple[str, str]) -> markup.HtmlElement:
    name, locale = email
    return markup.document_fromstring(renderer.render(name, PEOPLE["regular"], locale).html)


def test_the_page_names_its_language_direction_and_subject(page: markup.HtmlElement, email: tuple[str, str]) -> None:
    [article] = page.cssselect("[role=article]")

    for element in (page, article):
        assert element.get("lang") == email[1]
        assert element.get("dir") in ("auto", "ltr", "rtl")
    assert article.get("aria-roledescription") == "email"
    assert article.get("aria-label") == page.findtext("head/title").strip()


def test_tables_of_layout_say_that_they_are_none(page: markup.HtmlElement, email: tuple[str, str]) -> None:
    data = [table for table in page.cssselect("table") if table.get("role") != "presentation"]

    assert len(data) == _DATA_TABLES.get(email[0], 0)
    for table in data:
        assert len(table.cssselect("tr")) > 1
        assert min(len(row.cssselect("td, th")) for row in table.cssselect("tr")) > 1


def test_headings_are_headings_and_begin_with_one_of_the_first_level(
    page: markup.HtmlElement, email: tuple[str, str]
) -> None:
    levels = [heading.get("aria-level") for heading in page.cssselect("[role=heading]")]

    assert levels[:1] == ([] if email[0] in _WITHOUT_HEADLINE else ["1"])
    assert set(levels[1:]) <= {"2"}


def test_every_image_has_an_alternative(page: markup.HtmlElement) -> None:
    assert all("alt" in image.attrib for image in page.cssselect("img"))


def test_every_link_says_where_it_leads(page: markup.HtmlElement) -> None:
    for link in page.cssselect("a"):
        assert len(" ".join(link.text_content().split())) > 3 or link.cssselect("img[alt]")


def test_the_dark_palette_outlives_inlining(page: markup.HtmlElement, email: tuple[str, str]) -> None:
    """Two tags and a rule say that the email has one; no part of it is in the inline styles."""
    source = markup.tostring(page, encoding="unicode")

    for name in ("color-scheme", "supported-color-schemes"):
        assert [meta.get("content") for meta in page.cssselect(f"meta[name={name}]")] == ["light dark"]
    assert re.search(r":root \{ color-scheme: light dark; supported-color-schemes: light dark; \}", source)
    rules = dark_rules(source)
    assert (".paper", "background-color: #12173A !important;") in rules
    dark = {color.lower() for _, declarations in rules for color in re.findall(r"#[0-9A-Fa-f]{6}", declarations)}
    assert len(dark) > 5
    inline = " ".join(element.get("style") for element in page.cssselect("[style]")).lower()
    assert not {color for color in dark if color in inline} - {"#ffffff", "#0c1238", "#ff7a59", "#ffc93c", "#9be3c8"}


def test_every_class_of_a_dark_rule_is_one_that_some_email_has(renderer: Renderer) -> None:
    pages = [renderer.render(name, PEOPLE["regular"]).html for name in SHIPPED]
    used = {word for page in pages for words in re.findall(r'class="([^"]*)"', page) for word in words.split()}
    ruled = {word for page in pages for selector, _ in dark_rules(page) for word in re.findall(r"\.(\w+)", selector)}

    assert ruled <= used
