"""`lifecycle caps`: what frequency caps did, and what others would have done."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import opened
from .lazy import Group
from .listing import as_json_option, write_json
from .moments import Moment

if TYPE_CHECKING:
    from lifecycle.store.outcomes import Outcome

_WHICH = ("present", "tried")


@click.group(cls=Group)
def caps() -> None:
    """See what frequency caps did, and what others would have done."""


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
        for journey, fate in outcome.journeys.items():
            yield {
                "record": "journey",
                "policy": which,
                "journey": journey,
                "sent": fate.sent,
                "held_back": fate.held_back.total(),
                "waited": len(fate.waits),
                "wait_p50": percentile(fate.waits, 50),
                "wait_p95": percentile(fate.waits, 95),
                "goals": fate.goals,
                "goals_after_sends": fate.goals_after_sends,
            }
            for reason, messages in sorted(fate.held_back.items()):
                told = {"journey": journey, "reason": reason, "messages": messages}
                yield {"record": "held_back", "policy": which, **told}
