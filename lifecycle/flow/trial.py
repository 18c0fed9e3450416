"""A policy tried on a history: the replay that only counts.

It decides as live roles do, and writes no email: rendering and addressing take half of a replay's time and change no
decision. It may begin in the middle of a history: what was before is known then, but moves nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from lifecycle.journey.policy import Policy
from lifecycle.journey.project import Project
from lifecycle.mail.nowhere import NowhereTransport
from lifecycle.mail.render import Rendered, Renderer
from lifecycle.mail.transport import Letter
from lifecycle.mail.unsubscribe import UnsubscribeLinks
from lifecycle.store import past
from lifecycle.store.database import Database
from lifecycle.store.outcomes import Outcome, outcome
from lifecycle.wire import EARLIEST

from .consume import Entry, take
from .mailer import Content, Mailer
from .replay import Line, Progress, replay

_AT_ONCE = 500
_SCORED = timedelta(days=92)
"""How far back what was sent matters at the least: fatigue looks at 90 days."""
_BLANK = Content(Rendered("", "", "", lambda: "", ""), "")


class BlankMailer(Mailer):
    """Writes nothing into its letters, which go nowhere."""

    def __init__(self, project: Project) -> None:
        links = UnsubscribeLinks("http://localhost", "signs no link that anybody ever sees")
        super().__init__(project.policy.sender, Renderer(Path()), links, NowhereTransport())

    def locale_for(self, template: str, wanted: str | None) -> str:
        """The default: there are no emails to have others."""
        return self.renderer.locale

    def render(self, *_: Any, **__: Any) -> Content:
        """Nothing, and a link to nowhere."""
        return _BLANK

    def reads(self, template: str) -> frozenset[str]:
        """Nothing."""
        return frozenset()

    def render_digest(self, *_: Any, **__: Any) -> Content:
        """The same, of all sections."""
        return _BLANK

    def letter(self, envelope: Any, *_: Any, **__: Any) -> Letter:
        """An empty letter."""
        return Letter(envelope.id, "", envelope.address, envelope.message_id, b"")


def run_trial(
    db: Database,
    project: Project,
    history: Sequence[Line],
    *,
    since: datetime | None,
    lease: timedelta,
    max_lateness: timedelta,
    progress: Progress = lambda replayed: None,
) -> Outcome:
    """Replays `history` in a database made for it, and tells what became of it; `since` as `begin` was told."""
    mailer = BlankMailer(project)
    replay(db, project, mailer, history, lease=lease, max_lateness=max_lateness, since=since, progress=progress)
    with db.reading() as connection:
        return outcome(connection, since or EARLIEST)


def begin(
    db: Database,
    project: Project,
    live: Database,
    since: datetime,
    policies: Iterable[Policy],
    onward: BinaryIO,
    *,
    lease: timedelta,
    progress: Callable[[int], None] = lambda number: None,
) -> None:
    """Fills `db` with what `live` knew at `since`, and `onward` with the events from then on, as JSON Lines.

    Everything that had happened is known, who had entered a journey has left it by then, and what was sent counts
    under caps; nobody is on their way.
    """
    with live.reading() as source:
        told = past.events(source)
        entries: list[Entry] = []
        for number, (at, raw) in enumerate(told):
            if at >= since:
                onward.write(raw + b"\n")
            else:
                entries.append(Entry(f"event:{number}", raw))
                if len(entries) == _AT_ONCE:
                    take(db, project, entries, since, lease=lease, max_lateness=timedelta(0))
                    entries.clear()
            progress(1)
        if entries:
            take(db, project, entries, since, lease=lease, max_lateness=timedelta(0))
    with live.reading() as source, db.transaction() as target:
        past.copy_standing(source, target, since, _reach(policies) + lease)


def _reach(policies: Iterable[Policy]) -> timedelta:
    """How far back what was sent may matter."""
    spans = [_SCORED]
    for policy in policies:
        spans += [cap.span + timedelta(days=2) for cap in policy.caps]
        if policy.sunset is not None:
            spans.append(policy.sunset.silent_for.rolling)
    return max(spans)
