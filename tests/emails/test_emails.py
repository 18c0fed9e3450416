"""The shipped emails: what each must have, whoever gets it, and that none changes unnoticed.

After a change that was meant: `python -m tests.emails.refresh`, then read the diff.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lifecycle.mail.lagging import lagging
from lifecycle.mail.render import Rendered, Renderer
from tests.emails.sample import (
    GOLDEN,
    LOCALES,
    PEOPLE,
    POSTAL_ADDRESS,
    SHIPPED,
    TEMPLATES,
    UNSUBSCRIBE,
    WHY,
    golden_copies,
)

_VOID = {"br", "hr", "img", "input", "link", "meta"}


@dataclass
class Page(HTMLParser):
    """What a reader of the HTML part has before them."""

    links: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(dict(attrs).get("href") or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"head", "style", "title"} & set(self.open):
            self.shown.append(data)

    @property
    def words(self) -> str:
        """The text that is shown, its white space made single."""
        return " ".join("".join(self.shown).split())


def read(rendered: Rendered) -> Page:
    page = Page()
    page.feed(rendered.html)
    page.close()
    return page


def sentences(text: str) -> list[str]:
    """The sentences of a text part that are of six words or more, without its address and what it quotes."""
    joined = re.sub("“[^”]*”", "", " ".join(text.replace(POSTAL_ADDRESS, "").split()))
    return [sentence for sentence in re.split(r"(?<=[.?!:]) ", joined) if len(sentence.split()) >= 6]


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(TEMPLATES)


@pytest.fixture(params=SHIPPED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LOCALES)
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=list(PEOPLE))
def rendered(request: pytest.FixtureRequest, renderer: Renderer, name: str, locale: str) -> Rendered:
    """One shipped email for one of the sample people in one locale."""
    return renderer.render(name, PEOPLE[request.param], locale)


def test_every_email_in_the_folder_is_looked_at_here(renderer: Renderer) -> None:
    assert sorted(renderer.names()) == SHIPPED


def test_no_email_changes_unnoticed(renderer: Renderer) -> None:
    """Every golden file is there, says what is rendered now, and none is left over."""
    copies = golden_copies(renderer)
    assert {path for path in GOLDEN.rglob("*") if path.is_file()} == set(copies)
    changed = [path for path, now in copies.items() if path.read_text(encoding="utf-8") != now]
    if changed:
        golden, now = changed[0].read_text(encoding="utf-8"), copies[changed[0]]
        names = ", ".join(str(path.relative_to(GOLDEN)) for path in changed)
        assert now == golden, f"changed: {names}; if it was meant: python -m tests.emails.refresh"


def test_subject_and_preheader_fit_an_inbox(rendered: Rendered) -> None:
    assert 0 < len(rendered.subject) <= 60
    assert 30 <= len(rendered.preheader) <= 110
    assert rendered.preheader != rendered.subject
    assert "\n" not in rendered.subject + rendered.preheader


def test_the_preheader_is_the_first_thing_in_the_body(rendered: Rendered) -> None:
    assert read(rendered).words.startswith(rendered.preheader)


def test_every_email_can_be_unsubscribed_from_and_says_who_sent_it(rendered: Rendered) -> None:
    page = read(rendered)
    assert page.links.count(UNSUBSCRIBE) == 1
    assert POSTAL_ADDRESS in page.words
    assert UNSUBSCRIBE in rendered.text
    assert POSTAL_ADDRESS in " ".join(rendered.text.split())


def test_every_email_says_why_it_came(rendered: Rendered) -> None:
    assert WHY[rendered.locale] in read(rendered).words
    assert WHY[rendered.locale] in rendered.text


def test_every_email_exists_in_every_locale_and_lags_in_none(renderer: Renderer, name: str) -> None:
    editions = [renderer.compiled(name, locale) for locale in LOCALES]
    assert tuple(edition.locale for edition in editions) == renderer.locales(name) == LOCALES
    assert not any(lagging(TEMPLATES, edition) for edition in editions[1:])


def test_no_text_of_one_locale_is_left_in_another(renderer: Renderer, name: str) -> None:
    english, indonesian = (renderer.render(name, PEOPLE["stranger"], locale) for locale in LOCALES)
    data = str(PEOPLE["stranger"]["sections"])
    shared = set(sentences(english.text)) & set(sentences(indonesian.text))
    assert [sentence for sentence in shared if sentence not in data] == []


def test_the_html_is_small_well_formed_and_says_its_language(rendered: Rendered, locale: str) -> None:
    page = read(rendered)
    assert not page.open
    assert 6_000 < len(rendered.html.encode()) < 25_000
    assert next(attributes for tag, attributes in page.tags if tag == "html")["lang"] == locale


def test_links_are_absolute_and_lead_to_the_shop(rendered: Rendered) -> None:
    for link in read(rendered).links:
        assert re.fullmatch(r"https://blueroom\.example/[!-;=?-~]*", link), link


def test_nothing_is_fetched_to_show_an_email(rendered: Rendered) -> None:
    """No picture, font, style sheet or script, so that nothing is missing when these are blocked."""
    page = read(rendered)
    assert not {"img", "link", "script", "iframe", "svg", "video"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "background"} & attributes.keys(), tag
    assert not re.search(r"url\(|@import|@font-face", rendered.html)


def test_the_text_part_holds_every_link(rendered: Rendered) -> None:
    home = "https://blueroom.example/"  # of the name in the header; a hand-written text may do without
    missing = {link for link in read(rendered).links if link not in rendered.text} - {home}
    assert not missing


@pytest.mark.parametrize("person", ["regular", "stranger"])
def test_nothing_of_the_making_is_left_over(renderer: Renderer, name: str, person: str) -> None:
    rendered = renderer.render(name, PEOPLE[person])
    text = rendered.text
    assert not re.search(r"</?[a-z!][^>]*>|&[a-z]+;|&#\d+;", text), "tags or entities in the text part"
    for part in (rendered.subject, rendered.preheader, text, read(rendered).words):
        assert not re.search(r"\{\{|\}\}|\{%|%\}|\{#|\bNone\b|\bundefined\b|mj-", part)
    assert not re.search(r"\{\{|\}\}|\{%|%\}|<mj-", rendered.html)


def test_lines_of_the_text_part_are_short(renderer: Renderer, name: str, locale: str) -> None:
    for line in renderer.render(name, PEOPLE["regular"], locale).text.splitlines():
        assert len(line) <= 100 or "https://" in line


def test_a_hostile_name_stays_text(renderer: Renderer, name: str, locale: str) -> None:
    rendered = renderer.render(name, PEOPLE["nuisance"], locale)
    assert "<script" not in rendered.html
    assert "<img" not in rendered.html
    if "customer.first_name" in renderer.compiled(name).variables:
        assert "<script>alert(1)</script> {{ 7*7 }} Wolfe" in read(rendered).words


@pytest.mark.parametrize("name", ["birthday/greeting", "onboarding/welcome", "post_purchase/ask_review"])
def test_a_name_that_is_not_known_leaves_no_hole_in_the_subject(renderer: Renderer, name: str) -> None:
    assert renderer.render(name, PEOPLE["regular"]).subject.rstrip("?").endswith(", Alice")
    assert not re.search(r",|\s{2}|\s[?.!]", renderer.render(name, PEOPLE["stranger"]).subject)


def test_the_order_thank_you_shows_the_order(renderer: Renderer) -> None:
    regular = renderer.render("post_purchase/thanks", PEOPLE["regular"])
    stranger = renderer.render("post_purchase/thanks", PEOPLE["stranger"])
    assert regular.subject == "Thank you. We have order 00004-1997-01-18"
    assert regular.preheader.startswith("2 CDs, $29.33.")
    assert stranger.preheader.startswith("1 CD, $14.96.")
    assert "https://blueroom.example/orders/00004-1997-01-18" in read(regular).links


def test_an_order_is_shown_as_its_customer_writes_amounts(renderer: Renderer) -> None:
    siti = renderer.render("post_purchase/thanks", PEOPLE["siti"], "id-ID")
    assert siti.subject == "Pesanan 00007-1997-01-18 sudah kami terima"
    assert siti.preheader == "2 CD, US$1.029,33. Inilah langkah berikutnya."
    assert "20 Maret 1997" in renderer.render("win_back/personal_note", PEOPLE["siti"], "id").text
    assert "20 March 1997" in renderer.render("win_back/personal_note", PEOPLE["regular"], "en-GB").text


def test_a_review_takes_one_tap_for_each_of_five_marks(renderer: Renderer) -> None:
    links = read(renderer.render("post_purchase/ask_review", PEOPLE["regular"])).links
    assert [link[-1] for link in links if "/00004-1997-01-18/review?stars=" in link] == list("54321")


@pytest.mark.parametrize("name", ["birthday/greeting", "win_back/personal_note"])
def test_regulars_get_a_line_more(renderer: Renderer, name: str) -> None:
    def paragraphs(person: str) -> int:
        return renderer.render(name, PEOPLE[person]).text.count("\n\n")

    assert paragraphs("regular") == paragraphs("stranger") + 1


def test_the_example_in_the_docs_is_an_email(tmp_path: Path) -> None:
    docs = (TEMPLATES.parents[1] / "docs" / "emails.md").read_text(encoding="utf-8")
    example = re.search(r"```xml\n(.*?)```", docs, re.DOTALL)
    assert example
    shutil.copytree(TEMPLATES / "partials", tmp_path / "partials")
    (tmp_path / "example.mjml").write_text(example[1], encoding="utf-8")
    rendered = Renderer(tmp_path).render("example", PEOPLE["regular"])
    assert rendered.subject == "Happy birthday, Alice"
    assert "And it travels free." in rendered.text
    assert UNSUBSCRIBE in rendered.text


@pytest.mark.parametrize(("person", "letters"), [("regular", "three letters"), ("stranger", "one letter")])
def test_a_digest_shows_what_it_gathered_with_a_way_to_each(renderer: Renderer, person: str, letters: str) -> None:
    rendered = renderer.render("digest/gathered", PEOPLE[person])
    page = read(rendered)
    assert f"One envelope,{letters}" in page.words
    assert rendered.subject.lower().startswith(letters.split()[0])
    for section in PEOPLE[person]["sections"]:  # type: ignore[attr-defined]
        assert section["subject"] in page.words
        assert section["preheader"] in page.words
        assert page.links.count(section["url"]) == 1


def test_a_digest_shows_also_what_leads_nowhere(renderer: Renderer) -> None:
    rendered = renderer.render("digest/gathered", PEOPLE["nuisance"])
    assert "One envelope,11 letters" in read(rendered).words
    assert read(rendered).words.count("Take me there") == 10
