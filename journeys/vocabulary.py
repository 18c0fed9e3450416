"""The words that journeys and templates may use."""

from datetime import date, datetime
from decimal import Decimal

from lifecycle import Attribute, Event, Flag, Property


class customer:
    email = Attribute[str]()
    first_name = Attribute[str]()
    last_name = Attribute[str]()
    birthday = Attribute[date]()
    created_at = Attribute[datetime]()
    lifetime_value = Attribute[Decimal]()  # in US dollars
    vip = Flag()
    favourite_genre = Attribute[str]()


class CustomerRegistered(Event, name="customer.registered"):
    pass


class OrderCompleted(Event, name="order.completed"):
    order_id = Property[str](required=True)
    total = Property[Decimal](required=True)  # in US dollars
    quantity = Property[int](required=True)
    products = Property[list[object]]()  # each with product_id, name and quantity


class ReviewPosted(Event, name="review.posted"):
    order_id = Property[str](required=True)
    stars = Property[int](required=True)
