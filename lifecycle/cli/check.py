"""`lifecycle check`: journeys, templates and policy; and, where there is a database, who is parked nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click

from lifecycle.errors import place_of

from . import opened
from .listing import as_json_option, console, write_json

if TYPE_CHECKING:
    from lifecycle.journey.project import Problem, Project
    from lifecycle.settings import Settings


@click.command(
    epilog="""\b
Examples:
  lifecycle check                 all of journeys/ and templates/email/
  lifecycle check --no-database   without looking who waits at steps that are gone"""
)
@click.option("--database/--no-database", default=True, help="Also list people parked at steps that are gone.")
@as_json_option
@click.pass_context
def check(ctx: click.Context, database: bool, as_json: bool) -> None:
    """Find mistakes in journeys, templates and policy, each with file, line and remedy.

    Needs no database. Where there is one, also lists the people who are parked at steps that no file has any more.
    """
    from lifecycle.journey.load import load

    settings = opened.settings()
    project, problems = load(settings.journeys)
    if project is not None:
        from lifecycle.journey.check import check as check_project

        problems = check_project(project, settings.templates, settings.home / "compiled")
        if database:
            problems += _parked(settings, project)
    if as_json:
        write_json({"code": p.code, "where": p.where, "message": p.message, "hint": p.hint} for p in problems)
    else:
        _write(problems, project)
    ctx.exit(1 if problems else 0)


def _parked(settings: Settings, project: Project) -> list[Problem]:
    """Problems of people who are parked nowhere; none where there is no database, or none that answers."""
    if not opened.has_database(settings):
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


def _write(problems: Sequence[Problem], project: Project | None) -> None:
    if not problems and project is not None:
        click.echo(f"{_contents(project)}: all well")
        return
    from rich.text import Text

    out = console()
    for file, group in groupby(problems, key=lambda problem: place_of(problem.where)[0]):
        out.print(Text(file, style="bold"))
        for problem in group:
            _, line, column = place_of(problem.where)
            place = f"{f'{line}:{column}' if column else line or '-':>5}  "
            out.print(Text.assemble((place, "cyan"), problem.message, (f"  [{problem.code}]", "dim")))
            if problem.hint:
                out.print(Text.assemble("       ", (f"→ {problem.hint}", "green")))
    files = len({place_of(problem.where)[0] for problem in problems})
    click.echo(f"{_number(len(problems), 'problem')} in {_number(files, 'file')}")


def _contents(project: Project) -> str:
    from lifecycle.journey.emails import gathers
    from lifecycle.journey.steps import Send, walk_steps

    emails = {
        step.template
        for journey in project.journeys.values()
        for step in walk_steps(journey.steps)
        if isinstance(step, Send)
    }
    if gathers(project):
        emails.add(project.policy.digest.template)
    return f"{_number(len(project.journeys), 'journey')}, {_number(len(emails), 'email')}, 1 policy"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
