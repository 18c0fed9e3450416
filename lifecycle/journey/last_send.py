"""What became of a journey's last email, as words of its conditions."""

from __future__ import annotations

from typing import ClassVar

from lifecycle.errors import DefinitionError

from .conditions import LastSend
from .origin import here


class last_send:  # noqa: N801 - a noun of the language, like `customer`
    """The newest email of the same enrollment that is over: `Branch("got it?", when=last_send.was_sent, …)`.

    Before the first email all are false, and so they are of one that the server refused.
    """

    was_sent: ClassVar[LastSend] = LastSend("sent")
    """It went out; also where nobody can know for sure whether it did."""
    was_skipped: ClassVar[LastSend] = LastSend("skipped")
    """It did not go out: capped, expired, unsubscribed, ..."""
    was_digested: ClassVar[LastSend] = LastSend("digested")
    """It went out as a section of a digest."""

    def __init__(self) -> None:
        raise DefinitionError(here(), "last_send is a word, not a thing to make", "drop the ()")
