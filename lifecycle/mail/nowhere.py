"""A transport for trying things out: every letter counts as accepted, and goes nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lifecycle.mail.transport import Accepted, Letter, Outcome


class NowhereTransport:
    """Accepts everything and keeps nothing."""

    lanes = 1

    def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
        """Each letter, accepted."""
        for letter in letters:
            yield letter, Accepted("not sent")

    def close(self) -> None:
        """Nothing is open."""
