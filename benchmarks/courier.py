"""One worker process that delivers what is due, over and over, as it is told: what `deliver` measures.

    python -m benchmarks.courier --database URL --smtp URL --cache FOLDER

Prints `ready`; for each line on stdin it works until nothing is due and prints what that took, as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import psutil

from benchmarks import seed
from benchmarks.bench import ROOT
from lifecycle import clock, processes
from lifecycle.flow.deliver import finish, send
from lifecycle.flow.mailer import Mailer
from lifecycle.flow.schedule import claim_due
from lifecycle.mail.render import Renderer
from lifecycle.mail.smtp import SmtpTransport
from lifecycle.mail.unsubscribe import UnsubscribeLinks
from lifecycle.settings import Settings
from lifecycle.store import messages
from lifecycle.store.database import Database
from lifecycle.store.recorder import Recorder

LINKS = UnsubscribeLinks("https://mail.tokokopi.example", "a-secret-of-the-benchmarks-and-of-nobody-else")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one go took: emails; seconds from `pending` to recorded `sent`, and with finding what is due and moving the
    journeys on; CPU seconds of this process for all of it; and its memory in MB afterwards.

    Not `ru_maxrss`: on Linux a process inherits that of whoever started it.
    """

    emails: int
    sending: float
    seconds: float
    cpu: float
    memory: float


class Courier:
    """A courier in a process of its own, for the length of a with block."""

    def __init__(self, db: Database, smtp: str, cache: Path) -> None:
        self._arguments = ["--database", db.url, "--smtp", smtp, "--cache", str(cache)]

    def __enter__(self) -> Courier:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.courier", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._read("ready")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def begin(self) -> None:
        """Deliver what is due, without waiting for the end."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def end(self) -> Delivered:
        """Wait for the end."""
        return Delivered(**json.loads(self._read("{")))

    def go(self) -> Delivered:
        """Deliver what is due."""
        self.begin()
        return self.end()

    def _read(self, beginning: str) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith(beginning):
            raise RuntimeError(f"the courier stopped: {line!r}")
        return line


def main() -> None:
    """Work until stdin closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.courier")
    parser.add_argument("--database", required=True)
    parser.add_argument("--smtp", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    options = parser.parse_args()
    settings, project, db = Settings(_env_file=None), seed.project(), Database(options.database)  # type: ignore[call-arg]
    transport = SmtpTransport(options.smtp, lanes=settings.lanes)
    mailer = Mailer(project.policy.sender, Renderer(seed.EMAILS, options.cache), LINKS, transport)
    recorder = Recorder(db, time.sleep)
    mailer.renderer.compiled(seed.STEP)
    lease: timedelta = settings.lease
    processes.collect_seldom()  # as a worker does
    print("ready", flush=True)
    for _ in sys.stdin:
        emails, sending, start, cpu = 0, 0.0, time.perf_counter(), time.process_time()
        while ids := claim_due(db, messages.CLAIM_DUE, clock.now(), lease, settings.hint_batch):
            began = time.perf_counter()
            send(db, project, mailer, recorder, ids, now=clock.now, lease=lease)
            sending += time.perf_counter() - began
            finish(db, project, ids, clock.now(), lease)
            recorder.forget()
            emails += len(ids)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        memory = psutil.Process().memory_info().rss / 2**20
        print(json.dumps(asdict(Delivered(emails, sending, seconds, cpu, memory))), flush=True)
    transport.close()
    recorder.close()
    db.close()


if __name__ == "__main__":
    main()
