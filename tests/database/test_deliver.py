"""Delivering: the policy at the moment of sending, every outcome recorded, nobody held up by another's trouble."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import pytest

from lifecycle import Cap, Journey, Keep, QuietHours, Send, Wait, always, days, hours, minutes, on
from lifecycle.errors import RenderError, TemplateError
from lifecycle.flow.claim import claim
from lifecycle.flow.deliver import retry_pause
from lifecycle.flow.mailer import Mailer
from lifecycle.flow.settle import settle
from lifecycle.journey.steps import Step
from lifecycle.mail.render import Rendered
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown
from lifecycle.store.database import Database
from lifecycle.testing import PlainRenderer
from tests.database.test_mutes import statements
from tests.stage import LEASE, NOON, SENDER, Ordered, Reviewed, Stage, project_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUIET = QuietHours(time(21), time(8))


def journey(*steps: Step, **more: Any) -> Journey:
    given: dict[str, Any] = {
        "name": "thanks",
        "topic": "orders",
        "enter": on(Ordered),
        "key": Ordered.order_id,
        "steps": list(steps) or [Send("thanks")],
    }
    return Journey(**(given | more))


def stage_of(database: Database, *journeys: Journey, zone: str = "UTC", **policy: Any) -> Stage:
    stage = Stage(database, project_of(*(journeys or [journey()]), **policy))
    stage.identify("ann", email="ann@example.com", timezone=zone)
    return stage


def planned(stage: Stage) -> list[int]:
    """Has the hinted enrollments advance; returns the messages that are due, undelivered."""
    while stage.hints.fresh and stage.hints.fresh[0][0] == "advance":
        stage.advance(stage.hints.fresh.pop(0)[1])
    stage.lose_hints()
    return [row["id"] for row in stage.messages() if row["state"] == "pending"]


# The policy's reasons, each in the row of the message


def erased(stage: Stage) -> None:
    stage.track("ann", "customer.erased")


def bad_address(stage: Stage) -> None:
    stage.identify("ann", email="ann at example")


def bounced(stage: Stage) -> None:
    stage.track("ann", "email.bounced", hard=True)


def complained(stage: Stage) -> None:
    stage.track("ann", "email.complained")


def withdrawn(stage: Stage) -> None:
    stage.track("ann", "subscription.withdrawn", topic="orders")


def withdrawn_from_all(stage: Stage) -> None:
    stage.track("ann", "subscription.withdrawn")


def goal(stage: Stage) -> None:
    stage.track("ann", Reviewed, order_id="A1")


def long_after(stage: Stage) -> None:
    stage.now += 8 * DAY


BETWEEN: list[tuple[Callable[[Stage], None], str]] = [
    (erased, "erased"),
    (bad_address, "invalid_address"),
    (bounced, "suppressed"),
    (complained, "suppressed"),
    (withdrawn, "unsubscribed"),
    (withdrawn_from_all, "unsubscribed"),
    (goal, "goal_reached"),
    (long_after, "expired"),
]


@pytest.mark.parametrize(("happens", "reason"), BETWEEN, ids=[happens.__name__ for happens, _ in BETWEEN])
def test_what_happens_between_planning_and_sending_stops_the_message_with_its_reason(
    database: Database, happens: Callable[[Stage], None], reason: str
) -> None:
    """Law 3."""
    stage = stage_of(database, journey(goal=Reviewed))
    stage.order("ann")
    (message,) = planned(stage)
    stage.now += timedelta(seconds=1)
    happens(stage)
    stage.deliver([message])
    stage.run(DAY)
    assert stage.sent() == []
    assert stage.states() == {"thanks": f"skipped: {reason}"}
    assert stage.only_enrollment()["state"] == ("goal_reached" if reason == "goal_reached" else "completed")


def test_a_goal_while_the_message_waits_for_the_morning_is_told_at_once(database: Database) -> None:
    stage = stage_of(database, journey(goal=Reviewed), quiet_hours=QUIET)
    stage.now = NOON + 11 * HOUR
    stage.order("ann")
    stage.run()
    assert stage.states() == {"thanks": "pending: quiet_hours"}
    stage.now += timedelta(seconds=1)
    stage.track("ann", Reviewed, order_id="A1")
    stage.tick()
    stage.work()
    assert stage.states() == {"thanks": "skipped: goal_reached"}


def test_without_consent_where_it_is_asked_for_nothing_goes_out(database: Database) -> None:
    stage = stage_of(database, consent="opt_in")
    stage.order("ann")
    stage.run()
    assert stage.states() == {"thanks": "skipped: no_consent"}
    stage.track("ann", "subscription.granted", topic="orders")
    stage.order("ann", "B2")
    stage.run()
    assert stage.sent() == ["ann@example.com"]


def test_outside_production_others_than_those_allowed_get_nothing(database: Database) -> None:
    stage = stage_of(database)
    kept = stage.mailer
    stage.mailer = Mailer(SENDER, kept.renderer, kept.links, kept.transport, allow=["*@ours.example"])
    stage.identify("bob", email="Bob@OURS.example")
    stage.order("ann")
    stage.order("bob")
    stage.run()
    assert {row["customer_id"]: row["reason"] for row in stage.messages()} == {
        "ann": "recipient_not_allowed",
        "bob": None,
    }


def test_who_is_held_out_walks_the_journey_and_gets_nothing(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Wait("a day", days(1)), Send("two"), holdout=100))
    stage.order("ann")
    stage.run(2 * DAY)
    assert stage.states() == {"one": "skipped: holdout", "two": "skipped: holdout"}
    assert stage.only_enrollment()["state"] == "completed"


def test_a_skipped_message_does_not_end_the_journey(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Send("two")))
    stage.identify("ann", email=None)
    stage.order("ann")
    stage.run()
    assert stage.states() == {"one": "skipped: invalid_address", "two": "skipped: invalid_address"}


# Later


@pytest.mark.parametrize(
    ("zone", "now", "goes"),
    [
        ("Asia/Jakarta", datetime(2026, 3, 4, 15, tzinfo=UTC), datetime(2026, 3, 5, 1, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 8, 3, tzinfo=UTC), datetime(2026, 3, 8, 12, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 12, tzinfo=UTC), datetime(2026, 10, 3, 21, tzinfo=UTC)),
        ("Pacific/Apia", datetime(2011, 12, 30, 8, tzinfo=UTC), datetime(2011, 12, 30, 18, tzinfo=UTC)),
    ],
)
def test_in_quiet_hours_a_message_waits_for_the_morning_where_the_customer_is(
    database: Database, zone: str, now: datetime, goes: datetime
) -> None:
    stage = stage_of(database, zone=zone, quiet_hours=QUIET)
    stage.now = now
    stage.order("ann")
    stage.run()
    message = stage.only_message()
    assert (message["state"], message["reason"], message["due_at"], message["attempts"]) == (
        "pending", "quiet_hours", goes, 0,
    )  # fmt: skip
    stage.run(DAY)
    message = stage.only_message()
    assert (message["state"], message["reason"], message["sent_at"]) == ("sent", None, goes)


def test_a_capped_message_goes_at_the_next_free_slot_and_not_a_period_later(database: Database) -> None:
    stage = stage_of(database, caps=[Cap(1, per=days(1))])
    stage.order("ann", "A1")
    stage.run(20 * HOUR)
    stage.order("ann", "B2")
    stage.run()
    assert stage.messages()[1]["reason"] == "capped:1 per 1 day"
    stage.run(2 * DAY)
    assert [row["sent_at"] for row in stage.messages()] == [NOON, NOON + DAY]


def test_many_capped_messages_go_one_by_one_until_their_time_is_over(database: Database) -> None:
    stage = stage_of(database, journey(Send("thanks", send_within=days(3))), caps=[Cap(1, per=days(1))])
    for n in range(6):
        stage.order("ann", f"A{n}")
    stage.run(10 * DAY)
    assert [row["sent_at"] - NOON for row in stage.messages() if row["state"] == "sent"] == [n * DAY for n in range(4)]
    assert {row["reason"] for row in stage.messages() if row["state"] == "skipped"} == {"capped:1 per 1 day"}
    assert {row["state"] for row in stage.enrollments()} == {"completed"}


def test_a_capped_message_that_need_not_be_waited_for_is_skipped_and_the_journey_goes_on(database: Database) -> None:
    steps: list[Step] = [
        Send("one"),
        Send("two", on_capped="skip"),
        Wait("a day", days(1)),
        Send("three", on_capped="skip"),
    ]
    stage = stage_of(database, journey(*steps), caps=[Cap(1, per=days(1))])
    stage.order("ann")
    stage.run(2 * DAY)
    assert stage.states() == {"one": "sent", "two": "skipped: capped:1 per 1 day", "three": "sent"}


def test_a_cap_of_a_topic_leaves_others_room(database: Database) -> None:
    offers = journey(Send("offer", on_capped="skip"), name="offers", topic="offers")
    stage = stage_of(database, journey(), offers, caps=[Cap(3, per=days(1)), Cap(1, per=days(1), topic="offers")])
    for n in range(3):
        stage.order("ann", f"A{n}")
        stage.run(HOUR)
    states = [(row["journey"], row["state"]) for row in stage.messages()]
    assert states.count(("offers", "sent")) == 1
    assert states.count(("thanks", "sent")) == 2


def test_within_one_customer_the_higher_priority_goes_first(database: Database) -> None:
    low = journey(Send("low", on_capped="skip"), name="low", priority=10)
    high = journey(Send("high", on_capped="skip"), name="high", priority=90)
    stage = stage_of(database, low, high, caps=[Cap(1, per=days(1))])
    stage.order("ann")
    stage.run()
    assert stage.states() == {"high": "sent", "low": "skipped: capped:1 per 1 day"}


def test_the_higher_priority_goes_first_also_when_it_was_hinted_later(database: Database) -> None:
    """As at the end of quiet hours, when more falls due than one hint carries."""
    low = journey(Send("low"), name="low", key=None, priority=10)
    high = journey(Send("high"), name="high", key=None, priority=90)
    stage = stage_of(database, low, high, caps=[Cap(1, per=days(1))])
    stage.order("ann")
    planned(stage)
    ids = {row["step"]: row["id"] for row in stage.messages()}
    stage.deliver([ids["low"]])
    assert stage.states() == {"high": "sent", "low": "pending: capped:1 per 1 day"}
    assert {row["journey"]: row["state"] for row in stage.enrollments()} == {"high": "completed", "low": "active"}
    stage.deliver([ids["high"]])
    assert len(stage.outbox.letters) == 1


def test_of_equals_the_one_that_expires_first_takes_the_last_slot_also_when_it_was_hinted_later(
    database: Database,
) -> None:
    later = journey(Send("later"), name="later", key=None)
    sooner = journey(Send("sooner", expires=hours(5)), name="sooner", key=None)
    stage = stage_of(database, later, sooner, caps=[Cap(1, per=days(1))])
    stage.order("ann")
    planned(stage)
    ids = {row["step"]: row["id"] for row in stage.messages()}
    stage.deliver([ids["later"]])
    assert stage.states() == {"sooner": "sent", "later": "pending: capped:1 per 1 day"}


def test_what_was_planned_as_more_important_goes_first_although_no_journey_is_so_important_today(
    database: Database,
) -> None:
    low, caps = journey(Send("low"), name="low", key=None, priority=50), [Cap(1, per=days(1))]
    stage = stage_of(database, low, journey(Send("high"), name="high", key=None, priority=90), caps=caps)
    stage.order("ann")
    planned(stage)
    stage.project = project_of(low, journey(Send("high"), name="high", key=None, priority=50), caps=caps)
    ids = {row["step"]: row["id"] for row in stage.messages()}
    stage.deliver([ids["low"]])
    assert stage.states() == {"high": "sent", "low": "pending: capped:1 per 1 day"}


@pytest.mark.parametrize(("cap", "looks"), [
    (Cap(2, per=days(1)), 0),
    (Cap(1, per=days(1), topic="offers"), 0),
    (Cap(2, per=days(1), keep=Keep(1, priority=80)), 1),
    (Cap(1, per=days(1)), 1),
])  # fmt: skip
def test_what_else_is_due_is_looked_for_only_where_the_last_slot_may_go(
    database: Database, cap: Cap, looks: int
) -> None:
    receipt = journey(Send("receipt"), name="receipt", kind="transactional", priority=90)
    stage = stage_of(database, journey(), receipt, caps=[cap])
    stage.order("ann")
    ids = planned(stage)
    with statements(database) as run:
        stage.deliver(ids)
    assert sum("awaiting = 'message' AND state = 'pending' AND due_at <=" in statement for statement in run) == looks
    assert set(stage.states().values()) == {"sent"}


def test_caps_count_across_batches_in_one_batch_and_what_is_uncertain(database: Database) -> None:
    stage = stage_of(database, journey(Send("thanks", on_capped="skip")), caps=[Cap(2, per=days(1))])
    stage.outbox.answer = lambda letter: Unknown("lost after the final dot")
    stage.order("ann", "A1")
    stage.run()
    assert stage.states() == {"thanks": "uncertain: lost after the final dot"}
    stage.outbox.answer = lambda letter: Accepted("ok")
    for n in range(3):
        stage.order("ann", f"B{n}")
    stage.run()
    assert [row["state"] for row in stage.messages()] == ["uncertain", "sent", "skipped", "skipped"]


def test_what_surely_did_not_go_out_does_not_count(database: Database) -> None:
    stage = stage_of(database, journey(Send("thanks", on_capped="skip")), caps=[Cap(1, per=days(1))])
    stage.outbox.answer = lambda letter: Refused(550, "5.7.1", "550 5.7.1 no")
    stage.order("ann", "A1")
    stage.run()
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.order("ann", "B2")
    stage.run()
    assert [row["state"] for row in stage.messages()] == ["failed", "sent"]


def test_transactional_mail_passes_caps_quiet_hours_and_withdrawal_and_counts_for_no_offer(database: Database) -> None:
    receipt = journey(Send("receipt"), name="receipt", kind="transactional")
    stage = stage_of(database, receipt, quiet_hours=QUIET, caps=[Cap(1, per=days(1))])
    stage.now = NOON + 11 * HOUR
    stage.track("ann", "subscription.withdrawn")
    for n in range(3):
        stage.order("ann", f"A{n}")
    stage.run()
    assert stage.sent() == ["ann@example.com"] * 3
    assert {row["counted_at"] for row in stage.messages()} == {stage.now}
    assert all(b"List-Unsubscribe" not in letter.data for letter in stage.outbox.letters)


def test_a_message_that_waits_past_its_expiry_is_not_sent(database: Database) -> None:
    stage = stage_of(database, journey(Send("thanks", expires=hours(2))), quiet_hours=QUIET)
    stage.now = NOON + 11 * HOUR
    stage.order("ann")
    stage.run(DAY)
    assert stage.states() == {"thanks": "skipped: expired"}
    assert stage.only_enrollment()["state"] == "completed"


# What servers answer


def test_a_later_is_tried_again_with_growing_pauses_under_the_same_message_id(database: Database) -> None:
    stage = stage_of(database)
    tries: list[datetime] = []

    def busy(letter: Letter) -> Outcome:
        tries.append(stage.now)
        return Deferred("451 4.3.0 later", 451) if len(tries) < 9 else Accepted("ok")

    stage.outbox.answer = busy
    stage.order("ann")
    stage.run(6 * HOUR)
    assert stage.states() == {"thanks": "pending: 451 4.3.0 later"}
    assert stage.only_message()["counted_at"] is None
    stage.run(2 * DAY)
    pauses = [(later - earlier) / timedelta(minutes=1) for earlier, later in pairwise(tries)]
    assert pauses == [5, 10, 20, 40, 80, 160, 240, 240]
    assert stage.states() == {"thanks": "sent"}
    assert stage.only_message()["attempts"] == 9
    assert len({letter.message_id for letter in stage.outbox.letters}) == 1


def test_a_server_that_stays_busy_is_given_up_after_five_days_or_when_the_message_expires(database: Database) -> None:
    stage = stage_of(database, journey(Send("one", expires=days(7)), Send("two", expires=days(1))))
    stage.outbox.answer = lambda letter: Deferred("421 busy", 421)
    stage.order("ann")
    stage.run(7 * DAY)
    assert stage.states() == {"one": "failed: 421 busy", "two": "skipped: expired"}
    assert sum((retry_pause(n) for n in range(1, 35)), timedelta(0)) > 4.8 * DAY
    assert stage.only_enrollment()["state"] == "completed"


def test_a_refusal_is_kept_in_the_servers_words_and_the_journey_goes_on(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Send("two")))
    answers: Iterator[Outcome] = iter([Refused(554, "5.7.1", "554 5.7.1 spam"), Accepted("ok")])
    stage.outbox.answer = lambda letter: next(answers)
    stage.order("ann")
    stage.run()
    assert stage.states() == {"one": "failed: 554 5.7.1 spam", "two": "sent"}


@pytest.mark.parametrize(
    ("enhanced", "suppressed"), [("5.1.1", True), ("5.1.10", True), ("5.1.8", False), ("5.7.1", False), (None, False)]
)
def test_a_mailbox_that_does_not_exist_is_never_written_to_again(
    database: Database, enhanced: str | None, suppressed: bool
) -> None:
    receipt = journey(Send("receipt"), kind="transactional")
    stage = stage_of(database, receipt)
    stage.identify("ann", email="Ann@Example.com")
    stage.outbox.answer = lambda letter: Refused(550, enhanced, "550 no such user")
    stage.order("ann", "A1")
    stage.run()
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.order("ann", "B2")
    stage.run()
    assert [row["state"] for row in stage.messages()] == ["failed", "skipped" if suppressed else "sent"]


@pytest.mark.parametrize("spelt", ["ann@bücher.example", " Ann@Shop.Example ", "ANN@xn--bcher-kva.example"])
@pytest.mark.parametrize("said_by", ["server", "provider"])
def test_a_mailbox_that_does_not_exist_is_suppressed_however_apps_spell_it(
    database: Database, spelt: str, said_by: str
) -> None:
    stage = stage_of(database)
    stage.identify("ann", email=spelt)
    if said_by == "server":
        stage.outbox.answer = lambda letter: Refused(550, "5.1.1", "550 5.1.1 no such user")
    stage.order("ann", "A1")
    stage.run()
    if said_by == "provider":
        stage.track("ann", "email.bounced", hard=True, address=stage.outbox.letters[0].recipient)
    stage.identify("twin", email=spelt.strip().upper())
    stage.order("ann", "A2")
    stage.order("twin", "A3")
    stage.run()
    assert len(stage.outbox.letters) == 1
    assert [row["reason"] for row in stage.messages()[1:]] == ["suppressed", "suppressed"]


def test_a_refusal_for_good_outweighs_a_complaint(database: Database) -> None:
    """A complaint lets transactional mail pass; a mailbox that does not exist does not."""
    stage = stage_of(database, journey(Send("receipt"), kind="transactional"))
    stage.track("ann", "email.complained")
    stage.outbox.answer = lambda letter: Refused(550, "5.1.1", "550 no such user")
    stage.order("ann", "A1")
    stage.run()
    stage.order("ann", "B2")
    stage.run()
    assert [row["reason"] for row in stage.messages()] == ["550 no such user", "suppressed"]


def test_marketing_whose_fate_is_unknown_is_never_sent_again_by_itself(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Send("two")))
    answers: Iterator[Outcome] = iter([Unknown("lost after the dot"), Accepted("ok")])
    stage.outbox.answer = lambda letter: next(answers)
    stage.order("ann")
    stage.run(5 * DAY)
    assert stage.states() == {"one": "uncertain: lost after the dot", "two": "sent"}
    assert len(stage.outbox.letters) == 2


@pytest.mark.parametrize("between", [[], [Deferred("451 later", 451), Deferred("451 later", 451)]])
def test_transactional_mail_whose_fate_is_unknown_is_sent_once_more_under_the_same_message_id(
    database: Database, between: list[Outcome]
) -> None:
    stage = stage_of(database, journey(Send("receipt"), kind="transactional"))
    answers = iter([Unknown("lost"), *between, Unknown("lost again"), Accepted("ok")])
    stage.outbox.answer = lambda letter: next(answers)
    stage.order("ann")
    stage.run(5 * DAY)
    assert stage.states() == {"receipt": "uncertain: lost again"}
    assert len(stage.outbox.letters) == 2 + len(between)
    assert len({letter.message_id for letter in stage.outbox.letters}) == 1


def test_a_receipt_that_may_have_arrived_does_not_wait_for_the_slot_of_its_own_first_try(database: Database) -> None:
    cap = Cap(1, per=days(1), counts="all", obeyed_by="all")
    stage = stage_of(database, journey(Send("receipt"), kind="transactional"), caps=[cap])
    answers: Iterator[Outcome] = iter([Unknown("lost"), Accepted("ok")])
    stage.outbox.answer = lambda letter: next(answers)
    stage.order("ann")
    stage.run(HOUR)
    assert stage.only_message()["state"] == "sent"


class Unrenderable(PlainRenderer):
    """Some templates cannot be rendered."""

    def render(self, name: str, context: Any, locale: object = None) -> Rendered:
        if name == "broken":
            raise RenderError(name, "'customer.first_name' is missing")
        if name == "gone":
            raise TemplateError("templates/email/gone.mjml:1", "there is no such email")
        return super().render(name, context, locale)


@pytest.mark.parametrize("template", ["broken", "gone"])
def test_an_email_that_cannot_be_rendered_fails_alone_and_the_journey_goes_on(
    database: Database, template: str
) -> None:
    stage = stage_of(database, journey(Send(template, name="one"), Send("two")), journey(Send("fine"), name="other"))
    stage.mailer.renderer = Unrenderable()
    stage.order("ann")
    stage.run(DAY)
    states = stage.states()
    assert states["two"] == states["fine"] == "sent"
    assert states["one"].startswith("failed: ")
    assert "missing" in states["one"] or "no such email" in states["one"]


@pytest.mark.parametrize(("seconds", "order"), [(60, "rrrrssss"), (0, "rsrsrsrs")])
def test_emails_are_rendered_in_one_go_before_they_are_sent_for_as_long_as_told(
    database: Database, monkeypatch: pytest.MonkeyPatch, seconds: float, order: str
) -> None:
    monkeypatch.setattr("lifecycle.flow.deliver._AHEAD", seconds)
    stage = stage_of(database)
    ids = crowd(stage, 4)
    done: list[str] = []

    class Noting(PlainRenderer):
        def render(self, name: str, context: Any, locale: object = None) -> Rendered:
            done.append("r")
            return super().render(name, context, locale)

    def note(letter: Letter) -> Outcome:
        done.append("s")
        return Accepted("ok")

    stage.mailer.renderer, stage.outbox.answer = Noting(), note
    stage.deliver(ids)
    assert "".join(done) == order


def test_a_letter_bears_the_date_at_which_it_leaves_and_not_that_of_its_rendering(database: Database) -> None:
    stage = stage_of(database)
    ids = crowd(stage, 3)

    def slow(letter: Letter) -> Outcome:
        stage.now += timedelta(seconds=20)
        return Accepted("ok")

    stage.outbox.answer = slow
    stage.deliver(ids)
    dates = [message_from_bytes(letter.data)["Date"] for letter in stage.outbox.letters]
    assert dates == [format_datetime(NOON + timedelta(seconds=20 * n)) for n in range(3)]


def test_what_nobody_foresaw_in_rendering_one_lets_those_before_it_go(database: Database) -> None:
    stage = stage_of(database)
    ids = crowd(stage, 4)

    class Stumbling(PlainRenderer):
        def render(self, name: str, context: Any, locale: object = None) -> Rendered:
            if context["customer"]["email"] == "c2@example.com":
                raise LookupError("nobody foresaw this")
            return super().render(name, context, locale)

    stage.mailer.renderer = Stumbling()
    with pytest.raises(LookupError):
        stage.deliver(ids)
    assert [row["state"] for row in stage.messages()] == ["sent", "sent", "pending", "pending"]


# Hints, stops and crashes


def test_doubled_hints_send_once(database: Database) -> None:
    stage = stage_of(database)
    stage.order("ann")
    (message,) = planned(stage)
    for _ in range(3):
        stage.deliver([message, message])
    assert len(stage.outbox.letters) == 1


def test_a_lost_hint_costs_a_lease_and_nothing_else(database: Database) -> None:
    stage = stage_of(database)
    stage.order("ann")
    planned(stage)
    stage.run(LEASE - timedelta(seconds=1))
    assert stage.sent() == []
    stage.run(timedelta(seconds=1))
    assert stage.sent() == ["ann@example.com"]


def crowd(stage: Stage, n: int) -> list[int]:
    """n customers with a message each, due and undelivered."""
    stage.take(*(stage.message("identify", f"c{i}", traits={"email": f"c{i}@example.com"}) for i in range(n)))
    stage.take(
        *(stage.message("track", f"c{i}", event="order.completed", properties={"order_id": "1"}) for i in range(n))
    )
    return planned(stage)


def test_a_worker_that_is_asked_to_stop_hands_back_what_it_has_not_begun(database: Database) -> None:
    stage = stage_of(database)
    ids = crowd(stage, 10)
    stage.stopping = lambda: len(stage.outbox.letters) >= 3
    stage.deliver(ids)
    rows = stage.messages()
    assert [row["state"] for row in rows] == ["sent"] * 3 + ["pending"] * 7
    assert {(row["attempts"], row["counted_at"], row["due_at"]) for row in rows[3:]} == {(0, None, NOON)}
    stage.stopping = lambda: False
    stage.run()
    assert len(stage.outbox.letters) == 10


def test_nothing_is_begun_in_the_second_half_of_a_lease(database: Database) -> None:
    """What is in flight then has half a lease to come to an end, before anybody may take it over."""
    stage = stage_of(database)
    ids = crowd(stage, 10)

    def slow(letter: Letter) -> Outcome:
        stage.now += LEASE / 5
        return Accepted("ok")

    stage.outbox.answer = slow
    stage.deliver(ids)
    assert [row["state"] for row in stage.messages()] == ["sent"] * 3 + ["pending"] * 7
    stage.run(4 * LEASE)
    assert len(stage.outbox.letters) == len({letter.recipient for letter in stage.outbox.letters}) == 10


class Crash(BaseException):
    """The worker dies here."""


@pytest.mark.parametrize("lanes", [1, 3])
def test_of_what_a_dead_worker_claimed_only_what_can_have_been_in_flight_is_uncertain(
    database: Database, lanes: int
) -> None:
    stage = stage_of(database)
    stage.outbox.lanes = lanes
    ids = crowd(stage, 10)
    claimed = claim(database, stage.project, stage.mailer, ids, stage.now, LEASE)
    order = [item.envelope.id for item in claimed.letters]
    with database.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE message SET state = 'sent' WHERE id IN ({order[0]}, {order[1]})")
    assert not stage.tick().recovered
    stage.now += LEASE
    assert stage.tick().recovered == 8
    states = {row["id"]: row["state"] for row in stage.messages()}
    assert [states[message] for message in order] == ["sent"] * 2 + ["uncertain"] * lanes + ["pending"] * (8 - lanes)
    stage.run(DAY)
    assert sorted(stage.sent()) == sorted(row["email"] for row in stage.messages() if row["id"] in order[2 + lanes :])
    assert {row["reason"] for row in stage.messages() if row["state"] == "uncertain"} == {"lease_expired"}
    assert {row["state"] for row in stage.enrollments()} == {"completed"}  # theirs too: the journey goes on
    assert {row["attempts"] for row in stage.messages()} == {1}


def test_transactional_mail_of_a_dead_worker_is_sent_again_once(database: Database) -> None:
    stage = stage_of(database, journey(Send("receipt"), kind="transactional"))
    stage.order("ann")
    ids = planned(stage)
    for reason, state in (("sent_again", "pending"), ("lease_expired", "uncertain")):
        assert claim(database, stage.project, stage.mailer, ids, stage.now, LEASE).letters
        stage.now += LEASE
        stage.tick()
        stage.lose_hints()
        message = stage.only_message()
        assert (message["state"], message["reason"]) == (state, reason)
    stage.run(DAY)
    assert stage.sent() == []


def test_transactional_mail_that_may_have_arrived_is_listed_although_its_journey_ended(database: Database) -> None:
    stage = stage_of(database, journey(Send("receipt"), kind="transactional", goal=Reviewed))
    stage.outbox.answer = lambda letter: Unknown("lost after the dot")
    stage.order("ann")
    stage.run()
    stage.now += timedelta(minutes=1)
    stage.track("ann", Reviewed, order_id="A1")
    stage.run()
    assert stage.states() == {"receipt": "uncertain: sent_again, then goal_reached"}
    settle(database, [stage.only_message()["id"]], "sent", stage.now, LEASE)
    message = stage.only_message()
    assert (message["state"], message["sent_at"]) == ("sent", NOON + timedelta(minutes=1))


@pytest.mark.parametrize(("later", "dated"), [(timedelta(minutes=1), timedelta(minutes=1)), (DAY, LEASE)])
def test_what_is_settled_as_sent_counts_from_the_latest_moment_at_which_it_can_have_left(
    database: Database, later: timedelta, dated: timedelta
) -> None:
    stage = stage_of(database)
    stage.outbox.answer = lambda letter: Unknown("lost after the dot")
    stage.order("ann")
    stage.run()
    stage.now += later
    assert settle(database, [stage.only_message()["id"]], "sent", stage.now, LEASE)
    assert stage.only_message()["sent_at"] == NOON + dated


def test_who_is_forgotten_while_their_letter_is_on_its_way_stays_so(database: Database) -> None:
    stage = stage_of(database, journey(Send("one")))

    def forget(outcome: Outcome) -> Outcome:
        stage.track("ann", "customer.erased")
        return outcome

    for order, outcome in (("A1", Accepted("ok")), ("A2", Refused(550, None, "550 no"))):
        stage.outbox.answer = lambda letter, outcome=outcome: forget(outcome)  # type: ignore[misc]
        with database.transaction() as connection:
            connection.exec_driver_sql("UPDATE customer SET erased_at = NULL, email = 'ann@example.com'")
        stage.order("ann", order)
        stage.run()
    assert [(row["state"], row["email"], row["subject"]) for row in stage.messages()] == [
        ("sent", None, None),
        ("failed", None, None),
    ]


def test_who_asks_to_be_forgotten_is_forgotten_in_what_was_sent_to_them(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Wait("a while", days(1)), Send("two")))
    stage.order("ann")
    stage.run()
    assert stage.only_message()["email"] == "ann@example.com"
    stage.track("ann", "customer.erased")
    stage.run(2 * DAY)
    assert stage.states() == {"one": "sent", "two": "skipped: erased"}
    assert [(row["email"], row["subject"]) for row in stage.messages()] == [(None, None)] * 2


def test_what_nobody_foresaw_in_one_message_stops_none_of_those_claimed_with_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    stage = stage_of(database)
    ids = crowd(stage, 6)
    allows = stage.mailer.allows

    def stumble(address: str) -> bool:
        if address == "c3@example.com":
            raise LookupError("nobody foresaw this")
        return allows(address)

    stage.mailer.allows = stumble  # type: ignore[method-assign]
    stage.deliver(ids)
    states = {row["email"]: row["state"] for row in stage.messages()}
    assert states.pop(None) == "pending"
    assert len(states) == 5
    assert set(states.values()) == {"sent"}
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_an_error_in_the_middle_hands_back_only_what_was_not_begun(database: Database) -> None:
    stage = stage_of(database)
    ids = crowd(stage, 6)

    class Dying:
        lanes = 2

        def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
            pulled = iter(letters)
            yield next(pulled), Accepted("ok")
            next(pulled)
            next(pulled)
            raise RuntimeError("a bug, with two letters on the wire")

        def close(self) -> None: ...

    stage.mailer.transport = Dying()
    with pytest.raises(RuntimeError, match="two letters"):
        stage.deliver(ids)
    assert [row["state"] for row in stage.messages()] == ["sent", "sending", "sending", "pending", "pending", "pending"]
    stage.mailer.transport = stage.outbox
    stage.run(2 * LEASE)
    assert [row["state"] for row in stage.messages()] == ["sent", "uncertain", "uncertain", "sent", "sent", "sent"]


def test_an_outcome_that_comes_after_the_lease_is_kept_and_moves_nobody_twice(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Wait("a day", days(1)), Send("two")))
    stage.order("ann")

    def late(letter: Letter) -> Outcome:
        stage.outbox.answer = lambda letter: Accepted("ok")
        stage.now += LEASE
        worker, stage.hints.fresh = stage.hints.fresh, []
        stage.run()  # the others go on meanwhile
        stage.hints.fresh = worker
        assert stage.states() == {"one": "uncertain: lease_expired"}
        return Accepted("ok")

    stage.outbox.answer = late
    stage.work()
    assert stage.states() == {"one": "sent"}
    stage.run(2 * DAY)
    assert stage.states() == {"one": "sent", "two": "sent"}
    assert len(stage.outbox.letters) == 2


def test_a_message_that_an_operator_sends_after_all_moves_nobody_who_went_on_without_it(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Send("two"), Send("three")), caps=[Cap(1, per=days(1))])
    stage.outbox.answer = lambda letter: Unknown("lost after the dot")
    stage.order("ann")
    stage.run()
    assert stage.states() == {"one": "uncertain: lost after the dot", "two": "pending: capped:1 per 1 day"}
    settle(database, [stage.messages()[0]["id"]], "pending", stage.now, LEASE)
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.run()
    assert stage.states() == {"one": "sent", "two": "pending: capped:1 per 1 day"}
    stage.run(3 * DAY)
    assert stage.states() == {"one": "sent", "two": "sent", "three": "sent"}


def test_a_step_that_moved_behind_somebody_who_passed_it_is_not_sent_again_and_holds_nobody(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Wait("a while", days(1)), Send("two")))
    stage.order("ann")
    stage.run()
    edited = journey(Wait("a while", days(1)), Send("one"), Send("two"))
    stage.project = project_of(edited)
    stage.run(3 * DAY)
    assert stage.states() == {"one": "sent", "two": "sent"}
    assert len(stage.outbox.letters) == 2
    assert stage.only_enrollment()["state"] == "completed"


def test_the_journey_is_told_although_the_worker_died_after_recording(database: Database) -> None:
    stage = stage_of(database, journey(Send("one"), Wait("a while", minutes(1)), Send("two")))
    stage.order("ann")
    (message,) = planned(stage)
    claim(database, stage.project, stage.mailer, [message], stage.now, LEASE)
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE message SET state = 'sent'")
    stage.run(LEASE + timedelta(minutes=1))
    assert stage.states() == {"one": "sent", "two": "sent"}
    assert len(stage.outbox.letters) == 1


def test_letters_carry_what_was_rendered_for_their_customer(database: Database) -> None:
    stage = stage_of(database)
    stage.identify("ann", birthday=date(1990, 5, 1).isoformat())
    seen: list[Any] = []

    class Looking(PlainRenderer):
        def render(self, name: str, context: Any, locale: object = None) -> Rendered:
            seen.append(context)
            return super().render(name, context, locale)

    stage.mailer.renderer = Looking()
    stage.order("ann", "A7")
    stage.run()
    (context,) = seen
    assert context["customer"]["birthday"] == date(1990, 5, 1)
    assert context["event"] == {"order_id": "A7", "total": 5}
    assert stage.only_message()["subject"] == "thanks"
    assert b"List-Unsubscribe: <http" in stage.outbox.letters[0].data


def test_who_may_enter_again_gets_a_message_of_their_own_each_time(database: Database) -> None:
    stage = stage_of(database, journey(key=None, again_after=always(hours(1))))
    for _ in range(2):
        stage.order("ann")
        stage.run(2 * HOUR)
    assert len({letter.message_id for letter in stage.outbox.letters}) == 2


def test_a_window_begins_when_the_server_took_the_message_and_not_when_it_was_claimed(database: Database) -> None:
    """Else two messages a window apart in the claims could arrive closer together than that."""
    stage = stage_of(database, caps=[Cap(1, per=days(1))])

    def slow(letter: Letter) -> Outcome:
        stage.now += timedelta(seconds=50)
        return Accepted("ok")

    stage.outbox.answer = slow
    stage.order("ann", "A1")
    stage.run()
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.order("ann", "B2")
    stage.run(2 * DAY)
    assert [row["sent_at"] - NOON for row in stage.messages()] == [
        timedelta(seconds=50),
        DAY + timedelta(seconds=50),
    ]


def test_what_is_accepted_after_its_lease_counts_from_then(database: Database) -> None:
    stage = stage_of(database, caps=[Cap(1, per=days(1))])

    def answer(letter: Letter) -> Outcome:
        stage.now += timedelta(hours=3)  # the worker was suspended while its letter was on the way
        return Accepted("250")

    stage.outbox.answer = answer
    stage.order("ann")
    stage.work()
    assert stage.only_message()["sent_at"] == NOON + timedelta(hours=3)
    stage.outbox.answer = lambda letter: Accepted("250")
    stage.now = NOON + DAY + timedelta(minutes=6)
    stage.order("ann", order_id="A2")
    stage.run(timedelta(hours=4))
    moments = sorted(row["sent_at"] for row in stage.messages())
    assert moments == [NOON + timedelta(hours=3), NOON + DAY + timedelta(hours=3)]
