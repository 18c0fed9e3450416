"""What an order holds, and the measure; what is recommended by it: tests/database/test_recommending.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lifecycle import Event, Property, Purchases
from lifecycle.core.copurchase import bought, history, popular, score

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Bought(Event, name="order.completed"):
    lines = Property[list[object]]()


SKUS = Purchases(Bought, items="lines", product="sku", quantity="n")

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["sku", "n", "lines"]), inner),
    max_leaves=12,
)


@given(properties=st.dictionaries(st.sampled_from(["lines", "other"]), anything))
def test_whatever_an_app_says_is_an_order(properties: dict[str, Any]) -> None:
    for product, quantity in bought(properties, SKUS).items():
        assert product == product.strip() != ""
        assert 0 < quantity < 2**31


def test_an_order_that_names_a_product_twice_holds_both() -> None:
    lines = [{"sku": "a", "n": 2}, {"sku": "b"}, {"sku": "a"}, {"sku": 7, "n": 4}]
    assert bought({"lines": lines}, SKUS) == {"a": 3, "b": 1, "7": 4}


def test_what_was_bought_last_stands_first_and_of_one_moment_the_smaller_id() -> None:
    day = timedelta(days=1)
    orders = [(NOON, {"b": 1, "a": 2}), (NOON - day, {"c": 1, "a": 5}), (NOON + day, {"d": 1})]
    assert history(orders) == [("d", 1, NOON + day), ("a", 7, NOON), ("b", 1, NOON), ("c", 1, NOON - day)]


def test_products_that_the_same_people_bought_are_alike() -> None:
    assert score(5, 5, 5) == 1_000_000
    assert score(2, 3, 2) == 816_497
    assert score(1, 100, 100) == 10_000


def test_what_most_people_bought_lately_is_most_popular() -> None:
    lately = {"old": (0, 90), "new": (3, 3), "both": (3, 9), "none": (0, 0), "as both": (3, 9)}
    assert popular(lately) == ["as both", "both", "new", "old"]
