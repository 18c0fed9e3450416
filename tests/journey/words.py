"""A small vocabulary for tests of the language."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from lifecycle import Attribute, Event, Flag, Property


class customer:  # noqa: N801 - the noun of the language
    first_name = Attribute[str]()
    birthday = Attribute[date]()
    created_at = Attribute[datetime]()
    lifetime_value = Attribute[Decimal]()
    visits = Attribute[int]()
    vip = Flag()


class Registered(Event, name="customer.registered"):
    pass


class Ordered(Event, name="order.completed"):
    order_id = Property[str](required=True)
    total = Property[Decimal](required=True)
    gift = Property[bool]()
    ships_on = Property[date]()
    products = Property[list[object]]()


class Reviewed(Event, name="review.posted"):
    order_id = Property[str](required=True)
    stars = Property[int]()
