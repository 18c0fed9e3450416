"""What became of the last email: journeys go one way where it went out, and another where a cap or a mute kept it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle import Branch, Cap, Exit, Journey, Send, Wait, days, hours, last_send, on
from lifecycle.flow.advance import advance
from lifecycle.journey.steps import Step
from lifecycle.mail.transport import Letter, Outcome, Refused, Unknown
from lifecycle.store.database import Database
from lifecycle.testing import Simulation
from tests.database.test_mutes import statements
from tests.stage import LEASE, NOON, Ordered, Reviewed, Stage, customer, project_of


def ways() -> list[Step]:
    """One exit for each word, in this order."""
    return [
        Branch("did it go out?", when=last_send.was_sent, then=[Exit("sent")]),
        Branch("was it left out?", when=last_send.was_skipped, then=[Exit("skipped")]),
        Branch("was it gathered?", when=last_send.was_digested, then=[Exit("digested")]),
    ]


def journey(*steps: Step, **more: Any) -> Journey:
    given: dict[str, Any] = {
        "name": "offer",
        "topic": "offers",
        "enter": on(Ordered),
        "key": Ordered.order_id,
        "steps": list(steps) or [Send("offer", on_capped="skip"), *ways()],
    }
    return Journey(**(given | more))


def stage_of(database: Database, *journeys: Journey, **policy: Any) -> Stage:
    stage = Stage(database, project_of(*(journeys or [journey()]), **policy))
    stage.identify("ann", email="ann@example.com")
    return stage


def sent(stage: Stage) -> None:
    pass


def refused(stage: Stage) -> None:
    def refuse(letter: Letter) -> Outcome:
        return Refused(550, "5.7.1", "550 5.7.1 no")

    stage.outbox.answer = refuse


def uncertain(stage: Stage) -> None:
    def vanish(letter: Letter) -> Outcome:
        return Unknown("it went away")

    stage.outbox.answer = vanish


def unsubscribed(stage: Stage) -> None:
    stage.track("ann", "subscription.withdrawn", topic="offers")


@pytest.mark.parametrize(
    ("before", "end"),
    [
        (sent, ("exited", "sent")),
        (uncertain, ("exited", "sent")),
        (unsubscribed, ("exited", "skipped")),
        (refused, ("completed", None)),
    ],
)
def test_a_branch_knows_what_became_of_the_email_before_it(
    database: Database, before: Callable[[Stage], None], end: tuple[str, str | None]
) -> None:
    stage = stage_of(database)
    before(stage)
    stage.order("ann")
    stage.run()
    one = stage.only_enrollment()
    assert (one["state"], one["reason"]) == end


def test_a_branch_knows_that_a_cap_kept_the_email(database: Database) -> None:
    """What Braze does not tell: whether the capped message was sent or only passed."""
    stage = stage_of(database, caps=[Cap(1, per=days(7))])
    stage.order("ann", "A1")
    stage.run()
    stage.order("ann", "A2")
    stage.run()
    assert [row["reason"] for row in stage.enrollments()] == ["sent", "skipped"]


def test_a_branch_knows_that_the_email_went_into_a_digest_and_the_digest_itself_is_another(database: Database) -> None:
    names = ("first", "second", "third")
    later = [Wait("until the digest is out", days(1)), *ways()]
    told = [journey(Send(name, on_capped="digest"), *later, name=name, priority=90 - n) for n, name in enumerate(names)]
    stage = stage_of(database, *told, caps=[Cap(1, per=days(1))])
    stage.order("ann")
    stage.run(days(3).rolling)
    assert {row["journey"]: row["reason"] for row in stage.enrollments()} == {
        "first": "sent",
        "second": "digested",
        "third": "digested",
    }
    assert len(stage.sent()) == 2


def test_the_newest_email_of_this_very_enrollment_counts(database: Database) -> None:
    twice = journey(
        Send("first", on_capped="skip"), Wait("an hour", hours(1)), Send("second", on_capped="skip"), *ways()
    )
    stage = stage_of(database, twice, caps=[Cap(2, per=days(7))])
    stage.order("ann", "A1")
    stage.order("ann", "A2")
    stage.run(hours(3).rolling)
    assert stage.states() == {"first": "sent", "second": "skipped: capped:2 per 7 days"}
    assert [row["reason"] for row in stage.enrollments()] == ["skipped", "skipped"]


def test_before_the_first_email_nothing_is_true(database: Database) -> None:
    stage = stage_of(database, journey(*ways(), Send("offer")))
    stage.order("ann", "A1")
    stage.run()
    stage.order("ann", "A2")
    stage.run()
    assert [row["state"] for row in stage.enrollments()] == ["completed", "completed"]


def test_an_email_that_was_put_off_counts_once_it_is_over(database: Database) -> None:
    stage = stage_of(database, journey(Send("offer", send_within=days(2)), *ways()), caps=[Cap(1, per=days(1))])
    stage.order("ann", "A1")
    stage.order("ann", "A2")
    stage.run()
    assert sorted(str(row["reason"]) for row in stage.enrollments()) == ["None", "sent"]
    stage.run(days(2).rolling)
    assert [row["reason"] for row in stage.enrollments()] == ["sent", "sent"]


def test_exit_when_ends_the_journey_as_soon_as_the_email_is_over(database: Database) -> None:
    leaving = journey(
        Send("first", on_capped="skip"), Wait("a day", days(1)), Send("second"), exit_when=last_send.was_skipped
    )
    stage = stage_of(database, leaving, caps=[Cap(0, per=days(7))])
    stage.order("ann")
    stage.run()
    one = stage.only_enrollment()
    assert (one["state"], one["reason"], one["ended_at"]) == ("exited", "exit_when", NOON)


def test_exit_when_joins_what_became_of_the_email_with_what_the_customer_does(database: Database) -> None:
    both = journey(
        Send("first"), Wait("days", days(3)), Send("second"), exit_when=last_send.was_sent & Reviewed.happened()
    )
    stage = stage_of(database, both)
    stage.order("ann")
    stage.run()
    assert stage.only_enrollment()["state"] == "active"
    stage.track("ann", Reviewed, order_id="A1")
    assert stage.only_enrollment()["reason"] == "exit_when"


def test_exit_when_is_asked_again_at_the_moment_of_sending(database: Database) -> None:
    both = journey(
        Send("first"),
        Wait("an hour", hours(1)),
        Send("second"),
        exit_when=last_send.was_sent & ~Ordered.happened(last=hours(2)),
    )
    stage = stage_of(database, both)
    stage.order("ann")
    stage.run(hours(1).rolling - LEASE)
    stage.now += LEASE
    stage.hints.advance([stage.only_enrollment()["id"]])
    stage.advance(stage.hints.fresh.pop(0)[1])
    stage.lose_hints()
    stage.now += hours(1).rolling
    stage.deliver([row["id"] for row in stage.messages()])
    assert stage.states() == {"first": "sent", "second": "skipped: journey_ended"}


def test_only_journeys_that_ask_for_it_pay_for_it(database: Database) -> None:
    def read(run: list[str]) -> int:
        return sum("row_number() OVER (PARTITION BY enrollment_id" in statement for statement in run)

    plain = journey(Send("plain"), Branch("vip?", when=customer.vip, then=[Exit("vip")]), name="plain")
    stage = stage_of(database, plain)
    for project, read_so_often in ((stage.project, 0), (project_of(plain, journey()), 1)):
        stage.project = project
        for number in range(20):
            stage.order("ann", f"{read_so_often}-{number}")
        ids = [one for _, some in stage.hints.fresh for one in some]
        stage.lose_hints()
        with statements(database) as run:
            advance(stage.db, stage.project, ids, stage.now, LEASE)
        assert read(run) == read_so_often


def test_journeys_that_ask_for_it_are_tested_with_the_shipped_simulation() -> None:
    project = project_of(
        journey(
            Send("offer", on_capped="skip"),
            Branch("got it?", when=last_send.was_sent, then=[Wait("a day", days(1)), Send("reminder")]),
        ),
        caps=[Cap(2, per=days(7))],
    )
    with Simulation(project) as sim:
        sim.identify("42", email="ann@example.com")
        for number in range(2):
            sim.track("42", Ordered, order_id=f"A{number}", total=5)
        sim.run(hours(1))
        sim.track("42", Ordered, order_id="A2", total=5)
        sim.run(days(9))
        assert sim.sent("42") == ["offer", "offer"]
        assert {row["step"]: row["reason"] for row in sim.messages("42") if row["state"] == "skipped"} == {
            "offer": "capped:2 per 7 days",
            "reminder": "capped:2 per 7 days",
        }
