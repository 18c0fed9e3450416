"""What a mail transport takes and what it answers: a letter in, exactly one outcome out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol


def always_wanted() -> bool:
    """What a letter that nobody withdraws is."""
    return True


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class Letter:
    """One finished message for one recipient.

    `sender` and `recipient` are the envelope's addresses; `data` is the whole message, headers and body, in CRLF
    lines and not dot-stuffed. `wanted` is asked right before the content leaves, if that is later than when the
    letter was pulled; what it raises ends the delivery.
    """

    id: int
    sender: str
    recipient: str
    message_id: str
    data: bytes
    wanted: Callable[[], bool] = field(default=always_wanted, compare=False, repr=False)


@dataclass(slots=True)  # as above
class Accepted:
    """The server has taken responsibility for the letter."""

    reply: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """The letter was surely not taken, and may be tried later.

    `code` is the server's 4xx; None when there was no such reply: unreachable, or lost before the final dot.
    """

    reply: str
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will never take this letter (5xx); `enhanced` is the RFC 3463 code, such as "5.1.1", if given."""

    code: int
    enhanced: str | None
    reply: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection was lost after the final dot: the server may have taken the letter (RFC 5321, 4.5.3.2.6)."""

    reply: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The letter was no longer wanted when its content should have left: nothing of it did."""

    reply: str = "withdrawn"


Outcome = Accepted | Deferred | Refused | Unknown | Withdrawn


class Transport(Protocol):
    """A way out for letters."""

    lanes: int
    """At most this many letters are in flight at once: content possibly sent, outcome not yet yielded."""

    def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
        """Pull letters one by one as there is room, and yield each one's outcome as soon as it is known.

        Every pulled letter gets exactly one outcome, also when the iterable raises: then the error follows the last
        outcome. Content is sent only while fewer than `lanes` earlier letters lack their outcome, so after a crash
        only the first `lanes` unrecorded letters can have reached the server.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files; a closed transport opens them again when it is used."""
        ...
