"""Lint: all rules over all emails, as problems with their places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lifecycle.errors import TemplateError
from lifecycle.journey.emails import renderer_of
from lifecycle.journey.project import Problem, Project, by_place
from lifecycle.mail.render import Renderer

from .data import TRIAL
from .email import Email, read_email
from .memory import remembered, state_of
from .rule import Rule
from .rules import RULES
from .silence import Silences

_IDS = frozenset(rule.id for rule in RULES)


def lint(project: Project, templates: Path, cache: Path | None = None) -> list[Problem]:
    """The problems of all emails in the folder `templates`, by file and line.

    `cache` is a folder for what is compiled, and for what was found last time.
    """
    return remembered(cache, state_of(project, templates), lambda: _lint(project, templates, cache))


def _lint(project: Project, templates: Path, cache: Path | None) -> list[Problem]:
    renderer = renderer_of(project.policy, templates, cache)
    found = [problem for name in renderer.names() for problem in lint_email(renderer, name, project, templates)]
    return sorted(dict.fromkeys(found), key=by_place)


def lint_email(renderer: Renderer, name: str, project: Project, templates: Path) -> list[Problem]:
    """The problems of one email, by file and line; a source that does not compile has that one only."""
    try:
        editions = read_email(renderer, name, project, templates)
    except TemplateError as error:
        return [Problem(error.code, error.where, error.message, error.hint)]
    found: list[Problem] = []
    for email in editions:
        # What is written is asked once, what comes of it in every locale.
        is_first = email is editions[0] or email.source is not editions[0].source
        rules = [rule for rule in RULES if rule is not TRIAL and (is_first or rule.of_outcome)]
        mistakes = [problem for rule in rules for problem in _problems(rule, email)]
        if not any(problem.severity == "error" for problem in mistakes):
            mistakes += _problems(TRIAL, email)
        found += mistakes
    silences = Silences(_files(editions), _IDS)
    return sorted({*filter(silences.allows, found), *silences.problems}, key=by_place)


def _problems(rule: Rule, email: Email) -> Iterator[Problem]:
    for finding in rule.find(email):
        yield Problem(rule.id, finding.where, finding.message, finding.hint, rule.severity)


def _files(editions: Iterable[Email]) -> list[Path]:
    """The files that an email is written in: its own and its variants, their partials and texts."""
    files: dict[Path, None] = {}
    for email in editions:
        files |= {Path(origin.file): None for origin in email.source.origins if origin.file}
        if email.source.text is not None:
            files[email.text_file] = None
    return [*files]
