"""`lifecycle send-test`: the way real mail goes, to one's own mailbox and in nobody's books."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from sqlmodel import SQLModel

from lifecycle.mail.unsubscribe import UnsubscribeLinks
from lifecycle.settings import Settings
from tests.cli.conftest import Shop
from tests.smtp_servers import DROP, HANG, KEEP_AND_DROP, SmtpServer
from tests.stage import Stage, project_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ME = ("--to", "me@shop.example")


def _add_siti(shop: Shop) -> None:
    shop.add("customer", id="42", email="siti@example.com", first_name="Siti", created_at=NOW, traits={}, consents={})
    shop.add(
        "event", message_id="e1", customer_id="42", name="order.completed", timestamp=NOW, received_at=NOW, digest="x",
        properties={"order_id": "B7", "total": 99},
    )  # fmt: skip


@pytest.fixture
def server(any_shop: Shop) -> Iterator[SmtpServer]:
    """The server that the shop sends by."""
    with SmtpServer() as server:
        any_shop.environment["SMTP_URL"] = server.url
        yield server


def _message(server: SmtpServer) -> EmailMessage:
    (mail,) = server.received
    return message_from_bytes(mail.data, policy=policy.default)


def _contents(shop: Shop) -> dict[str, list[Any]]:
    """All rows of all tables but that of tests."""
    with shop.database() as db, db.reading() as connection:
        return {
            name: [tuple(row) for row in connection.execute(table.select()).all()]
            for name, table in SQLModel.metadata.tables.items()
            if name != "test_send"
        }


def test_a_test_goes_through_the_real_transport_with_real_headers(any_shop: Shop, server: SmtpServer) -> None:
    _add_siti(any_shop)

    out = any_shop.run("send-test", "thanks", *ME, "--customer", "42").stdout

    assert out == "sent to me@shop.example: 250 2.0.0 Ok\n"
    (mail,) = server.received
    assert (mail.sender, mail.recipients) == ("hello@shop.example", ("me@shop.example",))
    letter = _message(server)
    assert letter["Subject"] == "[Test] Thanks for B7"
    assert (letter["To"], letter["From"]) == ("me@shop.example", "Shop <hello@shop.example>")
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Dear Siti, 99 dollars!" in letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_test_is_recorded_as_one_and_nowhere_else(any_shop: Shop, server: SmtpServer) -> None:
    """No cap, report or fatigue can count it, because nothing of what they read has changed."""
    _add_siti(any_shop)
    before = _contents(any_shop)

    any_shop.run("send-test", "thanks", *ME, "--customer", "42")

    assert _contents(any_shop) == before
    assert any_shop.json("messages") == []
    (row,) = any_shop.json("messages", "--tests")
    assert list(row) == [
        "id", "created_at", "template", "locale", "email", "customer_id", "subject", "message_id", "state", "reply",
    ]  # fmt: skip
    assert (row["template"], row["locale"], row["email"], row["customer_id"]) == ("thanks", "en", ME[1], "42")
    assert (row["subject"], row["state"], row["reply"]) == ("[Test] Thanks for B7", "sent", "250 2.0.0 Ok")
    assert _message(server)["Message-ID"] == f"<{row['message_id']}>"
    assert "me@shop.example" in any_shop.run("messages", "--tests").stdout


def test_the_unsubscribe_link_of_a_test_is_nobodys(any_shop: Shop, server: SmtpServer) -> None:
    _add_siti(any_shop)

    any_shop.run("send-test", "thanks", *ME, "--customer", "42")

    links = UnsubscribeLinks("http://localhost:8000", Settings.load().signing_secret())
    letter = _message(server)
    token = letter["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    assert links.read(token) == ("lifecycle-test", "orders")
    assert links.url("42", "orders") not in letter.as_string()
    assert any_shop.run("preview", "thanks", "--customer", "42", "--eml", "--out", "-").stdout.count(
        links.url("42", "orders")
    )  # whereas a look at hers shows her own


def test_a_test_is_written_down_before_it_may_leave(any_shop: Shop) -> None:
    """Killed while the server has the content, it stays `sending`: it may have arrived."""
    with SmtpServer({"content": HANG}) as server:
        any_shop.environment["SMTP_URL"] = server.url
        process = any_shop.start("send-test", "thanks", *ME)
        deadline = time.monotonic() + 30
        while not (rows := any_shop.json("messages", "--tests")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    assert [row["state"] for row in rows] == ["sending"]
    assert [row["state"] for row in any_shop.json("messages", "--tests")] == ["sending"]


@pytest.mark.parametrize(
    ("at", "state", "says"),
    [
        ({"rcpt": b"550 5.1.1 no such user"}, "failed", "550 5.1.1 no such user"),
        ({"rcpt": b"451 4.7.1 later"}, "failed", "451 4.7.1 later"),
        ({"mail": [DROP, DROP, DROP]}, "failed", ""),
        ({"content": KEEP_AND_DROP}, "uncertain", ""),
    ],
)
def test_what_the_server_refuses_or_loses_is_one_line_and_recorded(
    shop: Shop, at: dict[str, Any], state: str, says: str
) -> None:
    with SmtpServer(at) as server:
        shop.environment["SMTP_URL"] = server.url
        stderr = shop.run("send-test", "thanks", *ME, exit_code=1).stderr

    (row,) = shop.json("messages", "--tests")
    assert stderr == f"error: not sent to me@shop.example: {row['reply']}\n"
    assert says in row["reply"]
    assert row["state"] == state


def test_what_cannot_be_recorded_is_not_sent(bare_shop: Shop) -> None:
    with SmtpServer() as server:
        bare_shop.environment["SMTP_URL"] = server.url
        stderr = bare_shop.run("send-test", "thanks", *ME, exit_code=1).stderr

    assert stderr == "error: there is no database yet; run: lifecycle db upgrade\n"
    assert server.received == []


def test_a_customers_address_gets_no_test_by_accident(any_shop: Shop, server: SmtpServer) -> None:
    _add_siti(any_shop)

    result = any_shop.run("send-test", "thanks", *ME, "--to", "Siti@Example.com", exit_code=1)

    assert "is the address of customer '42'; to send it all the same, say --yes" in result.stderr
    assert server.received == []
    assert any_shop.json("messages", "--tests") == []
    any_shop.run("send-test", "thanks", "--to", "siti@example.com", "--yes")
    assert _message(server)["To"] == "siti@example.com"


def test_nothing_is_kept_of_the_test_of_somebody_who_was_erased(any_shop: Shop, server: SmtpServer) -> None:
    _add_siti(any_shop)
    for arguments in [(*ME, "--customer", "42"), ("--to", "siti@example.com", "--yes"), ME]:
        any_shop.run("send-test", "thanks", *arguments)

    with any_shop.database() as db:
        Stage(db, project_of(), now=NOW).track("42", "customer.erased")

    kept = [(row["email"], row["subject"], row["customer_id"]) for row in any_shop.json("messages", "--tests")]
    assert kept == [(None, None, None), (None, None, None), ("me@shop.example", "[Test] Thanks for A1001", None)]


def test_a_relay_elsewhere_gets_only_those_who_may_be_written_to(shop: Shop) -> None:
    shop.environment["SMTP_URL"] = "smtp://mail.example.com:25"

    result = shop.run("send-test", "thanks", *ME, exit_code=1)

    assert "LIFECYCLE_ALLOW_RECIPIENTS" in result.stderr
    assert shop.json("messages", "--tests") == []


def test_a_broken_email_stops_the_test_before_anything_leaves(shop: Shop) -> None:
    (shop.folder / "templates/email/thanks.sample.json").write_text('{"event": {"order_id": null}}')

    stderr = shop.run("send-test", "thanks", *ME, exit_code=1).stderr

    assert stderr.startswith("error: thanks: event.order_id is missing")
    assert shop.json("messages", "--tests") == []


def test_several_addresses_get_one_each(any_shop: Shop, server: SmtpServer) -> None:
    any_shop.run("send-test", "thanks", *ME, "--to", "you@shop.example", "--to", "me@shop.example")

    assert sorted(mail.recipients[0] for mail in server.received) == ["me@shop.example", "you@shop.example"]
    assert len({row["message_id"] for row in any_shop.json("messages", "--tests")}) == 2


def test_each_locale_that_an_email_exists_in_is_a_letter_of_its_own(any_shop: Shop, server: SmtpServer) -> None:
    _add_siti(any_shop)
    own = any_shop.folder / "templates/email/thanks.mjml"
    own.with_name("thanks.id.mjml").write_text(
        own.read_text().replace("Thanks for", "Terima kasih atas").replace('lang="en"', 'lang="id"')
    )

    out = any_shop.run("send-test", "thanks", *ME, "--customer", "42", "--all-locales").stdout

    assert out == "".join(f"sent {locale} to me@shop.example: 250 2.0.0 Ok\n" for locale in ("en", "id"))
    letters = [message_from_bytes(mail.data, policy=policy.default) for mail in server.received]
    assert {letter["Content-Language"]: letter["Subject"] for letter in letters} == {
        "en": "[Test] [en] Thanks for B7",
        "id": "[Test] [id] Terima kasih atas B7",
    }
    assert [row["locale"] for row in any_shop.json("messages", "--tests")] == ["en", "id"]


def test_without_all_locales_it_is_the_one_that_the_customer_reads(shop: Shop) -> None:
    own = shop.folder / "templates/email/thanks.mjml"
    own.with_name("thanks.id.mjml").write_text(own.read_text().replace("Thanks for", "Terima kasih atas"))
    shop.add("customer", id="7", email="budi@example.com", locale="id", created_at=NOW, traits={}, consents={})

    shop.run("send-test", "thanks", *ME, "--customer", "7")

    (row,) = shop.json("messages", "--tests")
    assert (row["locale"], row["subject"]) == ("id", "[Test] Terima kasih atas A1001")


def test_a_broken_locale_stops_the_others_too(shop: Shop) -> None:
    own = shop.folder / "templates/email/thanks.mjml"
    own.with_name("thanks.id.mjml").write_text(own.read_text().replace("event.order_id", "event.nothing"))

    stderr = shop.run("send-test", "thanks", *ME, "--all-locales", exit_code=1).stderr

    assert stderr.count("\n") == 1
    assert shop.json("messages", "--tests") == []


@pytest.mark.parametrize("arguments", [("--to", "me"), ("--to", "a@b\r\nBcc: c@d.example"), ()])
def test_an_address_that_is_none_is_one_line(shop: Shop, arguments: tuple[str, ...]) -> None:
    assert shop.run("send-test", "thanks", *arguments, exit_code=None).stderr.count("\n") == 1


def test_a_relay_that_is_away_is_one_line(shop: Shop) -> None:
    shop.environment["SMTP_URL"] = "smtp://localhost:1"

    result = shop.run("send-test", "thanks", *ME, exit_code=1)

    assert result.stderr.startswith("error: not sent to me@shop.example: ")
    assert result.stderr.count("\n") == 1


def test_the_listing_of_tests_takes_no_filters_of_messages(shop: Shop) -> None:
    assert (
        "--tests goes with --limit and --json only"
        in shop.run("messages", "--tests", "--state", "sent", exit_code=2).stderr
    )
    for _ in range(3):
        shop.run("send-test", "thanks", *ME)
    assert [row["id"] for row in shop.json("messages", "--tests", "--limit", "2")] == [2, 3]
    assert "the newest 2 of 3" in shop.run("messages", "--tests", "--limit", "2").stderr
