"""Sticky, even and independent: what a hash gives in place of dice."""

from __future__ import annotations

from collections import Counter

from lifecycle import Arm, Split
from lifecycle.core.assign import arm_of, bucket, held_out

CUSTOMERS = [f"customer-{n}" for n in range(20_000)]


def test_shares_come_out_as_declared() -> None:
    split = Split("offer", Arm("a", 50), Arm("b", 35), Arm("c", 15), Arm("nobody", 0))
    shares = Counter(arm_of("win_back", split, customer).name for customer in CUSTOMERS)
    assert abs(shares["a"] / len(CUSTOMERS) - 0.50) < 0.015
    assert abs(shares["b"] / len(CUSTOMERS) - 0.35) < 0.015
    assert abs(shares["c"] / len(CUSTOMERS) - 0.15) < 0.015
    assert shares["nobody"] == 0


def test_an_arm_of_all_takes_everybody() -> None:
    split = Split("offer", Arm("none", 0), Arm("all", 100))
    assert {arm_of("win_back", split, customer).name for customer in CUSTOMERS} == {"all"}


def test_the_same_customer_always_goes_the_same_way() -> None:
    """Pinned: what was decided once must hold for as long as there are customers."""
    assert bucket("win_back/offer", "42") == 596
    split = Split("offer", Arm("a", 50), Arm("b", 50))
    assert arm_of("win_back", split, "42").name == "a"


def test_two_experiments_divide_people_independently() -> None:
    split = Split("offer", Arm("a", 50), Arm("b", 50))
    both = Counter((arm_of("one", split, customer).name, arm_of("two", split, customer).name) for customer in CUSTOMERS)
    assert all(abs(count / len(CUSTOMERS) - 0.25) < 0.02 for count in both.values())


def test_a_growing_holdout_keeps_everybody_it_held() -> None:
    ten = {customer for customer in CUSTOMERS if held_out("win_back", 10, customer)}
    twenty = {customer for customer in CUSTOMERS if held_out("win_back", 20, customer)}
    assert ten < twenty
    assert abs(len(ten) / len(CUSTOMERS) - 0.10) < 0.01


def test_a_holdout_of_nobody_and_of_everybody() -> None:
    assert not any(held_out("win_back", 0, customer) for customer in CUSTOMERS)
    assert all(held_out("win_back", 100, customer) for customer in CUSTOMERS)
