"""A gentler policy than journeys/policy.py, to be tried on history before anybody is mailed less:

python examples/cdnow/make_events.py > events.jsonl
lifecycle caps try --policy examples/cdnow/gentler_policy.py --events events.jsonl
"""

from datetime import time

from lifecycle import Cap, Policy, QuietHours, Sender, days

policy = Policy(
    sender=Sender(
        "Blue Room Records",
        "hello@blueroom.example",
        postal_address="Blue Room Records, 12 Harbour Lane, Portland, ME 04101",
    ),
    timezone="America/New_York",
    locale="en",
    consent="opt_in",
    quiet_hours=QuietHours(time(20), time(9)),
    caps=[
        Cap(1, per=days(2)),
        Cap(2, per=days(7)),
        Cap(5, per=days(30)),
        Cap(1, per=days(14), topic="offers"),
    ],
)
