"""Everything that goes wrong at once, among good customers: each gets the right mail, all else has its reason."""

from __future__ import annotations

import email
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default as modern
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis

from lifecycle import Journey, Send, on
from lifecycle.client import STREAM
from lifecycle.clock import Scaled
from lifecycle.mail.receiver import Mail
from lifecycle.mail.smtp import SmtpTransport
from lifecycle.store.database import Database
from tests.acceptance.crew import Crew, assert_one_line_each, crew_of
from tests.smtp_servers import DROP, HANG, KEEP_AND_DROP, KEEP_AND_HANG, Action, SmtpServer, by_step
from tests.stage import Ordered, Stage, project_of

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
SPEED = 30.0  # the scheduler looks for birthdays every 30 seconds

GOOD = 12
BAD_EVENTS: dict[str, tuple[bytes, str]] = {
    "broken JSON": (b'{"type": "track", "userId": "broken",', "not JSON"),
    "not UTF-8": (b'{"type": "track", "userId": "caf\xe9", "event": "order.completed"}', "not JSON"),
    "no user": (b'{"type": "track", "event": "order.completed"}', "no userId"),
    "unknown type": (b'{"type": "page", "userId": "page"}', "unknown type 'page'"),
    "1 MiB": (orjson.dumps({"type": "track", "userId": "big", "event": "x", "properties": {"x": "x" * 2**20}}),
              "bytes are too many"),
    "a NUL byte": (b'{"type": "track", "userId": "nul\x00", "event": "order.completed"}', "not JSON"),
    "a NUL character": (b'{"type": "identify", "userId": "nul", "traits": {"x": "\\u0000"}}', "a NUL character"),
    "1900": (b'{"type": "track", "userId": "old", "event": "x", "timestamp": "1900-01-01T00:00:00Z"}', "before 1990"),
    "2100": (b'{"type": "track", "userId": "new", "event": "x", "timestamp": "2100-01-01T00:00:00Z"}', "in the future"),
    "a lone surrogate": (b'{"type": "track", "userId": "half", "event": "\\ud83d"}', "lone surrogate"),
    "a conflicting repeat": (b'{"type": "track", "messageId": "order-of-good-0", "userId": "thief", "event": "x"}',
                             "conflicting repeat"),
}  # fmt: skip


@dataclass(frozen=True)
class Odd:
    """A customer of whom something odd is said: what becomes of their order's mail."""

    traits: dict[str, Any]
    outcome: str = "sent"
    reason: str | None = None
    address: str = ""  # where the mail arrives, if not where the traits say
    letters: list[str] = field(default_factory=list)  # of the dead letters, a part of each reason

    @property
    def recipient(self) -> str:
        return self.address or str(self.traits.get("email", ""))


def named(number: int, name: str) -> Odd:
    return Odd({"email": f"name-{number}@example.com", "first_name": name})


NAMES = [
    "{{ 7*7 }}",
    "{% for x in range(9) %}x{% endfor %}",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "x" * 10_000,
    "é " * 5_000 + "!",
    "مرحبا يا صديقي",
    "\u202eevil\u202c",
    "😀👩\u200d👩\u200d👧",
    "Ann\r\nBcc: thief@example.com\r\n\r\nfree money",
    "=?utf-8?q?Ann?=",
    ".\r\n.",
]
ODD: dict[str, Odd] = {
    "crlf": Odd({"email": "crlf@example.com\r\nBcc: thief@example.com"}, "skipped", "invalid_address"),
    "no-at": Odd({"email": "nobody.example.com"}, "skipped", "invalid_address"),
    "long": Odd({"email": "x" * 288 + "@example.com"}, "skipped", "invalid_address"),
    "no-address": Odd({"first_name": "Ann"}, "skipped", "invalid_address"),
    "number": Odd({"email": 7}, "skipped", "invalid_address", letters=["the trait email is no text"]),
    "idn": Odd({"email": "max@bücher.example"}, address="max@xn--bcher-kva.example"),
    "born-1900": Odd({"email": "born-1900@example.com", "birthday": "1900-01-01"}),
    "born-never": Odd({"email": "born-never@example.com", "birthday": "0000-00-00"},
                      letters=["the trait birthday is no date"]),
    "mars": Odd({"email": "mars@example.com", "timezone": "Mars/Base"}),
    "refused": Odd({"email": "refused@example.com"}, "failed", "550 5.1.1 Empfänger unbekannt"),
    "busy": Odd({"email": "busy@example.com"}, "pending", "451 4.7.1 später"),
    "full": Odd({"email": "full@example.com"}, "failed", "552 5.2.2 Postfach für immer voll"),
    "dropped": Odd({"email": "dropped@example.com"}, "uncertain"),
    **{f"name-{number}": named(number, name) for number, name in enumerate(NAMES)},
}  # fmt: skip
GREETED = {
    "greeted": Odd({"email": "greeted@example.com", "birthday": "1990-03-04"}),
    "greeted-on-mars": Odd({"email": "mars-too@example.com", "birthday": "1990-03-04", "timezone": "Mars/Base"}),
}
PEOPLE = {
    **{f"good-{n}": Odd({"email": f"good-{n}@example.com", "first_name": f"Good{n}"}) for n in range(GOOD)},
    **ODD,
    **GREETED,
}


def server_behaves(step: str, argument: str) -> Action:
    match step, argument.partition("@")[0]:
        case "rcpt", "refused":
            return "550 5.1.1 Empfänger unbekannt".encode("latin-1")
        case "rcpt", "busy":
            return "451 4.7.1 später".encode("latin-1")
        case "content", "full":
            return "552 5.2.2 Postfach für immer voll".encode("latin-1")
        case "content", "dropped":
            return KEEP_AND_DROP
    return None


def events(now: datetime) -> Iterator[bytes]:
    """Good and bad ones, mixed."""
    bad = [raw for raw, _ in BAD_EVENTS.values()]
    for customer, one in PEOPLE.items():
        moment = now.isoformat()
        yield orjson.dumps({"type": "identify", "userId": customer, "timestamp": moment, "traits": one.traits})
        yield orjson.dumps(
            {
                "type": "track", "userId": customer, "messageId": f"order-of-{customer}", "timestamp": moment,
                "event": "order.completed", "properties": {"order_id": f"of {customer}"},
            }
        )  # fmt: skip
        if bad:
            yield bad.pop()


@pytest.mark.xdist_group("processes")
def test_whatever_comes_in_everybody_gets_what_is_right_and_the_rest_its_reason(
    database_url: str, redis_url: str, tmp_path: Path, compiled: Path
) -> None:
    with SmtpServer(behave=server_behaves) as server, Redis.from_url(redis_url) as redis:
        now = Scaled.starting_at(NOON, SPEED)
        crew = crew_of(
            tmp_path / "shop",
            compiled,
            DATABASE_URL=database_url,
            REDIS_URL=redis_url,
            SMTP_URL=server.url,
            LIFECYCLE_CLOCK=str(now),
        )
        if not crew.db.is_sqlite:  # nothing but the defaults needs a home that can be written to
            crew.settings |= {"LIFECYCLE_HOME": "/dev/null/home", "LIFECYCLE_SECRET": "s" * 40}
        for raw in events(now.now()):
            redis.xadd(STREAM, {"message": raw})
        with crew.at_work():
            crew.until(lambda: _settled(crew) == len(PEOPLE) + len(GREETED), lambda: _states(crew))
        left = redis.xlen(STREAM)
    assert left == 0
    _check_rows(crew)
    _check_mails(server.received)
    assert_one_line_each(crew, {"a name": "Good3", "a name of many letters": "x" * 50})


def _settled(crew: Crew) -> int:
    ((settled,),) = crew.rows(
        "SELECT count(*) FROM message WHERE state IN ('sent', 'skipped', 'failed', 'uncertain') OR reason IS NOT NULL"
    )
    return int(settled)


def _states(crew: Crew) -> list[Any]:
    return crew.rows("SELECT customer_id, template, state, reason FROM message ORDER BY 1")


def _check_rows(crew: Crew) -> None:
    """What stands in the database, of everybody."""
    letters = {bytes(raw): reason for raw, reason in crew.rows("SELECT raw, reason FROM dead_letter")}
    for what, (raw, reason) in BAD_EVENTS.items():
        assert reason in letters.pop(raw), what
    for customer, one in PEOPLE.items():
        for reason in one.letters:
            (raw,) = [raw for raw in letters if f'"{customer}"'.encode() in raw]
            assert reason in letters.pop(raw), customer
    assert letters == {}
    rows = {customer: (state, reason) for customer, template, state, reason in _states(crew) if template == "thanks"}
    for customer, one in PEOPLE.items():
        state, reason = rows.pop(customer)
        assert state == one.outcome, (customer, state, reason)
        assert one.reason is None or one.reason == reason, (customer, reason)
    assert rows == {}
    greeted = [customer for customer, template, *_ in _states(crew) if template == "greeting"]
    assert greeted == sorted(GREETED)
    assert crew.rows("SELECT address FROM suppression") == [("refused@example.com",)]
    ((due_at, created_at),) = crew.rows("SELECT due_at, created_at FROM message WHERE customer_id = 'busy'")
    assert _moment(due_at) - _moment(created_at) >= timedelta(minutes=5)


def _moment(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _check_mails(received: list[Mail]) -> None:
    """What arrived, and that nobody's data became anything but text."""
    arrived = sorted(recipient for mail in received for recipient in mail.recipients)
    thanked = [one.recipient for one in PEOPLE.values() if one.outcome in ("sent", "uncertain")]
    assert arrived == sorted(thanked + [one.recipient for one in GREETED.values()])
    by_recipient = {mail.recipients[0]: mail for mail in received if b"birthday" not in mail.data}
    ordinary = _parsed(by_recipient["good-0@example.com"])
    for one in PEOPLE.values():
        if one.outcome == "sent":
            letter = by_recipient[one.recipient]
            assert max(map(len, letter.data.split(b"\r\n"))) <= 998
            parsed = _parsed(letter)
            assert parsed.keys() == ordinary.keys()
            assert parsed["To"] == one.recipient
            assert parsed["From"] == "Shop <hello@shop.example>"
            _check_name(parsed, str(one.traits.get("first_name", "")))


def _parsed(mail: Mail) -> EmailMessage:
    parsed = email.message_from_bytes(mail.data, policy=modern)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def _check_name(mail: EmailMessage, name: str) -> None:
    name = name.replace("\u202e", "").replace("\u202c", "")
    assert mail["Subject"] == f"{' '.join(name.split()) or 'You'}, thanks"
    plain, rich = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert rich is not None
    assert f"Dear {_words(name) or 'friend'}, your order" in _words(plain.get_content())
    markup = rich.get_content()
    assert f"Dear {_words(name) or 'friend'}, " in _words(html.unescape(markup))
    for live in ("<script", "<img src=x", "onerror=alert(1)>"):
        assert live not in markup


def _words(text: str) -> str:
    return " ".join(text.split())


THANKS = project_of(
    Journey(name="thanks", topic="orders", enter=on(Ordered), key=Ordered.order_id, steps=[Send("thanks")])
)
SERVERS: dict[str, tuple[dict[str, Action], str, str]] = {
    "hangs when called": ({"connect": HANG}, "pending", r"127.0.0.1:\d+ did not answer within 1 s"),
    "hangs at the address": ({"rcpt": HANG}, "pending", r".*did not answer.*"),
    "hangs after the final dot": ({"content": KEEP_AND_HANG}, "uncertain", r".*did not answer.*after the final dot"),
    "drops when called": ({"connect": DROP}, "pending", r"127.0.0.1:\d+ closed the connection before the first letter"),
    "drops at the address": ({"rcpt": DROP}, "pending", r".*closed the connection.*"),
    "drops after the final dot": ({"content": KEEP_AND_DROP}, "uncertain", r".*closed the connection, after.* dot"),
    "refuses everybody": ({"connect": "554 5.7.1 Geh weg, Schurke à".encode("latin-1")}, "pending",
                          r"127.0.0.1:\d+ does not want to talk: 554 5.7.1 Geh weg, Schurke à"),
    "refuses for good": ({"content": "554 5.7.1 Nö".encode("latin-1")}, "failed", "554 5.7.1 Nö"),
    "refuses for now": ({"content": "452 4.3.1 Später".encode("latin-1")}, "pending", "452 4.3.1 Später"),
    "says goodbye": ({"mail": b"421 4.3.2 closing"}, "pending", r"(the server said goodbye: )?421 4.3.2 closing"),
    "talks nonsense": ({"content": b"\xff\xfe what?"}, "uncertain", r".*after the final dot.*"),
}  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_misbehaves_costs_no_mail_and_every_row_says_why(sqlite_database: Database, server: str) -> None:
    at, state, reason = SERVERS[server]
    naughty = True
    script = by_step(at)
    with SmtpServer(behave=lambda step, argument: script(step, argument) if naughty else None) as smtp:
        transport = SmtpTransport(smtp.url, lanes=3, timeout=1)
        stage = Stage(sqlite_database, THANKS, transport=transport)
        for number in range(3):
            stage.identify(f"c{number}", email=f"c{number}@example.com")
            stage.order(f"c{number}")
        stage.work()
        first = [message["state"] for message in stage.messages()]
        assert state in first
        for message in stage.messages():
            if message["state"] == "pending":  # also where the server was given up before this letter's turn
                assert message["due_at"] == stage.now + timedelta(minutes=5)
            else:
                assert message["state"] == state
            if message["state"] == state:
                assert re.fullmatch(reason, message["reason"]), message["reason"]
        naughty = False
        smtp.drop_connections()
        transport.close()
        stage.mailer.transport = transport = SmtpTransport(smtp.url, lanes=2)
        stage.run(timedelta(minutes=5))
        transport.close()
    assert [message["state"] for message in stage.messages()] == [{"pending": "sent"}.get(was, was) for was in first]
    kept = KEEP_AND_DROP in at.values() or KEEP_AND_HANG in at.values()
    assert len(smtp.received) == first.count("pending") + (first.count("uncertain") if kept else 0)
