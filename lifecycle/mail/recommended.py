"""What emails read of the shop, and what `recommended(n)` is in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ORDERS, RECOMMENDED = "orders", "recommended"
NAMES = frozenset({ORDERS, RECOMMENDED})
"""The names under which templates read what is in the shop for somebody."""


class Recommended:
    """The products that are recommended to one customer, the best first; templates call it with how many they want."""

    __slots__ = ("_products",)

    def __init__(self, products: Sequence[Mapping[str, Any]]) -> None:
        self._products = tuple(products)

    def __call__(self, n: int) -> tuple[Mapping[str, Any], ...]:
        """The first `n`, or as many as there are."""
        if type(n) is not int or n < 0:
            raise TypeError(f"recommended({n!r}): say how many, as in recommended(3)")
        return self._products[:n]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Refused, for whoever forgets to say how many."""
        raise TypeError("say how many products are wanted, as in recommended(3)")

    def __str__(self) -> str:
        """Refused likewise: no letter shows where in memory something is."""
        raise TypeError("say how many products are wanted, as in recommended(3), and what of each is shown")
