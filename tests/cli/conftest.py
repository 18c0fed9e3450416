"""A small shop in a folder of its own, its database, and a way to run `lifecycle` in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lifecycle.cli import lifecycle
from lifecycle.store import schema
from lifecycle.store.database import Database
from tests import servers

_FILES = {
    "journeys/vocabulary.py": """
from datetime import date
from decimal import Decimal
from lifecycle import Attribute, Event, Flag, Property

class customer:
    email = Attribute[str]()
    first_name = Attribute[str]()
    birthday = Attribute[date]()
    vip = Flag()
    points = Attribute[int]()

class OrderCompleted(Event, name="order.completed"):
    order_id = Property[str](required=True)
    total = Property[Decimal]()
    gift = Property[bool]()
""",
    "journeys/policy.py": """
from lifecycle import Policy, Sender
policy = Policy(
    sender=Sender("Shop", "hello@shop.example", postal_address="1 Road"), timezone="Asia/Jakarta", consent="opt_out"
)
""",
    "journeys/thanks.py": """
from lifecycle import Journey, Send, on
from .vocabulary import OrderCompleted
thanks = Journey(
    name="thanks", topic="orders", enter=on(OrderCompleted), key=OrderCompleted.order_id, steps=[Send("thanks")]
)
""",
    "journeys/invitation.py": """
from lifecycle import Journey, Send, manually
from .vocabulary import customer
invitation = Journey(
    name="invitation", topic="offers", enter=manually(), only=~customer.vip, steps=[Send("invitation")]
)
""",
    "templates/email/thanks.mjml": """<mjml lang="en"><mj-head><mj-title>Thanks for {{ event.order_id }}</mj-title>
<mj-preview>It is on its way</mj-preview></mj-head><mj-body><mj-section><mj-column><mj-text>
Dear {{ customer.first_name | default("friend") }}, {{ event.total | default(0) }} dollars!
<a href="{{ links.unsubscribe }}">Unsubscribe</a>, {{ company.postal_address }}</mj-text></mj-column></mj-section>
</mj-body></mjml>""",
    "templates/email/invitation.mjml": """<mjml lang="en"><mj-head><mj-title>Come in</mj-title>
<mj-preview>For you</mj-preview></mj-head><mj-body><mj-section>
<mj-column><mj-text>You are invited. <a href="{{ links.unsubscribe }}">Unsubscribe</a>,
{{ company.postal_address }}</mj-text></mj-column>
</mj-section></mj-body></mjml>""",
}


@dataclass
class Shop:
    """The folder, which is the working directory, and the environment of commands in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Its database, closed at the end."""
        url = self.environment.get("DATABASE_URL") or f"sqlite:///{self.folder / '.lifecycle' / 'lifecycle.db'}"
        with closing(Database(url)) as db:
            yield db

    def run(self, *arguments: str, exit_code: int | None = 0, stdin: str | None = None) -> Result:
        """Runs the command in this process."""
        result = CliRunner().invoke(lifecycle, list(arguments), env=self.environment, input=stdin)
        if exit_code is not None:
            assert result.exit_code == exit_code, result.output + str(result.exc_info)
        return result

    def json(self, *arguments: str, exit_code: int = 0) -> list[dict[str, Any]]:
        """What a listing says with --json."""
        result = self.run(*arguments, "--json", exit_code=exit_code)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Runs the command in a process of its own, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "lifecycle.cli", *arguments],
            cwd=self.folder,
            env=os.environ | self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )

    def add(self, table: str, **columns: Any) -> None:
        """Puts a row into a table, as the models describe it."""
        from sqlmodel import SQLModel

        with self.database() as db, db.transaction() as connection:
            connection.execute(SQLModel.metadata.tables[table].insert().values(**columns))


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "lifecycle.db"
    db = Database(f"sqlite:///{path}")
    schema.upgrade(db)
    db.close()
    return path


@pytest.fixture(scope="session")
def _migrated_postgres(postgres: servers.Postgres) -> Iterator[str]:
    with postgres.database() as url:
        db = Database(url)
        schema.upgrade(db)
        db.close()
        yield servers.name_of(url)


@pytest.fixture(scope="session")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the emails of the shop compile to, once for all tests."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def bare_shop(tmp_path: Path, _compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop that has no database yet."""
    for name, text in _FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / ".lifecycle").mkdir()
    (tmp_path / ".lifecycle" / "compiled").symlink_to(_compiled)
    monkeypatch.chdir(tmp_path)
    return Shop(tmp_path)


@pytest.fixture
def shop(bare_shop: Shop, _migrated: Path) -> Shop:
    """A shop with an empty SQLite database."""
    shutil.copy(_migrated, bare_shop.folder / ".lifecycle" / "lifecycle.db")
    return bare_shop


@pytest.fixture(params=["sqlite", "postgresql"])
def any_shop(request: pytest.FixtureRequest, bare_shop: Shop, _migrated: Path) -> Iterator[Shop]:
    """A shop with an empty database, once on each of the two kinds."""
    if request.param == "sqlite":
        shutil.copy(_migrated, bare_shop.folder / ".lifecycle" / "lifecycle.db")
        yield bare_shop
        return
    postgres: servers.Postgres = request.getfixturevalue("postgres")
    with postgres.database(request.getfixturevalue("_migrated_postgres")) as url:
        bare_shop.environment["DATABASE_URL"] = url
        yield bare_shop
