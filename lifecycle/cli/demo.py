"""`lifecycle demo`: the main job on real purchases, in three acts."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from lifecycle import clock, logs
from lifecycle.errors import ConfigurationError
from lifecycle.settings import Settings

if TYPE_CHECKING:
    from lifecycle.demo.board import Board
    from lifecycle.flow.replay import Line

_EXAMPLE = Path("examples/cdnow")
_LOCK = "demo.lock"

_BEFORE = """\
Real: who bought on which day, how many CDs and for how much, at CDNOW, an online shop, from January 1997 to June 1998
(6,919 orders of 2,357 customers; Fader and Hardie 2001). Made up, always in the same way: names, addresses, time
zones, times of day, birthdays, which CDs they were, who agrees to mail, who reviews. No mail leaves this machine."""


class Day(click.ParamType[date]):
    """A day of the history."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day like 1997-03-20", param, ctx)


@click.command(
    epilog="""\b
Examples:
  lifecycle demo
  lifecycle demo --speed 300                       a day in five minutes
  lifecycle demo --day 1997-12-24 --end 1998-01-31"""
)
@click.option("--speed", type=click.FloatRange(10, 50_000), default=1200, help="How much faster than life in act two.")
@click.option("--day", type=Day(), default="1997-03-20", help="The day that is lived through in act two.")
@click.option("--end", type=Day(), help="Stop act three before this day; else with the last email.")
def demo(speed: float, day: date, end: date | None) -> None:
    """Show the main job on eighteen months of real purchases, one day of them live.

    Needs nothing but the checkout it runs in; what it makes is in .lifecycle/demo and is made anew each time.
    """
    if not (_EXAMPLE / "make_events.py").exists():
        raise ConfigurationError(f"there is no {_EXAMPLE}/make_events.py here; run it where this project's Makefile is")
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        home = Settings.load(env="development").home / "demo"
        with _alone_in(home):
            _Demo(_settings(home), speed, day, end).run()
    except KeyboardInterrupt:
        click.echo("\nstopped; nothing is left running", err=True)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _alone_in(home: Path) -> Iterator[None]:
    """Holds the demo's folder, so that a second demo does not clear it away under the first."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"a demo runs in {home} already; wait for it, or end it with Ctrl-C") from None
        yield


def _settings(home: Path) -> Settings:
    """Those of a demo, whatever is set on this machine; what an earlier one made is cleared away."""
    logs.configure(as_json=False, level="error")
    for old in home.iterdir():
        if old.name not in ("compiled", _LOCK):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    given = Settings.load(home=home, env="development", database_url=f"sqlite:///{home.absolute() / 'lifecycle.db'}")
    return given.model_copy(update={"redis_url": None, "smtp_url": None, "clock": "real", "log_format": "text"})


class _Demo:
    def __init__(self, settings: Settings, speed: float, day: date, end: date | None) -> None:
        from lifecycle.engine import Engine

        from .listing import console

        self.settings = settings
        self.console = console()
        self.project = Engine(settings).project
        self.zone = ZoneInfo(self.project.policy.timezone)
        self.speed = speed
        self.day = self._midnight(day), self._midnight(day + timedelta(days=1))
        self.end = self._midnight(end) if end else None
        self.events = settings.home / "events.jsonl"

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(0), self.zone)

    def run(self) -> None:
        from lifecycle.demo.live import Day, live_through

        self.console.print(_BEFORE, soft_wrap=True)
        history = self._history()
        self._stock(history[0].at)
        start, end = self.day
        first, last = history[0].at, history[-1].at
        title = f"Act 1 of 3 · {_span(first.astimezone(self.zone), start - timedelta(days=1))}, replayed"
        with self._board(title, first, start, every=0.4) as board:
            self._replay(history, board, None, start)
        title = f"Act 2 of 3 · {_date(start)}, live at {self.speed:,.0f} times: every role a process of its own"
        with self._board(title, start, end, every=0.25) as board:
            app = [str(_EXAMPLE / "app.py"), str(self.events)]
            now = live_through(Day(start, end, self.speed), self.settings, app, board)
        until = self.end or last
        if until > end:
            title = f"Act 3 of 3 · {_span(end, until.astimezone(self.zone))}, replayed on the same database"
            with self._board(title, end, until, every=0.4) as board:
                self._replay(history, board, now, self.end)
        self._close()

    def _history(self) -> list[Line]:
        from lifecycle.flow.replay import read_lines

        with self.events.open("wb") as file:
            command = [sys.executable, str(_EXAMPLE / "make_events.py")]
            subprocess.run(command, stdout=file, check=True, start_new_session=True)
        with self.events.open("rb") as lines:
            return read_lines(lines, self.events.name, clock.now())

    def _stock(self, at: datetime) -> None:
        from lifecycle.flow.cataloguing import import_catalogue

        from .replay import working_on

        with working_on(self.settings) as db:
            import_catalogue(db, _EXAMPLE / "catalogue.csv", at)

    def _board(self, title: str, start: datetime, end: datetime, *, every: float) -> Board:
        from lifecycle.demo.board import Board

        return Board(self.console, title, start, end, self.zone, every)

    def _replay(self, history: Sequence[Line], board: Board, since: datetime | None, until: datetime | None) -> None:
        """Replays what lies between; the mail goes nowhere."""
        from lifecycle.engine import Engine
        from lifecycle.flow.replay import Replayed, replay
        from lifecycle.mail.nowhere import NowhereTransport

        from .replay import working_on

        with working_on(self.settings) as db:
            engine = Engine(self.settings)
            engine.__dict__["db"] = db

            def show(done: Replayed) -> None:
                if done.now is not None and board.wants(done.now):
                    with db.reading() as connection:
                        board.look(connection, done.now)

            done = replay(
                db,
                self.project,
                engine.mailer(NowhereTransport()),
                [line for line in history if since is None or line.at >= self.day[1]],
                lease=self.settings.lease,
                max_lateness=self.settings.max_lateness,
                since=since,
                until=until,
                progress=show,
            )
            with db.reading() as connection:
                board.look(connection, until or done.now or board.end)

    def _close(self) -> None:
        from lifecycle.store.database import Database
        from lifecycle.store.scores import most_eventful, scores

        from .scoreboard import summary

        db = Database(self.settings.database)
        try:
            with db.reading() as connection:
                self.console.print()
                found = scores(connection)
                self.console.print(summary(found))
                customer = most_eventful(connection)
        finally:
            db.close()
        mail = self.settings.home / "mail"
        received = sum(1 for _ in mail.glob("*.eml"))
        self.console.print(f"\nThe {received:,} emails of {_date(self.day[0])}, as they were received: {mail}/")
        self.console.print("\nTry next:")
        capped = any(score.held_back["capped"] for score in found.values())
        for command in commands(self.settings.home, customer or "00111", capped):
            self.console.print(f"  {command}", soft_wrap=True)


def commands(home: Path, customer: str, capped: bool) -> list[str]:
    """Three commands that look at what the demo made, to be pasted as they are."""
    program = Path(sys.argv[0])
    name = "lifecycle" if shutil.which("lifecycle") == str(program) else str(program)
    if program.name == "__main__.py":
        name = f"{sys.executable} -m lifecycle.cli"
    there = f"LIFECYCLE_HOME={home}"
    return [
        f"{there} {name} customers show {customer}",
        f"{there} {name} messages --state skipped" + (" --reason capped" if capped else ""),
        f"{there} {name} journeys show win_back",
    ]


def _span(first: datetime, last: datetime) -> str:
    return f"{_date(first)} to {_date(last)}"


def _date(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
