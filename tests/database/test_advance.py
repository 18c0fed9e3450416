"""Moving people on: where they stand, what follows, and that nothing happens twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import select

from lifecycle import (
    Branch,
    Event,
    Exit,
    Journey,
    Property,
    Send,
    Set,
    Wait,
    WaitFor,
    always,
    days,
    hours,
    minutes,
    on,
)
from lifecycle.core.decide import Decision, Standing, decide
from lifecycle.core.facts import Facts
from lifecycle.journey.steps import Step
from lifecycle.store import customers, tables
from lifecycle.store.database import Database
from tests.stage import LEASE, NOON, Ordered, Reviewed, Stage, customer, project_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Booked(Event, name="trip.booked"):
    day = Property[date]()


def thanks(*steps: Step, **more: object) -> Journey:
    given = {"name": "thanks", "topic": "orders", "enter": on(Ordered), "key": Ordered.order_id, "steps": list(steps)}
    return Journey(**(given | more))  # type: ignore[arg-type]


def stage_of(database: Database, *journeys: Journey, zone: str | None = None, **policy: object) -> Stage:
    stage = Stage(database, project_of(*journeys, **policy))
    stage.identify("ann", email="ann@example.com", timezone=zone)
    return stage


def test_an_order_is_thanked_for_after_its_wait(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("settle", hours(2)), Send("thanks")))
    stage.order("ann")
    stage.run(2 * HOUR - timedelta(seconds=1))
    assert stage.sent() == []
    stage.run(timedelta(seconds=1))
    assert stage.sent() == ["ann@example.com"]
    message = stage.only_message()
    assert (message["state"], message["sent_at"], message["due_at"], message["wake_at"]) == (
        "sent", NOON + 2 * HOUR, None, None,
    )  # fmt: skip
    assert stage.only_enrollment()["state"] == "completed"


def test_a_wait_of_a_day_keeps_the_wall_time_where_the_customer_is(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("a day", days(1)), Send("x")), zone="America/New_York")
    stage.now = datetime(2026, 3, 7, 14, tzinfo=UTC)
    stage.order("ann")
    stage.run()
    assert stage.only_enrollment()["due_at"] == datetime(2026, 3, 8, 13, tzinfo=UTC)


def test_a_bad_timezone_means_that_of_the_policy(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("a day", days(1)), Send("x")), zone="Mars/Base", timezone="America/New_York")
    stage.now = datetime(2026, 3, 7, 14, tzinfo=UTC)
    stage.order("ann")
    stage.run()
    assert stage.only_enrollment()["due_at"] == datetime(2026, 3, 8, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "day", "at", "waits"),
    [("America/New_York", "9999-12-31", time(20), True), ("Asia/Jakarta", "0001-01-01", time(0), False)],
)
def test_the_ends_of_the_calendar_are_days_in_every_zone(
    database: Database, zone: str, day: str, at: time, waits: bool
) -> None:
    journey = Journey(
        name="stay", topic="trips", enter=on(Booked), steps=[Wait("till", until=Booked.day, at=at), Send("welcome")]
    )
    stage = stage_of(database, journey, zone=zone)
    stage.track("ann", Booked, day=day)
    stage.run()
    assert stage.sent() == ([] if waits else ["ann@example.com"])


def test_what_nobody_foresaw_in_one_customers_data_stops_nobody_else(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def decide_but_for_three(journey: Journey, standing: Standing, facts: Facts, now: datetime) -> Decision:
        if facts.customer_id == "c3" and standing.awaiting in poisoned:
            raise LookupError("a fault of ours")
        return decide(journey, standing, facts, now)

    monkeypatch.setattr("lifecycle.flow.advance.decide", decide_but_for_three)
    stage = stage_of(database, thanks(Send("one"), Send("two")))
    everybody = [f"c{i}" for i in range(7)]
    stage.take(*(stage.message("identify", one, traits={"email": f"{one}@example.com"}) for one in everybody))
    order = {"event": "order.completed", "properties": {"order_id": "A1"}}
    stage.take(*(stage.message("track", one, **order) for one in everybody))
    for poisoned, letters in (({"start"}, 12), ({"message"}, 13), (set[str](), 14)):  # noqa: B007  read above
        stage.run(2 * LEASE)
        assert len(stage.outbox.letters) == letters
    assert "a fault of ours" in caplog.text


def test_doubled_hints_plan_one_message(database: Database) -> None:
    stage = stage_of(database, thanks(Send("thanks")))
    stage.order("ann")
    ((_, ids),) = stage.hints.fresh
    for _ in range(3):
        stage.advance([*ids, *ids])
    assert len(stage.messages()) == 1
    assert [what for what, _ in stage.hints.fresh] == ["advance", "deliver"]


def test_a_lost_hint_is_given_again_when_its_lease_is_over(database: Database) -> None:
    stage = stage_of(database, thanks(Send("thanks")))
    stage.order("ann")
    stage.lose_hints()
    stage.now += LEASE - timedelta(seconds=1)
    assert not stage.tick()
    stage.now += timedelta(seconds=1)
    assert stage.tick().enrollments == 1
    ((what, ids),) = stage.hints.fresh
    stage.advance(ids)
    stage.lose_hints()  # that of the message this time
    stage.run(LEASE)
    assert stage.sent() == ["ann@example.com"]
    assert what == "advance"


def test_nothing_happens_before_its_time_whoever_hints(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("settle", hours(2)), Send("thanks")))
    stage.order("ann")
    stage.work()
    stage.advance([stage.only_enrollment()["id"]])
    assert stage.messages() == []


def test_a_second_entry_while_enrolled_is_ignored_and_another_key_is_not(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("settle", hours(2)), Send("thanks")))
    for order_id in ("A1", "A1", "B2"):
        stage.order("ann", order_id)
    stage.run(DAY)
    assert sorted(row["key"] for row in stage.enrollments()) == ["A1", "B2"]
    assert stage.sent() == ["ann@example.com"] * 2


def test_who_may_enter_again_does_so_after_the_interval_and_not_before(database: Database) -> None:
    stage = stage_of(database, thanks(Send("thanks"), key=None, again_after=always(hours(3))))
    for _ in range(5):
        stage.order("ann")
        stage.run(HOUR)
    assert [row["entry"] for row in stage.enrollments()] == [1, 2]


# What is awaited

REVIEW = thanks(
    WaitFor(
        "review",
        Reviewed,
        up_to=days(2),
        where=Reviewed.order_id == Ordered.order_id,
        then=[Exit("reviewed")],
    ),
    Send("please"),
)


def test_the_awaited_event_takes_its_way_at_once(database: Database) -> None:
    stage = stage_of(database, REVIEW)
    stage.order("ann")
    stage.run(HOUR)
    stage.track("ann", Reviewed, order_id="B2")
    stage.run(HOUR)
    assert stage.only_enrollment()["state"] == "active"
    stage.track("ann", Reviewed, order_id="A1")
    stage.run()
    enrollment = stage.only_enrollment()
    assert (enrollment["state"], enrollment["reason"]) == ("exited", "reviewed")
    stage.run(3 * DAY)
    assert stage.messages() == []


def test_the_timeout_takes_the_other_way_and_what_comes_later_changes_nothing(database: Database) -> None:
    stage = stage_of(database, REVIEW)
    stage.order("ann")
    stage.run(2 * DAY)
    stage.track("ann", Reviewed, order_id="A1")
    stage.run(DAY)
    assert stage.states() == {"please": "sent"}
    assert stage.only_enrollment()["state"] == "completed"


@pytest.mark.parametrize("first", ["event", "timeout"])
def test_of_event_and_timeout_at_one_moment_exactly_one_way_is_taken(database: Database, first: str) -> None:
    stage = stage_of(database, REVIEW)
    stage.order("ann")
    stage.work()
    enrollment = stage.only_enrollment()
    stage.now = enrollment["due_at"]
    if first == "timeout":
        stage.advance([enrollment["id"]])
        stage.track("ann", Reviewed, order_id="A1")
    else:
        stage.track("ann", Reviewed, order_id="A1")
        stage.advance([enrollment["id"]])
    stage.run(DAY)
    assert (stage.only_enrollment()["state"], len(stage.messages())) == (
        ("completed", 1) if first == "timeout" else ("exited", 0)
    )


def test_who_reviewed_before_being_asked_is_not_asked(database: Database) -> None:
    stage = stage_of(database, replaced(REVIEW, Wait("settle", hours(2)), *REVIEW.steps))
    stage.order("ann")
    stage.run(HOUR)
    stage.track("ann", Reviewed, order_id="A1")
    stage.run(HOUR)
    assert stage.only_enrollment()["reason"] == "reviewed"


def replaced(journey: Journey, *steps: Step) -> Journey:
    """The journey with other steps, as after an edit of its file."""
    return thanks(*steps)


# Traits, conditions, ends


def test_what_a_journey_sets_is_a_trait_from_then_on(database: Database) -> None:
    stage = stage_of(
        database,
        thanks(
            Wait("settle", hours(2)),
            Set(customer.vip, True),
            Branch("vip?", when=customer.vip, then=[Send("for vips")], otherwise=[Send("for others")]),
            Wait("a day", days(1)),
            Branch("still?", when=customer.vip, then=[Send("still a vip")]),
        ),
    )
    stage.order("ann")
    stage.run(2 * DAY)
    assert stage.states() == {"for vips": "sent", "still a vip": "sent"}


def test_what_a_journey_sets_does_not_go_over_what_was_stated_for_later(database: Database) -> None:
    """Traits follow timestamps, and those of apps may be ahead of ours."""
    stage = stage_of(database, thanks(Set(customer.vip, True), Set(customer.city, "Bandung")))
    stage.now += HOUR
    stage.identify("ann", vip=False)
    stage.now -= HOUR
    stage.order("ann")
    stage.run()
    with database.reading() as connection:
        traits = connection.execute(select(tables.Customer.traits)).scalar_one()  # type: ignore[call-overload]
        assert customers.identified(connection, ["ann"]) == {"ann": NOON + HOUR}
    assert traits == {"vip": False, "city": "Bandung"}


def test_nothing_is_kept_of_what_a_journey_sets_for_somebody_who_was_erased(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("settle", hours(2)), Set(customer.city, "Bandung")))
    stage.order("ann")
    stage.run(HOUR)
    stage.track("ann", "customer.erased")
    stage.run(2 * HOUR)
    with database.reading() as connection:
        assert connection.execute(select(tables.Customer.traits)).scalar_one() == {}  # type: ignore[call-overload]
        assert "Bandung" not in str(connection.execute(select(tables.Event.properties)).all())  # type: ignore[call-overload]


def test_a_condition_to_leave_ends_the_journey_also_at_the_moment_of_sending(database: Database) -> None:
    leaving = thanks(Send("thanks"), Send("more"), exit_when=customer.vip)
    stage = stage_of(database, leaving)
    stage.order("ann")
    ((_, ids),) = stage.hints.fresh
    stage.advance(ids)  # planned, not sent
    stage.identify("ann", vip=True)
    stage.run(DAY)
    assert stage.states() == {"thanks": "skipped: journey_ended"}
    assert (stage.only_enrollment()["state"], stage.only_enrollment()["reason"]) == ("exited", "exit_when")


def test_a_condition_that_time_makes_true_is_seen_at_the_moment_of_sending(database: Database) -> None:
    leaving = thanks(Send("thanks"), exit_when=~Ordered.happened(last=hours(1)) & (Ordered.order_id == "A1"))
    stage = stage_of(database, leaving)
    stage.order("ann")
    ((_, ids),) = stage.hints.fresh
    stage.advance(ids)
    stage.lose_hints()
    stage.now += 2 * HOUR  # everything was down
    stage.run()
    assert stage.states() == {"thanks": "skipped: journey_ended"}
    assert stage.only_enrollment()["state"] == "exited"


# Edited files


def test_people_at_a_removed_step_are_held_and_go_on_when_it_is_back(database: Database) -> None:
    before = thanks(Wait("settle", hours(2)), Send("thanks"))
    stage = stage_of(database, before)
    stage.order("ann")
    stage.work()
    stage.project = project_of(thanks(Send("thanks")))
    stage.run(3 * HOUR)
    assert (stage.only_enrollment()["state"], stage.only_enrollment()["reason"]) == ("held", "step_removed")
    stage.run(DAY)
    assert stage.sent() == []
    stage.project = project_of(before)
    stage.tick()
    stage.run()
    assert stage.sent() == ["ann@example.com"]


def test_a_renamed_step_takes_people_with_it(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("settle", hours(2)), Send("thanks")))
    stage.order("ann")
    stage.work()
    stage.project = project_of(thanks(Wait("let it settle", hours(2), was="settle"), Send("thanks")))
    stage.run(2 * HOUR)
    assert stage.sent() == ["ann@example.com"]


def test_what_came_before_somebody_was_held_has_still_come_when_they_go_on(database: Database) -> None:
    stage = stage_of(database, REVIEW)
    stage.order("ann")
    stage.work()
    stage.track("ann", Reviewed, order_id="A1")
    stage.project = project_of(thanks(Send("please")))
    stage.run()
    assert stage.only_enrollment()["state"] == "held"
    stage.project = project_of(REVIEW)
    stage.tick()
    stage.run()
    assert stage.only_enrollment()["reason"] == "reviewed"


def test_people_of_a_removed_journey_are_held_and_begin_where_they_stood(database: Database) -> None:
    journey = thanks(Send("thanks"))
    stage = stage_of(database, journey)
    stage.order("ann")
    stage.project = project_of()
    stage.run()
    assert (stage.only_enrollment()["state"], stage.only_enrollment()["reason"]) == ("held", "journey_removed")
    stage.project = project_of(journey)
    stage.tick()
    stage.run()
    assert stage.sent() == ["ann@example.com"]


def test_a_goal_reached_while_held_ends_the_journey(database: Database) -> None:
    stage = stage_of(database, thanks(Wait("settle", hours(2)), Send("thanks"), goal=Reviewed))
    stage.order("ann")
    stage.work()
    stage.project = project_of(thanks(Send("thanks"), goal=Reviewed))
    stage.run(3 * HOUR)
    stage.track("ann", Reviewed, order_id="A1")
    assert stage.only_enrollment()["state"] == "goal_reached"


def test_a_batch_of_many_people_moves_each_by_what_is_known_of_them(database: Database) -> None:
    journey = thanks(
        Branch("vip?", when=customer.vip, then=[Send("vip")], otherwise=[Wait("a while", minutes(5)), Send("other")])
    )
    stage = Stage(database, project_of(journey))
    for n in range(30):
        stage.identify(f"c{n}", email=f"c{n}@example.com", vip=n % 3 == 0)
    stage.take(
        *(stage.message("track", f"c{n}", event="order.completed", properties={"order_id": "1"}) for n in range(30))
    )
    stage.run(HOUR)
    assert {row["customer_id"]: row["step"] for row in stage.messages()} == {
        f"c{n}": "vip" if n % 3 == 0 else "other" for n in range(30)
    }


@pytest.mark.parametrize("together", [True, False])
def test_what_came_after_the_trigger_is_a_goal_also_when_both_are_taken_late(
    database: Database, together: bool
) -> None:
    """A consumer that was down takes in one go what happened over an hour; the goal among it still counts."""
    journey = thanks(Send("thanks"), goal=Reviewed, again_after=days(1))
    stage = stage_of(database, journey)
    trigger = stage.message("track", "ann", event="order.completed", timestamp=NOON - 2 * HOUR,
                            properties={"order_id": "A1"})  # fmt: skip
    goal = stage.message("track", "ann", event="review.posted", timestamp=NOON - HOUR, properties={"order_id": "A1"})
    before = stage.message("track", "ann", event="review.posted", timestamp=NOON - 3 * HOUR,
                           properties={"order_id": "A0"})  # fmt: skip
    if together:
        stage.take(before, trigger, goal)
    else:
        stage.take(before)
        stage.take(goal)
        stage.take(trigger)
    stage.run()
    assert stage.sent() == []
    enrollment = stage.only_enrollment()
    assert (enrollment["state"], enrollment["entered_at"]) == ("goal_reached", NOON - 2 * HOUR)


def test_what_came_before_the_trigger_is_no_goal(database: Database) -> None:
    stage = stage_of(database, thanks(Send("thanks"), goal=Reviewed))
    stage.take(
        stage.message("track", "ann", event="review.posted", timestamp=NOON - 3 * HOUR, properties={"order_id": "A0"}),
        stage.message("track", "ann", event="order.completed", timestamp=NOON, properties={"order_id": "A1"}),
    )
    stage.run()
    assert stage.sent() == ["ann@example.com"]


def test_a_second_wait_for_the_same_event_is_not_met_by_what_ended_the_first(database: Database) -> None:
    stage = stage_of(
        database,
        thanks(
            WaitFor("first review", Reviewed, up_to=days(5)),
            WaitFor("second review", Reviewed, up_to=days(5), then=[Send("twice")], otherwise=[Send("once")]),
        ),
    )
    stage.order("ann")
    stage.run(DAY)
    stage.track("ann", Reviewed, order_id="A1")
    stage.run(DAY)
    assert stage.only_enrollment()["step"] == "second review"
    stage.track("ann", Reviewed, order_id="A2")
    stage.run()
    assert stage.only_message()["template"] == "twice"
