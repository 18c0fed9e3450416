"""Problems on screen: by file, each with its place, rule and remedy; and the exit code that they make."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from lifecycle.errors import place_of

from .listing import console, write_json

if TYPE_CHECKING:
    from lifecycle.journey.project import Problem

_COLOURS = {"error": "red", "warning": "yellow"}


def write_problems(problems: Sequence[Problem], well: str, *, as_json: bool, strict: bool) -> int:
    """Writes them, or where there are none the line `well`; returns 1 if there are errors, or `strict` and warnings."""
    from lifecycle.journey.project import by_place

    problems = sorted(problems, key=by_place)
    if as_json:
        names = ("code", "severity", "where", "message", "hint")
        write_json({name: getattr(problem, name) for name in names} for problem in problems)
    elif problems:
        _write(problems)
    else:
        click.echo(well)
    return 1 if any(strict or problem.severity == "error" for problem in problems) else 0


def number(count: int, what: str) -> str:
    """So many of something: "1 email", "2 emails"."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _write(problems: Sequence[Problem]) -> None:
    from rich.text import Text

    out, files = console(), 0
    for file, group in groupby(problems, key=lambda problem: place_of(problem.where)[0]):
        files += 1
        out.print(Text(file, style="bold"))
        for problem in group:
            _, line, column = place_of(problem.where)
            place = f"{line}:{column}" if column else str(line or "-")
            kind = Text(problem.severity, style=_COLOURS[problem.severity])
            code = (f"  [{problem.code}]", "dim")
            out.print(Text.assemble((f"{place:>8}  ", "cyan"), kind, "  ", problem.message, code))
            if problem.hint:
                out.print(Text.assemble("          ", (f"→ {problem.hint}", "green")))
    counts = [sum(problem.severity == severity for problem in problems) for severity in _COLOURS]
    said = [number(count, severity) for count, severity in zip(counts, _COLOURS, strict=True) if count]
    click.echo(f"{' and '.join(said)} in {number(files, 'file')}")
