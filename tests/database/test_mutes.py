"""Mutes: nobody gets marketing while one holds; it resumes by itself, and what got stale meanwhile expires."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import event

from lifecycle import (
    Cap,
    Event,
    Journey,
    Mute,
    Property,
    QuietHours,
    Send,
    Set,
    Wait,
    always,
    days,
    hours,
    minutes,
    on,
)
from lifecycle.flow.consume import _Batch
from lifecycle.flow.replay import read_lines, replay
from lifecycle.journey.project import Project
from lifecycle.store.database import Database
from lifecycle.testing import A_MONDAY, Outbox, Simulation, mailer_for
from tests.stage import LEASE, NOON, Ordered, Reviewed, Stage, customer, project_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Complained(Event, name="complaint.opened"):
    about = Property[str]()


class Resolved(Event, name="complaint.resolved"):
    pass


OPEN_COMPLAINT = Mute("open complaint", when=Complained.after(Resolved))


def journey(name: str = "offer", **more: Any) -> Journey:
    given: dict[str, Any] = {
        "name": name,
        "topic": "offers",
        "enter": on(Ordered),
        "key": Ordered.order_id,
        "steps": [Send(name)],
    }
    return Journey(**(given | more))


def stage_of(database: Database, *journeys: Journey, **policy: Any) -> Stage:
    stage = Stage(database, project_of(*(journeys or [journey()]), **({"mutes": [OPEN_COMPLAINT]} | policy)))
    for one in ("ann", "bob"):
        stage.identify(one, email=f"{one}@example.com")
    return stage


def waiting(reason: str) -> str:
    return f"pending: muted:{reason}"


def test_an_open_complaint_holds_marketing_back_and_solving_it_lets_it_go_at_once(database: Database) -> None:
    stage = stage_of(database)
    stage.track("ann", Complained, about="late")
    stage.order("ann")
    stage.order("bob", "B1")
    stage.run(timedelta(hours=5, minutes=30))
    assert stage.sent() == ["bob@example.com"]
    assert stage.messages()[0] | {"state": "pending", "reason": "muted:open complaint"} == stage.messages()[0]

    stage.track("ann", Resolved)
    stage.run()

    assert stage.sent() == ["bob@example.com", "ann@example.com"]
    assert stage.messages()[0]["sent_at"] == NOON + timedelta(hours=5, minutes=30)
    assert stage.messages()[0]["reason"] is None


def test_a_complaint_that_comes_between_planning_and_sending_still_holds_it_back(database: Database) -> None:
    stage = stage_of(database, quiet_hours=QuietHours(time(11), time(14)))
    stage.order("ann")
    stage.run(HOUR)
    assert stage.states() == {"offer": "pending: quiet_hours"}
    stage.track("ann", Complained)
    stage.run(2 * HOUR)
    assert stage.states() == {"offer": waiting("open complaint")}


def test_what_is_muted_expires_rather_than_piling_up(database: Database) -> None:
    stage = stage_of(database, journey(expires=hours(30)))
    stage.track("ann", Complained)
    for number in range(5):
        stage.order("ann", f"A{number}")
        stage.run(12 * HOUR)
    stage.track("ann", Resolved)
    stage.run()

    assert [(row["state"], row["reason"]) for row in stage.messages()] == [("skipped", "expired")] * 3 + [
        ("sent", None)
    ] * 2
    assert {row["state"] for row in stage.enrollments()} == {"completed"}


def test_a_muted_message_is_looked_at_each_hour_and_at_the_moment_of_its_expiry(database: Database) -> None:
    stage = stage_of(database, journey(expires=minutes(90)))
    stage.track("ann", Complained)
    stage.order("ann")
    stage.run()
    looks = []
    while stage.only_message()["state"] == "pending":
        looks.append(stage.only_message()["due_at"] - NOON)
        stage.run(stage.only_message()["due_at"] - stage.now)
    assert looks == [HOUR, timedelta(minutes=90)]


def test_transactional_mail_passes_mutes(database: Database) -> None:
    stage = stage_of(database, journey("receipt", topic="orders", kind="transactional"))
    stage.track("ann", Complained)
    stage.order("ann")
    stage.run()
    assert stage.states() == {"receipt": "sent"}


def test_what_waits_for_a_digest_waits_for_the_mute_as_well(database: Database) -> None:
    told = [journey(name, key=None, steps=[Send(name, on_capped="digest")]) for name in ("one", "two", "three")]
    stage = stage_of(database, *told, caps=[Cap(1, per=days(1))])
    stage.order("ann")
    stage.run(HOUR)
    stage.track("ann", Complained)
    stage.run(30 * HOUR)
    assert sorted(stage.states().values()) == [waiting("open complaint"), waiting("open complaint"), "sent"]
    stage.track("ann", Resolved)
    stage.run()
    assert sorted(stage.states().values()) == ["sent", "sent", "skipped: digested", "skipped: digested"]
    assert stage.messages()[-1]["sent_at"] == NOON + 31 * HOUR


def test_the_first_mute_that_holds_names_the_reason(database: Database) -> None:
    vip = Mute("left alone", when=customer.vip)
    stage = stage_of(database, mutes=[vip, OPEN_COMPLAINT])
    stage.identify("ann", vip=True)
    stage.track("ann", Complained)
    stage.order("ann")
    stage.run()
    assert stage.states() == {"offer": waiting("left alone")}
    stage.identify("ann", vip=False)
    stage.run()
    assert stage.states() == {"offer": waiting("open complaint")}


def test_a_mute_comes_before_expiry_quiet_hours_and_caps_and_after_what_no_time_can_mend(database: Database) -> None:
    stage = stage_of(database, quiet_hours=QuietHours(time(11), time(14)), caps=[Cap(0, per=days(1))])
    stage.track("ann", Complained)
    stage.order("ann")
    stage.run()
    assert stage.states() == {"offer": waiting("open complaint")}
    stage.track("ann", "subscription.withdrawn", topic="offers")
    stage.run(HOUR)
    assert stage.states() == {"offer": "skipped: unsubscribed"}


def test_a_mute_on_a_window_ends_with_time_alone_within_the_hour(database: Database) -> None:
    mute = Mute("just reviewed", when=Reviewed.happened(last=hours(10), where=Reviewed.order_id == "A1"))
    stage = stage_of(database, mutes=[mute])
    stage.track("ann", Reviewed, order_id="A1")
    stage.track("bob", Reviewed, order_id="B1")
    stage.order("ann")
    stage.order("bob", "B1")
    stage.run(9 * HOUR)
    assert stage.sent() == ["bob@example.com"]
    stage.run(2 * HOUR)
    assert stage.sent() == ["bob@example.com", "ann@example.com"]
    assert NOON + 10 * HOUR <= stage.messages()[0]["sent_at"] <= NOON + 11 * HOUR


def test_a_mute_on_a_trait_is_lifted_at_once_by_the_app_and_by_a_journey(database: Database) -> None:
    calm = journey("calm", enter=on(Reviewed), key=None, steps=[Set(customer.vip, False)])
    stage = stage_of(database, journey(), calm, mutes=[Mute("left alone", when=customer.vip)])
    for one in ("ann", "bob"):
        stage.identify(one, vip=True)
        stage.order(one, one)
    stage.run(timedelta(minutes=10))
    assert stage.sent() == []
    stage.identify("ann", vip=False)
    stage.run()
    assert stage.sent() == ["ann@example.com"]
    stage.track("bob", Reviewed, order_id="B1")
    stage.run()
    assert stage.sent() == ["ann@example.com", "bob@example.com"]


def test_only_what_a_mute_holds_back_of_that_very_customer_comes_up(database: Database) -> None:
    capped = journey("capped", topic="news", key=None, again_after=always(hours(1)), steps=[Send("capped")])
    stage = stage_of(database, journey(), capped, caps=[Cap(0, per=days(1), topic="news")])
    for one in ("ann", "bob"):
        stage.track(one, Complained)
        stage.order(one, one)
    stage.run()
    with stage.db.transaction() as connection:  # ann's second one is held back by the cap in place of the mute
        connection.exec_driver_sql("UPDATE message SET reason = 'capped:0 per 1 day of news' WHERE template = 'capped'")
    before = {row["id"]: row["due_at"] for row in stage.messages()}
    stage.now += timedelta(minutes=10)
    stage.track("ann", Resolved)

    moved = [row for row in stage.messages() if row["due_at"] != before[row["id"]]]

    assert [(row["customer_id"], row["step"], row["due_at"], row["wake_at"]) for row in moved] == [
        ("ann", "offer", stage.now, stage.now)
    ]


def test_events_that_no_mute_reads_wake_nothing(database: Database) -> None:
    stage = stage_of(database)
    stage.track("ann", Complained)
    stage.order("ann")
    stage.run()
    before = stage.messages()
    stage.now += timedelta(minutes=10)
    stage.track("ann", Reviewed, order_id="A1")
    stage.identify("ann", vip=True)
    assert stage.messages() == before


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that the database runs meanwhile."""
    run: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        run.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_mutes_cost_one_statement_a_batch_whatever_its_size_and_none_where_there_are_none(database: Database) -> None:
    stage = stage_of(database)
    without = project_of(journey())
    spent: list[int] = []
    for project, count in ((without, 40), (stage.project, 1), (stage.project, 40)):
        stage.project = project
        for number in range(count):
            stage.identify(f"c{number}", email=f"c{number}@example.com")
            stage.order(f"c{number}", f"{len(spent)}-{number}")
        while stage.hints.fresh and stage.hints.fresh[0][0] == "advance":
            stage.advance(stage.hints.fresh.pop(0)[1])
        stage.lose_hints()
        with statements(database) as run:
            stage.deliver([row["id"] for row in stage.messages() if row["state"] == "pending"])
        spent.append(sum("FROM activity" in statement for statement in run))
    assert spent == [0, 1, 1]
    assert len(stage.sent()) == 81


@pytest.mark.parametrize(("first", "then", "becomes"), [
    (Resolved, Complained, waiting("open complaint")),
    (Complained, Resolved, "sent"),
])  # fmt: skip
def test_whoever_claims_while_a_complaint_is_being_taken_waits_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, first: type[Event], then: type[Event], becomes: str
) -> None:
    stage = stage_of(database)
    stage.track("ann", first)
    stage.order("ann")
    stage.now += HOUR
    stage.advance(stage.hints.fresh.pop(0)[1])
    stage.lose_hints()
    ids = [row["id"] for row in stage.messages()]
    taken, go_on = threading.Event(), threading.Event()
    keep_letters = _Batch._keep_letters

    def linger(batch: _Batch) -> None:
        taken.set()
        assert go_on.wait(10)
        keep_letters(batch)

    monkeypatch.setattr(_Batch, "_keep_letters", linger)
    with ThreadPoolExecutor(2) as threads:
        taking = threads.submit(stage.track, "ann", then)
        assert taken.wait(10)
        delivering = threads.submit(stage.deliver, ids)
        assert not wait([delivering], timeout=0.2).done
        go_on.set()
        taking.result(10)
        delivering.result(10)
    assert stage.states() == {"offer": becomes}


def complaints(dice: random.Random, customers: int) -> list[bytes]:
    """A week of complaints, solved or not, and orders among them; some events at one moment."""
    names = [Complained.event_name, Resolved.event_name, Ordered.event_name, Ordered.event_name]
    ids = [f"c{number}" for number in range(customers)]
    lines: list[dict[str, Any]] = [
        {"type": "identify", "userId": one, "traits": {"email": f"{one}@shop.example"}} for one in ids
    ]
    at = [dice.randrange(7 * 24 * 4) for _ in range(customers * 10)]
    for number, quarter in enumerate(sorted(at)):
        properties = {"order_id": f"A{number}"}
        one = {"type": "track", "userId": dice.choice(ids), "event": dice.choice(names)}
        lines.append(one | {"properties": properties, "timestamp": A_MONDAY + timedelta(minutes=15 * quarter)})
    return [
        orjson.dumps({"messageId": f"m{number}", "timestamp": A_MONDAY, **line}) for number, line in enumerate(lines)
    ]


def is_open(events: list[dict[str, Any]], customer_id: str, now: datetime) -> bool:
    """Whether the customer has an open complaint: the judge of the law, which knows nothing of the engine."""
    state = False
    theirs = [
        (event["timestamp"], event["event"] == Resolved.event_name)
        for event in events
        if event.get("userId") == customer_id and event.get("event") in (Complained.event_name, Resolved.event_name)
    ]
    for at, resolved in sorted(theirs):
        if datetime.fromisoformat(at) <= now:
            state = not resolved
    return state


@pytest.mark.parametrize("seed", range(2))
def test_nobody_gets_marketing_while_a_complaint_is_open_and_what_waits_goes_when_it_is_solved(
    database: Database, seed: int
) -> None:
    project = project_of(journey(expires=hours(20)), mutes=[OPEN_COMPLAINT])
    raws = complaints(random.Random(seed), 4)
    events = [orjson.loads(raw) for raw in raws]
    rows = replayed(database, project, raws)

    assert len({(row["state"], row["reason"]) for row in rows}) >= 2
    for row in rows:
        moments = [row["created_at"]] + [
            moment
            for event in events
            if event["userId"] == row["customer_id"]
            and row["created_at"] < (moment := datetime.fromisoformat(event["timestamp"])) < row["expires_at"]
        ]
        free = [moment for moment in moments if not is_open(events, row["customer_id"], moment)]
        assert (row["state"], row["reason"], row["sent_at"]) == (
            ("sent", None, min(free)) if free else ("skipped", "expired", None)
        )


def replayed(database: Database, project: Project, raws: list[bytes], at_once: int = 500) -> list[dict[str, Any]]:
    lines = read_lines(raws, "complaints", datetime(2026, 6, 1, tzinfo=UTC))
    mailer = mailer_for(project, Outbox())
    replay(database, project, mailer, lines, lease=LEASE, max_lateness=3 * DAY, at_once=at_once)
    return Stage(database, project).messages()


def test_a_replay_gives_the_same_in_whatever_portions(sqlite_database: Database, postgres_database: Database) -> None:
    raws = complaints(random.Random(7), 2)
    project = project_of(journey(expires=hours(20)), mutes=[OPEN_COMPLAINT])
    columns = ("customer_id", "key", "state", "reason", "sent_at")
    at_once, one_by_one = (
        sorted([str(row[column]) for column in columns] for row in rows)
        for rows in (replayed(postgres_database, project, raws), replayed(sqlite_database, project, raws, at_once=1))
    )
    assert at_once == one_by_one


def test_journeys_under_mutes_are_tested_with_the_shipped_simulation() -> None:
    project = project_of(journey(steps=[Wait("a day", days(1)), Send("offer")]), mutes=[OPEN_COMPLAINT])
    with Simulation(project) as sim:
        sim.identify("42", email="ann@example.com")
        sim.track("42", Ordered, order_id="A1", total=5)
        sim.run(hours(1))
        sim.track("42", Complained, about="late")
        sim.run(days(2))
        assert sim.unsent("42") == {"offer": "muted:open complaint"}
        sim.track("42", Resolved)
        sim.run(hours(1))
        assert sim.sent("42") == ["offer"]
