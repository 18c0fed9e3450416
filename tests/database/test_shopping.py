"""`orders` and `recommended()` in emails, from the claim to the letter."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.exc import OperationalError

from lifecycle import Cap, Event, Journey, Property, Purchases, Send, days, on
from lifecycle.core.product import Product
from lifecycle.flow import shopping as shopping_module
from lifecycle.flow.claim import claim
from lifecycle.flow.recommending import refresh
from lifecycle.flow.shopping import add_shopping
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.mail.render import Renderer
from lifecycle.store import products, related, schema
from lifecycle.store.database import Database
from lifecycle.store.solo import SoloDatabase
from lifecycle.testing import mailer_for
from tests.stage import LEASE, NOON, Stage, project_of

PAGE = """<mjml><mj-head><mj-title>{subject}</mj-title><mj-preview>A preview</mj-preview></mj-head>
<mj-body><mj-section><mj-column>{body}<mj-button href="https://shop.example/more">More</mj-button></mj-column>
</mj-section></mj-body></mjml>"""
SHOWN = """{% for p in recommended(2) %}<mj-text><a href="{{ p.url }}">{{ p.name }}</a> {{ p.price | money }}</mj-text>
{% else %}<mj-text>Ask us</mj-text>{% endfor %}"""
LISTED = (
    "{% for o in orders %}<mj-text>{{ o.order_id }}: {{ o.products | length }}, {{ o.at.day }}</mj-text>{% endfor %}"
)
EMAILS = {
    "plain": "<mj-text>Hello</mj-text>",
    "shown": SHOWN,
    "listed": LISTED,
    "digest/gathered": "{% for s in sections %}<mj-text>{{ s.subject }}</mj-text>{% endfor %}" + SHOWN,
}
SUBJECTS = {"shown": "{{ recommended(1)[0].name if recommended(1) else 'Nothing' }} for you"}


class Bought(Event, name="order.completed"):
    order_id = Property[str]()
    products = Property[list[object]]()


def thanks(template: str, **more: Any) -> Journey:
    return Journey(
        name="thanks",
        topic="orders",
        enter=on(Bought),
        key=Bought.order_id,
        steps=[Send(template, **more)],
    )


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    for name, body in EMAILS.items():
        file = tmp_path / "email" / f"{name}.mjml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(PAGE.format(subject=SUBJECTS.get(name, name), body=body))
    return tmp_path / "email"


def stage(db: Database, templates: Path, journey: Journey, **policy: Any) -> Stage:
    given = project_of(journey, **{"purchases": Purchases(Bought, orders=2), **policy})
    project = Project(Vocabulary(events={Bought.event_name: Bought}), given.journeys, given.policy)
    made = Stage(db, project)
    made.mailer = mailer_for(project, made.outbox, Renderer(templates))
    with db.transaction() as connection:
        shelf = [Product(id, f"Mug {id}", f"https://shop.example/{id}", "12.50") for id in "abcd"]
        products.put(connection, shelf, NOON)
    return made


def buy(made: Stage, customer: str, number: int, *bought: str) -> None:
    made.track(customer, Bought, order_id=f"{customer}{number}", products=[{"product_id": id} for id in bought])


def compute(made: Stage) -> None:
    declared = made.project.policy.purchases
    assert declared is not None
    for _ in refresh(made.db, declared, made.now):
        pass


def last_letter(made: Stage) -> str:
    whole = message_from_bytes(made.outbox.letters[-1].data)
    (text,) = (part for part in whole.walk() if part.get_content_type() == "text/plain")
    payload = text.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def test_an_email_shows_what_goes_with_what_its_reader_has(database: Database, templates: Path) -> None:
    made = stage(database, templates, thanks("shown"))
    for customer in ("ann", "bob"):
        buy(made, customer, 1, "a", "b", "c")
    made.hints.fresh.clear()
    compute(made)
    made.identify("cyd", email="cyd@example.com")
    buy(made, "cyd", 1, "a")
    made.run()
    assert made.states() | {"shown": "sent"} == made.states()
    assert "Mug b [1] $12.50" in " ".join(last_letter(made).split())
    assert "Mug c" in last_letter(made)
    assert "Mug a" not in last_letter(made)


def test_an_email_shows_the_newest_orders_first(database: Database, templates: Path) -> None:
    made = stage(database, templates, thanks("listed"))
    made.identify("ann", email="ann@example.com")
    for number in (1, 2, 3):
        buy(made, "ann", number, *"abc"[:number])
        made.hints.fresh.clear()
        made.now += timedelta(days=1)
    made.run(timedelta(hours=1))
    text = last_letter(made)
    assert text.index("ann3: 3, 6") < text.index("ann2: 2, 5")
    assert "ann1" not in text


def test_a_policy_without_purchases_fails_the_email_that_reads_them_and_names_what_is_missing(
    database: Database, templates: Path
) -> None:
    made = stage(database, templates, thanks("shown"), purchases=None)
    made.identify("ann", email="ann@example.com")
    buy(made, "ann", 1, "a")
    made.run()
    assert made.states()["shown"].startswith("failed: shown: recommended is missing, read at ")


def test_a_digest_and_what_it_gathers_may_show_them(database: Database, templates: Path) -> None:
    made = stage(
        database, templates, thanks("shown", on_capped="digest", send_within=days(9)), caps=[Cap(1, per=days(2))]
    )
    buy(made, "bob", 1, "a", "b")
    buy(made, "cyd", 1, "a", "b")
    made.hints.fresh.clear()
    compute(made)
    made.identify("ann", email="ann@example.com")
    for number in (1, 2, 3):
        buy(made, "ann", number, "a")
        made.run()
    made.run(timedelta(days=3))
    assert made.mailer.reads("digest/gathered") == {"recommended"}
    text = last_letter(made)
    assert text.count("Mug b for you") == 2
    assert "Mug b [1] $12.50" in " ".join(text.split())


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sqlalchemy_event.listen(db.engine, "before_cursor_execute", note)
    yield asked
    sqlalchemy_event.remove(db.engine, "before_cursor_execute", note)


def of_the_shop(statements: list[str]) -> int:
    return sum(
        any(f" FROM {table}" in each for table in ("event e ", "purchase", "related", "product")) for each in statements
    )


@pytest.mark.parametrize(("template", "more"), [("plain", 0), ("listed", 1), ("shown", 4)])
def test_no_recipient_costs_a_query_and_none_is_asked_while_customers_are_locked(
    database: Database, templates: Path, template: str, more: int
) -> None:
    """A claim of one message and one of two hundred take as many statements, of which none is for the shop."""
    made = stage(database, templates, thanks(template))
    total: set[int] = set()
    for number in (1, 200):
        for place in range(number):
            made.identify(f"{number}-{place}", email=f"{number}-{place}@example.com")
            buy(made, f"{number}-{place}", 1, "a", "b")
        while made.hints.fresh and made.hints.fresh[0][0] == "advance":
            made.advance(made.hints.fresh.pop(0)[1])
        ids = [id for what, some in made.hints.fresh for id in some if what == "deliver"]
        made.lose_hints()
        with counted(made.db) as statements:
            claimed = claim(made.db, made.project, made.mailer, ids, made.now, LEASE)
        assert len(claimed.letters) == number
        assert of_the_shop(statements) == 0
        total.add(len(statements))
        with counted(made.db) as statements:
            add_shopping(made.db, made.project, made.mailer, claimed.letters)
        assert of_the_shop(statements) == more
        assert all(bool(item.more) == bool(more) for item in claimed.letters)
    assert len(total) == 1


def test_what_the_shop_cannot_be_asked_for_is_handed_back_and_sent_later(
    database: Database, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage(database, templates, thanks("shown"))
    for customer in ("ann", "bob"):
        made.identify(customer, email=f"{customer}@example.com")
        buy(made, customer, 1, "a", "b")

    def away(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("the database is away"))

    with monkeypatch.context() as patch:
        patch.setattr(shopping_module, "shopping", away)
        with pytest.raises(OperationalError):
            made.run()
    assert [row["state"] for row in made.messages()] == ["pending", "pending"]
    assert not made.outbox.letters
    made.run(timedelta(hours=1))
    assert [row["state"] for row in made.messages()] == ["sent", "sent"]


def test_a_customer_whose_purchases_cannot_be_read_fails_alone(
    database: Database, templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage(database, templates, thanks("shown"))
    whole = shopping_module.shopping

    def broken(connection: Connection, declared: Purchases, reads: Mapping[str, Collection[str]]) -> dict[str, Any]:
        if "bob" in reads:
            raise ValueError("what nobody foresaw")
        return whole(connection, declared, reads)

    monkeypatch.setattr(shopping_module, "shopping", broken)
    for customer in ("ann", "bob", "cyd"):
        made.identify(customer, email=f"{customer}@example.com")
        buy(made, customer, 1, "a", "b")
    made.run()
    states = {row["email"]: (row["state"], row["reason"]) for row in made.messages()}
    assert states["ann@example.com"] == states["cyd@example.com"] == ("sent", None)
    assert states["bob@example.com"][0] == "failed"
    assert states["bob@example.com"][1].startswith("shown: recommended is missing")


def test_replay_recommends_the_same(tmp_path: Path) -> None:
    """Its rows are named tuples, not those of SQLAlchemy."""
    live = Database(f"sqlite:///{tmp_path / 'shop.db'}")
    schema.upgrade(live)
    with live.transaction() as connection:
        products.put(connection, [Product("b", "Mug", "https://shop.example/b", "12.50")], NOON)
        connection.exec_driver_sql("UPDATE product SET popularity = 3")
        expected = related.recommended(connection, ["nobody"], {})
    live.close()
    solo = SoloDatabase(live.url)
    with solo.transaction() as connection:
        assert related.recommended(connection, ["nobody"], {}) == expected
    solo.close()
    assert [product["price"] for product in expected["nobody"]] == [Decimal("12.50")]
