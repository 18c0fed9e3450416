"""Runs several commands as child processes, shows their lines side by side, and leaves nothing behind.

Each child leads a process group of its own, so that Ctrl-C reaches only the foreman, who then ends them in order.
Each has a pipe of the foreman's as its stdin: should the foreman be killed outright, the pipe closes and they end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_LONGEST_PAUSE = 30.0  # seconds before a role that keeps dying is started again
_SETTLED = 60.0  # seconds after which one that ran counts as healthy again

Show = Callable[[str, str], None]
"""Shows a line of the child of that name."""


@dataclass(slots=True)
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None
    started: float = 0.0
    pause: float = 0.0
    again_at: float = field(default=0.0)


class Foreman:
    """Keeps `commands` (by name) running until `stop` is set; `show` gets their lines, from several threads."""

    def __init__(self, commands: Mapping[str, Sequence[str]], show: Show, environment: Mapping[str, str]) -> None:
        self._children = [_Child(name, command) for name, command in commands.items()]
        self._show = show
        self._environment = dict(environment)

    def run(self, stop: threading.Event, *, patience: float = 30.0) -> None:
        """Starts all, starts again whoever dies, and when `stop` is set ends all: see `end`."""
        try:
            while not stop.is_set():
                for child in self._children:
                    self._look_after(child)
                stop.wait(0.2)
        finally:
            self.end(patience)

    def end(self, patience: float) -> None:
        """Asks all to finish, waits for `patience` seconds, and kills whatever is left."""
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + patience
        for child in self._children:
            if child.process is None:
                continue
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._show(child.name, f"does not end within {patience:g} s, so it is killed")
            self._bury(child)

    def _look_after(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.again_at:
                self._start(child)
        elif (status := child.process.poll()) is not None:
            self._bury(child)
            ran = time.monotonic() - child.started
            child.pause = 1.0 if ran > _SETTLED else min(child.pause * 2 or 1.0, _LONGEST_PAUSE)
            child.again_at = time.monotonic() + child.pause
            self._show(child.name, f"ended by itself ({_in_words(status)}); starting it again in {child.pause:g} s")

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(
            child.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        child.started = time.monotonic()
        child.reader = threading.Thread(target=self._read, args=(child.name, child.process), daemon=True)
        child.reader.start()

    def _read(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._show(name, line.decode("utf-8", "replace").rstrip())

    def _bury(self, child: _Child) -> None:
        """Kills what is left of the child's group, reads its last lines and forgets it."""
        assert child.process is not None
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says it the second way
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
        assert child.process.stdin is not None
        child.process.stdin.close()
        assert child.reader is not None
        assert child.process.stdout is not None
        child.reader.join(2.0)
        if not child.reader.is_alive():  # else somebody who left the group still holds the other end
            child.process.stdout.close()
        child.process = None


def role(name: str, *arguments: str) -> list[str]:
    """The command of a role that ends with its foreman."""
    return [sys.executable, "-m", "lifecycle.cli", name, "--until-stdin-closes", *arguments]


def _in_words(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
