"""`lifecycle events dead`: what could not be taken, why, and trying it again."""

from __future__ import annotations

import click

from lifecycle.errors import LifecycleError

from . import opened
from .lazy import Group
from .listing import Column, as_json_option, console, printable, progress, write, write_json

_COLUMNS = (
    Column("id", right=True),
    Column("received_at", "received (UTC)"),
    Column("entry_id", "entry", wide=True),
    Column("reason"),
)
_PAGE = 500
_limit = click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", default=50, help="At most so many; 0 for all."
)


@click.group(cls=Group)
def events() -> None:
    """Look at events that were refused, and retry them."""


@events.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  lifecycle events dead                  the oldest 50 that nobody has settled
  lifecycle events dead show 17          the reason and the bytes
  lifecycle events dead retry 17 18      after mending what was wrong
  lifecycle events dead retry --all""",
)
@_limit
@as_json_option
@click.pass_context
def dead(ctx: click.Context, limit: int, as_json: bool) -> None:
    """What could not be taken, or only in part: list, show, retry.

    Without a command, lists what no retry has settled, oldest first.
    """
    if ctx.invoked_subcommand is None:
        _list(limit, as_json)


@dead.command("list")
@_limit
@as_json_option
def list_dead(limit: int, as_json: bool) -> None:
    """List the dead letters that no retry has settled, oldest first."""
    _list(limit, as_json)


def _list(limit: int, as_json: bool) -> None:
    from lifecycle.store import dead_letters

    rows: list[dict[str, object]] = []
    with opened.database() as db, db.reading() as connection:
        after = 0
        while not limit or len(rows) < limit:
            most = min(_PAGE, limit - len(rows)) if limit else _PAGE
            page = dead_letters.unsettled(connection, after=after, limit=most)
            rows += [_row(letter) for letter in page]
            if not page:
                break
            after = page[-1].id
    write(rows, _COLUMNS, as_json=as_json, empty="no dead letters")


@dead.command()
@click.argument("number", metavar="ID", type=int)
@as_json_option
def show(number: int, as_json: bool) -> None:
    """Show one dead letter: where it came from, what was wrong, and its bytes."""
    from rich.text import Text

    from lifecycle.store import dead_letters

    with opened.database() as db, db.reading() as connection:
        letters = dead_letters.named(connection, [number])
    if not letters:
        raise LifecycleError(f"there is no dead letter {number}; see: lifecycle events dead")
    row = _row(letters[0])
    if as_json:
        write_json([row])
        return
    out = console()
    for name in ("id", "entry_id", "received_at", "retried_at", "reason"):
        if row[name] is not None:
            out.print(Text.assemble((f"{name:<12} ", "dim"), printable(str(row[name]))))
    out.print(Text(f"{'raw':<12} ({len(letters[0].raw):,} bytes)", style="dim"))
    out.print(Text(printable(str(row["raw"]))), soft_wrap=True)


@dead.command(
    epilog="""\b
Examples:
  lifecycle events dead retry 17 18
  lifecycle events dead retry --all"""
)
@click.argument("ids", metavar="ID…", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are not settled.")
@click.pass_context
def retry(ctx: click.Context, ids: tuple[int, ...], everything: bool) -> None:
    """Take dead letters again, as they are.

    For when the code or the database was at fault, or a rule has changed.
    """
    from lifecycle import clock
    from lifecycle.flow.retrying import retry as retry_letters

    if everything == bool(ids):
        raise click.UsageError("name dead letters by their ids, or say --all")
    done = 0
    with opened.engine() as engine, progress("retrying") as advance:

        def step(so_far: int) -> None:
            nonlocal done
            advance(so_far - done)
            done = so_far

        retried = retry_letters(
            engine.db,
            engine.project,
            None if everything else ids,
            clock.now(),
            lease=engine.lease,
            max_lateness=engine.settings.max_lateness,
            progress=step,
        )
    click.echo(f"{len(retried.settled):,} settled, {len(retried.kept):,} refused again")
    unknown = [] if everything else sorted(set(ids) - {*retried.settled, *retried.kept})
    for number in unknown:
        click.echo(f"error: there is no dead letter {number}; see: lifecycle events dead", err=True)
    ctx.exit(1 if retried.kept or unknown else 0)


def _row(letter: object) -> dict[str, object]:
    from lifecycle.store.dead_letters import Letter

    assert isinstance(letter, Letter)
    return {
        "id": letter.id,
        "entry_id": letter.entry_id,
        "reason": letter.reason,
        "received_at": letter.received_at,
        "retried_at": letter.retried_at,
        "raw": letter.raw.decode("utf-8", "backslashreplace"),
    }
