"""What a rule is: its id, how grave it is, what it demands, and what finds where it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lifecycle.journey.project import Severity

from .email import Email


class Finding(NamedTuple):
    """One place where a rule is broken: "file:line:column", what is wrong, and the remedy."""

    where: str
    message: str
    hint: str


def _found_elsewhere(email: Email) -> Iterable[Finding]:
    return ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One demand on emails; those without a `find` of their own are found by the compiler or by `lint` itself.

    `of_outcome`: it looks at what comes out, which is another thing in each locale.
    """

    id: str
    severity: Severity
    demands: str
    find: Callable[[Email], Iterable[Finding]] = _found_elsewhere
    of_outcome: bool = False
