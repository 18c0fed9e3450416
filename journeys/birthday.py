"""A greeting on the day, not before and not much after."""

from datetime import time

from lifecycle import Journey, Send, each_year, hours

from .vocabulary import customer

birthday = Journey(
    name="birthday",
    topic="offers",
    enter=each_year(customer.birthday, at=time(9)),
    leap_day="feb 28",
    priority=80,
    expires=hours(36),
    steps=[
        Send("birthday/greeting", send_within=hours(36)),
    ],
)
