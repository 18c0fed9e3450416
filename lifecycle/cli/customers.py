"""`lifecycle customers`: who is known, one person's whole story, and bringing people in from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle import clock
from lifecycle.errors import LifecycleError

from . import opened
from .lazy import Group
from .listing import Column, as_json_option, progress, write, write_json

if TYPE_CHECKING:
    from lifecycle.journey.project import Project
    from lifecycle.settings import Settings

_COLUMNS = (
    Column("id"),
    Column("email"),
    Column("first_name"),
    Column("last_name"),
    Column("birthday", wide=True),
    Column("timezone", wide=True),
    Column("locale", wide=True),
    Column("created_at", "created (UTC)"),
)
_PAGE = 1000


@click.group(cls=Group)
def customers() -> None:
    """List, show and import customers."""


@customers.command(
    "list",
    epilog="""\b
Examples:
  lifecycle customers list --email '*@example.com'
  lifecycle customers list --json > customers.jsonl""",
)
@click.option("--email", help="Only with this address; * stands for any letters.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    show_default="100, all with --json",
    help="At most so many; 0 for all.",
)
@as_json_option
def list_customers(email: str | None, limit: int | None, as_json: bool) -> None:
    """List customers by id."""
    most = limit or None if limit is not None or as_json else 100
    shown = write(_all(email, most), _COLUMNS, as_json=as_json, empty="no customers")
    if shown == most and not as_json:
        click.echo(f"the first {shown:,}; all of them: --limit 0", err=True)


@customers.command(
    epilog="""\b
Examples:
  lifecycle customers show 42
  lifecycle customers show 42 --utc
  lifecycle customers show 42 --json | jq 'select(.record == "message") | {step, state, reason}'"""
)
@click.argument("customer", metavar="ID")
@click.option("--utc", is_flag=True, help="Show times in UTC and not in the customer's zone.")
@as_json_option
def show(customer: str, utc: bool, as_json: bool) -> None:
    """Tell one person's story, in their own time zone.

    Who they are, how much they ask for and have had, what they did, the journeys they are or were in, and every email
    with its state and reason; of those that a cap held back also which emails filled it, and when the next slot opens.
    """
    from lifecycle.store import fatigue, reports

    from .held import held_back, told

    settings = opened.settings()
    project = _project(settings)
    with opened.database(settings) as db, db.reading() as connection:
        known = reports.customer(connection, customer)
        if known is None:
            raise LifecycleError(f"there is no customer {customer!r}; find one with: lifecycle customers list")
        story = reports.story(connection, customer, known["email"])
        tired = fatigue.show(connection, customer)
        held = held_back(connection, project, customer, clock.now(), settings.lease)
    if as_json:
        records = [("customer", known)] + [(kind, row) for kind, rows in story.items() for row in rows]
        records += [("capped", row) for row in held]
        records += [("fatigue", tired)] if tired else []
        write_json({"record": kind, **row} for kind, row in records)
        return
    from lifecycle.core.calendar import zone_named

    from .standing import standing
    from .timeline import write_story

    zone = zone_named("UTC" if utc else known["timezone"], project.policy.timezone if project else "UTC")
    notes = {row["message"]: [*told(row, zone)] for row in held}
    write_story(known, story, zone, notes, [*standing(known, tired, zone)])


@customers.command(
    "import",
    epilog="""\b
Examples:
  lifecycle customers import people.csv       the first line names the traits: id,email,first_name,birthday,…
  lifecycle customers import people.jsonl     {"id": "42", "email": "siti@example.com", "vip": true}""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def import_file(ctx: click.Context, file: Path) -> None:
    """Bring in customers from a CSV or JSON Lines file.

    Importing a file twice changes nothing. Consent is no trait: nobody is subscribed by an import, nor unsubscribed.
    """
    from lifecycle.flow.importing import import_customers

    with opened.engine() as engine, progress("importing") as advance:
        done = 0

        def step(so_far: int) -> None:
            nonlocal done
            advance(so_far - done)
            done = so_far

        taken = import_customers(
            engine.db,
            engine.project,
            file,
            clock.now(),
            lease=engine.lease,
            max_lateness=engine.settings.max_lateness,
            batch=engine.settings.consume_batch,
            progress=step,
        )
    click.echo(f"{taken.accepted:,} taken, {taken.duplicates:,} known already, {taken.refused:,} refused")
    if taken.refused:
        click.echo("error: some lines were refused; see why: lifecycle events dead", err=True)
    ctx.exit(1 if taken.refused else 0)


def _all(email: str | None, most: int | None) -> Iterator[dict[str, Any]]:
    from lifecycle.store import reports

    with opened.database() as db, db.reading() as connection:
        after, left = "", most
        while left is None or left > 0:
            page = reports.customers(connection, email=email, after=after, most=min(_PAGE, left or _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            after, left = page[-1]["id"], None if left is None else left - len(page)


def _project(settings: Settings) -> Project | None:
    """The project, if its files are sound; broken ones must not hide a person's story."""
    from lifecycle.journey.load import load

    return load(settings.journeys)[0]
