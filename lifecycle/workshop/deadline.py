"""Blocking work beside an event loop, each piece in a thread of its own, and none for longer than it may take."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Overdue(SystemExit):
    """Raised in the thread whose time is up. A thread may end with SystemExit without a word."""


async def within(seconds: float, work: Callable[[], Result]) -> Result:
    """What `work` returns or raises; TimeoutError after so many seconds, and then the work is stopped.

    The thread is a daemon, and not one of a pool: an endless loop in a template neither takes the place of other
    work nor keeps the process from ending. It is stopped, not just given up, or every save of that template would
    leave one more thread that fights the others for the processor; Dramatiq stops a worker's job in the same way.
    What hangs within C, not in Python, cannot be stopped. Who stops waiting earlier does not stop the work.
    """
    job = _Job(work, asyncio.get_running_loop(), seconds)
    threading.Thread(target=job.run, name="workshop", daemon=True).start()
    return await asyncio.wait_for(job.future, seconds)


class _Job(Generic[Result]):
    def __init__(self, work: Callable[[], Result], loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.future: asyncio.Future[Result] = loop.create_future()
        self._overdue = loop.call_later(seconds, self.stop)
        self._work = work
        self._loop = loop
        self._turn = threading.Lock()
        self._thread: int | None = None

    def run(self) -> None:
        """The body of the thread."""
        self._thread = threading.get_ident()
        try:
            try:
                result = self._work()
            finally:
                with self._turn:
                    self._thread = None
        except _Overdue:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            self._tell(self._failed, error)
        else:
            self._tell(self.future.set_result, result)

    def stop(self) -> None:
        """Has the thread raise at its next step in Python, if it is still at work."""
        with self._turn:
            if self._thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(_Overdue))

    def _failed(self, error: BaseException) -> None:
        # A StopIteration may not be set, and a SystemExit would end the loop.
        self.future.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _tell(self, tell: Callable[..., None], what: object) -> None:
        def unless_given_up() -> None:
            self._overdue.cancel()
            if not self.future.done():
                tell(what)

        try:
            self._loop.call_soon_threadsafe(unless_given_up)
        except RuntimeError:  # the loop has ended meanwhile, and with it everybody who waits
            return
