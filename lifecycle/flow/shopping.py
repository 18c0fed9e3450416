"""What emails may show of the shop: `orders` and `recommended`, fetched for a whole claim at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.copurchase import bought, history
from lifecycle.journey.purchases import Purchases
from lifecycle.mail.recommended import Recommended
from lifecycle.store import purchases, related

ORDERS, RECOMMENDED = "orders", "recommended"
NAMES = frozenset({ORDERS, RECOMMENDED})
"""The names under which templates read it."""


def shopping(
    connection: Connection, declared: Purchases, reads: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Any]]:
    """What templates read of these customers, by id; `reads` says which of NAMES that is, by id.

    Two statements at most, however many customers: one where nobody reads `recommended`.
    """
    customers = sorted(reads)
    newest = purchases.newest_orders(connection, customers, declared.event, declared.orders)
    more: dict[str, dict[str, Any]] = {customer: {} for customer in customers}
    fresh: dict[str, list[str]] = {}
    for customer, (stale, orders) in newest.items():
        more[customer][ORDERS] = [{**properties, "at": at} for at, properties in orders[: declared.orders]]
        if stale and RECOMMENDED in reads[customer]:
            told = history((at, bought(properties, declared)) for at, properties in orders)
            fresh[customer] = [product for product, _, _ in told]
    asking = [customer for customer in customers if RECOMMENDED in reads[customer]]
    found = related.recommended(connection, asking, fresh) if asking else {}
    for customer in customers:
        more[customer].setdefault(ORDERS, [])
    for customer in asking:
        more[customer][RECOMMENDED] = Recommended(found.get(customer, []))
    return more
