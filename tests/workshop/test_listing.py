"""Files as the gallery lists them, and the places that errors name."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.journey.project import Problem
from lifecycle.workshop.listing import Place, excerpt, listing


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("a/b.mjml", Place("a/b.mjml")),
        ("a/b.mjml:12", Place("a/b.mjml", 12)),
        ("a/b.mjml:12:7", Place("a/b.mjml", 12, 7)),
        ("odd:name.mjml:3", Place("odd:name.mjml", 3)),
    ],
)
def test_a_place_is_read_with_or_without_line_and_column(where: str, place: Place) -> None:
    assert Place.read(where) == place


def test_problems_stand_at_their_lines_and_only_in_their_file(tmp_path: Path) -> None:
    own, other = tmp_path / "own.mjml", tmp_path / "other.mjml"
    problems = [
        Problem("late", f"{own}:2:9", "late"),
        Problem("early", f"{own}:2:3", "early"),
        Problem("whole", str(own), "of the whole file"),
        Problem("foreign", f"{other}:2", "foreign"),
    ]

    found = listing(own, "one\r\ntwo\x0cstill two\n", problems)

    assert [(line.number, line.text) for line in found.lines] == [(1, "one"), (2, "two\x0cstill two")]
    assert [[mark.code for mark in line.marks] for line in found.lines] == [["whole"], ["early", "late"]]
    assert found.lines[1].column == 3


def test_an_excerpt_shows_the_lines_around_a_place_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "templates" / "a.mjml"
    file.parent.mkdir()
    file.write_text("\n".join(f"line {number}" for number in range(1, 31)))

    middle = excerpt(f"{file}:20:3", [file.parent])
    start = excerpt(f"{file}:1", [file.parent])

    assert middle is not None
    assert [line.number for line in middle.lines] == list(range(16, 25))
    assert [line.column for line in middle.lines if line.number == 20] == [3]
    assert start is not None
    assert [line.number for line in start.lines] == list(range(1, 6))
    assert excerpt(f"{file}:20", [tmp_path / "journeys"]) is None
    assert excerpt(f"{file.parent}/../../../etc/passwd:1", [file.parent]) is None
    assert excerpt(f"{file.parent}/gone.mjml:1", [file.parent]) is None
    assert excerpt(str(file), [file.parent]) is None
