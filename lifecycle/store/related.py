"""The SQL of what goes with what, and of what is recommended to whom; the measure: `lifecycle.core.copurchase`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Connection, Text

from lifecycle.core.copurchase import AT_MOST, BASKET, LEAST_TOGETHER, LOOKED_AT, RELATED, REMEMBERED

from .sql import Statement
from .types import Id

_SOLD = Statement(
    """
    SELECT product_id, count(*) AS buyers, sum(CASE WHEN last_at > :since THEN 1 ELSE 0 END) AS lately
    FROM purchase GROUP BY product_id ORDER BY product_id
    """,
    returns={"product_id": Text(), "buyers": Id, "lately": Id},
)
# Of the others of one product, together / sqrt(buyers * others) sorts like together * together / others.
_ALIKE = Statement(
    f"""
    WITH pairs AS (
        SELECT one.product_id, other.product_id AS other_id, count(*) AS together
        FROM purchase one JOIN purchase other ON other.customer_id = one.customer_id
        WHERE one.product_id IN {{keys}} AND one.place <= {BASKET} AND other.place <= {BASKET}
          AND other.product_id <> one.product_id
        GROUP BY one.product_id, other.product_id
        HAVING count(*) >= {LEAST_TOGETHER}
    ), ranked AS (
        SELECT pairs.product_id, pairs.other_id, pairs.together, product.buyers AS others,
            row_number() OVER (
                PARTITION BY pairs.product_id
                ORDER BY CAST(pairs.together * pairs.together AS double precision) / product.buyers DESC, pairs.other_id
            ) AS place
        FROM pairs JOIN product ON product.id = pairs.other_id
        WHERE product.in_stock AND product.buyers > 0
    )
    SELECT product_id, other_id, together, others FROM ranked WHERE place <= {RELATED} ORDER BY product_id, place
    """,
    returns={"product_id": Text(), "other_id": Text(), "together": Id, "others": Id},
)
_DROP = Statement("DELETE FROM related WHERE product_id IN {keys}")
_DROP_ALL = Statement("DELETE FROM related")
_ADD = Statement(
    """
    INSERT INTO related (product_id, other_id, score, together)
    SELECT rows.product_id, rows.other_id, rows.score, rows.together FROM {rows} WHERE true
    ON CONFLICT (product_id, other_id) DO UPDATE SET score = excluded.score, together = excluded.together
    """,
    rows={"product_id": "text", "other_id": "text", "score": "bigint", "together": "bigint"},
)
_KNOWN = Statement("SELECT DISTINCT product_id FROM related", returns={"product_id": Text()})
_OF = Statement(
    """
    SELECT r.other_id AS id, p.name, p.in_stock, r.score, r.together, p.buyers
    FROM related r LEFT JOIN product p ON p.id = r.other_id
    WHERE r.product_id = :id ORDER BY r.score DESC, r.other_id
    """,
    returns={"in_stock": Boolean()},
)
_WHY = Statement(
    "SELECT product_id, other_id, score, together FROM related WHERE product_id IN {keys}",
    returns={"product_id": Text(), "other_id": Text(), "score": Id, "together": Id},
)
_OWN = Statement(
    "SELECT customer_id, product_id FROM purchase WHERE customer_id IN {keys} ORDER BY customer_id, place",
    returns={"customer_id": Text(), "product_id": Text()},
)
# What is wanted, and what stands in for it; an OR of the two would read the whole catalogue.
_SHELF = Statement(
    """
    SELECT id, name, url, image, price, currency, category, popularity FROM product WHERE in_stock AND id IN {keys}
    UNION
    SELECT id, name, url, image, price, currency, category, popularity FROM product
    WHERE in_stock AND popularity IS NOT NULL
    """,
    returns={"id": Text()},
)


def sold(connection: Connection, since: datetime) -> dict[str, tuple[int, int]]:
    """How many people bought each product after `since`, and how many ever; by product, in the order of ids."""
    return {row.product_id: (row.lately, row.buyers) for row in _SOLD.run(connection, since=since).all()}


def alike(connection: Connection, products: Sequence[str]) -> list[Any]:
    """What goes best with these products, of what is in stock: product_id, other_id, together, others."""
    return list(_ALIKE.run(connection, keys=products).all())


def replace(connection: Connection, products: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Keeps what goes with these products from now on: product_id, other_id, score, together."""
    _DROP.run(connection, keys=products)
    if rows:
        _ADD.run(connection, rows=list(rows))


def forget_all(connection: Connection) -> None:
    """Drops everything that goes with anything."""
    _DROP_ALL.run(connection)


def known(connection: Connection) -> list[str]:
    """The products that something goes with."""
    return list(_KNOWN.run(connection).scalars())


def of(connection: Connection, product: str) -> list[dict[str, Any]]:
    """What goes with one product, the best first."""
    return [dict(row) for row in _OF.run(connection, id=product).mappings().all()]


def why(connection: Connection, products: Collection[str]) -> list[Any]:
    """What goes with any of these products: product_id, other_id, score, together."""
    return list(_WHY.run(connection, keys=list(products)).all())


def recommended(
    connection: Connection, customers: Collection[str], fresh: Mapping[str, Sequence[str]]
) -> dict[str, list[dict[str, Any]]]:
    """What these customers get recommended, each the best first, with its `score`, 0 for what is only popular.

    `fresh`: all that a customer bought, the newest in front, for those whose purchases are out of date.
    """
    owned: dict[str, list[str]] = {customer: [*fresh.get(customer, ())] for customer in customers}
    had: list[Any] = list(_OWN.run(connection, keys=[each for each in owned if each not in fresh]).all())
    for customer, product in had:
        owned[customer].append(product)
    remembered = {product for own in owned.values() for product in own[:REMEMBERED]}
    others: dict[str, list[tuple[str, int]]] = {}
    for product, other, score, _ in why(connection, sorted(remembered)) if remembered else ():
        others.setdefault(product, []).append((other, score))
    liked = {customer: _liked(own, others) for customer, own in owned.items()}
    wanted = {product for theirs in liked.values() for product, _ in theirs}
    shelf = {row.id: _product(row) for row in _SHELF.run(connection, keys=sorted(wanted)).all()}
    places = {product: shown.pop("popularity") for product, shown in shelf.items()}
    popular = [shelf[id] for _, id in sorted((place, id) for id, place in places.items() if place is not None)]
    return {customer: _shown(liked[customer], popular, shelf, set(own)) for customer, own in owned.items()}


def _liked(own: Sequence[str], others: Mapping[str, Sequence[tuple[str, int]]]) -> list[tuple[str, int]]:
    """What goes best with what somebody has, and with what score."""
    scores: dict[str, int] = {}
    for product in own[:REMEMBERED]:
        for other, score in others.get(product, ()):
            scores[other] = scores.get(other, 0) + score
    for product in own:
        scores.pop(product, None)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:LOOKED_AT]


def _shown(
    liked: Sequence[tuple[str, int]],
    popular: Sequence[Mapping[str, Any]],
    shelf: Mapping[str, Mapping[str, Any]],
    own: Set[str],
) -> list[dict[str, Any]]:
    """Of what they like and then of what is popular, what is on the shelf."""
    found = [{**shelf[product], "score": score} for product, score in liked if product in shelf][:AT_MOST]
    if len(found) < AT_MOST:
        known = own | {product["id"] for product in found}
        found += [{**product, "score": 0} for product in popular if product["id"] not in known]
    return found[:AT_MOST]


def _product(row: Any) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in ("id", "name", "url", "image", "currency", "category", "popularity")}
    return {**shown, "price": Decimal(row.price)}
