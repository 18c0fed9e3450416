"""The root of all commands, and the one place that turns an error into a line and an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from typing import Any

import click

from lifecycle.errors import LifecycleError

from .lazy import Group, Later

_LOCAL, _ROLES, _SETUP = "On this machine", "Roles, as many of each as you like", "Set-up"
_WORDS, _PEOPLE, _CRISIS = "Journeys and events", "Messages and people", "When something is wrong"


class Root(Group):
    """Ends with one line on stderr whatever goes wrong in a known way; only a bug shows a traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        try:
            status = super().main(args, prog_name or "lifecycle", complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            status = 2
        except click.Abort:
            click.echo("stopped", err=True)
            status = 130
        except Exception as error:
            line = in_one_line(error)
            if line is None:
                raise
            click.echo(f"error: {line}", err=True)
            status = getattr(error, "exit_code", 1)
        sys.exit(status if isinstance(status, int) else 0)


def in_one_line(error: Exception) -> str | None:
    """What a known error tells the person at the terminal; None for a bug. Holds no password."""
    match error:
        case click.UsageError():
            path = error.ctx.command_path if error.ctx else "lifecycle"
            return _joined(f"{error.format_message().rstrip('.')} (see: {path} --help)")
        case click.ClickException():
            return _joined(error.format_message())
        case LifecycleError():
            return _joined(str(error))
    if "sqlalchemy" in sys.modules or "redis" in sys.modules:
        from .outages import explain

        if (line := explain(error)) is not None:
            return line
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "there is no room left where this was to be written"
    return None


def _joined(text: str) -> str:
    return " ".join(text.split())


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True},
    epilog="Exit codes: 0 done, 1 found problems, 2 used wrongly.  Settings: docs/operating.md.",
    later={
        "demo": Later("lifecycle.cli.demo:demo", "Show the main job on eighteen months of real purchases.", _LOCAL),
        "up": Later("lifecycle.cli.up:up", "Run all roles on this machine until Ctrl-C.", _LOCAL),
        "consume": Later("lifecycle.cli.roles:consume", "Take events from the stream into the database.", _ROLES),
        "schedule": Later("lifecycle.cli.roles:schedule", "Find what is due and tell the workers.", _ROLES),
        "worker": Later("lifecycle.cli.roles:worker", "Move journeys on and send their emails.", _ROLES),
        "db": Later("lifecycle.cli.db:db", "Make, upgrade and check the database.", _SETUP),
        "check": Later("lifecycle.cli.check:check", "Find mistakes in journeys, templates and policy.", _SETUP),
        "templates": Later(
            "lifecycle.cli.templates:templates", "List emails, and find what is wrong with them.", _WORDS
        ),
        "journeys": Later("lifecycle.cli.journeys:journeys", "List, show and draw journeys; enter people.", _WORDS),
        "emit": Later("lifecycle.cli.emit:emit", "Put an event, or a file of them, onto the stream.", _WORDS),
        "events": Later("lifecycle.cli.events:events", "Look at events that were refused, and retry them.", _WORDS),
        "replay": Later("lifecycle.cli.replay:replay", "Run a file of events through everything.", _WORDS),
        "messages": Later("lifecycle.cli.messages:messages", "List emails with their state and reason.", _PEOPLE),
        "customers": Later("lifecycle.cli.customers:customers", "List, show and import customers.", _PEOPLE),
        "catalog": Later("lifecycle.cli.catalog:catalog", "Import products; see what goes with what.", _PEOPLE),
        "caps": Later("lifecycle.cli.caps:caps", "See what frequency caps did; try others on history.", _PEOPLE),
        "locales": Later("lifecycle.cli.locales:locales", "Hand emails to translators; see what is left.", _WORDS),
        "preview": Later("lifecycle.cli.preview:preview", "Render an email for a look at it.", _PEOPLE),
        "send-test": Later("lifecycle.cli.send_test:send_test", "Send one email to an address of your own.", _PEOPLE),
        "pause": Later("lifecycle.cli.pause:pause", "Stop sending, all or a part of it, within a second.", _CRISIS),
        "resume": Later("lifecycle.cli.pause:resume", "Let go on what was paused.", _CRISIS),
    },
)
@click.version_option(package_name="lifecycle", message="lifecycle %(version)s")
def lifecycle() -> None:
    """The right message, to the right person, at the right moment, and never too many."""
