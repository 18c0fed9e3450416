"""`lifecycle catalog`: what is sold, what goes with it, and what is recommended to whom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle import clock
from lifecycle.errors import ConfigurationError, LifecycleError

from . import opened
from .lazy import Group
from .listing import Column, as_json_option, console, harmless, progress, write, write_json

if TYPE_CHECKING:
    from lifecycle.journey.purchases import Purchases
    from lifecycle.store.database import Database

_COLUMNS = (
    Column("id"),
    Column("name"),
    Column("category", wide=True),
    Column("price", right=True),
    Column("currency", wide=True),
    Column("in_stock"),
    Column("lately", "bought lately", right=True),
    Column("buyers", "ever", right=True),
    Column("url", wide=True),
)
_RELATED = (
    Column("id"),
    Column("name"),
    Column("score", right=True),
    Column("together", "bought both", right=True),
    Column("buyers", "bought it", right=True),
    Column("in_stock"),
)
_RECOMMENDED = (Column("id"), Column("name"), Column("score", right=True), Column("why"))
_PAGE = 1000
_REFUSALS_SHOWN = 20


@click.group(cls=Group)
def catalog() -> None:
    """Import, list and show products, and what is recommended."""


@catalog.command(
    "import",
    epilog="""\b
Examples:
  lifecycle catalog import products.csv              the first line names the columns, in any order
  lifecycle catalog import products.csv --replace    what the file does not name is out of stock

Docs: docs/recommendations.md.""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="The file is the whole catalogue: all others are out of stock.")
@click.pass_context
def import_file(ctx: click.Context, file: Path, replace: bool) -> None:
    """Bring in products from a CSV file: id, name, url, price; where known image, category, currency, in_stock, stock.

    Importing a file twice changes nothing. A row that cannot be taken is told with its number, and the others are
    taken; with --replace nothing is, because it might name a product.
    """
    from lifecycle.flow.cataloguing import import_catalogue

    with opened.database() as db, progress("importing") as advance:
        done = import_catalogue(db, file, clock.now(), replace=replace, progress=advance)
    for line in done.refused[:_REFUSALS_SHOWN]:
        click.echo(f"error: {harmless(line)}", err=True)
    if len(done.refused) > _REFUSALS_SHOWN:
        click.echo(f"error: … and {len(done.refused) - _REFUSALS_SHOWN:,} more", err=True)
    if done.ignored:
        click.echo(f"note: columns that mean nothing here: {harmless(', '.join(done.ignored))}", err=True)
    if replace and done.refused:
        raise LifecycleError("nothing was taken: --replace would put the products of refused rows out of stock")
    counts = f"{done.new:,} new, {done.changed:,} changed, {done.same:,} as they were, {len(done.refused):,} refused"
    click.echo(counts + (f"; {done.sold_out:,} out of stock" if replace else ""))
    ctx.exit(1 if done.refused else 0)


@catalog.command(
    "list",
    epilog="""\b
Examples:
  lifecycle catalog list --category Jazz
  lifecycle catalog list --json > products.jsonl""",
)
@click.option("--category", default="", help="Only of this category.", show_default="all")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    show_default="100, all with --json",
    help="At most so many; 0 for all.",
)
@as_json_option
def list_products(category: str, limit: int | None, as_json: bool) -> None:
    """List products by id, with how many people bought them."""
    most = limit or None if limit is not None or as_json else 100
    shown = write(_all(category, most), _COLUMNS, as_json=as_json, empty="no products")
    if shown == most and not as_json:
        click.echo(f"the first {shown:,}; all of them: --limit 0", err=True)


@catalog.command(
    epilog="""\b
Examples:
  lifecycle catalog show CD-014
  lifecycle catalog show CD-014 --json"""
)
@click.argument("product", metavar="ID")
@as_json_option
def show(product: str, as_json: bool) -> None:
    """Show one product, and what goes with it and why.

    The score is the cosine of who bought the two, from 0 to 1: bought both / √(bought one × bought the other).
    """
    from lifecycle.store import products, related

    with opened.database() as db, db.reading() as connection:
        known = products.show(connection, product)
        others = related.of(connection, product)
    if known is None and not others:
        raise LifecycleError(f"there is no product {product!r}; find one with: lifecycle catalog list")
    others = [{**other, "score": other["score"] / 1_000_000} for other in others]
    if as_json:
        write_json([{"record": "product", **(known or {"id": product})}])
        write_json({"record": "related", **other} for other in others)
        return
    for label, value in (known or {"id": product, "name": "not in the catalogue"}).items():
        if value is not None:
            console().print(f"{label.replace('_', ' '):<12} {harmless(_said(value))}", markup=False)
    click.echo("\ngoes with:")
    write(others, _RELATED, as_json=False, empty="nothing yet: too few people bought it together with anything")


@catalog.command(
    epilog="""\b
Examples:
  lifecycle catalog recommend                    compute now what goes with what
  lifecycle catalog recommend --customer 42      what 42 is recommended, and why"""
)
@click.option("--customer", metavar="ID", help="Show what this customer is recommended; computes nothing.")
@as_json_option
def recommend(customer: str | None, as_json: bool) -> None:
    """Compute now what goes with what, which schedulers do by themselves; or show what a customer is recommended."""
    with opened.engine() as engine:
        declared = engine.project.policy.purchases
        if declared is None:
            raise ConfigurationError(
                "the policy does not say what an order is; write purchases=Purchases(OrderCompleted) in policy.py"
            )
        if customer is not None:
            _explain(engine.db, declared, customer, as_json)
            return
        _compute(engine.db, declared)


def _compute(db: Database, declared: Purchases) -> None:
    from collections import Counter

    from lifecycle.flow.recommending import refresh

    done: Counter[str] = Counter()
    with progress("counting") as advance:
        for step in refresh(db, declared, clock.now()):
            done[step.what] += step.number
            advance(step.number)
    click.echo(f"orders of {done['customers']:,} customers taken in; {done['products']:,} products compared")


def _explain(db: Database, declared: Purchases, customer: str, as_json: bool) -> None:
    from lifecycle.flow.shopping import explained

    with db.reading() as connection:
        found = explained(connection, declared, customer)
    if found is None:
        raise LifecycleError(f"there is no customer {customer!r}; find one with: lifecycle customers list")
    rows = [{**one, "score": one["score"] / 1_000_000} for one in found]
    if as_json:
        write_json(rows)
        return
    told = [{**row, "why": _why(row["because"])} for row in rows]
    write(told, _RECOMMENDED, as_json=False, empty="nothing: too little was bought yet, or nothing is in stock")


def _why(because: list[dict[str, Any]]) -> str:
    named = [f"{one['name'] or one['id']} ({one['together']:,} bought both)" for one in because]
    return "popular" if not named else f"they have {'; '.join(named)}"


def _said(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _all(category: str, most: int | None) -> Iterator[dict[str, Any]]:
    from lifecycle.store import products

    with opened.database() as db, db.reading() as connection:
        after, left = "", most
        while left is None or left > 0:
            page = products.listed(connection, category=category, after=after, most=min(_PAGE, left or _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            after, left = page[-1]["id"], None if left is None else left - len(page)
