"""A small shop whose roles run as processes of their own, as in production, with their log lines in files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from lifecycle.store import schema
from lifecycle.store.database import Database

PATIENCE = 40.0  # seconds for what takes a few on a quiet machine
ROLES = (("consume",), ("schedule",), ("worker", "--processes", "1"))

_FILES = {
    "journeys/vocabulary.py": """
from datetime import date
from lifecycle import Attribute, Event, Property

class customer:
    email = Attribute[str]()
    first_name = Attribute[str]()
    birthday = Attribute[date]()

class OrderCompleted(Event, name="order.completed"):
    order_id = Property[str](required=True)
""",
    "journeys/policy.py": """
from lifecycle import Policy, Sender
policy = Policy(
    sender=Sender("Shop", "hello@shop.example", postal_address="1 Road"), timezone="UTC", consent="opt_out"
)
""",
    "journeys/thanks.py": """
from lifecycle import Journey, Send, on
from .vocabulary import OrderCompleted
thanks = Journey(
    name="thanks", topic="orders", enter=on(OrderCompleted), key=OrderCompleted.order_id, steps=[Send("thanks")]
)
""",
    "journeys/birthday.py": """
from datetime import time
from lifecycle import Journey, Send, each_year
from .vocabulary import customer
birthday = Journey(
    name="birthday", topic="offers", enter=each_year(customer.birthday, at=time(9)), steps=[Send("greeting")]
)
""",
    "templates/email/thanks.mjml": """<mjml><mj-head>
<mj-title>{{ customer.first_name | default("You") }}, thanks</mj-title>
<mj-preview>It is on its way, {{ customer.first_name | default("friend") }}</mj-preview></mj-head>
<mj-body><mj-section><mj-column><mj-text>Dear {{ customer.first_name | default("friend") }},
<a href="https://shop.example/orders?of={{ customer.first_name | default("") | urlencode }}">your order</a>
{{ event.order_id }}. <a href="{{ links.unsubscribe }}">Unsubscribe</a>, {{ company.postal_address }}</mj-text>
</mj-column></mj-section></mj-body></mjml>""",
    "templates/email/greeting.mjml": """<mjml><mj-head><mj-title>Happy birthday</mj-title>
<mj-preview>Today</mj-preview></mj-head><mj-body><mj-section><mj-column><mj-text>All the best!
<a href="{{ links.unsubscribe }}">Unsubscribe</a>, {{ company.postal_address }}</mj-text></mj-column></mj-section>
</mj-body></mjml>""",
}


def open_shop(folder: Path) -> None:
    """Writes the shop's journeys and templates into `folder`."""
    for name, content in _FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def crew_of(folder: Path, compiled: Path, **settings: str) -> Crew:
    """A new shop in `folder` and its crew, on a database that is made ready.

    `compiled` is a folder that keeps what its emails compile to for the next one.
    """
    open_shop(folder)
    home = Path(settings.get("LIFECYCLE_HOME", folder / ".lifecycle"))
    home.mkdir()
    (home / "compiled").symlink_to(compiled)
    crew = Crew(folder, **settings)
    crew.upgrade()
    return crew


class Crew:
    """The roles of the shop in `folder`, on the database and the servers that `settings` name."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = {"LIFECYCLE_LOG_FORMAT": "json", **settings}
        self.db = Database(settings["DATABASE_URL"])
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def upgrade(self) -> None:
        """Makes the tables."""
        schema.upgrade(self.db)
        self.db.close()

    @contextmanager
    def at_work(self, roles: Sequence[Sequence[str]] = ROLES) -> Iterator[None]:
        """The roles run for the length of the block; each must end well."""
        try:
            for role in roles:
                self._start(role)
            yield
            self._end()
        finally:
            for process in self._processes.values():
                if process.poll() is None:
                    process.kill()
                process.wait()
                assert process.stdin is not None
                process.stdin.close()

    def _start(self, role: Sequence[str]) -> None:
        with self._log_of(role[0]).open("wb") as log:
            self._processes[role[0]] = subprocess.Popen(
                [sys.executable, "-m", "lifecycle.cli", *role, "--until-stdin-closes"],
                cwd=self.folder,
                env=os.environ | self.settings,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _end(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for role, process in self._processes.items():
            assert process.wait(PATIENCE) == 0, self.said(role)

    def _log_of(self, role: str) -> Path:
        return self.folder.parent / f"{self.folder.name}-{role}.log"

    def said(self, role: str) -> str:
        """All that a role has printed so far."""
        return self._log_of(role).read_text()

    def lines(self, role: str) -> list[dict[str, Any]]:
        """What a role has logged so far. Fails if anything else was printed."""
        return [json.loads(line) for line in self.said(role).splitlines()]

    def rows(self, query: str, **parameters: object) -> list[Any]:
        """What the database says; for tests alone."""
        try:
            with self.db.reading() as connection:
                return list(connection.execute(text(query), parameters).all())
        finally:
            self.db.close()

    def until(self, holds: Callable[[], object], describe: Callable[[], object] = str) -> None:
        """Waits until something holds, while all roles are alive."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            for role, process in self._processes.items():
                assert process.poll() is None, f"{role} ended by itself: {self.said(role)}"
            assert time.monotonic() < deadline, f"{describe()}\n" + "\n".join(map(self.said, self._processes))
            time.sleep(0.05)


def assert_one_line_each(crew: Crew, secrets: Mapping[str, str], roles: Sequence[str] | None = None) -> None:
    """Every line of every role is one JSON object without a traceback, an address, a token or any of `secrets`."""
    for role in roles or [name for name, *_ in ROLES]:
        said = crew.said(role)
        for line in crew.lines(role):
            assert line["level"] in ("info", "warning"), line
            assert "traceback" not in line, line
        assert "Traceback" not in said
        assert "@" not in said.replace("[address]", ""), said
        assert "/u/" not in said
        for what, secret in secrets.items():
            assert secret not in said, f"{what} is in the log of {role}"
