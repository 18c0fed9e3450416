"""What an author's CSS declares, where, and which mail programs do without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.lint import support
from lifecycle.lint.css import Declaration, declarations

DATA = Path(support.__file__).with_name("caniemail.json")


def found(css: str) -> list[tuple[str, str, bool]]:
    for each in declarations(css):
        assert css[each.at :].lower().startswith(each.property)
    return [(each.property, each.value, each.conditional) for each in declarations(css)]


def test_declarations_of_a_style_attribute_come_with_their_places() -> None:
    assert found('Color: RED; ;background:url("a;b{c:d}") no-repeat') == [
        ("color", "red", False),
        ("background", 'url("a;b{c:d}") no-repeat', False),
    ]


def test_those_of_a_sheet_know_whether_they_stand_in_an_at_rule() -> None:
    css = """
    .a, .b > i { color: red; /* gap: 1px; } */ margin:0 !important }
    @media (max-width:480px) { .a { width: calc(1px + (2px)) } }
    @font-face { font-family: X }
    i { color: blue }
    """
    assert found(css) == [
        ("color", "red", False),
        ("margin", "0", False),
        ("@media", "(max-width:480px)", False),
        ("width", "calc(1px + (2px))", True),
        ("@font-face", "", False),
        ("font-family", "x", True),
        ("color", "blue", False),
    ]


@given(st.text(alphabet="a:;{}()\"'@/* \n", max_size=60))
def test_no_css_is_too_odd(css: str) -> None:
    for each in declarations(css):
        assert 0 <= each.at < len(css)


@pytest.mark.parametrize(
    ("name", "value", "marks"),
    [
        ("display", "flex", {"display", "display:flex"}),
        ("width", "calc(100% - 1.5rem)", {"width", "calc()", "0rem"}),
        ("color", "#0rem00", {"color"}),
        ("background", "url(a1rem.png)", {"background", "url()"}),
        ("width", "min-content", {":min-content"}),
        ("@media", "print", {"@media"}),
    ],
)
def test_marks_say_what_a_declaration_uses(name: str, value: str, marks: set[str]) -> None:
    made = set(support.of_declaration(Declaration(name, value, 0)))
    assert marks <= made
    assert not {mark for mark in made - marks if mark.startswith("0") or mark.endswith("()")}


@pytest.mark.parametrize("name", ["mso-line-height-rule", "-webkit-text-size-adjust", "--brand"])
def test_what_is_meant_for_one_program_counts_for_none(name: str) -> None:
    assert list(support.of_declaration(Declaration(name, "exactly", 0))) == []


def test_the_tables_name_who_lacks_what() -> None:
    assert support.without("display:flex") == (support.WORD,)
    assert {"Gmail", support.WORD} <= set(support.without("position"))
    assert support.without("color") == ()
    assert support.without("border-radius") == ()  # square instead of round


def test_the_tables_say_where_they_are_from_and_how_old_they_are() -> None:
    data = json.loads(DATA.read_text(encoding="utf-8"))

    assert "caniemail.com" in data["source"]
    assert "MIT License" in data["license"]
    assert support.as_of() >= "2026-05-13"
    assert len(data["features"]) > 150
    programs = tuple(support.programs())
    for feature in data["features"].values():
        assert feature["marks"]
        assert all(lacking.startswith(programs) for lacking in feature["lacking"])
