"""`lifecycle preview` and `send-test`: one email for a look at it, on screen or in one's own mailbox."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle.errors import LifecycleError

from . import opened
from .lazy import did_you_mean

if TYPE_CHECKING:
    from lifecycle.engine import Engine
    from lifecycle.flow.mailer import Envelope, Mailer
    from lifecycle.journey.journey import Journey
    from lifecycle.journey.project import Project
    from lifecycle.mail.render import Rendered
    from lifecycle.mail.sections import Section
    from lifecycle.settings import Settings

_TEST_ID = "lifecycle-test"


@click.command(
    epilog="""\b
Examples:
  lifecycle preview win_back/whats_new                 writes the HTML and says where
  lifecycle preview win_back/whats_new --text          subject, preheader and text part
  lifecycle preview win_back/whats_new --customer 42   with what is known of customer 42
  lifecycle preview win_back/whats_new --output -      the HTML itself"""
)
@click.argument("template")
@click.option("--customer", metavar="ID", help="Use this customer's data; else sample data of the vocabulary's types.")
@click.option("--text", is_flag=True, help="Print subject, preheader and text part.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    show_default="preview/ in LIFECYCLE_HOME",
    help="Where to write the HTML; - for standard output.",
)
def preview(template: str, customer: str | None, text: bool, output: Path | None) -> None:
    """Render an email as somebody would get it, and write its HTML.

    The template of digests is shown with the emails that may go into one.
    """
    settings = opened.settings()
    rendered, _, _ = _render(settings, template, customer)
    if text:
        click.echo(f"Subject: {rendered.subject}\nPreheader: {rendered.preheader}\n\n{rendered.text}")
        return
    if output == Path("-"):
        click.echo(rendered.html)
        return
    output = output or settings.home / "preview" / f"{template}.html"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(rendered.html, encoding="utf-8")
    click.echo(f"{output}  “{rendered.subject}”")


@click.command(
    epilog="""\b
Examples:
  lifecycle send-test win_back/whats_new --to me@example.com
  lifecycle send-test win_back/whats_new --to me@example.com --customer 42"""
)
@click.argument("template")
@click.option("--to", "address", metavar="ADDRESS", required=True, help="Where to send it.")
@click.option("--customer", metavar="ID", help="Use this customer's data; else sample data of the vocabulary's types.")
@click.option("--yes", is_flag=True, help="Send even to an address that is a customer's.")
@click.pass_context
def send_test(ctx: click.Context, template: str, address: str, customer: str | None, yes: bool) -> None:
    """Send one email the way real ones go, with [Test] before its subject, to an address of your own.

    It is recorded nowhere and counts under no cap. LIFECYCLE_ALLOW_RECIPIENTS applies.
    """
    from lifecycle import clock
    from lifecycle.mail.address import parse_address
    from lifecycle.mail.transport import Accepted

    settings = opened.settings()
    recipient = parse_address(address)
    if not yes and (whose := _whose(settings, recipient)) is not None:
        raise LifecycleError(f"{recipient} is the address of customer {whose!r}; to send it all the same, say --yes")
    rendered, mailer, envelope = _render(settings, template, customer)
    if not mailer.allows(recipient):
        raise LifecycleError(
            f"{recipient} may not be written to from here; add it to LIFECYCLE_ALLOW_RECIPIENTS (globs, by commas)"
        )
    rendered = dataclasses.replace(rendered, subject=f"[Test] {rendered.subject}")
    envelope = dataclasses.replace(envelope, address=recipient)
    unsubscribe = mailer.links.url(envelope.customer_id, envelope.topic)
    letter = mailer.letter(envelope, rendered, unsubscribe, clock.now())
    try:
        outcomes = list(mailer.transport.deliver([letter]))
    finally:
        mailer.transport.close()
    ((_, outcome),) = outcomes
    if not isinstance(outcome, Accepted):
        raise LifecycleError(f"not sent: {outcome.reply}")
    click.echo(f"sent to {recipient}: {outcome.reply}")


def _render(settings: Settings, template: str, customer: str | None) -> tuple[Rendered, Mailer, Envelope]:
    """The email for that customer or for nobody in particular, and what sends it."""
    from lifecycle import clock
    from lifecycle.core.calendar import zone_named
    from lifecycle.engine import Engine
    from lifecycle.flow.mailer import Envelope
    from lifecycle.journey.sample import sample_customer, sample_event

    engine = Engine(settings)
    names = engine.renderer.names()
    if template not in names:
        raise click.UsageError(f"there is no email {template!r}{did_you_mean(template, names)}")
    journey = _sender(engine, template)
    event = _trigger(journey)
    mailer = engine.mailer()
    traits: Mapping[str, Any]
    happened: Mapping[str, Any]
    if customer is None:
        traits, zone = sample_customer(engine.project.vocabulary), None
        happened = sample_event(engine.project.vocabulary, event)
    else:
        traits, happened, zone = _known(settings, customer, event)
        happened = happened or sample_event(engine.project.vocabulary, event)
    topic = journey.topic if journey is not None else "test"
    marketing = journey is None or journey.kind == "marketing"
    domain = engine.project.policy.sender.email.rpartition("@")[2]
    number = f"{clock.now():%Y%m%d%H%M%S%f}"
    # Never the customer's own id: the unsubscribe link of a test must not unsubscribe anybody.
    name = journey.name if journey is not None else ""
    envelope = Envelope(0, _TEST_ID, "", f"test-{number}@{domain}", topic, marketing, name)
    moment = clock.now().astimezone(zone_named(zone, engine.project.policy.timezone))
    if template == engine.project.policy.digest.template:
        sections = _sections(settings, engine.project, customer)
        return _digest(mailer, template, envelope, traits, sections, moment), mailer, envelope
    rendered, _ = mailer.render(template, envelope, traits, happened, moment)
    return rendered, mailer, envelope


def _sections(settings: Settings, project: Project, customer: str | None) -> Sequence[Section]:
    """The emails that may go into a digest; for a customer, with their newest events."""
    from lifecycle.journey.sample import sample_sections

    sections = sample_sections(project)
    if customer is None:
        return sections
    events = [_trigger(project.journeys[section.journey]) for section in sections]
    return [
        dataclasses.replace(section, event=_known(settings, customer, event)[1] or section.event)
        for section, event in zip(sections, events, strict=True)
    ]


def _digest(
    mailer: Mailer,
    template: str,
    envelope: Envelope,
    customer: Mapping[str, Any],
    sections: Sequence[Section],
    moment: datetime,
) -> Rendered:
    """The digest, and on standard error what it had to leave out."""
    digest = mailer.render_digest(template, envelope, customer, sections, moment)
    for section in sections:
        if section.id in digest.failed:
            click.echo(f"note: left out, as a digest would: {digest.failed[section.id]}", err=True)
    return digest.rendered


def _sender(engine: Engine, template: str) -> Journey | None:
    """The first journey that sends this email, or None."""
    from lifecycle.journey.steps import Send, walk_steps

    for journey in engine.project.journeys.values():
        if any(isinstance(step, Send) and step.template == template for step in walk_steps(journey.steps)):
            return journey
    return None


def _trigger(journey: Journey | None) -> str | None:
    from lifecycle.journey.entries import On

    return journey.enter.event if journey is not None and isinstance(journey.enter, On) else None


def _known(
    settings: Settings, customer: str, event: str | None
) -> tuple[Mapping[str, Any], Mapping[str, Any], str | None]:
    """The customer's traits, the properties of their newest such event, and their zone."""
    from lifecycle.store import customers, reports

    with opened.database(settings) as db, db.reading() as connection:
        found = customers.read(connection, [customer])
        if customer not in found:
            raise LifecycleError(f"there is no customer {customer!r}; find one with: lifecycle customers list")
        happened = reports.newest_trigger(connection, customer, event) if event is not None else None
    traits = found[customer]
    zone = traits.get("timezone")
    return traits, happened or {}, zone if isinstance(zone, str) else None


def _whose(settings: Settings, address: str) -> str | None:
    """The customer whose address it is; None also where there is no database that could know."""
    if not opened.has_database(settings):
        return None
    from lifecycle.store import reports

    with opened.database(settings) as db, db.reading() as connection:
        return reports.whose_address(connection, address)
