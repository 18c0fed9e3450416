"""Who sends, to whom at all, when, and how much at most."""

from datetime import time

from lifecycle import Cap, Policy, Purchases, QuietHours, Sender, days

from .vocabulary import OrderCompleted

policy = Policy(
    sender=Sender(
        "Blue Room Records",
        "hello@blueroom.example",
        postal_address="Blue Room Records, 12 Harbour Lane, Portland, ME 04101",
    ),
    timezone="America/New_York",
    locale="en",
    consent="opt_in",
    quiet_hours=QuietHours(time(21), time(8)),
    caps=[
        Cap(1, per=days(1)),
        Cap(3, per=days(7)),
        Cap(8, per=days(30)),
        Cap(1, per=days(7), topic="offers"),
    ],
    purchases=Purchases(OrderCompleted, refresh=days(28)),  # what goes with what changes slowly in so small a shop
)
