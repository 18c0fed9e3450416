"""The workshop as the files are at this moment, for many who ask at once, and the news that the files have changed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from watchfiles import Change, awatch

from lifecycle.errors import LifecycleError

from .deadline import within
from .look import Workshop

Answer = TypeVar("Answer")

PATIENCE = 5.0

_WATCHED = {".mjml", ".txt", ".json", ".py", ".po", ".css", ".html"}
_PULSE = 15.0  # seconds; a page that is gone is noticed when something is written to it


class LiveWorkshop:
    """Answers from the newest workshop that could be opened; where the newest files cannot be read, says why.

    `version` is another one after every change, and in every process; `patience`: seconds that one answer may take.
    """

    def __init__(
        self, open_workshop: Callable[[], Workshop], folders: tuple[Path, ...], patience: float = PATIENCE
    ) -> None:
        self.folders = folders
        self.patience = patience
        self._open = open_workshop
        self._process = secrets.token_hex(4)
        self._changes = 0
        self._news = asyncio.Condition()
        self._ended = False
        self._jobs: set[asyncio.Task[Any]] = set()
        self._workshop: Workshop | None = None
        self._broken: LifecycleError | None = None

    @property
    def version(self) -> str:
        """What the pages compare."""
        return f"{self._process}-{self._changes}"

    async def ask(self, question: Callable[[Workshop], Answer]) -> Answer:
        """The answer, from a thread of its own; raises LifecycleError, and TimeoutError when it takes too long."""
        if self._broken is not None:
            raise self._broken.with_traceback(None)  # or it would grow with every asker
        workshop = self._workshop
        assert workshop is not None, "asked before it was opened"
        return await self.run(lambda: question(workshop))

    async def run(self, work: Callable[[], Answer], seconds: float | None = None) -> Answer:
        """What the work returns, as `within`, but given up at the end; every error is a LifecycleError."""
        job = asyncio.create_task(within(seconds or self.patience, work))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        try:
            return await job
        except asyncio.CancelledError:
            if not self._ended:
                raise
            raise LifecycleError("the gallery has ended") from None
        except (LifecycleError, TimeoutError):
            raise
        except Exception as error:  # whatever an email comes to, the page tells of it
            raise LifecycleError(f"{type(error).__name__}: {error} (a mistake of lifecycle's, not yours)") from error

    async def refresh(self) -> None:
        """Reads the files again and tells everybody who waits for it."""
        try:
            self._workshop = await self.run(self._open)
        except LifecycleError as error:
            self._broken = error
        except TimeoutError:
            self._broken = LifecycleError(
                f"reading the journeys takes longer than {self.patience:g} s; look for a loop"
            )
        else:
            self._broken = None
        async with self._news:
            self._changes += 1
            self._news.notify_all()

    async def versions(self) -> AsyncIterator[str | None]:
        """The version now and after every change, until the end; None now and then while nothing happens."""
        while not self._ended:
            told = self.version
            yield told
            while not await self._is_news(told):
                yield None

    async def _is_news(self, told: str) -> bool:
        """Waits for another version than that one, or for the end; False when there is none for a while."""
        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(lambda: self._ended or self.version != told), _PULSE)
            except TimeoutError:
                return False
        return True

    async def end(self) -> None:
        """Lets go of everybody who waits for news or answers."""
        async with self._news:
            self._ended = True
            self._news.notify_all()
        for job in self._jobs:
            job.cancel()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Opens the workshop, and refreshes it within the block whenever somebody saves a file."""
        await self.refresh()
        watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    async def _watch(self) -> None:
        try:
            await self._follow(polling=None)
        except OSError:  # the system watches so many folders for one user, and editors take many
            await self._follow(polling=True)

    async def _follow(self, polling: bool | None) -> None:
        folders = [folder for folder in self.folders if folder.is_dir()]
        async for _ in awatch(*folders, watch_filter=_matters, debounce=400, step=25, force_polling=polling):
            await self.refresh()


def _matters(change: Change, path: str) -> bool:
    """Whether a file is one that people write; not what editors and compilers leave beside it."""
    file = Path(path)
    return file.suffix in _WATCHED and not file.name.startswith((".", "#")) and "__pycache__" not in file.parts
