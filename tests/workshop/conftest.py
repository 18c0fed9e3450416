"""A small shop in a folder, and the gallery that shows it, on a port of its own."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from lifecycle.settings import Settings
from lifecycle.store import schema
from lifecycle.store.database import Database
from lifecycle.workshop.serve import Address, Serving, listen

_VOCABULARY = """
from decimal import Decimal
from lifecycle import Attribute, Event, Property

class customer:
    email = Attribute[str]()
    first_name = Attribute[str]()

class OrderCompleted(Event, name="order.completed"):
    order_id = Property[str](required=True)
    total = Property[Decimal]()
"""
_POLICY = """
from lifecycle import Policy, Sender
policy = Policy(sender=Sender("Shop", "hello@shop.example", postal_address="1 Road"), timezone="UTC", consent="opt_out")
"""
_THANKS = """
from lifecycle import Journey, Send, Wait, days, on
from .vocabulary import OrderCompleted
thanks = Journey(
    name="thanks", topic="orders", enter=on(OrderCompleted), key=OrderCompleted.order_id,
    steps=[Send("thanks/soon"), Wait("a week", days(7)), Send("thanks/later")],
)
"""


def email(subject: str = "Hello", body: str = "Hello there", preheader: str = "In short") -> str:
    """The source of an email; `body` stands on line 5."""
    return f"""<mjml lang="en"><mj-head>
<mj-title>{subject}</mj-title><mj-preview>{preheader}</mj-preview>
<mj-style>@media (prefers-color-scheme: dark) {{ .ink div {{ color: #fff !important }} }}</mj-style>
</mj-head><mj-body><mj-section><mj-column><mj-text css-class="ink">
{body}
</mj-text><mj-text><a href="https://shop.example/">Shop</a> <a href="{{{{ links.unsubscribe }}}}">Unsubscribe</a>
{{{{ company.postal_address }}}}</mj-text></mj-column></mj-section></mj-body></mjml>
"""


@dataclass(frozen=True)
class Answer:
    """What the gallery said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The page."""
        return self.body.decode()


@dataclass
class Gallery:
    """The folder of a shop, and where its gallery is served."""

    folder: Path
    address: Address
    serving: Serving
    opened: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return self.address.url

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        """Asks for a page. Headers are named with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port, timeout=20)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()

    def follow(self) -> http.client.HTTPResponse:
        """The events that tell of changes, until the end of the test."""
        connection = http.client.HTTPConnection("127.0.0.1", self.address.port, timeout=20)
        self.opened.callback(connection.close)
        connection.request("GET", "/changes")
        response = connection.getresponse()
        self.opened.callback(response.close)
        return response

    def write(self, name: str, text: str) -> Path:
        """Saves a file of the shop."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def write_email(self, name: str, text: str) -> Path:
        """Saves an email, and waits until the gallery has seen it."""
        version = self.version
        file = self.write(f"templates/email/{name}.mjml", text)
        self.wait(lambda: self.version != version)
        return file

    @property
    def version(self) -> str:
        """What the pages compare."""
        return self.get("/nowhere").text.partition('data-version="')[2].partition('"')[0]

    @staticmethod
    def wait(until: Callable[[], bool], seconds: float = 10) -> float:
        """How long it took until something came true."""
        began = time.monotonic()
        while not until():
            assert time.monotonic() - began < seconds, "it did not come true"
            time.sleep(0.01)
        return time.monotonic() - began


@pytest.fixture(scope="session")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the emails of the shop compile to, once for all tests."""
    return tmp_path_factory.mktemp("compiled")


def _set_up(folder: Path, compiled: Path) -> Path:
    for name, text in {
        "journeys/vocabulary.py": _VOCABULARY,
        "journeys/policy.py": _POLICY,
        "journeys/thanks.py": _THANKS,
        "templates/email/thanks/soon.mjml": email("Thanks for {{ event.order_id }}", "{{ event.total }} dollars"),
        "templates/email/thanks/later.mjml": email('Dear {{ customer.first_name | default("friend") }}'),
        "templates/email/alone.mjml": email("Alone"),
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "home").mkdir()
    (folder / "home" / "compiled").symlink_to(compiled)
    return folder


@pytest.fixture
def shop(tmp_path: Path, _compiled: Path) -> Path:
    """A shop of three emails, of which no journey sends the third, without a database."""
    return _set_up(tmp_path, _compiled)


@contextmanager
def serving(shop: Path, host: str = "127.0.0.1") -> Iterator[Gallery]:
    """The gallery of a shop, in a thread."""
    settings = Settings.load(home=shop / "home", journeys=shop / "journeys", templates=shop / "templates" / "email")
    ready = threading.Event()
    address = listen(host, 0)
    server = Serving(settings, address, ready.set)
    thread = threading.Thread(target=server.listen)
    thread.start()
    try:
        assert ready.wait(20)
        with ExitStack() as opened:
            yield Gallery(shop, address, server, opened)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, _compiled: Path) -> Iterator[Gallery]:
    """The same for all tests of a module that change nothing."""
    with serving(_set_up(tmp_path_factory.mktemp("still"), _compiled)) as served:
        yield served


@pytest.fixture
def gallery(shop: Path) -> Iterator[Gallery]:
    """The gallery of a shop without a database."""
    with serving(shop) as served:
        yield served


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "lifecycle.db"
    db = Database(f"sqlite:///{path}")
    schema.upgrade(db)
    db.close()
    return path


@pytest.fixture
def gallery_with_customers(shop: Path, _migrated: Path) -> Iterator[Gallery]:
    """The gallery of a shop that knows four customers."""
    shutil.copy(_migrated, shop / "home" / "lifecycle.db")
    db = Database(f"sqlite:///{shop / 'home' / 'lifecycle.db'}")
    people = {"7": ("siti@shop.example", "Siti"), "8": ("budi@shop.example", "Budi"), "9": ("ayu@else.example", "Ayu")}
    people['"><script>alert(1)</script>'] = ("x@hostile.example", "<script>alert(2)</script>")
    with db.transaction() as connection:
        for id, (address, name) in people.items():
            connection.execute(
                SQLModel.metadata.tables["customer"].insert().values(
                    id=id, email=address, first_name=name, created_at=datetime(2026, 1, 1, tzinfo=UTC),
                    traits={}, consents={},
                )
            )  # fmt: skip
    db.close()
    with serving(shop) as served:
        yield served
