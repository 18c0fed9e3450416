"""Problems that an author has looked at and accepts: `{# lint: off RULE because … #}`, in the line or the one before.

`{# lint: off RULE in this file because … #}` holds for the whole file. Both want a reason.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from lifecycle.errors import place_of
from lifecycle.journey.project import Problem
from lifecycle.mail.source import place

_OFF = re.compile(
    r"(?:\{#|<!--)-?\s*lint:\s*off\b\s*([\w-]*)\s*(in this file)?\s*(?:because\s+(\S.*?))?\s*-?(?:#\}|-->)", re.DOTALL
)
_EXAMPLE = "write {# lint: off no_width because … #}"


class Silences:
    """What the files of an email accept, by file and line."""

    def __init__(self, files: Iterable[Path], rules: Collection[str]) -> None:
        """`rules` are the ids that there are."""
        self._off: set[tuple[str, str, int]] = set()  # rule, file, line; line 0 is the whole file
        self.problems: list[Problem] = []
        for file in files:
            text = file.read_text(encoding="utf-8", errors="replace")
            for found in _OFF.finditer(text) if "lint:" in text else ():
                self._take(found, place(str(file), text, found.start()), rules)

    def _take(self, found: re.Match[str], where: str, rules: Collection[str]) -> None:
        file, line, _ = place_of(where)
        rule, everywhere, reason = found[1].replace("-", "_"), found[2], found[3]
        if rule not in rules:
            message, hint = f"there is no rule {found[1]!r} to turn off", "see: lifecycle templates lint --rules"
        elif not reason:
            message, hint = f"{rule} is turned off without a reason", _EXAMPLE
        else:
            after = line + found[0].count("\n")
            lines = (0,) if everywhere else (*range(line, after + 1), after + 1)
            self._off.update((rule, file, each) for each in lines)
            return
        self.problems.append(Problem("lint_off", where, message, hint))

    def allows(self, problem: Problem) -> bool:
        """Whether nobody has accepted it."""
        file, line, _ = place_of(problem.where)
        return self._off.isdisjoint({(problem.code, file, line), (problem.code, file, 0)})
