"""What emails may show of the shop: `orders` and `recommended`, fetched for a whole claim at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.copurchase import AT_MOST, REMEMBERED, bought, history
from lifecycle.journey.purchases import Purchases
from lifecycle.mail.recommended import NAMES, ORDERS, RECOMMENDED, Recommended
from lifecycle.store import customers, products, purchases, related

_ALL = 1_000_000


def shopping(
    connection: Connection, declared: Purchases, reads: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Any]]:
    """What templates read of these customers, by id; `reads` says which of NAMES that is, by id.

    Two statements at most, however many customers: one where nobody reads `recommended`.
    """
    people = sorted(reads)
    newest = purchases.newest_orders(connection, people, declared.event, declared.orders)
    more: dict[str, dict[str, Any]] = {customer: {} for customer in people}
    fresh: dict[str, list[str]] = {}
    for customer, (stale, orders) in newest.items():
        more[customer][ORDERS] = [{**properties, "at": at} for at, properties in orders[: declared.orders]]
        if stale and RECOMMENDED in reads[customer]:
            told = history((at, bought(properties, declared)) for at, properties in orders)
            fresh[customer] = [product for product, _, _ in told]
    asking = [customer for customer in people if RECOMMENDED in reads[customer]]
    found = related.recommended(connection, asking, fresh) if asking else {}
    for customer in people:
        more[customer].setdefault(ORDERS, [])
    for customer in asking:
        more[customer][RECOMMENDED] = Recommended(found.get(customer, []))
    return more


def explained(connection: Connection, declared: Purchases, customer: str) -> list[dict[str, Any]] | None:
    """What one customer is recommended, each with its `score` and `because` of what; None if nobody knows them."""
    if not customers.read(connection, [customer]):
        return None
    recommended = shopping(connection, declared, {customer: NAMES})[customer][RECOMMENDED](AT_MOST)
    newest = purchases.newest_orders(connection, [customer], declared.event, _ALL)
    _, orders = newest.get(customer, (False, []))
    own = [product for product, _, _ in history((at, bought(properties, declared)) for at, properties in orders)]
    reasons: dict[str, list[Any]] = {}
    for row in related.why(connection, own[:REMEMBERED]):
        reasons.setdefault(row.other_id, []).append(row)
    names = products.names(connection, own)
    return [
        {
            **product,
            "because": [
                {"id": row.product_id, "name": names.get(row.product_id), "together": row.together}
                for row in sorted(reasons.get(product["id"], ()), key=lambda row: (-row.score, row.product_id))
            ],
        }
        for product in recommended
    ]
