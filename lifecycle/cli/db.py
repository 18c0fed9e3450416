"""`lifecycle db`: the database's tables."""

from __future__ import annotations

import click

from . import opened
from .lazy import Group


@click.group(cls=Group)
def db() -> None:
    """Make, upgrade and check the tables of the database that DATABASE_URL names."""


@db.command(
    epilog="""\b
Examples:
  lifecycle db upgrade
  DATABASE_URL=postgresql://user:password@host/name lifecycle db upgrade"""
)
@click.option("--revision", default="head", help="How far.")
def upgrade(revision: str) -> None:
    """Bring the database to what this version needs, making it where there is none; safe to repeat."""
    from lifecycle.store import schema

    settings = opened.settings()
    with opened.any_database(settings) as database:
        before = schema.current(database)
        schema.upgrade(database, revision)
        after = schema.current(database)
    place = opened.shown(settings)
    click.echo(f"{place} is at {after}" + (" already" if before == after else f", was {before or 'empty'}"))


@db.command(
    epilog="""\b
Examples:
  lifecycle db downgrade 0001       back to that revision
  lifecycle db downgrade base       drop all tables, with all that is in them"""
)
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
def downgrade(revision: str, yes: bool) -> None:
    """Bring the database back to an earlier revision; what only newer ones can hold is lost."""
    from lifecycle.store import schema

    settings = opened.settings()
    if not yes:
        click.confirm(f"bring {opened.shown(settings)} back to {revision!r}, losing what it cannot hold?", abort=True)
    with opened.any_database(settings) as database:
        schema.downgrade(database, revision)
        click.echo(f"{opened.shown(settings)} is at {schema.current(database) or 'no revision: it is empty'}")


@db.command()
@click.pass_context
def check(ctx: click.Context) -> None:
    """Find drift: everything in which the database differs from what this version needs."""
    from lifecycle.errors import StoreError
    from lifecycle.store import schema

    settings = opened.settings()
    if not settings.has_database:
        raise StoreError("there is no database yet; run: lifecycle db upgrade")
    with opened.any_database(settings) as database:
        differences = schema.check(database)
    for difference in differences:
        click.echo(difference)
    if not differences:
        click.echo(f"{opened.shown(settings)} is as this version needs it")
    ctx.exit(1 if differences else 0)
