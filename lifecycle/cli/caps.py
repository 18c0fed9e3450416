"""`lifecycle caps`: what frequency caps did, and what others would have done."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle import clock

from . import opened
from .lazy import Group
from .listing import as_json_option, write_json
from .moments import Moment, Span

if TYPE_CHECKING:
    from lifecycle.store.outcomes import Outcome

_USUALLY = timedelta(days=30)
_WHICH = ("present", "tried")


@click.group(cls=Group)
def caps() -> None:
    """See what frequency caps did, and what others would have done."""


@caps.command(
    epilog="""\b
Examples:
  lifecycle caps report
  lifecycle caps report --last 7d
  lifecycle caps report --since 2026-11-01 --until 2026-12-01 --json | jq 'select(.record == "lost_to")'

Docs: docs/caps.md.""",
)
@click.option("--since", type=Moment(), help="From this day or moment (UTC if it names no zone) on.")
@click.option("--until", type=Moment(), help="Up to but not including this day or moment; without it, until now.")
@click.option("--last", type=Span(), metavar="SPAN", show_default="30d", help="The last 30d, 12h, 2w, … until now.")
@as_json_option
def report(since: datetime | None, until: datetime | None, last: timedelta | None, as_json: bool) -> None:
    """Tell what caps did: what went out under each, what they held back, and whose messages took the slot.

    Also who is at a cap now, with the moment at which the next slot opens.
    """
    from lifecycle.flow.cap_report import cap_report

    from .cap_tables import records, show_report

    if last is not None and (since or until):
        raise click.UsageError("say either --last or --since and --until")
    with opened.engine() as engine:
        now = clock.now()
        until = until or now
        since = since or until - (last or _USUALLY)
        if since >= until:
            raise click.UsageError("--since is not before --until")
        with engine.db.reading() as connection:
            found = cap_report(connection, engine.project, since, until, now, engine.lease)
    if as_json:
        write_json(records(found))
    else:
        show_report(found)


@caps.command(
    "try",
    epilog="""\b
Examples:
  python examples/cdnow/make_events.py > events.jsonl
  lifecycle caps try --policy examples/cdnow/gentler_policy.py --events events.jsonl
  lifecycle caps try --policy gentler_policy.py --since 2026-01-01 --json

Docs: docs/caps.md.""",
)
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The other policy: a file like journeys/policy.py.",
)
@click.option(
    "--events",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="History: a file of events (JSON Lines, also .gz).",
)
@click.option("--since", type=Moment(), help="History: the events of the database from this day or moment (UTC) on.")
@as_json_option
def try_policy(policy: Path, events: Path | None, since: datetime | None, as_json: bool) -> None:
    """Replay history under the present and under another policy, and show both side by side.

    Emails per customer, what was held back and why, goals reached after sends. Works in two processes on databases
    that are thrown away; nothing is sent, and nothing of yours is changed.
    """
    from .sides import show_sides
    from .trials import Trial, load_with, prepared, run_side_by_side

    if (events is None) == (since is None):
        raise click.UsageError("say which history: --events FILE or --since DATE")
    settings = opened.settings()
    policies = [None, policy]
    projects = [load_with(settings, each) for each in policies]  # a mistake in one is told before anything is made
    names = [str(settings.journeys / "policy.py"), str(policy)]
    with tempfile.TemporaryDirectory(prefix="lifecycle-caps-") as folder:
        start = prepared(settings, projects, Path(folder), events, since)
        trials = [
            Trial(name, each, start.copied(Path(folder) / f"{number}.db"), start.events, since)
            for number, (name, each) in enumerate(zip(names, policies, strict=True))
        ]
        outcomes = run_side_by_side(settings, trials)
    if as_json:
        write_json(_records(outcomes, names))
    else:
        show_sides(outcomes, names)


def _records(outcomes: Sequence[Outcome], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One object for each policy, then one for each number of emails, journey and reason, under each."""
    from .sides import percentile

    for which, name, outcome in zip(_WHICH, names, outcomes, strict=True):
        said = {"customers": outcome.customers, "sent": outcome.sent, "most_in_a_week": outcome.most_in_a_week}
        yield {"record": "policy", "policy": which, "file": name, **said}
    for which, outcome in zip(_WHICH, outcomes, strict=True):
        for emails, customers in sorted(outcome.emails.items()):
            yield {"record": "emails", "policy": which, "emails": emails, "customers": customers}
        for journey, part in outcome.journeys.items():
            yield {
                "record": "journey",
                "policy": which,
                "journey": journey,
                "sent": part.sent,
                "held_back": part.held_back.total(),
                "waited": len(part.waits),
                "wait_p50": percentile(part.waits, 50),
                "wait_p95": percentile(part.waits, 95),
                "goals": part.goals,
                "goals_after_sends": part.goals_after_sends,
            }
            for reason, messages in sorted(part.held_back.items()):
                told = {"journey": journey, "reason": reason, "messages": messages}
                yield {"record": "held_back", "policy": which, **told}
