"""Law 4 in real processes: within a second of `lifecycle pause` nothing paused leaves any of them, not even from the
middle of a batch that a slow server takes; nothing is lost, and neither a resume nor an amended policy floods."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from lifecycle import clock
from lifecycle.client import STREAM, Client
from lifecycle.mail.receiver import Mail
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement
from lifecycle.store.types import Instant
from tests.acceptance.installation import Installation
from tests.smtp_servers import SmtpServer

CUSTOMERS, ORDERS = 15, 3
POLICY = """\
from lifecycle import Cap, Policy, Sender, days

policy = Policy(
    sender=Sender("Shop", "hello@shop.example", postal_address="1 Main Street"),
    consent="opt_out",
    caps=[Cap({most}, per=days(1))],
)
"""
JOURNEYS = """\
from lifecycle import Journey, Send, on

from .vocabulary import Ordered, Reviewed

offers = Journey(
    name="offers", topic="offers", enter=on(Ordered), key=Ordered.order_id, steps=[Send("offer")]
)
receipt = Journey(
    name="receipt", topic="receipts", kind="transactional", enter=on(Reviewed), key=Reviewed.order_id,
    steps=[Send("receipt")],
)
"""
_PAUSED = Statement("SELECT paused_at FROM pause", returns={"paused_at": Instant()})


class Arrivals:
    """When each content was complete at the server, and which email it was, for whom."""

    def __init__(self) -> None:
        self._all: list[tuple[datetime, str, str]] = []
        self._lock = threading.Lock()

    def note(self, mail: Mail) -> None:
        email = "offer" if b"\r\nSubject: offer\r\n" in mail.data else "receipt"
        with self._lock:
            self._all.append((clock.now(), email, mail.recipients[0]))

    def of(self, email: str, since: datetime | None = None) -> list[str]:
        """Their recipients."""
        with self._lock:
            return [to for at, name, to in self._all if name == email and (since is None or at > since)]


def command(shop: Installation, *arguments: str) -> str:
    """What `lifecycle ARGUMENTS` says."""
    done = subprocess.run(
        [sys.executable, "-m", "lifecycle.cli", *arguments],
        cwd=shop.folder,
        env=shop.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def emit(redis_url: str, orders: int, reviews: int) -> None:
    with Client(redis_url) as client, client.batch() as batch:
        for n in range(CUSTOMERS):
            for order in range(orders):
                batch.identify(f"c{n}", {"email": f"c{n}@example.com"})
                batch.track(f"c{n}", "order.completed", {"order_id": f"{n}-{order}"}, message_id=f"order-{n}-{order}")
        for n in range(reviews):
            batch.track(f"c{n}", "review.posted", {"order_id": f"{n}"}, message_id=f"review-{n}")


def amend(shop: Installation, most: int) -> None:
    """Writes another policy, and waits until the scheduler follows it."""
    followed = "SELECT count(*) FROM fingerprint WHERE name = 'policy' AND value = '{}'"
    with shop.database.reading() as connection:
        before = connection.exec_driver_sql("SELECT value FROM fingerprint WHERE name = 'policy'").scalar_one()
    (shop.folder / "journeys" / "policy.py").write_text(POLICY.format(most=most))
    began = time.monotonic()
    shop.wait_until(lambda: not shop.count(followed.format(before)), "following the policy")
    assert time.monotonic() - began < 10, "two seconds on a machine that has nothing else to do"


@pytest.mark.xdist_group("races")
def test_a_crisis_is_over_in_a_second_and_nothing_is_lost_nor_anybody_flooded(
    migrated: Database, tmp_path: Path, redis_url: str
) -> None:
    arrivals = Arrivals()
    with (
        SmtpServer(delay=0.15) as server,
        Installation(
            tmp_path,
            migrated,
            redis_url,
            server.url,
            policy=POLICY.format(most=ORDERS),
            journeys=JOURNEYS,
            emails=["offer", "receipt"],
            speed=1.0,
            lease=60.0,
        ) as shop,
    ):
        clock.use(shop.clock)
        server.in_content = arrivals.note
        for role in (["worker", "--processes", "2"], ["consume"], ["schedule"]):
            shop.start(role[0], *role)
        emit(redis_url, ORDERS, 0)
        shop.wait_until(lambda: len(arrivals.of("offer")) >= 8, "sending the first offers")

        # In the middle of it the server becomes slow, so that what was begun could leave long after the pause.
        for conversation in list(server._open):
            conversation.delay = 1.6
        server.delay = 0.0
        said = command(shop, "pause", "--marketing", "--reason", "the warehouse burns")
        with migrated.reading() as connection:
            paused_at = _PAUSED.run(connection).scalar_one()
        before = len(arrivals.of("offer"))
        emit(redis_url, 0, 4)
        shop.wait_until(lambda: len(arrivals.of("receipt")) == 4, "sending receipts meanwhile")
        assert said.startswith("paused: all marketing\n")
        assert before < CUSTOMERS * ORDERS - 10, "too few were left to show anything"
        shop.wait_until(lambda: shop.count("SELECT count(*) FROM message WHERE state = 'sending'") == 0, "handing back")
        shop.wait_until(
            lambda: (
                shop.count("SELECT count(*) FROM message WHERE state = 'pending' AND reason = 'paused'")
                == CUSTOMERS * ORDERS - len(arrivals.of("offer"))
            ),
            "holding all others",
        )
        assert arrivals.of("offer", since=paused_at + timedelta(seconds=1)) == []

        # The cap shrinks while they wait: it holds for what is planned.
        amend(shop, 2)
        sent_before = Counter(arrivals.of("offer"))
        command(shop, "resume", "--marketing")
        expected = {f"c{n}@example.com": max(2, sent_before[f"c{n}@example.com"]) for n in range(CUSTOMERS)}
        shop.wait_until(lambda: Counter(arrivals.of("offer")) >= Counter(expected), "sending what may go")
        shop.wait_until(
            lambda: (
                shop.count("SELECT count(*) FROM message WHERE state = 'pending' AND capped_at IS NOT NULL")
                == CUSTOMERS * ORDERS - sum(expected.values())
            ),
            "holding the rest",
        )
        assert Counter(arrivals.of("offer")) == expected

        # And grows: what waits for days is free, with nobody started anew.
        amend(shop, ORDERS)
        shop.wait_until(shop.done, "sending the rest")
    assert Counter(arrivals.of("offer")) == {f"c{n}@example.com": ORDERS for n in range(CUSTOMERS)}
    with Redis.from_url(redis_url) as redis:
        assert redis.xlen(STREAM) == 0
