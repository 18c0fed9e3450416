"""`A.after(B)` wherever conditions are asked: at entries, in branches, in what ends a journey; live and in a replay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lifecycle import Branch, Exit, Journey, Send, Wait, days, hours, on, when
from lifecycle.store.database import Database
from lifecycle.testing import Simulation
from tests.stage import NOON, Ordered, Reviewed, Stage, project_of

UNREVIEWED = Ordered.after(Reviewed)


def journey(**more: Any) -> Journey:
    given: dict[str, Any] = {"name": "ask", "topic": "orders", "enter": on(Ordered), "steps": [Send("ask")]}
    return Journey(**(given | more))


def stage_of(database: Database, one: Journey) -> Stage:
    stage = Stage(database, project_of(one))
    stage.identify("ann", email="ann@example.com")
    return stage


def test_the_very_event_that_enters_is_counted_already(database: Database) -> None:
    stage = stage_of(database, journey(only=UNREVIEWED))
    assert stage.order("ann").entered == 1


def test_of_two_events_in_one_batch_the_later_decides(database: Database) -> None:
    stage = stage_of(database, journey(steps=[Wait("a day", days(1)), Send("ask")], exit_when=Reviewed.after(Ordered)))
    stage.order("ann")
    ordered = stage.message(
        "track", "ann", event="order.completed", properties={}, timestamp=NOON + timedelta(minutes=2)
    )
    reviewed = stage.message(
        "track", "ann", event="review.posted", properties={}, timestamp=NOON + timedelta(minutes=1)
    )
    stage.now += timedelta(minutes=5)
    assert stage.take(reviewed, ordered).exited == 0
    assert stage.track("ann", Reviewed).exited == 1


def test_an_event_of_an_app_whose_clock_is_ahead_counts_when_its_time_has_come(database: Database) -> None:
    steps = [Wait("a bit", hours(1)), Branch("unreviewed?", when=UNREVIEWED, then=[Exit("unreviewed")])]
    stage = stage_of(database, journey(key=Ordered.order_id, steps=steps))
    stage.order("ann", "A1")
    stage.take(stage.message("track", "ann", event="review.posted", properties={}, timestamp=NOON + timedelta(hours=2)))
    stage.run(timedelta(hours=1, minutes=30))
    assert stage.only_enrollment()["reason"] == "unreviewed"
    stage.now = NOON + timedelta(minutes=90)
    stage.order("ann", "A2")
    stage.run(timedelta(hours=1))
    assert [row["reason"] for row in stage.enrollments()] == ["unreviewed", None]


@pytest.mark.parametrize(
    ("condition", "entered_on"),
    [(Ordered.after(Reviewed), {1, 3}), (Reviewed.after(Ordered), {0, 2}), (~Ordered.after(Reviewed), {0, 2})],
)
def test_a_replay_asks_again_when_either_event_comes(condition: Any, entered_on: set[int]) -> None:
    again = journey(enter=when(condition), again_after=hours(1), steps=[Wait("a bit", hours(23))])
    with Simulation(project_of(again)) as sim:
        start = sim.now
        for event in (Reviewed, Ordered, Reviewed, Ordered):
            sim.track("42", event)
            sim.run(days(1))
        assert {(row["entered_at"] - start).days for row in sim.enrollments("42")} == entered_on


def test_undone_at_the_same_moment_is_undone(database: Database) -> None:
    stage = stage_of(database, journey(only=UNREVIEWED))
    stage.track("ann", Reviewed)
    assert stage.order("ann").entered == 0
