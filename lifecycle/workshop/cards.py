"""The emails of the gallery's first page, rendered beside each other while the page is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.errors import LifecycleError

from . import asked
from .choice import Choice
from .inbox import Row, row
from .live import LiveWorkshop
from .look import Entry
from .trouble import Trouble, overdue, trouble

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Card:
    """One email in brief; `words` are what a search looks into."""

    words: str
    picture: str = ""
    size: int = 0
    row: Row | None = None
    trouble: Trouble | None = None


class Cards:
    """Begins with all of them at once; whoever asks for one waits for that one only."""

    def __init__(self, live: LiveWorkshop, entries: Iterable[Entry], choice: Choice) -> None:
        self._live = live
        self._choice = choice
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._tasks = {entry.name: asyncio.create_task(self._render(entry)) for entry in entries}

    async def card(self, entry: Entry) -> Card:
        """That one, when it is ready."""
        return await self._tasks[entry.name]

    async def _render(self, entry: Entry) -> Card:
        words = f"{entry.name} {' '.join(entry.journeys)}".lower()
        try:
            async with self._turns:
                look = await self._live.ask(lambda workshop: asked.look(workshop, entry.name, self._choice))
        except LifecycleError as error:
            return Card(words, trouble=trouble(error, self._live.folders))
        except TimeoutError:
            return Card(words, trouble=overdue(entry.name, self._live.patience))
        shown = row(look)
        return Card(
            f"{words} {shown.subject} {shown.preheader}".lower(),
            asked.picture_url(self._choice, look),
            look.size,
            shown,
        )
