"""A file as people read it in the gallery: numbered lines, with what is wrong beside the line that it is wrong in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lifecycle.journey.origin import shown
from lifecycle.journey.project import Problem

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::(?P<column>\d+))?")
_AROUND = 4  # lines before and after the one that an error names


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file; `line` and `column` count from 1, and 0 is unknown."""

    file: str
    line: int = 0
    column: int = 0

    @classmethod
    def read(cls, where: str) -> Place:
        """The place that an error names as "file", "file:line" or "file:line:column"."""
        found = _PLACE.fullmatch(where)
        return cls(found["file"], int(found["line"]), int(found["column"] or 0)) if found else cls(where)

    def is_in(self, file: Path) -> bool:
        """Whether it is a place in that file."""
        return Path(self.file).resolve() == file.resolve()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file; `column` is that of the first mark, or 0."""

    number: int
    text: str
    marks: Sequence[Problem] = ()
    column: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """One file, all of it or the lines around a place."""

    file: str
    lines: Sequence[Line]

    @property
    def marks(self) -> list[Problem]:
        """Everything that is wrong in it, from the top."""
        return [mark for line in self.lines for mark in line.marks]


def listing(file: Path, text: str, problems: Iterable[Problem] = ()) -> Listing:
    """The whole file, with those problems that are in it."""
    marks: dict[int, list[tuple[int, Problem]]] = {}
    for problem in problems:
        place = Place.read(problem.where)
        if place.is_in(file):
            marks.setdefault(max(1, place.line), []).append((place.column, problem))
    lines = []
    for number, line in enumerate(_lines(text), 1):
        here = sorted(marks.get(number, ()), key=lambda mark: mark[0])
        lines.append(Line(number, line, [problem for _, problem in here], here[0][0] if here else 0))
    return Listing(str(shown(file)), lines)


def excerpt(where: str, folders: Iterable[Path]) -> Listing | None:
    """The lines around a place; None where it names no line of a file in one of these folders."""
    place = Place.read(where)
    file = Path(place.file).resolve()
    if not place.line or not any(file.is_relative_to(folder.resolve()) for folder in folders):
        return None
    try:
        lines = _lines(file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    first = max(1, place.line - _AROUND)
    return Listing(
        place.file,
        [
            Line(number, line, column=place.column if number == place.line else 0)
            for number, line in enumerate(lines[first - 1 : place.line + _AROUND], first)
        ],
    )


def _lines(text: str) -> list[str]:
    # Not splitlines: editors and error messages count line feeds, and a form feed ends no line for them.
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines
