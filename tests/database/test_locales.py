"""Every customer's email is in their language, and the row says in which."""

from __future__ import annotations

from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from lifecycle import Cap, Digest, Journey, Send, days, on
from lifecycle.mail.render import Renderer
from lifecycle.store.database import Database
from tests.mail.sources import text, write
from tests.mail.test_locales import entry, translate
from tests.stage import Ordered, Stage, project_of

_HELLO = Journey(name="hello", topic="orders", enter=on(Ordered), key=Ordered.order_id, steps=[Send("hello")])


def _stage(database: Database, folder: Path) -> Stage:
    write(folder, text('{{ _("Thank you") }}, {{ event.total | money }}'), title='{{ _("Your order") }}')
    translate(folder, "id", entry("Thank you", "Terima kasih"), entry("Your order", "Pesananmu"))
    stage = Stage(database, project_of(_HELLO))
    stage.mailer.renderer = Renderer(folder, currency="IDR")
    return stage


def test_a_message_is_in_the_customers_language_and_its_row_says_in_which(database: Database, tmp_path: Path) -> None:
    stage = _stage(database, tmp_path)
    wishes = {"siti": "in_ID", "ann": "en-GB", "bob": None, "eve": "rubbish", "yan": "fr"}
    for name, locale in wishes.items():
        stage.identify(name, email=f"{name}@example.com", timezone="UTC", **({"locale": locale} if locale else {}))
        stage.order(name, f"order of {name}")
    stage.run()

    rows = {row["customer_id"]: row for row in stage.messages()}
    letters = [message_from_bytes(letter.data, policy=default) for letter in stage.outbox.letters]
    found = {str(letter["To"]).partition("@")[0]: letter for letter in letters}

    assert {name: row["locale"] for name, row in rows.items()} == {
        "siti": "id",
        "ann": "en",
        "bob": "en",
        "eve": "en",
        "yan": "en",
    }
    assert {row["subject"] for name, row in rows.items() if name != "siti"} == {"Your order"}
    assert rows["siti"]["subject"] == found["siti"]["Subject"] == "Pesananmu"
    assert found["siti"]["Content-Language"] == "id"
    assert found["ann"]["Content-Language"] == "en"
    assert "Terima kasih, Rp 5" in found["siti"].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Thank you, IDR 5" in found["ann"].get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_an_email_that_is_broken_does_not_stop_the_claim(database: Database, tmp_path: Path) -> None:
    stage = _stage(database, tmp_path)
    (tmp_path / "hello.mjml").write_text("{% if %}")
    stage.mailer.renderer = Renderer(tmp_path)
    stage.identify("siti", email="siti@example.com", locale="id", timezone="UTC")
    stage.order("siti")
    stage.run()

    message = stage.only_message()

    assert (message["state"], message["locale"]) == ("failed", "en")
    assert "hello.mjml" in message["reason"]


def test_a_digest_shows_its_sections_in_its_readers_language(database: Database, tmp_path: Path) -> None:
    stage = _stage(database, tmp_path)
    shown = "{% for section in sections %}{{ section.subject }} {% endfor %}"
    source = (tmp_path / "hello.mjml").read_text().replace("{{ event.total | money }}", shown)
    (tmp_path / "gathered.mjml").write_text(source)
    steps = [Send("hello", on_capped="digest")]
    gathered = [
        Journey(name=name, topic="orders", enter=on(Ordered), key=Ordered.order_id, steps=steps)
        for name in ("one", "two", "three")
    ]
    stage.project = project_of(*gathered, caps=[Cap(1, per=days(1))], digest=Digest("gathered"))
    stage.identify("siti", email="siti@example.com", locale="id", timezone="UTC")
    stage.order("siti")
    stage.run(timedelta(days=2))

    (digest,) = (row for row in stage.messages() if row["template"] == "gathered")

    assert (digest["state"], digest["locale"]) == ("sent", "id")
    letter = message_from_bytes(stage.outbox.letters[-1].data, policy=default)
    body = letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Terima kasih, Pesananmu Pesananmu" in body
