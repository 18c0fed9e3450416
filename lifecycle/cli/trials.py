"""Replays side by side, each under its policy in a process and a database of its own, with a bar for each."""

from __future__ import annotations

import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle import clock
from lifecycle.errors import LifecycleError
from lifecycle.settings import Settings

from . import opened
from .lines import lines_of
from .listing import console, progress

if TYPE_CHECKING:
    from lifecycle.flow.replay import Replayed
    from lifecycle.journey.project import Project
    from lifecycle.store.outcomes import Outcome

_TELL_EVERY = 0.25  # seconds
_STOPPED = 10.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One replay: its policy (None: that of the journeys' folder) and its database, made ready; what it is shown as.

    `events` is a file of them; `since` is where its clock starts, if not with the first.
    """

    name: str
    policy: Path | None
    database: Path
    events: Path
    since: datetime | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What a process tells of its replay: how many lines there are and how many are done, its outcome, or an error."""

    total: int = 0
    lines: int = 0
    outcome: Outcome | None = None
    error: str = ""
    known: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What all replays begin with: a database, and the events from then on."""

    database: Path
    events: Path

    def copied(self, path: Path) -> Path:
        """A copy of the database, for one of them."""
        shutil.copy(self.database, path)
        return path


def prepared(
    settings: Settings, projects: Sequence[Project], folder: Path, events: Path | None, since: datetime | None
) -> Start:
    """A start in `folder`: with the file `events` nobody is known yet, else what the live database knew at `since`."""
    from lifecycle.store import schema
    from lifecycle.store.database import Database

    start = Start(folder / "start.db", events or folder / "events.jsonl")
    db = Database(f"sqlite:///{start.database}")
    try:
        schema.upgrade(db)
    finally:
        db.close()
    if since is not None:
        _begin(settings, projects, start, since)
    return start


def _begin(settings: Settings, projects: Sequence[Project], start: Start, since: datetime) -> None:
    from lifecycle.flow.trial import begin
    from lifecycle.store.scores import count_events
    from lifecycle.store.solo import SoloDatabase

    with opened.database(settings) as live:
        with live.reading() as connection:
            number = count_events(connection)
        db = SoloDatabase(f"sqlite:///{start.database}")
        try:
            with start.events.open("wb") as onward, progress("reading history", number) as advance:
                policies = [project.policy for project in projects]
                begin(db, projects[0], live, since, policies, onward, lease=settings.lease, progress=advance)
        finally:
            db.close()


def load_with(settings: Settings, policy: Path | None) -> Project:
    """The project, with another policy in place of its own, also without a cap that never counts. Raises
    DefinitionError."""
    from lifecycle.engine import sound
    from lifecycle.journey.check import check_policy
    from lifecycle.journey.load import load

    project = sound(*load(settings.journeys, policy))
    return project if policy is None else sound(project, check_policy(project))


def run_side_by_side(settings: Settings, trials: Sequence[Trial]) -> list[Outcome]:
    """The outcomes, in the order of `trials`; the processes end with the first error or with this one."""
    context = get_context("spawn")
    running: dict[Connection, tuple[Trial, BaseProcess]] = {}
    try:
        for trial in trials:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_run, args=(settings, trial, theirs), daemon=True)
            process.start()
            theirs.close()
            running[ours] = trial, process
        with _bars([trial.name for trial in trials]) as show:
            found = _watch(running, show)
        return [found[trial.name] for trial in trials]
    finally:
        for _, child in running.values():
            child.terminate()
            child.join(_STOPPED)


def _watch(
    running: dict[Connection, tuple[Trial, BaseProcess]], show: Callable[[str, _Told], None]
) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    while len(found) < len(running):
        for pipe in wait([pipe for pipe, (trial, _) in running.items() if trial.name not in found]):
            assert isinstance(pipe, Connection)
            trial, process = running[pipe]
            try:
                told: _Told = pipe.recv()
            except EOFError:
                process.join(_STOPPED)
                message = f"the replay under {trial.name} was ended from outside (exit code {process.exitcode})"
                raise LifecycleError(f"{message}; is there enough memory?") from None
            if told.error:
                raise LifecycleError(told.error) if told.known else RuntimeError(told.error)
            show(trial.name, told)
            if told.outcome is not None:
                found[trial.name] = told.outcome
    return found


def _run(settings: Settings, trial: Trial, pipe: Connection) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent says who stops
    from .root import in_one_line

    try:
        _replay(settings, trial, pipe)
    except BrokenPipeError:
        sys.exit(1)  # nobody listens any more
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent tells it
        line = in_one_line(error)
        pipe.send(_Told(error=line or traceback.format_exc(), known=line is not None))


def _replay(settings: Settings, trial: Trial, pipe: Connection) -> None:
    from lifecycle.flow.replay import read_lines
    from lifecycle.flow.trial import run_trial
    from lifecycle.store.solo import SoloDatabase

    project = load_with(settings, trial.policy)
    with lines_of(trial.events) as lines:
        history = read_lines(lines, trial.events.name, clock.now())
    total, told = len(history), time.monotonic()

    def tell(done: Replayed) -> None:
        nonlocal told
        if time.monotonic() - told > _TELL_EVERY:
            told = time.monotonic()
            pipe.send(_Told(total, done.lines))

    db = SoloDatabase(f"sqlite:///{trial.database}")
    try:
        outcome = run_trial(
            db,
            project,
            history,
            since=trial.since,
            lease=settings.lease,
            max_lateness=settings.max_lateness,
            progress=tell,
        )
    finally:
        db.rollback()  # it is thrown away
        db.close()
    pipe.send(_Told(total, total, outcome))


@contextmanager
def _bars(names: Sequence[str]) -> Iterator[Callable[[str, _Told], None]]:
    """A bar for each on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda name, told: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        tasks = {name: bars.add_task(name, total=None) for name in names}

        def show(name: str, told: _Told) -> None:
            bars.update(tasks[name], total=told.total, completed=told.lines)

        yield show
