"""`lifecycle journeys`: what the files say, as lists, trees and drawings; and entering people by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lifecycle.errors import DefinitionError

from . import opened
from .lazy import Group, did_you_mean
from .listing import Column, as_json_option, write, write_json

if TYPE_CHECKING:
    from lifecycle.journey.journey import Journey
    from lifecycle.journey.project import Project
    from lifecycle.settings import Settings

_COLUMNS = (
    Column("name"),
    Column("kind", wide=True),
    Column("topic"),
    Column("priority", right=True, wide=True),
    Column("enter"),
    Column("goal", wide=True),
    Column("emails", right=True),
)
_PEOPLE = ("active", "held", "completed", "goal_reached", "exited", "sent", "skipped", "failed", "uncertain")
_HEADINGS = {"completed": "done", "goal_reached": "goal", "uncertain": "unsure"}


@click.group(cls=Group)
def journeys() -> None:
    """List, show and draw the journeys of this folder, and enter people into them by hand."""


@journeys.command(
    "list",
    epilog="""\b
Examples:
  lifecycle journeys list
  lifecycle journeys list --people      how many are where, and what was sent""",
)
@click.option("--people", is_flag=True, help="Count the people and emails of each in the database.")
@as_json_option
def list_journeys(people: bool, as_json: bool) -> None:
    """List all journeys, with how people enter and what ends them."""
    settings = opened.settings()
    rows = [_row(journey) for journey in project(settings).journeys.values()]
    columns: tuple[Column, ...] = _COLUMNS
    if people:
        counts = _counts(settings)
        rows = [row | {state: counts.get(row["name"], {}).get(state, 0) for state in _PEOPLE} for row in rows]
        columns = (Column("name"), *(Column(state, _HEADINGS.get(state, ""), right=True) for state in _PEOPLE))
    write(rows, columns, as_json=as_json, empty="no journeys")


@journeys.command(epilog="\b\nExample:\n  lifecycle journeys show win_back")
@click.argument("name")
@as_json_option
def show(name: str, as_json: bool) -> None:
    """Show one journey as a tree of its steps."""
    from lifecycle.journey.draw import as_text, describe

    journey = named(project(opened.settings()), name)
    if as_json:
        write_json([describe(journey)])
    else:
        click.echo(as_text(journey))


@journeys.command(
    epilog="""\b
Examples:
  lifecycle journeys graph win_back               the flowchart as Mermaid text
  lifecycle journeys graph win_back > flow.mmd    for an editor, or for GitHub inside ```mermaid"""
)
@click.argument("name")
def graph(name: str) -> None:
    """Draw one journey as a Mermaid flowchart."""
    from lifecycle.journey.draw import as_mermaid

    click.echo(as_mermaid(named(project(opened.settings()), name)), nl=False)


@journeys.command(
    epilog="""\b
Examples:
  lifecycle journeys enter vip_invitation --customer 42
  lifecycle journeys enter vip_invitation --customer 42 --customer 43"""
)
@click.argument("name")
@click.option("--customer", "customers", multiple=True, required=True, help="Id of a customer; may be repeated.")
@click.pass_context
def enter(ctx: click.Context, name: str, customers: tuple[str, ...]) -> None:
    """Enter customers into a journey by hand.

    The journey's entry must be manually(). The policy judges every email all the same.
    """
    from lifecycle import clock
    from lifecycle.flow.by_hand import enter_by_hand

    settings = opened.settings()
    found = project(settings)
    journey = named(found, name)
    with opened.database(settings) as db:
        answers = enter_by_hand(db, found, journey, customers, clock.now())
    for customer, refusal in answers.items():
        click.echo(f"error: {customer}: {refusal}" if refusal else f"{customer}: entered {name}", err=bool(refusal))
    ctx.exit(1 if any(answers.values()) else 0)


def project(settings: Settings) -> Project:
    """The project of this folder. Raises DefinitionError with the first of its problems."""
    from lifecycle.journey.load import load

    found, problems = load(settings.journeys)
    if found is None:
        first, *more = problems
        also = f" (and {len(more)} more; see: lifecycle check)" if more else ""
        raise DefinitionError(first.where, first.message + also, first.hint)
    return found


def named(found: Project, name: str) -> Journey:
    """The journey of that name. Raises BadParameter with the nearest name."""
    if name not in found.journeys:
        raise click.UsageError(f"there is no journey {name!r}{did_you_mean(name, list(found.journeys))}")
    return found.journeys[name]


def _row(journey: Journey) -> dict[str, Any]:
    from lifecycle.journey.draw import describe
    from lifecycle.journey.steps import Send, walk_steps

    drawn = describe(journey)
    emails = sum(isinstance(step, Send) for step in walk_steps(journey.steps))
    shown = ("name", "kind", "topic", "priority", "enter", "goal", "holdout", "where")
    return {name: drawn[name] for name in shown} | {"emails": emails}


def _counts(settings: Settings) -> dict[str, dict[str, int]]:
    from lifecycle.store import reports

    with opened.database(settings) as db, db.reading() as connection:
        return reports.people(connection)
