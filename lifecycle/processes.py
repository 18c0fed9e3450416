"""What a role's process is told at its start, and how it ends: with the one that started it, and once."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from types import FrameType

_LOOK_EVERY = 1.0  # seconds


def end_with_parent() -> None:
    """Sends this process SIGTERM when its parent is gone, however that one went."""
    parent = os.getppid()

    def watch() -> None:
        _leave_signals_to_main()
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def end_with_stdin() -> None:
    """Sends this process SIGTERM when nobody holds the other end of its stdin any more."""

    def watch() -> None:
        _leave_signals_to_main()
        # Not sys.stdin: a thread that waits in it holds a lock, on which a forked process would wait for ever.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def end_once() -> None:
    """Has only the first SIGTERM reach the handler in place.

    A supervisor that signals all processes of a service (systemd does) and a parent that passes the signal on make
    two of one, and Dramatiq takes the second for impatience: it drops the letters in hand. Call it in the main thread.
    """
    former = signal.getsignal(signal.SIGTERM)
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if not asked and callable(former):
            asked = True
            former(number, frame)

    signal.signal(signal.SIGTERM, ask)


def collect_seldom() -> None:
    """Has Python look for cycles after 50,000 new objects and not 700: batches make many, and hardly a cycle."""
    gc.set_threshold(50_000, *gc.get_threshold()[1:])


def _leave_signals_to_main() -> None:
    """Else one that the main thread has blocked for a moment would be handled in that very moment, through this one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
