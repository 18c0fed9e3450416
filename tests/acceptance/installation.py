"""A whole installation in a folder: journeys and emails of its own, and every role as a process, as in production."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from lifecycle.clock import Scaled
from lifecycle.store.database import Database
from tests.stage import NOON

PATIENCE = 60.0  # seconds

_VOCABULARY = """\
from lifecycle import Event, Property

class customer:
    pass

class Ordered(Event, name="order.completed"):
    order_id = Property[str](required=True)

class Reviewed(Event, name="review.posted"):
    order_id = Property[str](required=True)
"""
_EMAIL = """\
<mjml>
  <mj-head><mj-title>{name}</mj-title><mj-preview>{name}</mj-preview></mj-head>
  <mj-body><mj-section><mj-column>
    <mj-text>{name}</mj-text>
    <mj-text>{{{{ company.postal_address }}}} <a href="{{{{ links.unsubscribe }}}}">Unsubscribe</a></mj-text>
  </mj-column></mj-section></mj-body>
</mjml>
"""


class Installation:
    """Processes of one project on one database, ended together.

    `speed`: how much faster than the wall its clock runs. `lease` is in real seconds.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        redis_url: str,
        smtp_url: str,
        *,
        policy: str,
        journeys: str,
        emails: list[str],
        speed: float,
        lease: float = 4.0,
    ) -> None:
        self.folder = folder
        self.database = database
        self.clock = Scaled.starting_at(NOON, speed)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._write(policy, journeys, emails)
        self.environment = os.environ | {
            "DATABASE_URL": database.url,
            "REDIS_URL": redis_url,
            "SMTP_URL": smtp_url,
            "LIFECYCLE_HOME": str(folder / "home"),
            "LIFECYCLE_CLOCK": str(self.clock),
            "LIFECYCLE_LEASE": str(lease),
            "LIFECYCLE_CONSUME_BATCH": "40",
            "LIFECYCLE_HINT_BATCH": "15",
            "LIFECYCLE_LANES": "2",
            "LIFECYCLE_LOG_LEVEL": "warning",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }

    def _write(self, policy: str, journeys: str, emails: list[str]) -> None:
        (self.folder / "journeys").mkdir()
        for name, text in (("vocabulary", _VOCABULARY), ("policy", policy), ("journeys", journeys)):
            (self.folder / "journeys" / f"{name}.py").write_text(text)
        for name in emails:
            path = self.folder / "templates" / "email" / f"{name}.mjml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_EMAIL.format(name=name))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self._processes.items():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if kind is not None:
                print(f"--- {name}\n{self.log(name)}")

    def start(self, name: str, *arguments: str) -> None:
        """Starts `lifecycle ARGUMENTS`, to be called `name`."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "lifecycle.cli", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """Ends a process and its children without a warning."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def wait_until(self, what: Callable[[], bool], of: str) -> None:
        """Waits; fails early when a process has ended by itself."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            for name, process in self._processes.items():
                assert process.poll() is None, f"{name} has ended:\n{self.log(name)}"
            assert time.monotonic() < deadline, f"{of}: not within {PATIENCE:g} seconds"
            time.sleep(0.1)

    def count(self, sql: str) -> int:
        with self.database.reading() as connection:
            return int(connection.exec_driver_sql(sql).scalar_one())

    def done(self) -> bool:
        """Whether every message is final and every journey over."""
        return not self.count(
            "SELECT (SELECT count(*) FROM message WHERE state IN ('pending', 'sending') OR wake_at IS NOT NULL)"
            " + (SELECT count(*) FROM enrollment WHERE state = 'active')"
        )
