"""After each order: thanks, and a word about how it sounds once there was time to listen."""

from lifecycle import Exit, Journey, Send, Wait, WaitFor, days, hours, on

from .vocabulary import OrderCompleted, ReviewPosted

post_purchase = Journey(
    name="post_purchase",
    topic="orders",
    enter=on(OrderCompleted),
    key=OrderCompleted.order_id,  # one enrollment per order
    priority=70,
    steps=[
        Wait("let it settle", hours(2)),
        Send("post_purchase/thanks"),
        WaitFor(
            "review",
            ReviewPosted,
            up_to=days(10),
            where=ReviewPosted.order_id == OrderCompleted.order_id,
            then=[Exit("reviewed")],
        ),
        Send("post_purchase/ask_review", on_capped="skip"),
    ],
)
