"""`lifecycle up`: all roles on this machine, with the defaults that need nothing else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import click

from lifecycle.settings import Settings, redacted

from . import opened
from .foreman import Foreman, role

_COLOURS = {"consume": "cyan", "schedule": "magenta", "worker": "green"}


@click.command(
    epilog="""\b
Examples:
  lifecycle up
  SMTP_URL=smtp://localhost:1025 lifecycle up         mail to a local relay instead of the outbox
  DATABASE_URL=postgresql://localhost/shop lifecycle up --workers 2"""
)
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", show_default="one per core", help="Worker processes."
)
def up(workers: int | None) -> None:
    """Run consumer, scheduler and worker on this machine until Ctrl-C.

    Upgrades the database first. With nothing set there is an SQLite file, a Redis-compatible server of its own, and
    mail as .eml files, all below .lifecycle/.
    """
    from lifecycle import embedded
    from lifecycle.journey.emails import require_emails
    from lifecycle.store import schema

    from .journeys import project

    settings = opened.settings()
    require_emails(project(settings), settings.templates)  # a mistake is told before anything starts
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened.any_database(settings) as db:
        schema.upgrade(db)
    server = embedded.start(settings.home) if settings.redis_url is None else None
    try:
        click.echo(_where(settings))
        commands = {
            "consume": role("consume"),
            "schedule": role("schedule"),
            "worker": role("worker", *(["--processes", str(workers)] if workers else [])),
        }
        Foreman(commands, _printer(max(map(len, commands))), settings.environment()).run(stop)
    finally:
        if server is not None:
            server.close()
    click.echo("all roles have ended")


def _where(settings: Settings) -> str:
    mail = redacted(settings.smtp_url) if settings.smtp_url else f"files in {settings.outbox}"
    queue = (
        redacted(settings.redis_url) if settings.redis_url else f"a server of its own, data in {settings.home}/valkey"
    )
    return f"database: {opened.shown(settings)}\nqueue:    {queue}\nmail:     {mail}\nCtrl-C ends everything"


def _printer(width: int) -> Callable[[str, str], None]:
    """Lines with the name of the role before them, coloured on a terminal that wants it."""
    from rich.text import Text

    from .listing import console, printable

    out, one_at_a_time = console(), threading.Lock()

    def show(name: str, line: str) -> None:
        text = Text.assemble((f"{name:<{width}} │ ", _COLOURS.get(name, "")), printable(line))
        with one_at_a_time:
            out.print(text, soft_wrap=True)

    return show
