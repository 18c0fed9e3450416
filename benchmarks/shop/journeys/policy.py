"""Four caps, one of them per topic, consent and quiet hours: all that the policy asks."""

from datetime import time

from lifecycle import Cap, Policy, QuietHours, Sender, days

policy = Policy(
    sender=Sender("Toko Kopi", "halo@tokokopi.example", postal_address="Jl. Braga 1, Bandung 40111, Indonesia"),
    timezone="Asia/Jakarta",
    locale="en",
    consent="opt_in",
    quiet_hours=QuietHours(time(21), time(8)),
    caps=[
        Cap(1, per=days(1)),
        Cap(3, per=days(7)),
        Cap(8, per=days(30)),
        Cap(2, per=days(7), topic="orders"),
    ],
)
