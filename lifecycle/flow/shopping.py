"""What emails may show of the shop: `orders` and `recommended`, fetched for a whole claim at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from lifecycle.core.copurchase import AT_MOST, REMEMBERED, bought, history
from lifecycle.journey.project import Project
from lifecycle.journey.purchases import Purchases
from lifecycle.mail.recommended import NAMES, ORDERS, RECOMMENDED, Recommended
from lifecycle.store import customers, products, purchases, related
from lifecycle.store.database import Database

from .claimed import ToSend
from .mailer import Mailer
from .poison import in_parts

_ALL = 1_000_000


def add_shopping(db: Database, project: Project, mailer: Mailer, letters: Sequence[ToSend]) -> None:
    """Fetches what the templates of a claim's letters read of the shop, while nothing is locked; none where none does.

    A customer whose data cannot be read is logged, and goes without: what reads them then fails by their name.
    """
    declared = project.policy.purchases
    if declared is None:
        return
    reads: dict[str, set[str]] = {}
    for item in letters:
        for template in (item.template, *(section.template for section in item.sections)):
            if names := mailer.reads(template):
                reads.setdefault(item.envelope.customer_id, set()).update(names)
    if not reads:
        return

    def fetch(some: Sequence[str]) -> dict[str, dict[str, Any]]:
        with db.reading() as connection:
            return shopping(connection, declared, {customer: reads[customer] for customer in some})

    for more in in_parts("customer", fetch, sorted(reads)):
        for item in letters:
            item.more = more.get(item.envelope.customer_id, item.more)


def shopping(
    connection: Connection, declared: Purchases, reads: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Any]]:
    """What templates read of these customers, by id; `reads` says which of NAMES that is, by id.

    Four statements at most, however many customers: one where nobody reads `recommended`.
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
