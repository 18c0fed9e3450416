"""What counts under the caps while a batch is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from lifecycle.core.caps import Counted, counts_now, longest
from lifecycle.journey.policy import Policy
from lifecycle.store import messages
from lifecycle.store.messages import Due


class Sends:
    """What counts under the caps, by customer, kept up while the batch is judged.

    A message counts from the moment at which the server took it, and that is up to a lease after it was claimed, the
    moment by which the index finds it. So the first look goes a lease further back; the moments themselves are read
    only for customers who may meet a cap in this batch: most never do.
    """

    def __init__(
        self, connection: Connection, policy: Policy, rows: Sequence[Due], now: datetime, lease: timedelta
    ) -> None:
        marketing = Counter(row.customer_id for row in rows if row.kind == "marketing")
        self._caps = policy.caps
        self._none = [0] * len(policy.caps)
        self.counts = messages.count_sends(connection, policy.caps, sorted(marketing), now - lease)
        self.history: dict[str, list[Counted]] = {}
        near = sorted(customer for customer, more in marketing.items() if self._near(customer, more))
        if near:
            for row in messages.HISTORY.run(connection, keys=near, since=now - lease - longest(policy.caps)).all():
                latest = now if row.state == "sending" else row.counted_at + lease
                self.history.setdefault(row.customer_id, []).append(Counted(row.sent_at or latest, row.topic))
        for customer, history in self.history.items():
            self.counts[customer] = counts_now(policy.caps, history, now)

    def _near(self, customer: str, more: int) -> bool:
        counts = self.counts.get(customer, self._none)
        return any(count + more > cap.limit for cap, count in zip(self._caps, counts, strict=True))

    def of(self, customer: str) -> tuple[list[int], list[Counted]]:
        """How many of the customer's messages count under each cap, and when and on what they were."""
        return self.counts.get(customer, self._none), self.history.get(customer, [])

    def add(self, customer: str, topic: str, now: datetime) -> None:
        """Counts one more, reserved in this batch."""
        before = self.counts.get(customer, self._none)
        self.counts[customer] = [count + cap.concerns(topic) for cap, count in zip(self._caps, before, strict=True)]
        self.history.setdefault(customer, []).append(Counted(now, topic))
