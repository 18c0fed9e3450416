"""What the demo shows while it runs: a live view on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from lifecycle.cli.listing import printable
from lifecycle.cli.scoreboard import reasons
from lifecycle.store.scores import Letter, Score, count_events, latest_letters, scores

_PLAIN_LINES = 4  # per act
_LETTERS = 5


class Board:
    """One act's view: `look` reads the database and shows it, at most every `every` real seconds."""

    def __init__(
        self, console: Console, title: str, start: datetime, end: datetime, zone: ZoneInfo, every: float
    ) -> None:
        self._console = console
        self._title = title
        self._start, self.end = start, end
        self._zone = zone
        self._every = every
        self._looked_at = 0.0
        self._told = 0
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Board:
        if self._live is None:
            self._console.print(f"\n{self._title}")
        else:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def wants(self, now: datetime) -> bool:
        """Whether it is time to look again."""
        if self._live is None:
            return self._share(now) * _PLAIN_LINES >= self._told + 1
        return time.monotonic() - self._looked_at >= self._every

    def look(self, connection: Connection, now: datetime) -> None:
        """Shows how things stand at the virtual moment `now`."""
        self._looked_at = time.monotonic()
        self._told = int(self._share(now) * _PLAIN_LINES)
        found, events = scores(connection), count_events(connection)
        if self._live is None:
            self._console.print(_line(now.astimezone(self._zone), found, events), soft_wrap=True)
        else:
            letters = latest_letters(connection, _LETTERS)
            self._live.update(self._view(now, found, events, letters), refresh=True)

    def _share(self, now: datetime) -> float:
        return min(1.0, max(0.0, (now - self._start) / (self.end - self._start)))

    def _view(self, now: datetime, found: Mapping[str, Score], events: int, letters: list[Letter]) -> RenderableType:
        local = now.astimezone(self._zone)
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        head.add_row(
            Text(f"{local:%A} {local.day} {local:%B %Y  %H:%M}", style="bold"),
            Text(f"{events:,} events taken", style="bold cyan"),
        )
        bar = ProgressBar(total=1.0, completed=self._share(now), complete_style="blue", finished_style="blue")
        return Panel(
            Group(head, bar, Padding(_people(found), (1, 0, 0, 0)), Rule(style="dim"), self._letters(letters)),
            title=Text(self._title, style="bold"),
            title_align="left",
            border_style="blue",
            width=min(self._console.width, 118),
        )

    def _letters(self, letters: list[Letter]) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for style in ("dim", "", "italic"):
            table.add_column(no_wrap=True, style=style, overflow="ellipsis")
        for letter in letters:
            at = letter.sent_at.astimezone(self._zone)
            table.add_row(f"{at:%d %b %H:%M}", printable(letter.email), printable(letter.subject))
        for _ in range(_LETTERS - len(letters)):
            table.add_row("")
        return table


def _people(found: Mapping[str, Score]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True, header_style="bold")
    table.add_column("journey")
    for heading, style in (
        ("entered", ""),
        ("inside", "cyan"),
        ("left", ""),
        ("goal", "green"),
        ("sent", "bold green"),
        ("waiting", "cyan"),
        ("held back", "yellow"),
    ):
        table.add_column(heading, justify="right", style=style)
    table.add_column("because of", no_wrap=True, overflow="ellipsis", ratio=1)
    for name, score in found.items():
        numbers = (score.entered, score.inside, score.left, score.goals, score.sent, score.waiting)
        held_back = score.held_back.total()
        table.add_row(name, *(f"{n:,}" for n in (*numbers, held_back)), reasons(score.held_back, 2))
    return table


def _line(local: datetime, found: Mapping[str, Score], events: int) -> str:
    people = sum(score.entered for score in found.values()), sum(score.inside for score in found.values())
    sent, waiting = sum(score.sent for score in found.values()), sum(score.waiting for score in found.values())
    back = sum(score.held_back.total() for score in found.values())
    return (
        f"  {local:%Y-%m-%d %H:%M}  events {events:,}, entered {people[0]:,}, inside {people[1]:,}, "
        f"sent {sent:,}, waiting {waiting:,}, held back {back:,}"
    )
