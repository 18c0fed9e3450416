"""`lifecycle send-test`: one email in one's own mailbox, and in nobody else's."""

from __future__ import annotations

from contextlib import closing

import click

from . import opened


@click.command(
    epilog="""\b
Examples:
  lifecycle send-test win_back/whats_new --to me@example.com
  lifecycle send-test win_back/whats_new --to me@example.com --customer 42
  lifecycle send-test win_back/whats_new --to me@example.com --to you@example.com --all-locales
  lifecycle messages --tests                            what was sent"""
)
@click.argument("template")
@click.option("--to", "addresses", metavar="ADDRESS", multiple=True, required=True, help="Where to; may be repeated.")
@click.option("--customer", metavar="ID", help="With this customer's data; else with sample data.")
@click.option("--all-locales", is_flag=True, help="One letter for each locale that the email exists in.")
@click.option("--yes", is_flag=True, help="Send even to an address that is a customer's.")
@click.pass_context
def send_test(
    ctx: click.Context,
    template: str,
    addresses: tuple[str, ...],
    customer: str | None,
    all_locales: bool,
    yes: bool,
) -> None:
    """Send one email the way real ones go, with [Test] before its subject, to an address of your own.

    It is recorded as a test and counts nowhere else: under no cap, in no report. Its unsubscribe link is nobody's.
    LIFECYCLE_ALLOW_RECIPIENTS applies.
    """
    from lifecycle.mail.address import parse_address
    from lifecycle.mail.transport import Accepted
    from lifecycle.workshop.send_test import require_permission, send, written

    settings = opened.settings()
    recipients = list(dict.fromkeys(parse_address(address) for address in addresses))
    workshop = opened.workshop(settings, template)
    missed = 0
    with opened.database(settings) as db, closing(workshop.engine.transport()) as transport:
        mailer = workshop.engine.mailer(transport)
        require_permission(db, mailer, recipients, customers_too=yes)
        locales = workshop.locales(template) if all_locales else (None,)
        proofs = written(workshop, mailer, template, recipients, customer, locales)
        for note in dict.fromkeys(note for proof in proofs for note in proof.look.notes):
            click.echo(f"note: {note}", err=True)
        for proof, outcome in send(db, mailer, proofs):
            which = f"{proof.look.locale} " if all_locales else ""
            if isinstance(outcome, Accepted):
                click.echo(f"sent {which}to {proof.letter.recipient}: {outcome.reply}")
            else:
                missed += 1
                click.echo(f"error: {which}not sent to {proof.letter.recipient}: {outcome.reply}", err=True)
    ctx.exit(1 if missed else 0)
