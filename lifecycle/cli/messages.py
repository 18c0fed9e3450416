"""`lifecycle messages`: every email with its state and reason; and settling those whose fate nobody knows."""

from __future__ import annotations

import click

from . import opened
from .lazy import Group
from .listing import Column, as_json_option, write

STATES = ("pending", "sending", "sent", "skipped", "failed", "uncertain")
_COLUMNS = (
    Column("id", right=True),
    Column("created_at", "created (UTC)"),
    Column("customer_id", "customer"),
    Column("journey", wide=True),
    Column("step"),
    Column("state"),
    Column("reason"),
    Column("due_at", "due (UTC)", wide=True),
    Column("sent_at", "sent (UTC)", wide=True),
    Column("subject", wide=True),
)
_TESTS = (
    Column("id", right=True),
    Column("created_at", "sent (UTC)"),
    Column("template"),
    Column("locale", wide=True),
    Column("email", "to"),
    Column("customer_id", "data of"),
    Column("state"),
    Column("reply"),
    Column("subject", wide=True),
)


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""\b
Examples:
  lifecycle messages                                       the newest 50
  lifecycle messages --state skipped --reason capped       what the caps held back
  lifecycle messages --customer 42 --limit 0               all of one customer's
  lifecycle messages --json | jq -r .state | sort | uniq -c
  lifecycle messages --state uncertain                     what a crash left open
  lifecycle messages settle 17 18 --as sent
  lifecycle messages --tests                               what send-test sent""",
)
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only this state; may be repeated.")
@click.option("--journey", help="Only of this journey.")
@click.option("--customer", help="Only to the customer of this id.")
@click.option("--reason", help="Only where the reason begins so, e.g. capped, goal_reached, 550.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    show_default="50, all with --json",
    help="The newest so many; 0 for all.",
)
@click.option("--tests", is_flag=True, help="What send-test sent, which counts nowhere, in place of emails.")
@as_json_option
@click.pass_context
def messages(
    ctx: click.Context,
    states: tuple[str, ...],
    journey: str | None,
    customer: str | None,
    reason: str | None,
    limit: int | None,
    tests: bool,
    as_json: bool,
) -> None:
    """List emails, sent or not, with their state and the reason for it.

    \b
    pending    planned, or put off until `due`: the reason says why
    sending    a worker has it
    sent       the server took it
    skipped    the policy or the journey kept it back: the reason says why
    failed     it cannot go out: the reason is the server's reply
    uncertain  it may have gone out or not; settle it
    """
    if ctx.invoked_subcommand is not None:
        return
    most = limit or None if limit is not None or as_json else 50
    if tests:
        if states or journey or customer or reason:
            raise click.UsageError("--tests goes with --limit and --json only")
        _list_tests(most, as_json)
        return
    from lifecycle.store import reports

    which = reports.MessageFilter(states, journey, customer, reason)
    with opened.database() as db, db.reading() as connection:
        found = reports.messages(connection, which, most=most)
        shown = write(found, _COLUMNS, as_json=as_json, empty="no messages")
        if not as_json and shown == most:
            _say_how_many_more(shown, reports.count_messages(connection, which))


def _list_tests(most: int | None, as_json: bool) -> None:
    """What was sent by `lifecycle send-test`; one that is `sending` was cut short and may have left."""
    from lifecycle.store import tests_sent

    with opened.database() as db, db.reading() as connection:
        shown = write(tests_sent.newest(connection, most), _TESTS, as_json=as_json, empty="no tests")
        if not as_json and shown == most:
            _say_how_many_more(shown, tests_sent.count(connection))


def _say_how_many_more(shown: int, total: int) -> None:
    if total > shown:
        click.echo(f"the newest {shown:,} of {total:,}; all of them: --limit 0", err=True)


@messages.command(
    epilog="""\b
Examples:
  lifecycle messages settle 17 --as sent        the mailbox or the server's log has it
  lifecycle messages settle 18 --as pending     it never left: send it, if the policy still lets it
  lifecycle messages settle 19 --as skipped     leave it"""
)
@click.argument("ids", metavar="ID…", type=int, nargs=-1, required=True)
@click.option(
    "--as",
    "state",
    type=click.Choice(["sent", "skipped", "pending"]),
    required=True,
    help="What became of them, or shall become.",
)
@click.pass_context
def settle(ctx: click.Context, ids: tuple[int, ...], state: str) -> None:
    """Say what became of `uncertain` messages.

    Only the mail server's log, or the recipient, can tell. `sent` counts under the caps; `skipped` does not;
    `pending` sends it again under the same Message-ID.
    """
    from lifecycle import clock
    from lifecycle.flow.settle import settle as settle_messages

    with opened.engine() as engine:
        settled = settle_messages(engine.db, ids, state, clock.now(), engine.lease)
    for number in settled:
        click.echo(f"{number}: {state}")
    for number in [number for number in ids if number not in settled]:
        click.echo(f"error: message {number} is not uncertain; see: lifecycle messages --state uncertain", err=True)
    ctx.exit(0 if len(settled) == len(set(ids)) else 1)
