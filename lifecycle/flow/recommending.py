"""The job that computes what goes with what, set by set, in steps of which none holds a lock for long.

1. Orders that are in nobody's purchases yet are taken in, customer by customer, a few hundred at once.
2. How many people bought each product is counted, ever and lately; the most popular stand in for newcomers.
3. For some products after the other, what was bought together with them is counted and the best of it kept.

Each step is done again without harm, and one that is never done leaves what was there before. The work of a night
grows with the orders that came since in the first step, with all purchases in the other two.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import TypeVar

from lifecycle.core.copurchase import bought, history, popular, score
from lifecycle.journey.project import Project
from lifecycle.journey.purchases import Purchases
from lifecycle.store import fingerprints, products, purchases, related, sweeps
from lifecycle.store.database import Database

log = logging.getLogger(__name__)

T = TypeVar("T")

_SWEEP = _FINGERPRINT = "recommend"
_FOUND_AT_ONCE = 10_000
_CUSTOMERS_AT_ONCE = 500
_PRODUCTS_AT_ONCE = 500
_LINES_AT_ONCE = 20_000
_SHARE = 0.5
"""Real seconds of a look of the scheduler that the job may have."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was done: of `what` so many, of `total` where that is known."""

    what: str
    number: int
    total: int | None = None


def refresh(db: Database, declared: Purchases, now: datetime) -> Iterator[Step]:
    """Computes everything anew as of `now`, a step each time it is asked for the next."""
    yield from _begin(db, declared)
    yield from _take_in(db, declared)
    with db.reading() as connection:
        sold = related.sold(connection, now - declared.lately.rolling)
    yield from _count(db, sold)
    yield from _relate(db, {product: ever for product, (_, ever) in sold.items()})


def _begin(db: Database, declared: Purchases) -> Iterator[Step]:
    """Starts from nothing where the policy reads orders otherwise than it did."""
    reads = repr((declared.event, declared.items, declared.product, declared.quantity))
    mine = hashlib.blake2b(reads.encode(), digest_size=12).hexdigest()
    with db.transaction() as connection:
        if fingerprints.known(connection, _FINGERPRINT) != mine:
            purchases.forget_all(connection)
            related.forget_all(connection)
            fingerprints.keep(connection, _FINGERPRINT, mine)
    yield Step("policies", 1)


def _take_in(db: Database, declared: Purchases) -> Iterator[Step]:
    after = ""
    while True:
        with db.reading() as connection:
            found = purchases.out_of_date(connection, declared.event, after, _FOUND_AT_ONCE)
        for some in _parts(found, _CUSTOMERS_AT_ONCE):
            _take_in_some(db, declared, some)
            yield Step("customers", len(some))
        if len(found) < _FOUND_AT_ONCE:
            return
        after = found[-1]


def _take_in_some(db: Database, declared: Purchases, customers: Sequence[str]) -> None:
    with db.transaction(durable=False) as connection:
        held = purchases.hold(connection, customers)
        orders = purchases.orders(connection, held, declared.event)
        histories = {
            customer: history((at, bought(properties, declared)) for at, properties in theirs)
            for customer, theirs in orders.items()
        }
        if orders:
            purchases.replace(connection, histories, {customer: len(theirs) for customer, theirs in orders.items()})


def _count(db: Database, sold: Mapping[str, tuple[int, int]]) -> Iterator[Step]:
    """Keeps how many people bought each product of the catalogue, and which are the most popular in stock."""
    with db.reading() as connection:
        known = products.counted(connection)
    in_stock = {row.id: sold[row.id] for row in known if row.in_stock and row.id in sold}
    places = {product: place for place, product in enumerate(popular(in_stock), 1)}
    changed = []
    for row in known:
        lately, buyers = sold.get(row.id, (0, 0))
        place = places.get(row.id)
        if (row.buyers, row.lately, row.popularity) != (buyers, lately, place):
            changed.append({"id": row.id, "buyers": buyers, "lately": lately, "popularity": place})
    for some in _parts(changed, _PRODUCTS_AT_ONCE):
        with db.transaction(durable=False) as connection:
            products.count(connection, some)
        yield Step("counts", len(some), len(changed))


def _relate(db: Database, buyers: Mapping[str, int]) -> Iterator[Step]:
    for some in _portions(buyers):
        with db.reading() as connection:
            found = related.alike(connection, some)
        rows = [
            {
                "product_id": row.product_id,
                "other_id": row.other_id,
                "score": score(row.together, buyers[row.product_id], row.others),
                "together": row.together,
            }
            for row in found
        ]
        with db.transaction(durable=False) as connection:
            related.replace(connection, some, rows)
        yield Step("products", len(some), len(buyers))
    with db.reading() as connection:
        gone = [product for product in related.known(connection) if product not in buyers]
    for others in _parts(gone, _PRODUCTS_AT_ONCE):
        with db.transaction(durable=False) as connection:
            related.replace(connection, others, [])
        yield Step("products", 0, len(buyers))


def _portions(buyers: Mapping[str, int]) -> Iterator[Sequence[str]]:
    """The products, as many at once as have so many purchases together that counting takes a moment."""
    some: list[str] = []
    lines = 0
    for product, number in buyers.items():
        some.append(product)
        lines += number
        if lines >= _LINES_AT_ONCE or len(some) == _PRODUCTS_AT_ONCE:
            yield some
            some, lines = [], 0
    if some:
        yield some


def _parts(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def refresh_if_due(db: Database, declared: Purchases, now: datetime) -> datetime:
    """Computes everything at once if it is its turn; returns when the next one is."""
    every = declared.refresh.rolling
    if sweeps.take_turn(db, _SWEEP, now, every):
        for _ in refresh(db, declared, now):
            pass
    return sweeps.next_turn(db, _SWEEP)


class Recommending:
    """One scheduler's part in the job: of many, one takes the turn, and does a little of it in each look.

    Its turn is a lease meanwhile: if it dies, another begins anew.
    """

    def __init__(self, db: Database, *, monotonic: Callable[[], float] = monotonic) -> None:
        self._db = db
        self._monotonic = monotonic
        self._declared: Purchases | None = None
        self._running: tuple[datetime, Iterator[Step]] | None = None

    def look(self, project: Project, now: datetime, lease: timedelta, stopping: Callable[[], bool]) -> None:
        """Does some of the job, if it is its turn; costs one look at the database where it is not."""
        declared = project.policy.purchases
        if declared != self._declared:
            self._declared, self._running = declared, None
        if declared is None:
            return
        every = declared.refresh.rolling
        running = self._running or self._begin(declared, now, min(lease, every))
        if running is None:
            return
        began, steps = running
        self._running = None  # an error ends it, and its lease brings it back
        until = self._monotonic() + _SHARE
        while self._monotonic() < until and not stopping():
            if next(steps, None) is None:
                sweeps.give_back(self._db, _SWEEP, began + every)
                log.info("what goes with what is computed")
                return
        sweeps.give_back(self._db, _SWEEP, now + min(lease, every))
        self._running = running

    def _begin(self, declared: Purchases, now: datetime, lease: timedelta) -> tuple[datetime, Iterator[Step]] | None:
        every = declared.refresh.rolling
        if not sweeps.due_sweeps(self._db, {_SWEEP: every}, now):
            return None
        if not sweeps.take_turn(self._db, _SWEEP, now, every, lease):
            return None
        return now, refresh(self._db, declared, now)
