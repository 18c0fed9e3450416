"""What goes with what: item-to-item co-purchase by the cosine of baskets.

Two products are alike as far as the same people bought them: of all that bought either, seen as vectors with a place
for each customer, the cosine, together / sqrt(buyers of one * buyers of the other). Linden, Smith and York, "Amazon.com
Recommendations: Item-to-Item Collaborative Filtering", IEEE Internet Computing 7(1), 2003; Sarwar, Karypis, Konstan and
Riedl, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW10, 2001. A basket is a customer's history and
not an order: most orders hold one thing.

Scores are whole millionths, so that sums of them are the same in whatever order a database adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import sqrt
from typing import Any

from lifecycle.journey.origin import is_storable
from lifecycle.journey.purchases import Purchases

BASKET = 100
"""How many of a customer's products count as bought together, the newest: pairs grow with its square."""
LEAST_TOGETHER = 2
"""How many people must have bought both: one says nothing, and with two rare products would say everything."""
RELATED = 12
"""How many products go with one at most."""
REMEMBERED = 8
"""How many of a customer's products their recommendations follow from, the newest."""
POPULAR = 50
"""How many products stand in where a customer's own purchases say too little."""
AT_MOST = 12
"""How many products are recommended to a customer at most."""
LOOKED_AT = 2 * AT_MOST
"""Of how many that go best with a customer's own they are, because some of those may be out of stock by now."""

LONGEST_ID = 200
"""How many characters the id of a product may have: databases put an end to what they index."""

_MOST_OF_ONE = 2**31 - 1


def bought(properties: Mapping[str, Any], purchases: Purchases) -> dict[str, int]:
    """How many of each product an order holds, by product id, in the order in which it names them.

    What is no object with an id is passed over; a quantity that is no whole number above 0 counts as 1.
    """
    items = properties.get(purchases.items)
    found: dict[str, int] = {}
    for item in items if isinstance(items, list) else ():
        product = item.get(purchases.product) if isinstance(item, dict) else None
        if type(product) is int:
            product = str(product)
        if isinstance(product, str) and 0 < len(product.strip()) <= LONGEST_ID and is_storable(product):
            quantity = item.get(purchases.quantity)
            some = quantity if type(quantity) is int and quantity > 0 else 1
            found[product.strip()] = min(found.get(product.strip(), 0) + some, _MOST_OF_ONE)
    return found


def history(orders: Iterable[tuple[datetime, Mapping[str, int]]]) -> list[tuple[str, int, datetime]]:
    """All that one customer bought, what they bought last in front: product, quantity, and when last."""
    quantities: dict[str, int] = {}
    last: dict[str, datetime] = {}
    for at, products in orders:
        for product, quantity in products.items():
            quantities[product] = min(quantities.get(product, 0) + quantity, _MOST_OF_ONE)
            last[product] = max(last.get(product, at), at)
    newest = sorted(sorted(last), key=lambda product: last[product], reverse=True)
    return [(product, quantities[product], last[product]) for product in newest]


def score(together: int, buyers: int, others: int) -> int:
    """The cosine of two products in millionths: bought `together` by so many, each by `buyers` and `others`."""
    return round(1_000_000 * together / sqrt(buyers * others))


def popular(lately: Mapping[str, tuple[int, int]]) -> list[str]:
    """The products that stand in, most popular first; `lately`: how many people bought each lately, and ever."""
    sold = sorted(product for product, (_, ever) in lately.items() if ever)
    return sorted(sold, key=lately.__getitem__, reverse=True)[:POPULAR]
