"""`lifecycle emit`: events onto the stream, as an app would emit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from . import opened
from .lazy import did_you_mean
from .lines import lines_of
from .listing import progress

if TYPE_CHECKING:
    from lifecycle.client import Batch, Client
    from lifecycle.journey.vocabulary import Vocabulary
    from lifecycle.settings import Settings

_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


@click.command(
    epilog="""\b
Examples:
  lifecycle emit order.completed --customer 42 -p order_id=A1 -p total=12.5
  lifecycle emit --customer 42 -t email=siti@example.com -t birthday=1994-02-28     an identify
  lifecycle emit subscription.granted --customer 42 -p topic=offers -p source=phone
  lifecycle emit --file events.jsonl.gz
  zcat old/*.gz | lifecycle emit --file -"""
)
@click.argument("event", required=False)
@click.option("--customer", metavar="ID", help="Who did it.")
@click.option("-p", "--property", "properties", metavar="KEY=VALUE", multiple=True, help="A property; may be repeated.")
@click.option("-t", "--trait", "traits", metavar="KEY=VALUE", multiple=True, help="A trait of the customer, likewise.")
@click.option("--at", metavar="TIME", help="When it happened, e.g. 2026-11-22T09:00:00Z; now, if not given.")
@click.option("--id", "message_id", metavar="ID", help="The event's own id: what comes twice is taken once.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str),
    help="A file of events, a JSON object per line, .gz too; - for standard input.",
)
@click.pass_context
def emit(
    ctx: click.Context,
    event: str | None,
    customer: str | None,
    properties: Sequence[str],
    traits: Sequence[str],
    at: str | None,
    message_id: str | None,
    file: str | None,
) -> None:
    """Put an event, or a file of them, onto the stream, as an app would.

    Values are read as the vocabulary declares them; where it does not, as JSON if they are that, else as text.
    Without an EVENT the traits are stated alone (an identify).
    """
    if file is not None:
        if event or customer or properties or traits or at or message_id:
            raise click.UsageError("--file brings its own events; leave the rest out")
        ctx.exit(_emit_file(opened.settings(), file))
    if customer is None:
        raise click.UsageError("say whose event it is, with --customer ID; or give --file")
    if event is None and (properties or not traits):
        raise click.UsageError("name the EVENT, or state traits with -t key=value")
    settings = opened.settings()
    words = _vocabulary(settings)
    typed = _typed(properties, _declared(words, event), "-p")
    stated = _typed(traits, {name: word.python_type for name, word in words.attributes.items()} if words else {}, "-t")
    timestamp = _moment(at)
    if event is not None and words is not None:
        _warn_of_strangers(words, event, typed)
    with _client(settings) as client:
        if event is None:
            given = client.identify(customer, stated, timestamp=timestamp, message_id=message_id)
        else:
            given = client.track(
                customer, event, typed, timestamp=timestamp, message_id=message_id, traits=stated or None
            )
    click.echo(given)


def _emit_file(settings: Settings, file: str) -> int:
    """Emits all lines that can be taken, names those that cannot; returns the exit code."""
    from lifecycle import clock
    from lifecycle.wire import Refusal, parse

    emitted = refused = 0
    name = "standard input" if file == "-" else file
    with _client(settings) as client, client.batch() as batch, lines_of(file) as lines, progress("emitting") as advance:
        for number, line in enumerate(lines, 1):
            raw = line.strip()
            if not raw:
                continue
            fact = parse(raw, clock.now())
            if isinstance(fact, Refusal):
                click.echo(f"error: {name}:{number}: {fact.reason}", err=True)
                refused += 1
            else:
                _put(batch, fact)
                emitted += 1
            advance(1)
    click.echo(f"{emitted:,} emitted" + (f", {refused:,} refused" if refused else ""))
    return 1 if refused else 0


def _put(batch: Batch, fact: Any) -> None:
    """With the id that the engine would derive, so that a file that is emitted twice is taken once."""
    from lifecycle.wire import Track

    if isinstance(fact, Track):
        batch.track(
            fact.customer_id,
            fact.event,
            fact.properties,
            timestamp=fact.timestamp,
            message_id=fact.message_id,
            traits=fact.traits or None,
        )
    else:
        batch.identify(fact.customer_id, fact.traits, timestamp=fact.timestamp, message_id=fact.message_id)


@contextmanager
def _client(settings: Settings) -> Iterator[Client]:
    """A client on the stream of the settings; the embedded server runs while it is needed."""
    from lifecycle.client import Client

    if settings.redis_url is not None:
        with Client(settings.redis_url, settings.stream) as client:
            yield client
        return
    from lifecycle import embedded

    with embedded.start(settings.home) as server, Client(server.url, settings.stream) as client:
        yield client


def _vocabulary(settings: Settings) -> Vocabulary | None:
    """None where there are no journeys here, or broken ones: an event can be emitted all the same."""
    from lifecycle.journey.load import load

    project, _ = load(settings.journeys)
    return None if project is None else project.vocabulary


def _declared(words: Vocabulary | None, event: str | None) -> Mapping[str, type]:
    declared = words.events.get(event) if words is not None and event is not None else None
    return {} if declared is None else {name: word.python_type for name, word in declared.properties.items()}


def _typed(pairs: Sequence[str], declared: Mapping[str, type], option: str) -> dict[str, Any]:
    typed = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option} {pair!r}: write key=value")
        try:
            typed[name] = _value(text, declared.get(name))
        except ValueError as error:
            raise click.UsageError(f"{option} {pair!r}: {error}") from None
    return typed


def _value(text: str, kind: type | None) -> Any:
    """The text as a value of the declared type; without one as JSON if it is that, else as it stands."""
    import orjson

    if kind is None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    if kind is bool:
        if text.lower() not in _FLAGS:
            raise ValueError("the vocabulary says true or false")
        return _FLAGS[text.lower()]
    if kind in (int, float, Decimal):
        return _number(text, kind)
    if kind is date:
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise ValueError("the vocabulary says a date, like 1994-02-28") from None
    return _list(text) if kind is list else text


def _list(text: str) -> list[Any]:
    import orjson

    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        values = None
    if not isinstance(values, list):
        raise ValueError("the vocabulary says a list, as JSON: [1, 2]")
    return values


def _number(text: str, kind: type) -> int | float:
    try:
        number = int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        raise ValueError("the vocabulary says a number") from None
    if kind is int and not isinstance(number, int):
        raise ValueError("the vocabulary says a whole number")
    return number


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--at {text!r}: write ISO 8601, for example 2026-11-22T09:00:00Z") from None
    if moment.tzinfo is None:
        raise click.UsageError(f"--at {text!r}: add a time zone, Z or +07:00")
    return moment.astimezone(UTC)


def _warn_of_strangers(words: Vocabulary, event: str, typed: Mapping[str, Any]) -> None:
    """Says when a word is not in the vocabulary: apps may be ahead of it, but a person at a terminal mistypes."""
    if event not in words.events:
        from lifecycle.flow.profiles import BOUNCED, COMPLAINED, ERASED, GRANTED, WITHDRAWN

        if event in (BOUNCED, COMPLAINED, ERASED, GRANTED, WITHDRAWN):
            return
        click.echo(f"note: {event!r} is not in the vocabulary{did_you_mean(event, list(words.events))}", err=True)
        return
    known = words.events[event].properties
    for name in typed.keys() - known.keys():
        click.echo(f"note: {event} has no property {name!r}{did_you_mean(name, list(known))}", err=True)
    for name, word in known.items():
        if word.required and name not in typed:
            click.echo(f"note: {event} comes without {name}, which the vocabulary requires", err=True)
