"""Lint: all rules over all emails, as problems with their places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lifecycle.errors import TemplateError
from lifecycle.journey.project import Problem, Project, by_place
from lifecycle.mail.render import Renderer

from .data import TRIAL
from .email import Email, read_email
from .rule import Rule
from .rules import RULES
from .silence import Silences

_IDS = frozenset(rule.id for rule in RULES)


def lint(project: Project, templates: Path, cache: Path | None = None) -> list[Problem]:
    """The problems of all emails in the folder `templates`, by file and line; `cache` is one for what is compiled."""
    renderer = Renderer(templates, cache)
    found = [problem for name in renderer.names() for problem in lint_email(renderer, name, project, templates)]
    return sorted(dict.fromkeys(found), key=by_place)


def lint_email(renderer: Renderer, name: str, project: Project, templates: Path) -> list[Problem]:
    """The problems of one email, by file and line; a source that does not compile has that one only."""
    try:
        email = read_email(renderer, name, project, templates)
    except TemplateError as error:
        return [Problem(error.code, error.where, error.message, error.hint)]
    found = [problem for rule in RULES if rule is not TRIAL for problem in _problems(rule, email)]
    if not any(problem.severity == "error" for problem in found):
        found += _problems(TRIAL, email)
    silences = Silences(_files(email), _IDS)
    return sorted({*filter(silences.allows, found), *silences.problems}, key=by_place)


def _problems(rule: Rule, email: Email) -> Iterator[Problem]:
    for finding in rule.find(email):
        yield Problem(rule.id, finding.where, finding.message, finding.hint, rule.severity)


def _files(email: Email) -> list[Path]:
    """The files that the email is written in: its own, its partials, its text."""
    files = {email.source.path: None} | {Path(file): None for file, _ in email.source.origins if file}
    return [*files, *([email.text_file] if email.source.text is not None else [])]
