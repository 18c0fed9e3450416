"""`lifecycle pause` and `lifecycle resume`: stop sending in every process within a second, and let it go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lifecycle.errors import LifecycleError

from . import opened
from .lazy import did_you_mean
from .listing import Column, as_json_option, progress, write, write_json
from .moments import Span

if TYPE_CHECKING:
    from lifecycle.settings import Settings
    from lifecycle.store.database import Database
    from lifecycle.store.pauses import Covered, Scope

_COLUMNS = (
    Column("scope"),
    Column("name"),
    Column("paused_at", "since (UTC)"),
    Column("reason"),
    Column("planned", right=True),
    Column("sending", right=True),
)
_PATIENCE = 2.0  # real seconds for what is on its way to be there
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _scope_options(command: _Command) -> _Command:
    for option in reversed(
        (
            click.option("--journey", "journeys", metavar="NAME", multiple=True, help="This journey; may be repeated."),
            click.option("--topic", "topics", metavar="NAME", multiple=True, help="This topic; may be repeated."),
            click.option("--marketing", is_flag=True, help="All marketing; receipts and the like go on."),
            click.option("--all", "everything", is_flag=True, help="Everything, also transactional mail."),
        )
    ):
        command = option(command)
    return command


@click.command(
    epilog="""\b
Examples:
  lifecycle pause --marketing --reason "the warehouse burns"
  lifecycle pause --journey win_back --reason "wrong price in the email"
  lifecycle pause --topic offers --topic news --reason "sold out"
  lifecycle pause --all --reason "the relay is on a block list"
  lifecycle pause --list                                           what is paused, since when, and why"""
)
@_scope_options
@click.option("--reason", help="Why, for whoever finds it paused.")
@click.option("--list", "only_list", is_flag=True, help="Only list what is paused.")
@as_json_option
def pause(
    journeys: tuple[str, ...],
    topics: tuple[str, ...],
    marketing: bool,
    everything: bool,
    reason: str | None,
    only_list: bool,
    as_json: bool,
) -> None:
    """Stop sending, in every process, within one second.

    Journeys go on; their emails wait, and none is lost. What a mail server was being given at that moment still
    arrives. Asks nothing, and says what it stopped.
    """
    scopes = _scopes(journeys, topics, marketing, everything)
    if only_list:
        if scopes or reason:
            raise click.UsageError("--list stands alone")
        _write_list(as_json)
        return
    if not scopes:
        raise click.UsageError("say what: --journey NAME, --topic NAME, --marketing or --all")
    if not (reason or "").strip():
        raise click.UsageError('say why, for whoever finds it paused: --reason "…"')
    from lifecycle import clock
    from lifecycle.flow.pause import on_their_way
    from lifecycle.flow.pause import pause as pause_sending

    settings = opened.settings()
    with opened.database(settings) as db:
        _require_known(settings, db, scopes)
        fresh = [pause_sending(db, scope, (reason or "").strip(), clock.now()) for scope in scopes]
        deadline = time.monotonic() + _PATIENCE

        def wait() -> bool:
            time.sleep(0.1)
            return time.monotonic() < deadline

        found = [on_their_way(db, scope, wait) for scope in scopes]
        if as_json:
            write_json(row for row in _listed(db) if (row["scope"], row["name"]) in {(s.kind, s.name) for s in scopes})
            return
        for scope, is_new, covered in zip(scopes, fresh, found, strict=True):
            _tell(scope, is_new, covered, _since(db, scope))


def _tell(scope: Scope, is_new: bool, covered: Covered, since: str) -> None:
    click.echo(f"paused: {scope}" if is_new else f"{scope} is paused already, {since}")
    click.echo(f"  {_emails(covered.planned, 'planned', 'waits', 'wait')}")
    if covered.sending:
        which = f" --journey {scope.name}" if scope.kind == "journey" else ""
        click.echo(
            f"  {covered.sending:,} may have left before: a mail server has them, or a worker died "
            f"(lifecycle messages --state sending{which})"
        )
    else:
        click.echo("  none is on its way")
    click.echo(f"  to go on: lifecycle resume {scope.option}")


@click.command(
    epilog="""\b
Examples:
  lifecycle resume --marketing
  lifecycle resume --journey win_back --drop-older-than 2d     what was planned more than two days ago is skipped
  lifecycle resume --all"""
)
@_scope_options
@click.option("--drop-older-than", type=Span(), help="Skip what was planned longer ago than, say, 12h or 2d.")
@as_json_option
def resume(
    journeys: tuple[str, ...],
    topics: tuple[str, ...],
    marketing: bool,
    everything: bool,
    drop_older_than: timedelta | None,
    as_json: bool,
) -> None:
    """End a pause: what it held is due at once.

    Caps, quiet hours and expiry are asked of each email as ever, so nobody is flooded. It ends the pause that was
    made with the same option; others stay.
    """
    scopes = _scopes(journeys, topics, marketing, everything)
    from lifecycle import clock
    from lifecycle.flow.pause import resume as resume_sending

    with opened.database() as db:
        if not scopes:
            raise click.UsageError("say what: --journey NAME, --topic NAME, --marketing or --all; " + _paused(db))
        missing = []
        for scope in scopes:
            with progress("resuming") as advance:
                resumed = resume_sending(db, scope, clock.now(), drop_older_than=drop_older_than, progress=advance)
            if resumed is None:
                missing.append(str(scope))
            elif as_json:
                row = {"scope": scope.kind, "name": scope.name, "freed": resumed.freed, "dropped": resumed.dropped}
                write_json([row])
            else:
                click.echo(f"resumed: {scope}")
                click.echo(
                    f"  {_emails(resumed.freed, 'waiting', 'is', 'are')} due now, as far as caps and hours allow"
                )
                if drop_older_than is not None:
                    click.echo(f"  {_emails(resumed.dropped, 'older', 'was', 'were')} skipped")
        if missing:
            raise LifecycleError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not paused; {_paused(db)}"
            )
        left = _listed(db)
        if left and not as_json:
            click.echo(f"still paused: {', '.join(str(_scope_of(row)) for row in left)}")


def _scopes(journeys: Sequence[str], topics: Sequence[str], marketing: bool, everything: bool) -> list[Scope]:
    from lifecycle.store.pauses import Scope

    scopes = [Scope("all")] if everything else []
    scopes += [Scope("marketing")] if marketing else []
    scopes += [Scope("journey", name) for name in dict.fromkeys(journeys)]
    return scopes + [Scope("topic", name) for name in dict.fromkeys(topics)]


def _require_known(settings: Settings, db: Database, scopes: Sequence[Scope]) -> None:
    """Raises UsageError for a name that neither the files nor any planned email know.

    Broken files must not stand in the way: then a name is taken as it is.
    """
    if not any(scope.name for scope in scopes):
        return
    from lifecycle.journey.load import load
    from lifecycle.store import pauses

    project, _ = load(settings.journeys)
    if project is None:
        click.echo("the journey files have mistakes (lifecycle check), so names are taken as they are", err=True)
        return
    with db.reading() as connection:
        planned = pauses.planned_names(connection)
    known = {
        "journey": {*project.journeys, *planned["journey"]},
        "topic": {*(journey.topic for journey in project.journeys.values()), *planned["topic"]},
    }
    for scope in scopes:
        if scope.name and scope.name not in known[scope.kind]:
            near = did_you_mean(scope.name, sorted(known[scope.kind]))
            raise click.UsageError(f"there is no {scope.kind} {scope.name!r}{near}")


def _write_list(as_json: bool) -> None:
    with opened.database() as db:
        write(_listed(db), _COLUMNS, as_json=as_json, empty="nothing is paused")


def _listed(db: Database) -> list[dict[str, Any]]:
    """What is paused, with how many messages wait under it and are on their way."""
    from lifecycle.store import pauses

    with db.reading() as connection:
        rows = pauses.listed(connection)
        for row in rows:
            covered = pauses.covered(connection, _scope_of(row))
            row |= {"planned": covered.planned, "sending": covered.sending}
            del row["id"]
        return rows


def _scope_of(row: dict[str, Any]) -> Scope:
    from lifecycle.store.pauses import Scope

    return Scope(row["scope"], row["name"])


def _since(db: Database, scope: Scope) -> str:
    row = next((row for row in _listed(db) if _scope_of(row) == scope), None)
    return f"since {row['paused_at']:%Y-%m-%d %H:%M} UTC: {row['reason']}" if row else ""


def _paused(db: Database) -> str:
    scopes = [_scope_of(row) for row in _listed(db)]
    if not scopes:
        return "nothing is paused"
    return "paused are " + ", ".join(f"{scope} ({scope.option})" for scope in scopes)


def _emails(count: int, what: str, verb: str, verb_of_many: str) -> str:
    return f"{count:,} {what} email {verb}" if count == 1 else f"{count:,} {what} emails {verb_of_many}"
