"""`lifecycle replay`: a history of events through everything, in a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle import clock
from lifecycle.errors import InvalidFile
from lifecycle.settings import Settings

from . import opened
from .lines import lines_of
from .moments import Moment

if TYPE_CHECKING:
    from lifecycle.flow.replay import Line, Progress, Replayed
    from lifecycle.store.database import Database

_KEEP_EVERY = 2.0  # seconds
_SHOW_EVERY = 0.25


@click.command(
    epilog="""\b
Examples:
  lifecycle replay events.jsonl
  lifecycle replay events.jsonl.gz --until 2026-03-01 --outbox march
  lifecycle replay events.jsonl --catalog products.csv            with products to recommend
  lifecycle replay events.jsonl --database sqlite:///before.db    keep it, to compare after a change

Docs: docs/replay.md."""
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--until", type=Moment(), help="Stop before this day or moment (UTC if it names no zone).")
@click.option("--database", "url", help="Go on in this one, not the live one; without it, in a new SQLite file.")
@click.option("--outbox", type=click.Path(file_okay=False, path_type=Path), help="Write the emails into this folder.")
@click.option(
    "--catalog",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Import these products first, for emails that recommend some.",
)
def replay(file: Path, until: datetime | None, url: str | None, outbox: Path | None, catalog: Path | None) -> None:
    """Run a FILE of events (JSON Lines, also .gz, - for stdin) through journeys, policy and emails.

    The clock jumps from one event or timer to the next until nothing is left; no mail leaves the machine. The same
    file gives the same messages.
    """
    from lifecycle.engine import Engine
    from lifecycle.flow.replay import read_lines
    from lifecycle.flow.replay import replay as run
    from lifecycle.mail.file import FileTransport
    from lifecycle.mail.nowhere import NowhereTransport
    from lifecycle.store.scores import scores

    from .listing import console
    from .scoreboard import summary

    settings = own_settings(opened.settings(), url)
    engine = Engine(settings)
    _ = engine.project  # a mistake in it is told before anything is made
    with lines_of(file) as lines:
        history = read_lines(lines, file.name, clock.now())
    with working_on(settings) as db:
        engine.__dict__["db"] = db
        if catalog is not None:
            _stock(db, catalog, history[0].at if history else clock.now())
        with _shown(history, db) as progress:
            done = run(
                db,
                engine.project,
                engine.mailer(FileTransport(outbox) if outbox else NowhereTransport()),
                history,
                lease=settings.lease,
                max_lateness=settings.max_lateness,
                until=until,
                progress=progress,
            )
        with db.reading() as connection:
            console().print(summary(scores(connection)))
    _close(done, settings, outbox)


def _stock(db: Database, catalog: Path, at: datetime) -> None:
    """Keeps the catalogue; raises InvalidFile with the first row that cannot be taken."""
    from lifecycle.flow.cataloguing import import_catalogue

    if refused := import_catalogue(db, catalog, at).refused:
        raise InvalidFile(refused[0] + (f" … and {len(refused) - 1:,} more" if refused[1:] else ""))


def own_settings(settings: Settings, url: str | None) -> Settings:
    """The settings of a replay: a database of its own, and no relay."""
    if url is None:
        settings.home.mkdir(parents=True, exist_ok=True)
        path = (settings.home / "replay.db").absolute()
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        url = f"sqlite:///{path}"
    elif Settings.load(database_url=url).database == settings.database:
        raise click.UsageError("that is the database of the live roles, where a replay would settle what is theirs")
    given = Settings.load(database_url=url)
    return given.model_copy(update={"smtp_url": None, "clock": "real"})


@contextmanager
def working_on(settings: Settings) -> Iterator[Database]:
    """The replay's database with all its tables; what was not kept when an error came is undone."""
    from lifecycle.store import schema
    from lifecycle.store.database import Database
    from lifecycle.store.solo import SoloDatabase

    db = Database(settings.database)
    try:
        schema.upgrade(db)
    finally:
        db.close()
    if db.is_sqlite:
        db = SoloDatabase(settings.database)
    try:
        yield db
    except BaseException:
        if isinstance(db, SoloDatabase):
            db.rollback()
        raise
    finally:
        db.close()


@contextmanager
def _shown(history: list[Line], db: Database) -> Iterator[Progress]:
    """A bar over the events on a terminal; keeps what was done now and then."""
    from lifecycle.store.solo import SoloDatabase

    from .listing import progress

    kept = shown = time.monotonic()
    counted = 0
    with progress("replaying", len(history)) as advance:

        def tell(done: Replayed) -> None:
            nonlocal kept, shown, counted
            now = time.monotonic()
            if now - shown > _SHOW_EVERY:
                shown = now
                taken = done.lines
                advance(taken - counted)
                counted = taken
            if isinstance(db, SoloDatabase) and now - kept > _KEEP_EVERY:
                kept = now
                db.commit()

        yield tell


def _close(done: Replayed, settings: Settings, outbox: Path | None) -> None:
    taken = done.taken
    if done.now is None:
        click.echo("nothing to do")
        return
    events = f"{taken.accepted:,} {'event' if taken.accepted == 1 else 'events'} taken"
    for number, what in ((taken.duplicates, "known already"), (taken.refused, "refused")):
        events += f", {number:,} {what}" if number else ""
    click.echo(f"\n{events}; the clock stands at {done.now:%Y-%m-%d %H:%M} UTC")
    if outbox is not None:
        click.echo(f"emails: {outbox}")
    click.echo(f"look at it with: DATABASE_URL={opened.shown(settings)} lifecycle messages --json")
    if taken.refused:
        click.echo(f"and:             DATABASE_URL={opened.shown(settings)} lifecycle events dead")
