"""The words of the shop that is measured."""

from decimal import Decimal

from lifecycle import Attribute, Event, Property


class customer:
    email = Attribute[str]()
    first_name = Attribute[str]()


class OrderCompleted(Event, name="order.completed"):
    order_id = Property[str](required=True)
    total = Property[Decimal](required=True)
    quantity = Property[int](required=True)


class ReviewPosted(Event, name="review.posted"):
    order_id = Property[str](required=True)
