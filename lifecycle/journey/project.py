"""A project: everything that the files under `journeys/` declare, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.errors import place_of

from .journey import Journey
from .policy import Policy
from .vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, eq=False)  # one is itself, so that what follows from it can be cached
class Project:
    """The vocabulary, the journeys by name (in the order of their names) and the policy."""

    vocabulary: Vocabulary
    journeys: Mapping[str, Journey]
    policy: Policy


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong across files; `code` is stable, `where` "file:line", `hint` the remedy."""

    code: str
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message} [{self.code}]" + (f"\n    {self.hint}" if self.hint else "")


def by_line(problem: Problem) -> tuple[str, int, int]:
    """The key that sorts problems by file, line and column."""
    return place_of(problem.where)
