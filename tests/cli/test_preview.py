"""`lifecycle preview` and `send-test`: an email on screen, or in one's own mailbox and in nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

from tests.cli.conftest import Shop

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _add_siti(shop: Shop) -> None:
    shop.add("customer", id="42", email="siti@example.com", first_name="Siti", created_at=NOW, traits={}, consents={})
    shop.add(
        "event", message_id="e1", customer_id="42", name="order.completed", timestamp=NOW, received_at=NOW, digest="x",
        properties={"order_id": "B7", "total": 99},
    )  # fmt: skip


def _received(shop: Shop) -> list[EmailMessage]:
    files = (shop.folder / ".lifecycle" / "outbox").glob("*.eml")
    return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]


def test_an_email_is_shown_with_sample_data_and_without_a_database(bare_shop: Shop) -> None:
    out = bare_shop.run("preview", "thanks", "--text").stdout

    assert out.startswith("Subject: Thanks for A1001\nPreheader: It is on its way\n")
    assert "Dear Alice, 42.5 dollars!" in out


def test_the_html_is_written_where_the_command_says(bare_shop: Shop) -> None:
    out = bare_shop.run("preview", "thanks").stdout
    bare_shop.run("preview", "thanks", "--output", "own.html")

    assert out == ".lifecycle/preview/thanks.html  “Thanks for A1001”\n"
    assert "Dear Alice" in (bare_shop.folder / ".lifecycle/preview/thanks.html").read_text()
    assert "Dear Alice" in (bare_shop.folder / "own.html").read_text()
    assert "<html" in bare_shop.run("preview", "thanks", "--output", "-").stdout


def test_a_customers_own_data_are_used_where_asked_for(any_shop: Shop) -> None:
    _add_siti(any_shop)

    out = any_shop.run("preview", "thanks", "--text", "--customer", "42").stdout

    assert "Thanks for B7" in out
    assert "Dear Siti, 99 dollars!" in out
    assert "no customer '43'" in any_shop.run("preview", "thanks", "--customer", "43", exit_code=1).stderr


def test_a_test_mail_is_marked_and_leaves_no_trace(shop: Shop) -> None:
    _add_siti(shop)

    shop.run("send-test", "thanks", "--to", "me@shop.example", "--customer", "42")

    (letter,) = _received(shop)
    assert letter["Subject"] == "[Test] Thanks for B7"
    assert letter["To"] == "me@shop.example"
    assert shop.json("messages") == []


def test_the_unsubscribe_link_of_a_test_mail_is_nobodys(shop: Shop) -> None:
    from lifecycle.mail.unsubscribe import UnsubscribeLinks
    from lifecycle.settings import Settings

    _add_siti(shop)
    shop.run("send-test", "thanks", "--to", "me@shop.example", "--customer", "42")

    links = UnsubscribeLinks("http://localhost:8000", Settings.load().signing_secret())
    (letter,) = _received(shop)
    assert links.url("42", "orders") not in letter.as_string()
    assert links.url("lifecycle-test", "orders") in letter["List-Unsubscribe"]


def test_a_customers_address_gets_no_test_mail_by_accident(shop: Shop) -> None:
    _add_siti(shop)

    result = shop.run("send-test", "thanks", "--to", "Siti@Example.com", exit_code=1)

    assert "customer '42'" in result.stderr
    assert _received(shop) == []
    shop.run("send-test", "thanks", "--to", "siti@example.com", "--yes")
    assert len(_received(shop)) == 1


def test_a_relay_elsewhere_gets_only_those_who_may_be_written_to(shop: Shop) -> None:
    shop.environment["SMTP_URL"] = "smtp://mail.example.com:25"

    result = shop.run("send-test", "thanks", "--to", "me@shop.example", exit_code=1)

    assert "LIFECYCLE_ALLOW_RECIPIENTS" in result.stderr


def test_a_relay_that_is_away_is_one_line(shop: Shop) -> None:
    shop.environment["SMTP_URL"] = "smtp://localhost:1"

    result = shop.run("send-test", "thanks", "--to", "me@shop.example", exit_code=1)

    assert result.stderr.startswith("error: not sent: ")
    assert result.stderr.count("\n") == 1


def test_an_address_that_is_none_is_one_line(shop: Shop) -> None:
    assert shop.run("send-test", "thanks", "--to", "me", exit_code=1).stderr.count("\n") == 1


DIGEST = """<mjml><mj-head><mj-title>{{ sections | length }} for you</mj-title><mj-preview>In one</mj-preview></mj-head>
<mj-body><mj-section><mj-column><mj-text>{% for section in sections %}<p>{{ section.subject }}, {{ section.topic }}</p>
{% endfor %}<a href="{{ links.unsubscribe }}">out</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


def test_a_digest_is_shown_with_the_emails_that_may_go_into_one(any_shop: Shop) -> None:
    _add_siti(any_shop)
    (any_shop.folder / "templates/email/digest").mkdir()
    (any_shop.folder / "templates/email/digest/gathered.mjml").write_text(DIGEST)

    out = any_shop.run("preview", "digest/gathered", "--text").stdout
    hers = any_shop.run("preview", "digest/gathered", "--text", "--customer", "42").stdout

    assert out.startswith("Subject: 2 for you\nPreheader: In one\n")
    assert "Thanks for A1001, orders" in out
    assert "Thanks for B7, orders" in hers
