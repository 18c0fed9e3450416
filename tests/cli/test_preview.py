"""`lifecycle preview`: an email as it would be sent, on screen, in files and as a picture."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from PIL import Image

from lifecycle.engine import Engine
from lifecycle.mail.file import FileTransport
from lifecycle.settings import Settings
from lifecycle.store.database import Database
from lifecycle.workshop import picture
from tests.chromium import needs_chromium
from tests.cli.conftest import Shop
from tests.stage import Stage

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _add_siti(shop: Shop) -> None:
    shop.add("customer", id="42", email="siti@example.com", first_name="Siti", created_at=NOW, traits={}, consents={})
    shop.add(
        "event", message_id="e1", customer_id="42", name="order.completed", timestamp=NOW, received_at=NOW, digest="x",
        properties={"order_id": "B7", "total": 99},
    )  # fmt: skip


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


BUTTON = '<mj-button href="https://shop.example/{{ event.order_id }}">Look</mj-button>'
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


# Preview and send are one pipeline


def _sent(shop: Shop, database: Database, now: datetime) -> Stage:
    """A stage that plays the shop's own journeys, and writes its letters into the outbox."""
    engine = Engine(Settings.load(**({"DATABASE_URL": url} if (url := shop.environment.get("DATABASE_URL")) else {})))
    stage = Stage(database, engine.project, now=now)
    stage.mailer = engine.mailer(FileTransport(shop.folder / "outbox"))
    return stage


def _letters(shop: Shop) -> list[bytes]:
    return [file.read_bytes() for file in sorted((shop.folder / "outbox").glob("*.eml"))]


def _eml(shop: Shop, template: str, *options: str) -> bytes:
    shop.run("preview", template, "--customer", "42", "--eml", "--out", "seen.eml", *options)
    return (shop.folder / "seen.eml").read_bytes()


MOMENTS = """<mjml><mj-head><mj-title>Thanks for {{ event.order_id }}</mj-title>
<mj-preview>Now</mj-preview></mj-head><mj-body><mj-section><mj-column><mj-text>
Dear {{ customer.first_name }}, {{ now.isoformat() }}, {{ customer.points }} points.
<a href="{{ links.unsubscribe }}">Unsubscribe</a> {{ message_id }}</mj-text></mj-column></mj-section>
</mj-body></mjml>"""


def test_what_was_sent_and_what_is_shown_are_the_same_bytes(any_shop: Shop) -> None:
    (any_shop.folder / "templates/email/thanks.mjml").write_text(MOMENTS)
    with any_shop.database() as database:
        stage = _sent(any_shop, database, NOW)
        stage.identify("42", email="Siti@example.com", first_name="Siti ✓", timezone="Asia/Jayapura", points=7)
        stage.order("42", "B7")
        stage.run()
        stage.order("42", "C8")  # another message of the same email, which is not sent at that moment
        stage.run(timedelta(hours=1))
        stage.now += timedelta(minutes=5)
        stage.order("42", "D9")
        stage.run()
        assert [row["state"] for row in stage.messages()] == ["sent"] * 3

    # By their subjects: the signature in an unsubscribe link may hold any two characters.
    by_order = {
        message_from_bytes(letter)["Subject"].removeprefix("Thanks for "): letter for letter in _letters(any_shop)
    }
    assert b"List-Unsubscribe: <http://localhost:8000/u/" in by_order["D9"]
    assert _eml(any_shop, "thanks", "--at", "2026-11-22T10:05:00") == by_order["D9"]  # as clocks in Jayapura show it
    assert _eml(any_shop, "thanks", "--at", "2026-11-22T01:05:00+00:00") == by_order["D9"]
    assert _eml(any_shop, "thanks", "--at", "2026-11-22T00:00:00Z") == by_order["C8"]


ORDERS = """<mjml lang="id"><mj-head><mj-title>Terima kasih, {{ orders | length }} pesanan</mj-title>
<mj-preview>{{ now | date }}</mj-preview></mj-head><mj-body><mj-section><mj-column><mj-text>
{% for order in orders %}{{ order.order_id }} {{ order.at | datetime }} {{ order.total | money("IDR") }}; {% endfor %}
{% for product in recommended(2) %}{{ product.name }} {{ product.price | money }}, {% endfor %}
<a href="https://shop.example/baru">Baru</a>
<a href="{{ links.unsubscribe }}">Keluar</a></mj-text></mj-column></mj-section></mj-body></mjml>"""


def test_orders_and_recommendations_in_their_own_language_are_the_same_bytes_too(any_shop: Shop) -> None:
    folder = any_shop.folder
    (folder / "templates/email/thanks.id.mjml").write_text(ORDERS)
    # The claim looks at the default edition for what it fetches.
    (folder / "templates/email/thanks.mjml").write_text(ORDERS.replace('lang="id"', 'lang="en"'))
    words, policy_file = folder / "journeys/vocabulary.py", folder / "journeys/policy.py"
    words.write_text(words.read_text() + "    products = Property[list[object]]()\n")
    policy_file.write_text(
        policy_file.read_text()
        .replace("import Policy", "import Policy, Purchases, Utm")
        .replace("policy = Policy(", "from .vocabulary import OrderCompleted\npolicy = Policy(")
        .replace('timezone="', 'purchases=Purchases(OrderCompleted), utm=Utm(source="shop"), timezone="')
    )
    with any_shop.database() as database:
        stage = _sent(any_shop, database, NOW)
        stage.identify("42", email="siti@example.com", timezone="Asia/Jakarta", locale="id-ID")
        products = [{"product_id": "P1", "name": "Cangkir", "price": 5, "quantity": 1}]
        stage.track("42", "order.completed", order_id="B7", total=125000, products=products)
        stage.run()
        assert [(row["state"], row["locale"]) for row in stage.messages()] == [("sent", "id")]

    (letter,) = _letters(any_shop)
    assert b"Subject: Terima kasih, 1 pesanan" in letter
    assert b"https://shop.example/baru?utm_source=shop" in letter
    assert _eml(any_shop, "thanks", "--at", NOW.isoformat()) == letter
    in_english = message_from_bytes(_eml(any_shop, "thanks", "--at", NOW.isoformat(), "--locale", "en"))
    assert in_english["Message-ID"] == message_from_bytes(letter)["Message-ID"]
    assert b'lang="en"' in in_english.as_bytes()


def test_a_digest_is_shown_in_the_bytes_in_which_it_was_sent(any_shop: Shop) -> None:
    folder = any_shop.folder
    (folder / "templates/email/digest").mkdir()
    (folder / "templates/email/digest/gathered.mjml").write_text(DIGEST)
    (folder / "templates/email/thanks.mjml").write_text(
        MOMENTS.replace(
            "</mj-text>", '</mj-text><mj-button href="https://shop.example/{{ event.order_id }}">.</mj-button>'
        )
    )
    policy_file, journey_file = folder / "journeys/policy.py", folder / "journeys/thanks.py"
    policy_file.write_text(
        policy_file.read_text()
        .replace("import Policy", "import Cap, days, Policy, Utm")
        .replace('timezone="', 'caps=[Cap(1, per=days(1))], utm=Utm(source="shop"), timezone="')
    )
    journey_file.write_text(journey_file.read_text().replace('Send("thanks")', 'Send("thanks", on_capped="digest")'))
    with any_shop.database() as database:
        stage = _sent(any_shop, database, NOW)
        stage.identify("42", email="siti@example.com", first_name="Siti", timezone="Asia/Jakarta", points=7)
        for order in ("A1", "B2", "C3"):
            stage.order("42", order)
            stage.run()
        stage.run(timedelta(days=2))
        (digest,) = [row for row in stage.messages() if row["template"] == "digest/gathered"]
        assert digest["state"] == "sent"

    (letter,) = [letter for letter in _letters(any_shop) if b"2 for you" in letter]
    assert _eml(any_shop, "digest/gathered", "--at", digest["sent_at"].isoformat()) == letter


def test_two_looks_are_the_same_bytes_where_nothing_was_sent(any_shop: Shop) -> None:
    _add_siti(any_shop)
    at = ("--at", "2026-12-01T09:00")

    letter = _eml(any_shop, "thanks", *at)

    assert _eml(any_shop, "thanks", *at) == letter
    message = message_from_bytes(letter, policy=policy.default)
    assert message["Date"] == "Tue, 01 Dec 2026 02:00:00 +0000"  # 09:00 in the policy's zone, hers being unknown
    assert message["To"] == "siti@example.com"
    assert message["Message-ID"] == "<preview@shop.example>"


def test_only_what_happened_by_then_is_shown(any_shop: Shop) -> None:
    _add_siti(any_shop)

    early = any_shop.run("preview", "thanks", "--text", "--customer", "42", "--at", "2026-11-01T09:00")

    assert "Thanks for A1001" in early.stdout
    assert early.stderr == "note: customer '42' has no order.completed: sample data stand in for it\n"


# Sample data


def test_a_sample_file_beside_the_email_is_laid_over_what_is_made_up(bare_shop: Shop) -> None:
    file = bare_shop.folder / "templates/email/thanks.sample.json"
    file.write_text(json.dumps({"customer": {"first_name": None}, "event": {"order_id": "Z9"}}))

    out = bare_shop.run("preview", "thanks", "--text").stdout

    assert "Thanks for Z9" in out
    assert "Dear friend, 42.5 dollars!" in out


def test_a_mistake_in_a_sample_file_is_told_with_its_place(bare_shop: Shop) -> None:
    (bare_shop.folder / "templates/email/thanks.sample.json").write_text('{\n  "event": {"order": "Z9"}\n}')

    stderr = bare_shop.run("preview", "thanks", exit_code=1).stderr

    assert stderr.startswith("error: templates/email/thanks.sample.json:2:13: 'event.order' is nothing that an email")
    assert "did you mean 'order_id'?" in stderr
    assert stderr.count("\n") == 1


# The forms


def test_each_form_goes_into_a_file_of_its_own_or_to_standard_output(bare_shop: Shop) -> None:
    folder = bare_shop.folder / ".lifecycle/preview"

    assert bare_shop.run("preview", "thanks", "--html").stdout.startswith(".lifecycle/preview/thanks.html")
    assert bare_shop.run("preview", "thanks", "--eml").stdout.startswith(".lifecycle/preview/thanks.eml")
    bare_shop.run("preview", "thanks", "--text", "--out", "deep/down/own.txt")

    assert (folder / "thanks.eml").read_bytes() == bare_shop.run(
        "preview", "thanks", "--eml", "--out", "-", "--at", _date_of(folder / "thanks.eml")
    ).stdout_bytes
    assert (bare_shop.folder / "deep/down/own.txt").read_text().startswith("Subject: Thanks for A1001\n")


def _date_of(file: Path) -> str:
    return message_from_bytes(file.read_bytes(), policy=policy.default)["Date"].datetime.isoformat()  # type: ignore[no-any-return]


@needs_chromium
@pytest.mark.parametrize("width", [375, 700])
def test_a_picture_is_as_wide_as_asked_and_as_tall_as_the_email(bare_shop: Shop, width: int) -> None:
    (bare_shop.folder / "templates/email/thanks.mjml").write_text(TALL)

    out = bare_shop.run("preview", "thanks", "--png", "--width", str(width)).stdout
    bare_shop.run("preview", "thanks", "--png", "--width", str(width), "--dark")

    folder = bare_shop.folder / ".lifecycle/preview"
    light, dark = Image.open(folder / f"thanks.{width}.png"), Image.open(folder / f"thanks.{width}.dark.png")
    assert out.startswith(f".lifecycle/preview/thanks.{width}.png")
    assert light.width == dark.width == width
    assert light.height == dark.height > 3000
    assert light.convert("RGB").getpixel((5, 2990)) == (255, 255, 255)
    assert dark.convert("RGB").getpixel((5, 2990)) == (16, 32, 48)


TALL = """<mjml><mj-head><mj-title>Tall</mj-title><mj-preview>So</mj-preview><mj-style>
@media (prefers-color-scheme: dark) { .paper { background-color: #102030 !important; } }</mj-style></mj-head>
<mj-body><mj-wrapper css-class="paper" background-color="#ffffff" full-width="full-width"><mj-section><mj-column>
<mj-spacer height="3000px"/><mj-text>The end</mj-text></mj-column></mj-section></mj-wrapper></mj-body></mjml>"""


@needs_chromium
def test_a_picture_goes_to_standard_output_too(bare_shop: Shop) -> None:
    png = bare_shop.run("preview", "thanks", "--png", "--out", "-").stdout_bytes

    assert Image.open(io.BytesIO(png)).width == 700


def test_without_a_browser_one_line_says_how_to_get_one(bare_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bare_shop.folder))
    monkeypatch.setattr(picture, "_ON_MACOS", ())

    stderr = bare_shop.run("preview", "thanks", "--png", exit_code=1).stderr

    assert stderr.startswith("error: a picture needs Chromium or Chrome on PATH; get one with: apt install chromium")
    assert stderr.count("\n") == 1


def test_a_browser_that_does_not_start_is_one_line(bare_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare_shop.folder / "chromium").write_text("#!/bin/sh\nexit 1\n")
    (bare_shop.folder / "chromium").chmod(0o755)
    monkeypatch.setenv("PATH", str(bare_shop.folder))

    stderr = bare_shop.run("preview", "thanks", "--png", exit_code=1).stderr

    assert stderr == "error: the browser ended before there was a picture; does it start by itself?\n"


# What can go wrong


@pytest.mark.parametrize(
    ("arguments", "exit_code", "says"),
    [
        (("thank",), 2, "there is no email 'thank'; did you mean 'thanks'?"),
        (("thanks", "--customer", "42"), 1, "there is no customer '42'; find one with: lifecycle customers list"),
        (("thanks", "--at", "tomorrow"), 2, "'tomorrow' is no moment like 2026-12-01T09:00"),
        (("thanks", "--at", "0001-01-01T00:00"), 2, "the year 1 is too far away"),
        (("thanks", "--dark"), 2, "--width and --dark are for pictures; add --png"),
        (("thanks", "--width", "375"), 2, "--width and --dark are for pictures; add --png"),
        (("thanks", "--sample", "--customer", "42"), 2, "--sample and --customer: say one of them"),
        (("thanks", "--open", "--out", "-"), 2, "--open wants a file; drop --out -"),
        (("../thanks",), 2, "there is no email '../thanks'"),
    ],
)
def test_whatever_is_wrong_is_one_line(shop: Shop, arguments: tuple[str, ...], exit_code: int, says: str) -> None:
    stderr = shop.run("preview", *arguments, exit_code=exit_code).stderr

    assert says in stderr
    assert stderr.count("\n") == 1


def test_a_broken_email_is_told_with_its_place(bare_shop: Shop) -> None:
    file = bare_shop.folder / "templates/email/thanks.mjml"
    file.write_text(file.read_text().replace("| default(0)", "| mony"))

    stderr = bare_shop.run("preview", "thanks", exit_code=1).stderr

    assert stderr.startswith("error: templates/email/thanks.mjml:3")
    assert stderr.count("\n") == 1


def test_a_missing_variable_is_told_by_its_name(bare_shop: Shop) -> None:
    (bare_shop.folder / "templates/email/thanks.sample.json").write_text('{"event": {"order_id": null}}')

    stderr = bare_shop.run("preview", "thanks", exit_code=1).stderr

    assert stderr.startswith("error: thanks: event.order_id is missing, read at templates/email/thanks.mjml:1")


def test_what_was_written_is_opened(bare_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def launch(url: str) -> bool:
        opened.append(url)
        return len(opened) == 1

    monkeypatch.setattr("webbrowser.open", launch)

    bare_shop.run("preview", "thanks", "--open")
    failed = bare_shop.run("preview", "thanks", "--open", exit_code=1)

    assert opened == [(bare_shop.folder / ".lifecycle/preview/thanks.html").as_uri()] * 2
    assert failed.stderr == (
        "error: nothing on this machine opens .lifecycle/preview/thanks.html; it is there to be looked at\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
@pytest.mark.parametrize("out", ["/dev/full", "-"])
def test_a_full_disk_is_one_line(bare_shop: Shop, out: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lifecycle.cli", "preview", "thanks", "--out", out],
            cwd=bare_shop.folder, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (1, "error: there is no room left where this was to be written\n")
