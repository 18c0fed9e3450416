"""The first ten days: say hello, say how the shop works, and help towards the next order."""

from datetime import time

from lifecycle import Branch, Journey, Send, Wait, days, on

from .vocabulary import CustomerRegistered, OrderCompleted

onboarding = Journey(
    name="onboarding",
    topic="welcome",
    enter=on(CustomerRegistered),
    goal=OrderCompleted,  # an order after registering; one that came with it is where most people start
    priority=60,
    steps=[
        Send("onboarding/welcome"),
        Wait("first look around", days(2)),
        Send("onboarding/how_it_works"),
        Wait("a week to listen", days(7)),
        Wait("in the morning", until=time(10)),
        Branch(
            "came with an order?",
            when=OrderCompleted.happened(),
            then=[Send("onboarding/second_order_idea")],
            otherwise=[Send("onboarding/first_order_nudge")],
        ),
    ],
)
