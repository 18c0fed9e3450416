"""`lifecycle check`: journeys, templates and policy; and, where there is a database, who is parked nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import opened
from .listing import as_json_option
from .problems import number, write_problems

if TYPE_CHECKING:
    from pathlib import Path

    from lifecycle.journey.project import Problem, Project
    from lifecycle.settings import Settings


@click.command(
    epilog="""\b
Examples:
  lifecycle check                 all of journeys/ and templates/email/
  lifecycle check --no-database   without looking who waits at steps that are gone"""
)
@click.option("--database/--no-database", default=True, help="Also list people parked at steps that are gone.")
@click.option("--strict", is_flag=True, help="Let warnings, too, end with exit code 1.")
@as_json_option
@click.pass_context
def check(ctx: click.Context, database: bool, strict: bool, as_json: bool) -> None:
    """Find mistakes in journeys, templates and policy, each with file, line and remedy.

    Of templates, it finds what `lifecycle templates lint` does.

    Needs no database. Where there is one, also lists the people who are parked at steps that no file has any more.
    """
    from lifecycle.journey.load import load

    settings = opened.settings()
    project, problems = load(settings.journeys)
    if project is not None:
        from lifecycle.journey.check import check as check_project
        from lifecycle.lint import lint

        folders = settings.templates, settings.home / "compiled"
        problems = [*check_project(project, *folders), *lint(project, *folders)]
        if database:
            problems += _parked(settings, project)
    well = f"{_contents(project, settings.templates)}: all well" if project is not None else ""
    ctx.exit(write_problems(problems, well, as_json=as_json, strict=strict))


def _parked(settings: Settings, project: Project) -> list[Problem]:
    """Problems of people who are parked nowhere; none where there is no database, or none that answers."""
    if not settings.has_database:
        return []
    from sqlalchemy.exc import DBAPIError

    from lifecycle.journey.check import check_parked
    from lifecycle.store.database import Database
    from lifecycle.store.reports import parked

    db = Database(settings.database)
    try:
        return check_parked(project, parked(db))
    except DBAPIError:
        click.echo("note: the database does not answer or has no tables yet, so nobody parked was looked for", err=True)
        return []
    finally:
        db.close()


def _contents(project: Project, templates: Path) -> str:
    from lifecycle.mail.source import email_names

    emails = number(len(email_names(templates)), "email")
    return f"{number(len(project.journeys), 'journey')}, {emails}, 1 policy"
