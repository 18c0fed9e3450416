"""Law 1 as a state machine: whatever comes in whatever order, whoever dies where, every promise is kept.

Hypothesis plays apps, time, schedulers, workers and misfortune on one database; after every move the promises are
looked at, and at the end, when everything had its time, nothing may be left over.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import SQLModel

from lifecycle import Cap, Exit, Journey, QuietHours, Send, Wait, WaitFor, always, days, hours, on
from lifecycle.flow.claim import claim
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown
from lifecycle.store.database import Database
from tests.stage import LEASE, NOON, Ordered, Reviewed, Stage, project_of

CAPS = [Cap(1, per=hours(6)), Cap(3, per=days(2)), Cap(1, per=days(1), topic="offers")]
JOURNEYS = [
    Journey(
        name="thanks",
        topic="orders",
        enter=on(Ordered),
        key=Ordered.order_id,
        priority=70,
        steps=[
            Wait("settle", hours(2)),
            Send("thanks"),
            WaitFor(
                "review", Reviewed, up_to=days(2), where=Reviewed.order_id == Ordered.order_id, then=[Exit("done")]
            ),
            Send("please", on_capped="skip"),
        ],
    ),
    Journey(
        name="offers",
        topic="offers",
        enter=on(Ordered),
        goal=Reviewed,
        again_after=always(hours(12)),
        expires=days(1),
        steps=[Send("offer", send_within=days(2)), Wait("a day", days(1)), Send("another")],
    ),
    Journey(
        name="receipt",
        topic="receipts",
        kind="transactional",
        enter=on(Ordered),
        key=Ordered.order_id,
        steps=[Send("receipt")],
    ),
]
CUSTOMERS = ["ann", "bob", "cy"]
ORDERS = [f"o{n}" for n in range(6)]
ANSWERS: list[Outcome] = [
    Accepted("250 ok"),
    Accepted("250 ok"),
    Accepted("250 ok"),
    Deferred("451 later", 451),
    Refused(554, "5.7.1", "554 no"),
    Unknown("lost after the dot"),
]

FATES = ["fine", "fine", "doubled", "lost", "dies", "dies"]


class Promises(RuleBasedStateMachine):
    """Customers, orders and misfortunes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="lifecycle-machine-")
        self.accepted: Counter[str] = Counter()
        self.dead_hints: list[tuple[str, list[int]]] = []
        self.granted_order: set[tuple[str, str]] = set()
        self.unsubscribed_at: dict[str, datetime] = {}
        self.crashes = 0

    @initialize()
    def open(self) -> None:
        database = Database(f"sqlite:///{Path(self.folder.name) / 'lifecycle.db'}")
        SQLModel.metadata.create_all(database.engine)
        self.stage = Stage(
            database,
            project_of(*JOURNEYS, caps=CAPS, quiet_hours=QuietHours(NOON.time().replace(22), NOON.time().replace(7))),
        )
        self.stage.outbox.answer = self.answer
        self.coming: list[Outcome] = []
        for customer in CUSTOMERS:
            self.stage.identify(customer, email=f"{customer}@example.com")
            self.order(customer, ["first"])

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            self.settle()
            self.stage.db.close()
        self.folder.cleanup()

    def answer(self, letter: Letter) -> Outcome:
        outcome = self.coming.pop() if self.coming else ANSWERS[0]
        if isinstance(outcome, Accepted | Unknown):
            self.accepted[letter.message_id] += 1
        return outcome

    # What apps say: in any order, late, and more than once

    @rule(customer=st.sampled_from(CUSTOMERS), orders=st.lists(st.sampled_from(ORDERS), min_size=1, max_size=3))
    def order(self, customer: str, orders: list[str]) -> None:
        """The same order again has the same id, and says the same: it is a repetition, however late it comes."""
        raws = [
            self.stage.message(
                "track",
                customer,
                event="order.completed",
                properties={"order_id": f"{customer}-{order}"},
                messageId=f"{customer}-{order}",
                timestamp=NOON,
            )
            for order in orders
        ]
        self.granted_order.update((customer, f"{customer}-{order}") for order in orders)
        self.stage.take(*raws)

    @rule(customer=st.sampled_from(CUSTOMERS), order=st.sampled_from(ORDERS), late=st.integers(0, 90))
    def review(self, customer: str, order: str, late: int) -> None:
        properties = {"order_id": f"{customer}-{order}"}
        at = self.stage.now - timedelta(minutes=late)
        self.stage.take(
            self.stage.message("track", customer, event="review.posted", properties=properties, timestamp=at)
        )

    @rule(topic=st.sampled_from([None, "orders", "offers"]))
    def withdraw(self, topic: str | None) -> None:
        """One of them, lest soon nobody is written to."""
        customer = CUSTOMERS[-1]
        self.stage.now += timedelta(seconds=1)
        self.stage.track(customer, "subscription.withdrawn", topic=topic)
        if topic is None:
            self.unsubscribed_at.setdefault(customer, self.stage.now)

    # What happens

    @rule(
        minutes=st.sampled_from([0, 1, 5, 60, 150, 360, 720, 1440]),
        fates=st.lists(st.sampled_from(FATES), max_size=6),
        answers=st.lists(st.sampled_from(ANSWERS), max_size=6),
    )
    def all_roles_work(self, minutes: int, fates: list[str], answers: list[Outcome]) -> None:
        """Later the scheduler looks, and workers take hints until there are none; the first few meet their fates."""
        self.stage.now += timedelta(minutes=minutes)
        self.coming = answers
        self.stage.tick()
        while self.stage.hints.fresh:
            what, ids = self.stage.hints.fresh.pop(0)
            self.dead_hints.append((what, ids))
            match fates.pop() if fates else "fine":
                case "lost":
                    continue
                case "dies" if what == "deliver":
                    self.a_worker_dies(ids, len(fates) % 3)
                    continue
                case "doubled":
                    self.carry_out(what, ids)
            self.carry_out(what, ids)

    def carry_out(self, what: str, ids: list[int]) -> None:
        (self.stage.advance if what == "advance" else self.stage.deliver)(ids)

    @precondition(lambda self: self.dead_hints)
    @rule(data=st.data())
    def an_old_hint_comes_again(self, data: st.DataObject) -> None:
        self.carry_out(*data.draw(st.sampled_from(self.dead_hints)))

    def a_worker_dies(self, ids: list[int], begun: int) -> None:
        """After its claim, and after it has recorded `begun` and sent one more."""
        stage = self.stage
        claimed = claim(stage.db, stage.project, stage.mailer, ids, stage.now, LEASE)
        self.crashes += bool(claimed.letters)
        for n, item in enumerate(claimed.letters[: begun + 1]):
            self.accepted[item.envelope.message_id] += 1
            if n < begun:
                with stage.db.transaction() as connection:
                    connection.exec_driver_sql(
                        "UPDATE message SET state = 'sent', sent_at = counted_at, reason = NULL WHERE id = ?",
                        (item.envelope.id,),
                    )

    # What must hold, always

    @invariant()
    def no_step_has_two_messages_and_each_order_one_thanks(self) -> None:
        if hasattr(self, "stage"):
            rows = self.stage.messages()
            assert max(Counter((row["enrollment_id"], row["step"]) for row in rows).values(), default=1) == 1
            thanks = Counter((row["customer_id"], row["key"]) for row in rows if row["step"] == "thanks")
            assert max(thanks.values(), default=1) == 1
            assert thanks.keys() <= self.granted_order

    @invariant()
    def no_cap_is_exceeded_in_any_window(self) -> None:
        if not hasattr(self, "stage"):
            return
        moments = defaultdict(list)
        for row in self.stage.messages():
            if row["kind"] == "marketing" and row["state"] in ("sent", "sending", "uncertain"):
                moments[row["customer_id"]].append((row["counted_at"], row["topic"]))
        for sent in moments.values():
            for cap in CAPS:
                counted = [at for at, topic in sent if cap.topic in (None, topic)]
                assert all(sum(start <= at < start + cap.span for at in counted) <= cap.limit for start in counted)

    @invariant()
    def whatever_is_not_sent_says_why(self) -> None:
        if hasattr(self, "stage"):
            for row in self.stage.messages():
                assert row["reason"] or row["state"] in ("pending", "sending", "sent")

    @invariant()
    def nothing_is_sent_twice_but_receipts_once_more(self) -> None:
        if hasattr(self, "stage"):
            kinds = {row["message_id"]: row["kind"] for row in self.stage.messages()}
            for message_id, count in self.accepted.items():
                assert count <= (2 if kinds[message_id] == "transactional" else 1), (message_id, count)

    @invariant()
    def nobody_is_written_to_after_unsubscribing(self) -> None:
        for row in self.stage.messages() if hasattr(self, "stage") else []:
            left = self.unsubscribed_at.get(row["customer_id"])
            if row["kind"] == "marketing" and row["counted_at"] and left:
                assert row["counted_at"] < left

    # And at last

    def settle(self) -> None:
        """Everything gets its time; then nothing may be left over."""
        self.coming = []
        self.stage.run(timedelta(days=20))
        rows = self.stage.messages()
        assert {row["state"] for row in rows} <= {"sent", "skipped", "failed", "uncertain"}
        assert all(row["wake_at"] is None and row["due_at"] is None for row in rows)
        assert {row["state"] for row in self.stage.enrollments()} <= {"completed", "goal_reached", "exited"}
        for row in rows:
            if row["state"] == "sent":
                assert self.accepted[row["message_id"]] >= 1
        uncertain = [row for row in rows if row["reason"] == "lease_expired"]
        assert len(uncertain) <= self.crashes * self.stage.outbox.lanes
        self.no_cap_is_exceeded_in_any_window()
        self.nothing_is_sent_twice_but_receipts_once_more()
        entered = {(row["customer_id"], row["key"]) for row in self.stage.enrollments() if row["journey"] == "thanks"}
        receipts = {(row["customer_id"], row["key"]) for row in rows if row["step"] == "receipt"}
        assert receipts == entered


def _play(examples: int, steps: int, *phases: Phase) -> None:
    run_state_machine_as_test(
        Promises,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate, *phases),
        ),
    )


def test_whatever_happens_every_promise_is_kept() -> None:
    """Says what it found as it found it: making it shorter takes minutes, which the long run below has."""
    _play(25, 40)


@pytest.mark.long
def test_whatever_happens_for_long_every_promise_is_kept() -> None:
    _play(600, 80, Phase.shrink)
