"""A database that goes away and a disk that fills up, while all roles are at work: they wait, and go on."""

from __future__ import annotations

import email
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.policy import default as modern
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import psycopg
import pytest
from psycopg import sql
from redis import Redis
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from lifecycle import Journey, Send, clock, on
from lifecycle.client import STREAM
from lifecycle.engine import Engine
from lifecycle.mail.file import FileTransport
from lifecycle.settings import Settings
from lifecycle.store.database import Database
from lifecycle.worker import BrokerHints, Stopping, make_broker, patiently
from tests import servers
from tests.acceptance.crew import Crew, assert_one_line_each, crew_of
from tests.smtp_servers import SmtpServer
from tests.stage import Ordered, Stage, project_of

EACH = ("consume", "schedule", "worker")

THANKS = project_of(
    Journey(name="thanks", topic="orders", enter=on(Ordered), key=Ordered.order_id, steps=[Send("thanks")])
)

pytestmark = pytest.mark.xdist_group("processes")


def order(number: int) -> bytes:
    """An order of a customer of its own, with an address."""
    return orjson.dumps(
        {
            "type": "track",
            "userId": f"c{number}",
            "messageId": f"m{number}",
            "timestamp": clock.now(),
            "event": "order.completed",
            "properties": {"order_id": f"A{number}"},
            "context": {"traits": {"email": f"c{number}@example.com"}},
        }
    )


class Orders:
    """An app that emits an order every few milliseconds, whatever happens behind the queue."""

    def __init__(self, redis_url: str, first: int = 0, every: float = 0.02) -> None:
        self.first = first
        self.next = first
        self._redis = Redis.from_url(redis_url)
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(self._every):
            self._redis.xadd(STREAM, {"message": order(self.next)})
            self.next += 1

    @property
    def addresses(self) -> dict[str, int]:
        """Who is to get how many mails."""
        return {f"c{number}@example.com": 1 for number in range(self.first, self.next)}

    def __enter__(self) -> Orders:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._redis.close()

    def stop(self) -> None:
        """Emits nothing more."""
        self._over.set()
        self._thread.join()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 64 MB, where this machine lets the test make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "lifecycle", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("A DISK THAT IS FULL IS NOT TESTED HERE: only root on Linux may mount a small one")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def no_room(disk: Path) -> Iterator[None]:
    """The disk is full to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(65_536))
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x")
    yield
    filler.unlink()


def states(crew: Crew) -> dict[str, int]:
    """How many messages there are in each state."""
    return {row[0]: row[1] for row in crew.rows("SELECT state, count(*) FROM message GROUP BY state")}


def hint(redis_url: str, ids: list[int]) -> None:
    """Tells the workers that these messages may be due."""
    broker = make_broker(Engine(Settings.load(LIFECYCLE_REDIS_URL=redis_url)))
    BrokerHints(broker, 100).deliver(ids)
    broker.close()


@contextmanager
def closed_to_all(url: str) -> Iterator[None]:
    """The database of `url` refuses every connection and has dropped those there were, as in a restart."""
    name = sql.Identifier(servers.name_of(url))
    admin_url = urlsplit(servers.conninfo(url))._replace(path="/postgres").geturl()
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [servers.name_of(url)]
            )
            yield
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


def test_a_database_that_goes_away_is_waited_for_by_every_role(
    postgres_url: str, redis_url: str, tmp_path: Path, compiled: Path
) -> None:
    with SmtpServer() as server:
        crew = crew_of(
            tmp_path / "shop",
            compiled,
            DATABASE_URL=postgres_url,
            REDIS_URL=redis_url,
            SMTP_URL=server.url,
            LIFECYCLE_LEASE="20",
        )
        with crew.at_work(), Orders(redis_url) as orders:
            crew.until(lambda: len(server.received) > 50)
            with closed_to_all(postgres_url):
                hint(redis_url, [1])  # the worker may have had nothing in hand
                crew.until(lambda: all(crew.said(role).count("warning") > 1 for role in EACH))
            before = len(server.received)
            crew.until(lambda: len(server.received) > before + 50)
            orders.stop()
            crew.until(lambda: states(crew) == {"sent": len(orders.addresses)}, lambda: states(crew))
    got = Counter(recipient for mail in server.received for recipient in mail.recipients)
    assert got == orders.addresses
    assert_one_line_each(crew, {})
    for role in EACH:
        warnings = [line for line in crew.lines(role) if line["level"] == "warning"]
        assert len(warnings) < 9, f"with growing pauses: {warnings}"


def test_a_full_disk_stops_nothing_for_good_and_leaves_nothing_half_done(
    small_disk: Path, redis_url: str, tmp_path: Path, compiled: Path
) -> None:
    now = clock.Scaled.starting_at(datetime(2026, 3, 4, 12, tzinfo=UTC), 120.0)  # retries wait for 2.5 seconds
    home = small_disk / "home"
    crew = crew_of(
        tmp_path / "shop",
        compiled,
        DATABASE_URL=f"sqlite:///{home / 'lifecycle.db'}",
        REDIS_URL=redis_url,
        LIFECYCLE_HOME=str(home),
        LIFECYCLE_CLOCK=str(now),
    )
    with clock.use(now), crew.at_work():
        with Orders(redis_url) as orders:
            crew.until(lambda: states(crew).get("sent", 0) > 10)
            with no_room(small_disk):
                crew.until(lambda: "full" in crew.said("consume"))
        crew.until(lambda: states(crew) == {"sent": len(orders.addresses)}, lambda: states(crew))
    letters = [email.message_from_bytes(path.read_bytes(), policy=modern) for path in (home / "outbox").iterdir()]
    assert Counter(str(letter["To"]) for letter in letters) == orders.addresses
    for letter in letters:
        body = letter.get_body(("html",))
        assert body is not None
        assert body.get_content().rstrip().endswith("</html>")
    assert_one_line_each(crew, {})


def test_an_outbox_without_room_defers_the_letter_and_keeps_no_half_of_it(
    small_disk: Path, sqlite_database: Database
) -> None:
    stage = Stage(sqlite_database, THANKS, transport=FileTransport(small_disk / "outbox"))
    stage.identify("1", email="a@example.com")
    stage.order("1")

    with no_room(small_disk):
        stage.work()
    deferred = stage.only_message()
    assert deferred["state"] == "pending"
    assert "No space left on device" in deferred["reason"]
    assert list((small_disk / "outbox").iterdir()) == []

    stage.run(timedelta(minutes=5))
    assert stage.only_message()["state"] == "sent"
    (file,) = (small_disk / "outbox").iterdir()
    assert file.suffix == ".eml"


def test_a_database_that_is_full_takes_a_batch_whole_or_not_at_all(sqlite_database: Database) -> None:
    stage = Stage(sqlite_database, THANKS)
    stage.order("1")
    limit_pages(sqlite_database, 60)
    batch = [stage.message("identify", f"c{n}", traits={"note": "x" * 500}) for n in range(1000)]

    with pytest.raises(OperationalError, match="full"):
        stage.take(*batch)
    with sqlite_database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM event")).scalar_one() == 1

    limit_pages(sqlite_database, 100_000)
    assert stage.take(*batch).accepted == 1000


def limit_pages(database: Database, most: int) -> None:
    """Lets the file grow to so many pages; a limit of SQLite's, per connection, that looks like a full disk."""
    database.close()
    event.listen(database.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count={most}"))


def gone() -> OperationalError:
    return OperationalError("SELECT", {"email": "a@example.com"}, OSError("the server is gone\nDETAIL: nothing"))


def test_a_worker_waits_for_its_database_with_one_line_each_time(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[list[int] | Exception] = [gone(), gone(), [7]]
    stopping = Patience()

    def work() -> list[int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(work, stopping) == [7]
    assert stopping.waited == [0.5, 1.0]
    assert [record.__dict__["error"] for record in caplog.records] == ["OSError: the server is gone"] * 2


def test_a_worker_that_is_told_to_stop_leaves_the_rest_to_the_lease() -> None:
    def work() -> list[int]:
        raise gone()

    assert patiently(work, Patience(stops_after=1)) == []


def test_a_mistake_of_ours_is_no_outage() -> None:
    def work() -> list[int]:
        raise ProgrammingError("SELECT", {}, Exception("no such column"))

    with pytest.raises(ProgrammingError):
        patiently(work, Patience())


def test_what_a_database_refuses_is_told_without_a_customers_data(database: Database) -> None:
    with pytest.raises(DBAPIError) as raised, database.transaction() as connection:
        connection.execute(text("SELECT nothing FROM nowhere WHERE email = :email"), {"email": "siti"})

    assert "nowhere" in str(raised.value)
    assert "siti" not in str(raised.value)


class Patience(Stopping):
    """Waits no real time, and notes how long it would have."""

    def __init__(self, stops_after: int = 99) -> None:
        super().__init__()
        self.waited: list[float] = []
        self._stops_after = stops_after

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return len(self.waited) >= self._stops_after
