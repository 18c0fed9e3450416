"""The SQL of what goes with what, and of what is recommended to whom; the measure: `lifecycle.core.copurchase`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
# What they have is taken out by a score that nothing makes up for: a join would cost as much as all the rest.
_THEIRS = -(10**15)
_RECOMMENDED = Statement(
    f"""
    WITH own AS MATERIALIZED (
        SELECT customer_id, product_id, place FROM purchase
        WHERE customer_id IN {{keys}} AND customer_id NOT IN (SELECT rows.customer_id FROM {{rows}})
        UNION ALL
        SELECT rows.customer_id, rows.product_id, rows.place FROM {{rows}}
    ), liked AS (
        SELECT customer_id, other_id, sum(score) AS score FROM (
            SELECT own.customer_id, r.other_id, r.score FROM own JOIN related r ON r.product_id = own.product_id
            WHERE own.place <= {REMEMBERED}
            UNION ALL
            SELECT customer_id, product_id, {_THEIRS} FROM own
        ) AS signs GROUP BY customer_id, other_id HAVING sum(score) > 0
    ), ranked AS (
        SELECT customer_id, other_id, score,
            row_number() OVER (PARTITION BY customer_id ORDER BY score DESC, other_id) AS place
        FROM liked
    ), best AS MATERIALIZED (
        SELECT ranked.customer_id, ranked.other_id, ranked.score, ranked.place
        FROM ranked JOIN product p ON p.id = ranked.other_id AND p.in_stock
        WHERE ranked.place <= {LOOKED_AT}
    ), short AS MATERIALIZED (
        SELECT theirs.id FROM customer theirs LEFT JOIN best ON best.customer_id = theirs.id
        WHERE theirs.id IN {{keys}}
        GROUP BY theirs.id HAVING count(best.other_id) < {AT_MOST}
    ), filled AS (
        SELECT customer_id, other_id, score, place FROM best
        UNION ALL
        SELECT short.id, p.id, 0, {LOOKED_AT} + p.popularity
        FROM short CROSS JOIN product p
        LEFT JOIN own ON own.customer_id = short.id AND own.product_id = p.id
        LEFT JOIN best ON best.customer_id = short.id AND best.other_id = p.id
        WHERE p.popularity IS NOT NULL AND p.in_stock AND own.customer_id IS NULL AND best.customer_id IS NULL
    )
    SELECT filled.customer_id, filled.score, p.id, p.name, p.url, p.image, p.price, p.currency, p.category
    FROM filled JOIN product p ON p.id = filled.other_id
    ORDER BY filled.customer_id, filled.place
    """,
    rows={"customer_id": "text", "product_id": "text", "place": "bigint"},
    returns={"customer_id": Text(), "score": Id, "id": Text()},
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
    rows = [
        {"customer_id": customer, "product_id": product, "place": place}
        for customer, products in fresh.items()
        for place, product in enumerate(products, 1)
    ]
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _RECOMMENDED.run(connection, keys=list(customers), rows=rows).mappings().all():
        theirs = found.setdefault(row["customer_id"], [])
        if len(theirs) < AT_MOST:
            theirs.append({**row, "price": Decimal(row["price"])})
    return found
