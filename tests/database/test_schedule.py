"""The scheduler: what is due is hinted once per lease, in batches, whoever else looks at the same time."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy.exc import OperationalError

from lifecycle import Journey, Send, Wait, days, hours, on, on_date
from lifecycle.flow.schedule import claim_due, tick
from lifecycle.store import enrollments
from lifecycle.store.database import Database
from tests.stage import LEASE, NOON, KeptHints, Ordered, Stage, project_of

THANKS = Journey(name="thanks", topic="orders", enter=on(Ordered), steps=[Wait("settle", hours(2)), Send("thanks")])


def waiting(database: Database, n: int) -> Stage:
    """n people whose wait is over."""
    stage = Stage(database, project_of(THANKS))
    stage.take(*(stage.message("identify", f"c{i}", traits={"email": f"c{i}@example.com"}) for i in range(n)))
    stage.take(
        *(stage.message("track", f"c{i}", event="order.completed", properties={"order_id": "1"}) for i in range(n))
    )
    stage.work()
    stage.now += timedelta(hours=2)
    return stage


def hinted(hints: KeptHints) -> list[int]:
    return [one for _, ids in hints.fresh for one in ids]


def test_what_is_due_is_hinted_once_per_lease(database: Database) -> None:
    stage = waiting(database, 5)
    assert stage.tick().enrollments == 5
    assert not stage.tick()
    stage.now += LEASE
    assert stage.tick().enrollments == 5


def test_all_that_is_due_is_hinted_in_batches_in_one_tick(database: Database) -> None:
    stage = waiting(database, 25)
    tick(database, stage.project, stage.hints, stage.now, lease=LEASE, batch=10)
    assert [len(ids) for _, ids in stage.hints.fresh] == [10, 10, 5]
    assert len(set(hinted(stage.hints))) == 25


def test_a_scheduler_that_is_told_to_stop_claims_nothing_more(database: Database) -> None:
    stage = waiting(database, 25)
    calls = iter([False, True])
    ticked = tick(
        database, stage.project, stage.hints, stage.now, lease=LEASE, batch=10, stopping=lambda: next(calls, True)
    )
    assert ticked.enrollments == 10


def test_several_schedulers_at_once_hint_each_row_once(database: Database) -> None:
    stage = waiting(database, 200)
    start, taken = Barrier(4), [KeptHints() for _ in range(4)]

    def schedule(hints: KeptHints) -> None:
        start.wait()
        tick(database, stage.project, hints, stage.now, lease=LEASE, batch=7)

    threads = [Thread(target=schedule, args=(hints,)) for hints in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [one for hints in taken for one in hinted(hints)]
    assert len(ids) == len(set(ids)) == 200


def test_what_is_due_first_is_claimed_first(database: Database) -> None:
    stage = Stage(database, project_of(THANKS))
    for n in range(4):
        stage.identify(f"c{n}", email=f"c{n}@example.com")
        stage.order(f"c{n}")
        stage.work()
        stage.now += timedelta(minutes=1)
    stage.now += timedelta(hours=2)
    first = claim_due(database, enrollments.CLAIM_DUE, stage.now, LEASE, 2)
    assert [row["customer_id"] for row in stage.enrollments() if row["id"] in first] == ["c0", "c1"]


def test_people_without_an_event_enter_in_the_tick_and_are_hinted(database: Database) -> None:
    new_year = Journey(
        name="new_year", topic="offers", enter=on_date(NOON.month, NOON.day, at=NOON.time()), steps=[Send("x")]
    )
    stage = Stage(database, project_of(new_year))
    stage.identify("ann", email="ann@example.com")
    assert stage.tick().entered == 1
    stage.work()
    assert stage.sent() == ["ann@example.com"]
    stage.run(timedelta(days=2))
    assert len(stage.enrollments()) == 1


def test_nothing_is_due_is_nothing(database: Database) -> None:
    stage = Stage(database, project_of(THANKS))
    assert not stage.tick()
    stage.identify("ann")
    stage.order("ann")
    stage.run(timedelta(days=10))
    assert not stage.tick()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM enrollment WHERE wake_at IS NOT NULL").scalar() == 0
        assert connection.exec_driver_sql("SELECT count(*) FROM message WHERE wake_at IS NOT NULL").scalar() == 0


def test_a_long_downtime_is_made_up_for_without_sending_what_is_stale(database: Database) -> None:
    stage = Stage(database, project_of(Journey(
        name="series", topic="offers", enter=on(Ordered),
        steps=[Wait("a day", days(1)), Send("one", expires=hours(1)), Wait("two days", days(2)), Send("two")],
    )))  # fmt: skip
    stage.identify("ann", email="ann@example.com")
    stage.order("ann")
    stage.work()
    stage.now += timedelta(days=30)  # nothing ran for a month
    stage.run()
    assert stage.states() == {"one": "sent"}  # planned only now, so it is not stale: what follows keeps its distance
    stage.run(timedelta(days=2))
    assert stage.states() == {"one": "sent", "two": "sent"}


def test_a_hint_from_a_machine_whose_clock_is_a_little_ahead_is_not_lost(database: Database) -> None:
    stage = Stage(database, project_of(Journey(name="j", topic="orders", enter=on(Ordered), steps=[Send("x")])))
    stage.identify("ann", email="ann@example.com")
    stage.order("ann")
    stage.now -= timedelta(milliseconds=300)
    stage.run()
    assert stage.sent() == ["ann@example.com"]


def test_an_error_in_one_step_of_a_tick_is_logged_and_stops_no_other_but_an_outage_does(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage = waiting(database, 2)
    error: Exception = LookupError("nobody foresaw this")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("lifecycle.flow.schedule.release_held", fail)
    monkeypatch.setattr("lifecycle.flow.schedule.recover", fail)
    assert stage.tick().enrollments == 2
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    error = OperationalError("SELECT 1", {}, OSError("away"))
    with pytest.raises(OperationalError):
        stage.tick()


def test_people_are_released_in_batches_until_nobody_is_held(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifecycle.flow.schedule._RELEASED_AT_ONCE", 3)
    stage = waiting(database, 7)
    back = stage.project
    stage.project = project_of(Journey(name="thanks", topic="orders", enter=on(Ordered), steps=[Send("thanks")]))
    stage.run()
    assert {row["state"] for row in stage.enrollments()} == {"held"}
    stage.project = back
    stage.tick()
    stage.run()
    assert {row["state"] for row in stage.enrollments()} == {"completed"}
