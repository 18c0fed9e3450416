"""What goes with what and what is recommended to whom, against the same counted one by one in Python; and the job."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from lifecycle import Event, Policy, Property, Purchases, Sender, days, hours
from lifecycle.core.copurchase import AT_MOST, BASKET, LEAST_TOGETHER, LOOKED_AT, POPULAR, RELATED, REMEMBERED
from lifecycle.core.product import Product
from lifecycle.flow import recommending
from lifecycle.flow.recommending import Recommending, refresh
from lifecycle.flow.shopping import shopping
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.mail.recommended import ORDERS, RECOMMENDED, Recommended
from lifecycle.store import products
from lifecycle.store.database import Database

from .shop import LEASE, NOW, rows, taking, track

DAY = timedelta(days=1)
BOTH = frozenset({ORDERS, RECOMMENDED})
TABLES = ("customer", "activity", "event", "product", "purchase", "shopper", "related", "fingerprint", "sweep")


class Bought(Event, name="order.completed"):
    products = Property[list[object]]()
    lines = Property[list[object]]()


DECLARED = Purchases(Bought, orders=2, lately=days(30))


def project(purchases: Purchases | None = DECLARED) -> Project:
    sender = Sender("Shop", "hello@shop.example", postal_address="1 Main Street")
    return Project(Vocabulary(events={Bought.event_name: Bought}), {}, Policy(sender=sender, purchases=purchases))


Order = tuple[str, int, tuple[str, ...]]
"""Who, how many days ago, and what."""


def raw(number: int, order: Order) -> bytes:
    customer, ago, bought = order
    items = [{"product_id": product, "quantity": 2} for product in bought]
    return track(f"order-{number}", customer, "order.completed", NOW - ago * DAY, number=number, products=items)


def stock(db: Database, catalogue: Mapping[str, bool]) -> None:
    """Keeps a catalogue: the ids, and whether there are any."""
    with db.transaction() as connection:
        made = [
            Product(id, f"The {id}", f"https://shop.example/{id}", "12.90", in_stock=left)
            for id, left in catalogue.items()
        ]
        products.put(connection, made, NOW)


def compute(db: Database, declared: Purchases = DECLARED, now: datetime = NOW) -> Counter[str]:
    """Runs the job to its end; how much of what it did."""
    done: Counter[str] = Counter()
    for step in refresh(db, declared, now):
        done[step.what] += step.number
    return done


def facts(db: Database, customers: Collection[str], reads: Collection[str] = BOTH) -> dict[str, dict[str, Any]]:
    with db.reading() as connection:
        return shopping(connection, DECLARED, dict.fromkeys(customers, reads))


def recommended(db: Database, customer: str, n: int = AT_MOST) -> list[str]:
    found: Recommended = facts(db, [customer])[customer][RECOMMENDED]
    return [product["id"] for product in found(n)]


# The same, one by one

Related = dict[str, list[tuple[str, int, int]]]
"""By product: what goes with it, the best first, with the score and how many bought both."""


def histories(orders: Sequence[Order]) -> dict[str, list[str]]:
    """All that each bought, the newest in front."""
    last: dict[str, dict[str, int]] = {}
    for customer, ago, bought in orders:
        for product in bought:
            theirs = last.setdefault(customer, {})
            theirs[product] = min(ago, theirs.get(product, ago))
    return {customer: sorted(theirs, key=lambda id: (theirs[id], id)) for customer, theirs in last.items()}


def related_by_hand(known: Mapping[str, Sequence[str]], catalogue: Mapping[str, bool]) -> Related:
    buyers = Counter(product for theirs in known.values() for product in theirs)
    together: Counter[tuple[str, str]] = Counter()
    for theirs in known.values():
        basket = theirs[:BASKET]
        together.update((one, other) for one in basket for other in basket if one != other)
    found: Related = {}
    for product in buyers:
        others = [
            (other, both)
            for (one, other), both in together.items()
            if one == product and both >= LEAST_TOGETHER and catalogue.get(other)
        ]
        others.sort(key=lambda pair: (-(pair[1] * pair[1]) / buyers[pair[0]], pair[0]))
        found[product] = [
            (other, round(1e6 * both / sqrt(buyers[product] * buyers[other])), both) for other, both in others[:RELATED]
        ]
    return found


def popular_by_hand(orders: Sequence[Order], catalogue: Mapping[str, bool]) -> list[str]:
    ever = Counter({(customer, product) for customer, _, bought in orders for product in bought})
    lately = {(customer, product) for customer, ago, bought in orders if ago < 30 for product in bought}
    buyers = Counter(product for _, product in ever)
    recent = Counter(product for _, product in lately)
    in_stock = [product for product in buyers if catalogue.get(product)]
    return sorted(sorted(in_stock, reverse=True), key=lambda id: (recent[id], buyers[id]))[::-1][:POPULAR]


def recommended_by_hand(
    own: Sequence[str], related: Related, popular: Sequence[str], catalogue: Mapping[str, bool]
) -> list[str]:
    scores: Counter[str] = Counter()
    for product in own[:REMEMBERED]:
        for other, score, _ in related.get(product, ()):
            scores[other] += score
    liked = sorted(scores.keys() - set(own), key=lambda id: (-scores[id], id))[:LOOKED_AT]
    wanted = [*liked, *(product for product in popular if product not in own and product not in liked)]
    return [product for product in wanted if catalogue.get(product)][:AT_MOST]


def stored(db: Database) -> Related:
    found: Related = {}
    for one, other, score, both in rows(db, "SELECT product_id, other_id, score, together FROM related"):
        found.setdefault(one, []).append((other, score, both))
    return found


def by_id(related: Related) -> Related:
    return {product: sorted(others) for product, others in related.items() if others}


def empty(db: Database) -> None:
    with db.transaction() as connection:
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))


ids = st.sampled_from([*"abcdefghijklm", "Z", "ä", "é"])
orders = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cyd", "dan", "eve", "Flo"]),
        st.integers(0, 40),
        st.lists(ids, max_size=6).map(tuple),
    ),
    max_size=25,
)
catalogues = st.dictionaries(ids, st.booleans() | st.just(True), max_size=16)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(first=orders, more=orders, catalogue=catalogues, sold_out=st.sets(ids))
def test_it_is_what_counting_one_by_one_gives(
    database: Database, first: list[Order], more: list[Order], catalogue: dict[str, bool], sold_out: set[str]
) -> None:
    """Also for orders that came since, and for what ran out of stock since."""
    empty(database)
    stock(database, catalogue)
    if first:
        taking(database, *(raw(number, order) for number, order in enumerate(first)), project=project())
    compute(database)

    known = histories(first)
    related = related_by_hand(known, catalogue)
    assert by_id(stored(database)) == by_id(related)

    if more:
        taking(database, *(raw(100 + number, order) for number, order in enumerate(more)), project=project())
    now = {id: left and id not in sold_out for id, left in catalogue.items()}
    stock(database, now)
    popular = popular_by_hand(first, catalogue)
    own = histories([*first, *more])
    everybody = sorted({customer for customer, _, _ in [*first, *more]})
    found = facts(database, everybody)
    for customer in everybody:
        expected = recommended_by_hand(own.get(customer, []), related, popular, now)
        assert [product["id"] for product in found[customer][RECOMMENDED](AT_MOST)] == expected
        numbered = [
            (ago, number) for number, (who, ago, _) in [*enumerate(first), *enumerate(more, 100)] if who == customer
        ]
        newest = sorted(numbered, key=lambda each: (-each[0], f"order-{each[1]}"), reverse=True)[:2]
        assert [order["number"] for order in found[customer][ORDERS]] == [number for _, number in newest]


def test_baskets_and_lists_have_an_end(database: Database) -> None:
    """People who bought more than counts, products with more that goes with them than is kept."""
    dice = random.Random(7)
    catalogue = {f"p{number:03}": number % 7 != 0 for number in range(140)}
    people = {f"c{number}": dice.sample(sorted(catalogue), 20 + 11 * number) for number in range(11)}
    placed = [(who, dice.randrange(50), (product,)) for who, theirs in people.items() for product in theirs]
    stock(database, catalogue)
    taking(database, *(raw(number, order) for number, order in enumerate(placed)), project=project())
    compute(database)

    known = histories(placed)
    assert max(map(len, known.values())) > BASKET
    related = related_by_hand(known, catalogue)
    assert max(map(len, related.values())) == RELATED
    assert by_id(stored(database)) == by_id(related)
    popular = popular_by_hand(placed, catalogue)
    assert len(popular) == POPULAR
    for customer, own in known.items():
        assert recommended(database, customer) == recommended_by_hand(own, related, popular, catalogue)


# Single cases


def test_a_newcomer_gets_what_is_popular_and_nobody_what_they_have(database: Database) -> None:
    stock(database, dict.fromkeys("abcd", True))
    placed: list[Order] = [("ann", 1, ("a", "b")), ("bob", 1, ("a", "b")), ("cyd", 1, ("a",)), ("dan", 1, ("c",))]
    taking(database, *(raw(number, order) for number, order in enumerate(placed)), project=project())
    taking(database, track("hello", "new", "customer.registered"), project=project())
    compute(database)
    assert recommended(database, "new") == ["a", "b", "c"]
    assert recommended(database, "new", 2) == ["a", "b"]
    assert recommended(database, "cyd") == ["b", "c"]
    assert recommended(database, "ann") == ["c"]


def test_what_was_bought_a_moment_ago_is_not_recommended_before_the_job_has_seen_it(database: Database) -> None:
    stock(database, dict.fromkeys("ab", True))
    taking(database, raw(1, ("ann", 1, ("a", "b"))), raw(2, ("bob", 1, ("a", "b"))), project=project())
    compute(database)
    taking(database, track("hello", "new", "customer.registered"), project=project())
    assert recommended(database, "new") == ["a", "b"]
    taking(database, raw(3, ("new", 0, ("a",))), project=project())
    assert recommended(database, "new") == ["b"]


def test_orders_that_come_late_and_again_are_counted_once(database: Database) -> None:
    taking(database, raw(1, ("ann", 1, ("a",))), project=project())
    assert compute(database)["customers"] == 1
    assert compute(database)["customers"] == 0
    taking(database, raw(2, ("ann", 39, ("b",))), raw(1, ("ann", 1, ("a",))), project=project())
    assert compute(database)["customers"] == 1
    bought = rows(database, "SELECT product_id, quantity, place FROM purchase ORDER BY place")
    assert bought == [("a", 2, 1), ("b", 2, 2)]


def test_what_an_app_says_wrongly_costs_nothing_else(database: Database) -> None:
    odd: list[Any] = [
        None, 7, "a", [], {}, {"product_id": None}, {"product_id": ""}, {"product_id": "x" * 201}, {"product_id": 1.5},
        {"product_id": True}, {"product_id": 12, "quantity": "two"}, {"product_id": " b ", "quantity": -1},
        {"product_id": "b", "quantity": 10**12}, {"product_id": "ok", "quantity": 3},
    ]  # fmt: skip
    for number, products_ in enumerate((odd, "a", None, {"product_id": "a"})):
        event = track(f"o{number}", "ann", "order.completed", products=products_)
        taking(database, event, project=project())
    compute(database)
    found = rows(database, "SELECT product_id, quantity FROM purchase ORDER BY product_id")
    assert found == [("12", 1), ("b", 2**31 - 1), ("ok", 3)]
    assert len(facts(database, ["ann"])["ann"][ORDERS]) == 2


def test_whoever_is_erased_leaves_no_purchase(database: Database) -> None:
    stock(database, dict.fromkeys("ab", True))
    taking(database, raw(1, ("ann", 1, ("a", "b"))), raw(2, ("bob", 1, ("a", "b"))), project=project())
    compute(database)
    assert stored(database)
    taking(database, track("gone", "ann", "customer.erased"), project=project())
    assert {row[0] for row in rows(database, "SELECT customer_id FROM purchase")} == {"bob"}
    assert rows(database, "SELECT customer_id FROM shopper") == [("bob",)]
    compute(database)
    assert {row[0] for row in rows(database, "SELECT customer_id FROM purchase")} == {"bob"}
    assert stored(database) == {}


def test_another_reading_of_orders_begins_from_nothing(database: Database) -> None:
    stock(database, dict.fromkeys("abc", True))
    for number, who in enumerate(("ann", "bob")):
        lines = [{"sku": "b"}, {"sku": "c"}]
        event = track(f"o{number}", who, "order.completed", products=[{"product_id": "a"}], lines=lines)
        taking(database, event, project=project())
    compute(database)
    assert {row[0] for row in rows(database, "SELECT product_id FROM purchase")} == {"a"}
    compute(database, Purchases(Bought, items="lines", product="sku"))
    assert {row[0] for row in rows(database, "SELECT product_id FROM purchase")} == {"b", "c"}
    assert sorted(stored(database)) == ["b", "c"]


def test_a_claim_asks_the_same_few_questions_for_one_and_for_many(database: Database) -> None:
    stock(database, dict.fromkeys("abcdef", True))
    everybody = [f"c{number}" for number in range(200)]
    dice = random.Random(1)
    placed = [(who, dice.randrange(9), tuple(dice.sample("abcdef", 2))) for who in everybody]
    taking(database, *(raw(number, order) for number, order in enumerate(placed)), project=project())
    compute(database)
    taking(database, raw(999, ("c7", 0, ("a",))), project=project())
    asked: list[str] = []
    sqlalchemy_event.listen(
        database.engine, "before_cursor_execute", lambda conn, cursor, statement, *_: asked.append(statement)
    )
    counts = {}
    for reads in (BOTH, frozenset({ORDERS})):
        for number in (1, 200):
            asked.clear()
            assert len(facts(database, everybody[:number], reads)) == number
            counts[len(reads), number] = sum("SELECT" in statement for statement in asked)
    assert counts == {(2, 1): 4, (2, 200): 4, (1, 1): 1, (1, 200): 1}


# The job among schedulers


def test_of_many_schedulers_one_computes_each_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[datetime] = []

    def watched(db: Database, declared: Purchases, now: datetime) -> Any:
        begun.append(now)
        return refresh(db, declared, now)

    monkeypatch.setattr(recommending, "refresh", watched)
    crew = [Recommending(database) for _ in range(3)]
    for moment in (NOW, NOW + hours(23).rolling, NOW + DAY, NOW + DAY + LEASE):
        for one in crew:
            one.look(project(), moment, LEASE, lambda: False)
    assert begun == [NOW, NOW + DAY]


def test_a_long_job_goes_on_look_by_look_and_another_takes_over_when_its_scheduler_dies(database: Database) -> None:
    taking(database, raw(1, ("ann", 1, ("a", "b"))), raw(2, ("bob", 1, ("a", "b"))), project=project())
    stock(database, dict.fromkeys("ab", True))
    ticking = iter(range(10**6))
    slow = Recommending(database, monotonic=lambda: float(next(ticking)))  # each look at it takes a second
    other = Recommending(database)
    slow.look(project(), NOW, LEASE, lambda: False)
    other.look(project(), NOW, LEASE, lambda: False)
    assert stored(database) == {}
    other.look(project(), NOW + 2 * LEASE, LEASE, lambda: False)
    assert sorted(stored(database)) == ["a", "b"]


def test_a_policy_without_purchases_computes_nothing(database: Database) -> None:
    taking(database, raw(1, ("ann", 1, ("a", "b"))), project=project())
    Recommending(database).look(project(None), NOW, LEASE, lambda: False)
    assert rows(database, "SELECT * FROM shopper") == []
