"""Regulars who have gone quiet: a reason to come back, and for the best of them a personal note."""

from lifecycle import Arm, Branch, Journey, Send, Split, Wait, days, when

from .vocabulary import OrderCompleted, customer

win_back = Journey(
    name="win_back",
    topic="offers",
    enter=when(OrderCompleted.times(at_least=2) & ~OrderCompleted.happened(last=days(90))),
    goal=OrderCompleted,  # they are back: the journey ends, at any step, also at the moment of sending
    again_after=days(180),
    holdout=10,  # percent who get nothing, to see what the journey is worth
    priority=30,
    steps=[
        Split(
            "offer",
            Arm("discount", 50, [Send("win_back/ten_percent_off")]),
            Arm("news", 50, [Send("win_back/whats_new")]),
        ),
        Wait("consider", days(7)),
        Branch(
            "worth a note?",
            when=customer.vip | (customer.lifetime_value >= 500),
            then=[Send("win_back/personal_note")],
        ),
    ],
)
