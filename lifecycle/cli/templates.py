"""`lifecycle templates`: the emails of this folder, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import opened
from .journeys import project
from .lazy import Group, did_you_mean
from .listing import Column, as_json_option, write
from .problems import number, write_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lifecycle.journey.project import Project
    from lifecycle.mail.render import Renderer
    from lifecycle.settings import Settings

_COLUMNS = (Column("name"), Column("locales"), Column("journeys"), Column("bytes", right=True), Column("subject"))
_RULES = (Column("id"), Column("severity"), Column("demands"))


@click.group(cls=Group)
def templates() -> None:
    """List the emails of this folder, and find what is wrong with them."""


@templates.command(
    epilog="""\b
Examples:
  lifecycle templates lint                      all emails
  lifecycle templates lint win_back/whats_new   one of them
  lifecycle templates lint --rules              what is demanded of them"""
)
@click.argument("names", metavar="[TEMPLATE]...", nargs=-1)
@click.option("--strict", is_flag=True, help="Let warnings, too, end with exit code 1.")
@click.option("--rules", is_flag=True, help="List the rules instead.")
@as_json_option
@click.pass_context
def lint(ctx: click.Context, names: tuple[str, ...], strict: bool, rules: bool, as_json: bool) -> None:
    """Find what is wrong with emails, each with file, line, column and remedy.

    A rule is turned off where it does not fit: {# lint: off RULE because … #} in the line or the one before.
    """
    if rules:
        write(_rules(), _RULES, as_json=as_json)
        return
    from lifecycle.lint import lint, lint_email

    settings = opened.settings()
    found = project(settings)
    if names:
        renderer = _renderer(settings, found)
        known = renderer.names()
        for name in names:
            if name not in known:
                raise click.UsageError(f"there is no email {name!r}{did_you_mean(name, known)}")
        problems = [each for name in names for each in lint_email(renderer, name, found, settings.templates)]
    else:
        names = tuple(_renderer(settings, found).names())
        problems = lint(found, settings.templates, settings.home / "compiled")
    well = f"{number(len(names), 'email')}: all well"
    ctx.exit(write_problems(list(dict.fromkeys(problems)), well, as_json=as_json, strict=strict))


@templates.command("list", epilog="\b\nExample:\n  lifecycle templates list")
@as_json_option
def list_templates(as_json: bool) -> None:
    """List all emails: their locales, the journeys that send them, and size and subject with sample data."""
    settings = opened.settings()
    rows = _rows(settings, project(settings))
    write(rows, _COLUMNS, as_json=as_json, empty="no emails")


def _rows(settings: Settings, found: Project) -> Iterator[dict[str, Any]]:
    from lifecycle.errors import TemplateError
    from lifecycle.lint.email import read_email

    renderer = _renderer(settings, found)
    for name in renderer.names():
        try:
            editions = read_email(renderer, name, found, settings.templates)
        except TemplateError as error:
            yield dict.fromkeys((column.field for column in _COLUMNS), None) | {"name": name, "subject": f"{error}"}
            continue
        email = editions[0]
        rendered = email.rendered
        yield {
            "name": name,
            "locales": ", ".join(edition.compiled.locale for edition in editions),
            "journeys": ", ".join(journey.name for journey in email.senders),
            "bytes": len(rendered.html.encode()) if rendered else None,
            "subject": rendered.subject if rendered else f"{email.outcome}",
        }


def _rules() -> Iterator[dict[str, str]]:
    from lifecycle.lint.rules import RULES

    for rule in RULES:
        yield {"id": rule.id, "severity": rule.severity, "demands": rule.demands}


def _renderer(settings: Settings, found: Project) -> Renderer:
    from lifecycle.journey.emails import renderer_of

    return renderer_of(found.policy, settings.templates, settings.home / "compiled")
