"""The shipped journey, but that it thanks at once: what follows an order without any wait can be timed."""

from lifecycle import Exit, Journey, Send, WaitFor, days, on

from .vocabulary import OrderCompleted, ReviewPosted

post_purchase = Journey(
    name="post_purchase",
    topic="orders",
    enter=on(OrderCompleted),
    key=OrderCompleted.order_id,
    steps=[
        Send("thanks"),
        WaitFor(
            "review",
            ReviewPosted,
            up_to=days(10),
            where=ReviewPosted.order_id == OrderCompleted.order_id,
            then=[Exit("reviewed")],
        ),
        Send("ask_review", on_capped="skip"),
    ],
)
