"""Purchases as the policy declares them: which event is an order, and where in it the products stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lifecycle.errors import DefinitionError

from .durations import Duration, as_span, days, hours
from .origin import here, is_text
from .vocabulary import Event, event_name, nearest

_SOONEST = hours(1)


@dataclass(frozen=True, slots=True, init=False)
class Purchases:
    """Where what was bought stands, for `orders` and `recommended()` in emails.

    `event`: the order. `items`: its property that lists them, each an object with an id under `product` and, where
    more than one was bought, how many under `quantity`. `orders`: how many of the newest orders emails see. `lately`:
    what is popular is what most people bought in that time. `refresh`: how often what goes with what is computed.
    The names are those of Segment's "Order Completed" unless told.
    """

    event: str
    items: str
    product: str
    quantity: str
    orders: int
    lately: Duration
    refresh: Duration

    def __init__(
        self,
        event: type[Event],
        *,
        items: str = "products",
        product: str = "product_id",
        quantity: str = "quantity",
        orders: int = 3,
        lately: Duration | None = None,
        refresh: Duration | None = None,
    ) -> None:
        name = event_name(event, "Purchases()")
        for argument, value in (("items", items), ("product", product), ("quantity", quantity)):
            if not is_text(value):
                message = f"Purchases: {argument}={value!r} is no name"
                raise DefinitionError(here(), message, "write what the app calls it in an order")
        if type(orders) is not int or not 1 <= orders <= 100:
            raise DefinitionError(here(), f"Purchases: orders={orders!r}", "give a whole number from 1 to 100")
        often = as_span(hours(24) if refresh is None else refresh, "refresh=")
        if often.rolling < _SOONEST.rolling:
            raise DefinitionError(here(), f"Purchases: refresh={often} is too often", f"give at least {_SOONEST}")
        values: dict[str, Any] = {
            "event": name,
            "items": _list_in(event, items),
            "product": product,
            "quantity": quantity,
            "orders": orders,
            "lately": as_span(days(90) if lately is None else lately, "lately="),
            "refresh": often,
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)


def _list_in(event: type[Event], items: str) -> str:
    """The name of the property of the event that lists the products; raises DefinitionError."""
    found = event.properties.get(items)
    if found is None:
        lists = [name for name, each in event.properties.items() if each.python_type is list]
        hint = f"declare it in `class {event.__name__}`: {items} = Property[list[object]]()"
        raise DefinitionError(
            here(), f"Purchases: {event.event_name} has no property {items!r}", nearest(items, lists, hint)
        )
    if found.python_type is not list:
        raise DefinitionError(
            here(),
            f"Purchases: {event.event_name}.{items} is no list",
            f"declare it so: {items} = Property[list[object]]()",
        )
    return items
