"""Pausing: what is paused leaves no more, wherever it is on its way; what was held goes on when it is resumed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest

from lifecycle import Cap, Journey, Send, days, on
from lifecycle.errors import StoreError
from lifecycle.flow.claim import claim
from lifecycle.flow.deliver import _send
from lifecycle.flow.pause import pause, resume
from lifecycle.flow.replay import replay
from lifecycle.mail.transport import Accepted, Letter, Outcome, Unknown
from lifecycle.store import pauses
from lifecycle.store.database import Database
from lifecycle.store.pauses import EVERYTHING, Kind, Paused, Pauses, Scope, in_force
from lifecycle.store.recorder import Recorder
from tests.stage import LEASE, Ordered, Reviewed, Stage, project_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFFERS = Journey(name="offers", topic="offers", enter=on(Ordered), key=Ordered.order_id, steps=[Send("offer")])
THANKS = Journey(name="thanks", topic="orders", enter=on(Ordered), key=Ordered.order_id, steps=[Send("thanks")])
RECEIPT = Journey(
    name="receipt", topic="orders", kind="transactional", enter=on(Ordered), key=Ordered.order_id, steps=[Send("paid")]
)


def stage_of(database: Database, *journeys: Journey, customers: int = 1, caps: tuple[Cap, ...] = ()) -> Stage:
    stage = Stage(database, project_of(*(journeys or (OFFERS, THANKS, RECEIPT)), caps=caps))
    for n in range(customers):
        stage.identify(f"c{n}", email=f"c{n}@example.com")
    stage.run()
    return stage


def due(stage: Stage) -> list[int]:
    """Has the hinted enrollments advance; returns the messages that are planned and due, undelivered."""
    while stage.hints.fresh and stage.hints.fresh[0][0] == "advance":
        stage.advance(stage.hints.fresh.pop(0)[1])
    stage.lose_hints()
    return [row["id"] for row in stage.messages() if row["state"] == "pending"]


@pytest.mark.parametrize(
    ("kind", "name", "stopped"),
    [
        ("all", None, {"offer", "thanks", "paid"}),
        ("marketing", None, {"offer", "thanks"}),
        ("journey", "offers", {"offer"}),
        ("topic", "orders", {"thanks", "paid"}),
    ],
)
def test_a_pause_holds_what_is_planned_and_nothing_else(
    database: Database, kind: Kind, name: str | None, stopped: set[str]
) -> None:
    """Law 4."""
    stage = stage_of(database)
    scope = Scope(kind, name)
    stage.order("c0")
    messages = due(stage)
    assert pause(database, scope, "a crisis", stage.now)
    stage.deliver(messages)
    stage.run(DAY)
    assert stage.states() == {
        step: "pending: paused" if step in stopped else "sent" for step in ("offer", "thanks", "paid")
    }
    resumed = resume(database, scope, stage.now)
    assert resumed is not None
    assert (resumed.freed, resumed.dropped) == (len(stopped), 0)
    stage.run()
    assert set(stage.states().values()) == {"sent"}
    assert {row["state"] for row in stage.enrollments()} == {"completed"}
    assert {row["attempts"] for row in stage.messages()} == {1}


def test_whoever_joins_while_it_is_paused_waits_as_well(database: Database) -> None:
    stage = stage_of(database, OFFERS)
    pause(database, Scope("topic", "offers"), "a crisis", stage.now)
    stage.order("c0")
    stage.run(timedelta(minutes=5))
    assert stage.states() == {"offer": "pending: paused"}
    assert stage.only_enrollment()["state"] == "active"


def test_a_pause_in_the_middle_of_a_batch_hands_back_what_was_not_begun(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, nothing counts, and what is not paused goes out from behind it."""
    monkeypatch.setattr("lifecycle.store.pauses.EVERY", 0.0)
    stage = stage_of(database, OFFERS, RECEIPT, customers=4)
    for n in range(4):
        stage.order(f"c{n}", f"o{n}")
    messages = due(stage)

    def answer(letter: Letter) -> Outcome:
        if len(stage.outbox.letters) == 1:
            pause(database, Scope("marketing"), "a crisis", stage.now)
        return Accepted("ok")

    stage.outbox.answer = answer
    stage.deliver(messages)
    by_step = {step: [row for row in stage.messages() if row["step"] == step] for step in ("offer", "paid")}
    assert {row["state"] for row in by_step["paid"]} == {"sent"}
    handed_back = [row for row in by_step["offer"] if row["state"] != "sent"]
    assert len(handed_back) == 3
    assert {(row["state"], row["attempts"], row["counted_at"]) for row in handed_back} == {("pending", 0, None)}
    stage.tick()
    stage.work()
    assert {row["reason"] for row in stage.messages() if row["state"] == "pending"} == {"paused"}
    resume(database, Scope("marketing"), stage.now)
    stage.run()
    assert sorted(stage.sent()) == sorted([f"c{n}@example.com" for n in range(4)] * 2)


def test_after_a_crash_behind_a_pause_only_what_was_in_flight_is_uncertain(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed back has left the claim before anything behind it leaves: the places of the rest tell."""
    monkeypatch.setattr("lifecycle.store.pauses.EVERY", 0.0)
    first = Journey(name="offers", topic="offers", enter=on(Ordered), priority=90, steps=[Send("offer")])
    stage = stage_of(database, first, THANKS, customers=3)
    for n in range(3):
        stage.order(f"c{n}", f"o{n}")
    messages = due(stage)
    hand_back, dead = Recorder.hand_back, False

    class Crash(BaseException):
        pass

    def answer(letter: Letter) -> Outcome:
        nonlocal dead
        if len(stage.outbox.letters) == 1:
            pause(database, Scope("topic", "offers"), "a crisis", stage.now)
            return Accepted("ok")
        dead = True
        raise Crash

    def hand_back_alive(self: Recorder, ids: Sequence[int], claim: str, now: datetime) -> None:
        if not dead:
            hand_back(self, ids, claim, now)

    stage.outbox.answer = answer
    with monkeypatch.context() as dying:
        dying.setattr(Recorder, "hand_back", hand_back_alive)
        with pytest.raises(Crash):
            stage.deliver(messages)
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.run(LEASE + HOUR)
    states = Counter((row["step"], row["state"]) for row in stage.messages())
    assert states == {
        ("offer", "sent"): 1,
        ("offer", "pending"): 2,
        ("thanks", "uncertain"): 1,
        ("thanks", "sent"): 2,
    }


def test_what_may_have_gone_out_before_the_pause_is_sent_once_more_and_no_oftener(database: Database) -> None:
    """The mark of a first try that may have arrived outlives the pause."""
    stage = stage_of(database, RECEIPT)
    answers: Iterator[Outcome] = iter([Unknown("lost after the dot"), Unknown("lost again")])
    stage.outbox.answer = lambda letter: next(answers)
    stage.order("c0")
    stage.run()
    pause(database, Scope("all"), "a crisis", stage.now)
    stage.run(DAY)
    assert stage.states() == {"paid": "pending: sent_again, paused"}
    resume(database, Scope("all"), stage.now)
    stage.run(DAY)
    assert stage.states()["paid"].startswith("uncertain")
    assert len(stage.sent()) == 2


def test_resuming_does_not_flood(database: Database) -> None:
    stage = stage_of(database, THANKS, caps=(Cap(1, per=days(1)),))
    pause(database, Scope("marketing"), "a crisis", stage.now)
    for n in range(3):
        stage.order("c0", f"o{n}")
    stage.run(HOUR)
    resume(database, Scope("marketing"), stage.now)
    stage.run()
    assert stage.sent() == ["c0@example.com"]
    assert sum(row["reason"] == "capped:1 per 1 day" for row in stage.messages()) == 2
    stage.run(3 * DAY)
    assert {row["state"] for row in stage.messages()} == {"sent"}


def test_what_another_pause_still_covers_stays_held(database: Database) -> None:
    stage = stage_of(database, OFFERS)
    for scope in (Scope("marketing"), Scope("topic", "offers")):
        pause(database, scope, "a crisis", stage.now)
    stage.order("c0")
    stage.run()
    resume(database, Scope("marketing"), stage.now)
    stage.run(HOUR)
    assert stage.states() == {"offer": "pending: paused"}
    assert resume(database, Scope("marketing"), stage.now) is None
    resume(database, Scope("topic", "offers"), stage.now)
    stage.run()
    assert stage.states() == {"offer": "sent"}


def test_what_is_dropped_ends_with_its_reason_and_its_journey_goes_on(database: Database) -> None:
    stage = stage_of(database, OFFERS)
    pause(database, Scope("journey", "offers"), "a crisis", stage.now)
    stage.order("c0", "old")
    stage.run()
    stage.now += 3 * DAY
    stage.order("c0", "new")
    stage.run(HOUR)
    resumed = resume(database, Scope("journey", "offers"), stage.now, drop_older_than=2 * DAY)
    assert resumed is not None
    assert (resumed.freed, resumed.dropped) == (1, 1)
    stage.run()
    assert {row["key"]: (row["state"], row["reason"]) for row in stage.messages()} == {
        "old": ("skipped", "paused"),
        "new": ("sent", None),
    }
    assert {row["state"] for row in stage.enrollments()} == {"completed"}


def test_what_is_too_old_is_dropped_though_claims_look_at_it_meanwhile(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held becomes due each hour, to be looked at: also while it is being dropped."""
    stage = stage_of(database, OFFERS)
    pause(database, Scope("marketing"), "a crisis", stage.now)
    stage.order("c0")
    stage.run(3 * DAY)

    def overtaken(ids: list[int]) -> list[list[int]]:
        stage.now += HOUR
        stage.tick()
        stage.work()
        return [ids] if ids else []

    monkeypatch.setattr("lifecycle.flow.pause._in_batches", overtaken)
    resumed = resume(database, Scope("marketing"), stage.now, drop_older_than=2 * DAY)
    assert resumed is not None
    assert (resumed.freed, resumed.dropped) == (0, 1)
    stage.run()
    assert stage.states() == {"offer": "skipped: paused"}


def test_an_interrupted_drop_is_made_good_by_repeating_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_of(database, OFFERS)
    pause(database, Scope("marketing"), "a crisis", stage.now)
    stage.order("c0")
    stage.run(3 * DAY)

    def interrupt(*arguments: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(pauses, "drop", interrupt)
        with pytest.raises(KeyboardInterrupt):
            resume(database, Scope("marketing"), stage.now, drop_older_than=2 * DAY)
    stage.run(2 * HOUR)
    assert stage.states() == {"offer": "pending: paused"}
    resumed = resume(database, Scope("marketing"), stage.now, drop_older_than=2 * DAY)
    assert resumed is not None
    assert (resumed.freed, resumed.dropped) == (0, 1)


def test_what_claims_put_off_during_the_drop_is_dropped_as_well(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stage_of(database, OFFERS)
    pause(database, Scope("marketing"), "a crisis", stage.now)
    stage.order("c0")
    messages = due(stage)
    stage.now += 3 * DAY

    def overtaken(ids: list[int]) -> list[list[int]]:
        if messages:
            stage.deliver([messages.pop()])
        return [ids] if ids else []

    monkeypatch.setattr("lifecycle.flow.pause._in_batches", overtaken)
    resumed = resume(database, Scope("marketing"), stage.now, drop_older_than=2 * DAY)
    assert resumed is not None
    assert (resumed.freed, resumed.dropped) == (0, 1)


def test_what_another_pause_still_covers_is_not_dropped_until_that_one_ends(database: Database) -> None:
    stage = stage_of(database, OFFERS)
    scopes = (Scope("marketing"), Scope("journey", "offers"))
    for scope in scopes:
        pause(database, scope, "a crisis", stage.now)
    stage.order("c0")
    stage.run(3 * DAY)
    first, last = (resume(database, scope, stage.now, drop_older_than=2 * DAY) for scope in scopes)
    assert first is not None
    assert last is not None
    assert (first.freed, first.dropped) == (0, 0)
    assert (last.freed, last.dropped) == (0, 1)


def test_a_digest_that_shows_what_another_pause_covers_is_not_dropped(database: Database) -> None:
    stage, messages = digesting(database)
    claimed = claim(stage.db, stage.project, stage.mailer, messages, stage.now, LEASE)
    claimed.pauses.known = EVERYTHING
    recorder = Recorder(stage.db, stage.pause)
    _send(stage.db, stage.project, stage.mailer, recorder, claimed, lambda: stage.now, lambda: False)
    recorder.close()
    for scope in (Scope("marketing"), Scope("journey", "news")):
        pause(database, scope, "a crisis", stage.now)
    stage.run(3 * HOUR)
    resumed = resume(database, Scope("marketing"), stage.now, drop_older_than=HOUR)
    assert resumed is not None
    assert resumed.dropped == 0
    assert by_journey(stage)["digest"] == "pending"


def test_a_pause_takes_nothing_from_the_time_to_wait_for_a_cap(database: Database) -> None:
    """However long it is, nothing is lost."""
    journeys = (Journey(name=n, topic=n, enter=on(Ordered), steps=[Send(n, expires=days(30))]) for n in "abc")
    stage = stage_of(database, *journeys, caps=(Cap(1, per=days(1)),))
    pause(database, Scope("marketing"), "a crisis", stage.now)
    stage.order("c0")
    stage.run(4 * DAY)
    resume(database, Scope("marketing"), stage.now)
    stage.run(4 * DAY)
    assert set(stage.states().values()) == {"sent"}


def test_the_time_to_wait_for_a_cap_is_moved_by_what_the_pauses_took(database: Database) -> None:
    """Also by one that ended while another held the same; and not beyond the moment at which it expires."""
    stage = stage_of(database, OFFERS)
    stage.order("c0")
    due(stage)
    before = stage.only_message()["capped_until"]
    stage.now += HOUR
    pause(database, Scope("marketing"), "a crisis", stage.now)
    stage.now += HOUR
    pause(database, Scope("topic", "offers"), "another", stage.now)
    stage.tick()
    stage.work()
    stage.now += HOUR
    resume(database, Scope("marketing"), stage.now)
    stage.now += HOUR
    resume(database, Scope("topic", "offers"), stage.now)
    message = stage.only_message()
    assert message["capped_until"] == before + 3 * HOUR
    pause(database, Scope("topic", "offers"), "once more", stage.now + HOUR)
    stage.now += 2 * HOUR
    stage.tick()
    stage.work()
    stage.now += 60 * DAY
    resume(database, Scope("topic", "offers"), stage.now)
    assert stage.only_message()["capped_until"] == message["expires_at"]


def test_a_message_that_expires_while_it_is_paused_is_not_sent_late(database: Database) -> None:
    stage = stage_of(database, OFFERS)
    pause(database, Scope("all"), "a crisis", stage.now)
    stage.order("c0")
    stage.run()
    stage.now += 60 * DAY
    stage.tick()
    stage.work()
    assert stage.states() == {"offer": "pending: paused"}
    resume(database, Scope("all"), stage.now)
    stage.run()
    assert stage.states() == {"offer": "skipped: expired"}


def test_a_resume_waits_for_claims_that_saw_its_pause(postgres_database: Database) -> None:
    """Else what they put off would stay behind, for an hour."""
    stage = stage_of(postgres_database, OFFERS)
    pause(postgres_database, Scope("all"), "a crisis", stage.now)
    stage.order("c0")
    messages = due(stage)
    with postgres_database.transaction() as claiming:
        assert in_force(claiming)
        done: list[object] = []
        other = threading.Thread(target=lambda: done.append(resume(postgres_database, Scope("all"), stage.now)))
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join(10)
    assert done
    assert claim(postgres_database, stage.project, stage.mailer, messages, stage.now, LEASE).letters


def test_while_the_database_cannot_say_everything_is_paused(tmp_path: object) -> None:
    watcher = Pauses(Database("sqlite:////nowhere/at/all.db"), Paused([]), asked=0.0, monotonic=lambda: 1.0)
    assert watcher.now() is EVERYTHING
    assert watcher.now().stops("any", "thing", False)


def test_the_database_is_asked_no_oftener_than_every_quarter_of_a_second(sqlite_database: Database) -> None:
    moment = 10.0
    watcher = Pauses(sqlite_database, Paused([]), asked=moment, monotonic=lambda: moment)
    stage = Stage(sqlite_database, project_of(OFFERS))
    pause(sqlite_database, Scope("all"), "a crisis", stage.now)
    moment = 10.24
    assert not watcher.now()
    moment = 10.25
    assert watcher.now()


def test_a_paused_database_is_not_replayed(sqlite_database: Database) -> None:
    """Its clock would jump from hour to hour for ever."""
    stage = stage_of(sqlite_database, OFFERS)
    pause(sqlite_database, Scope("all"), "a crisis", stage.now)
    with pytest.raises(StoreError, match="paused"):
        replay(sqlite_database, stage.project, stage.mailer, [], lease=LEASE, max_lateness=3 * DAY)


def digesting(database: Database) -> tuple[Stage, list[int]]:
    """Somebody whose news and sale wait for a digest, and the messages that make it once the day is over."""
    steps = {name: [Send(name, on_capped="digest")] for name in ("news", "sale")}
    first = Journey(name="first", topic="orders", enter=on(Reviewed), steps=[Send("first")])
    news = Journey(name="news", topic="news", enter=on(Ordered), steps=steps["news"])
    sale = Journey(name="sale", topic="offers", priority=60, enter=on(Ordered), steps=steps["sale"])
    stage = stage_of(database, first, news, sale, caps=(Cap(1, per=days(1)),))
    stage.track("c0", Reviewed, order_id="R1")
    stage.run()
    stage.order("c0")
    stage.run(HOUR)
    stage.outbox.letters.clear()
    stage.now += DAY
    return stage, [row["id"] for row in stage.messages() if row["state"] == "pending"]


def by_journey(stage: Stage) -> dict[str, str]:
    return {row["journey"]: row["state"] for row in stage.messages() if row["journey"] != "first"}


def test_what_is_paused_goes_into_no_digest(database: Database) -> None:
    stage, messages = digesting(database)
    pause(database, Scope("topic", "news"), "a crisis", stage.now)
    stage.deliver(messages)
    assert by_journey(stage) == {"sale": "sent", "news": "pending"}
    resume(database, Scope("topic", "news"), stage.now)
    stage.run(2 * DAY)
    assert by_journey(stage) == {"sale": "sent", "news": "sent"}


def test_a_digest_that_shows_what_is_paused_meanwhile_waits_as_a_whole(database: Database) -> None:
    stage, messages = digesting(database)
    claimed = claim(stage.db, stage.project, stage.mailer, messages, stage.now, LEASE)
    (item,) = claimed.letters
    assert {part.journey for part in item.sections} == {"news", "sale"}
    pause(database, Scope("journey", "news"), "a crisis", stage.now)
    claimed.pauses.known = Paused([("journey", "news")])
    recorder = Recorder(stage.db, stage.pause)
    _send(stage.db, stage.project, stage.mailer, recorder, claimed, lambda: stage.now, lambda: False)
    recorder.close()
    stage.run(HOUR)
    assert stage.sent() == []
    assert by_journey(stage) == {"sale": "skipped", "news": "skipped", "digest": "pending"}
    resume(database, Scope("journey", "news"), stage.now)
    stage.run()
    assert len(stage.sent()) == 1
    assert by_journey(stage)["digest"] == "sent"
