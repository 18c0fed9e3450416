"""Work in threads that may take so long and no longer."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from lifecycle.workshop.deadline import within


def _forever() -> None:
    while True:
        sum(range(1000))


def _at_work() -> bool:
    return any(thread.name == "workshop" for thread in threading.enumerate())


def _ends() -> None:
    until = time.monotonic() + 5
    while _at_work():
        assert time.monotonic() < until, "it goes on"
        time.sleep(0.01)


def test_what_the_work_returns_or_raises_comes_back() -> None:
    assert asyncio.run(within(5, lambda: 42)) == 42
    with pytest.raises(ZeroDivisionError):
        asyncio.run(within(5, lambda: 1 // 0))


def test_what_cannot_cross_over_to_a_loop_is_told_of() -> None:
    def leave() -> None:
        raise KeyboardInterrupt

    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        asyncio.run(within(5, leave))


def test_endless_work_is_stopped_and_the_loop_goes_on_meanwhile() -> None:
    async def count() -> int:
        ticks = 0
        waiting = asyncio.create_task(within(0.5, _forever))
        while not waiting.done():
            await asyncio.sleep(0.02)
            ticks += 1
        with pytest.raises(TimeoutError):
            waiting.result()
        while _at_work():
            await asyncio.sleep(0.01)
        return ticks

    assert asyncio.run(count()) > 5


def test_work_that_nobody_waits_for_any_more_is_stopped_in_its_time_too() -> None:
    async def give_up() -> None:
        waiting = asyncio.create_task(within(0.3, _forever))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert _at_work()
        await asyncio.sleep(0.5)

    asyncio.run(give_up())
    _ends()


def test_a_loop_that_is_gone_is_no_error() -> None:
    go_on = threading.Event()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(within(60, go_on.wait), 0.05)

    asyncio.run(leave())
    go_on.set()
    _ends()
