"""Law 4: an amended policy applies to what is planned already, and frees what waits, without a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from lifecycle import Cap, Fatigue, Journey, Mute, QuietHours, Send, Sunset, Wait, days, on
from lifecycle.flow.amendments import Amendments, fingerprint
from lifecycle.store import fingerprints
from lifecycle.store.database import Database
from tests.stage import Ordered, Reviewed, Stage, project_of

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
OFFERS = Journey(name="offers", topic="offers", enter=on(Ordered), key=Ordered.order_id, steps=[Send("offer")])
NEWS = Journey(
    name="news",
    topic="news",
    enter=on(Ordered),
    steps=[Wait("a", days(7)), Send("first"), Wait("b", days(4)), Send("second"), Wait("c", days(4)), Send("third")],
)
HALF = Fatigue(saturated=0.5)
ONE, THREE = Cap(1, per=days(1)), Cap(3, per=days(1))


class Watch:
    """Real time as the schedulers' see it."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Shop:
    """A stage with a scheduler that follows the policy."""

    def __init__(self, database: Database, **policy: Any) -> None:
        self.stage = Stage(database, project_of(OFFERS, **policy))
        self.watch = Watch()
        self.amendments = Amendments(database, monotonic=self.watch)
        self.stage.identify("ann", email="ann@example.com")
        self.stage.run()
        self.seconds(5)

    def amend(self, **policy: Any) -> None:
        self.stage.project = replace(self.stage.project, policy=project_of(OFFERS, **policy).policy)

    def seconds(self, seconds: int) -> None:
        """So many seconds pass, in each of which the scheduler looks."""
        for _ in range(seconds):
            self.watch.time += 1
            self.stage.now += SECOND
            self.amendments.look(self.stage.project, self.stage.now)
            self.stage.tick()
            self.stage.work()

    def order(self, *numbers: str) -> None:
        for number in numbers:
            self.stage.order("ann", number)
        self.stage.run()

    def fates(self) -> list[str]:
        return sorted(row["state"] + (f": {row['reason']}" if row["reason"] else "") for row in self.stage.messages())


def test_a_larger_cap_frees_what_waits(database: Database) -> None:
    shop = Shop(database, caps=[ONE])
    shop.order("a", "b", "c")
    assert shop.fates() == ["pending: capped:1 per 1 day"] * 2 + ["sent"]
    shop.amend(caps=[THREE])
    shop.seconds(5)
    assert shop.fates() == ["sent"] * 3


def test_a_smaller_cap_holds_what_is_planned(database: Database) -> None:
    shop = Shop(database, caps=[THREE], quiet_hours=QuietHours(time(8), time(16)))
    shop.order("a", "b", "c")
    assert shop.fates() == ["pending: quiet_hours"] * 3
    shop.amend(caps=[ONE], quiet_hours=QuietHours(time(8), time(16)))
    shop.seconds(5)
    shop.stage.run(5 * HOUR)
    assert shop.fates() == ["pending: capped:1 per 1 day"] * 2 + ["sent"]


def test_without_quiet_hours_what_waited_for_their_end_goes_out(database: Database) -> None:
    shop = Shop(database, quiet_hours=QuietHours(time(8), time(16)))
    shop.order("a")
    assert shop.fates() == ["pending: quiet_hours"]
    shop.amend()
    shop.seconds(5)
    assert shop.fates() == ["sent"]


def test_without_a_mute_what_it_held_goes_out(database: Database) -> None:
    mute = Mute("has not reviewed", when=~Reviewed.happened())
    shop = Shop(database, mutes=[mute])
    shop.order("a")
    assert shop.fates() == ["pending: muted:has not reviewed"]
    shop.amend()
    shop.seconds(5)
    assert shop.fates() == ["sent"]


@pytest.mark.parametrize("amended", [Sunset(after=9, silent_for=days(1)), Sunset(after=1, silent_for=days(60)), None])
def test_a_looser_sunset_holds_for_whom_it_has_set_on_already(database: Database, amended: Sunset | None) -> None:
    stage = Stage(database, project_of(OFFERS, NEWS, fatigue=HALF, sunset=Sunset(after=1, silent_for=days(1))))
    amendments = Amendments(database, monotonic=(watch := Watch()))
    for person in ("ann", "ben"):
        stage.identify(person, email=f"{person}@example.com")
        stage.order(person)
        stage.run()
    amendments.look(stage.project, stage.now)
    watch.time += 5
    amendments.look(stage.project, stage.now)
    stage.run(12 * DAY)
    assert stage.states()["first"] == "sent"
    assert stage.states()["second"] == "skipped: sunset"

    stage.project = project_of(OFFERS, NEWS, sunset=amended, fatigue=HALF)
    for _ in range(2):
        amendments.look(stage.project, stage.now)
        watch.time += 5
    stage.run(4 * DAY)
    with database.reading() as connection:
        assert fingerprints.sunset(connection) == []
    assert stage.states()["third"] == "sent"


def test_what_a_scheduler_finds_changed_when_it_starts_counts_too(database: Database) -> None:
    shop = Shop(database, caps=[ONE])
    shop.order("a", "b")
    shop.amend(caps=[THREE])
    shop.amendments = Amendments(database, monotonic=shop.watch)
    shop.seconds(5)
    assert shop.fates() == ["sent"] * 2


def test_while_nothing_changes_nothing_is_judged_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(database, caps=[ONE])
    shop.order("a", "b")
    due = [row["due_at"] for row in shop.stage.messages()]
    shop.seconds(5)
    for again in (shop.amendments, Amendments(database, monotonic=shop.watch)):
        shop.amendments = again
        shop.seconds(5)
        assert [row["due_at"] for row in shop.stage.messages()] == due
    monkeypatch.setattr(Database, "transaction", None)
    monkeypatch.setattr(Database, "reading", None)
    assert shop.amendments.look(shop.stage.project, shop.stage.now) == 0  # and the database is not even asked


def test_more_than_a_look_frees_is_freed_by_the_next(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.flow.amendments._AT_ONCE", 2)
    monkeypatch.setattr("lifecycle.flow.amendments._PER_LOOK", 4)
    shop = Shop(database, caps=[ONE])
    shop.order(*"abcdefg")
    shop.amend(caps=[Cap(9, per=days(1))])
    shop.seconds(3)
    assert shop.fates().count("sent") == 5
    shop.seconds(1)
    assert shop.fates().count("sent") == 7


def test_back_and_forth_within_a_moment_frees_what_the_one_between_held(database: Database) -> None:
    shop = Shop(database, caps=[THREE])
    shop.amend(caps=[ONE])
    shop.seconds(1)
    shop.order("a", "b")
    shop.amend(caps=[THREE])
    shop.seconds(5)
    assert shop.fates() == ["sent"] * 2


def test_a_worker_behind_the_schedulers_policy_puts_nothing_off_for_long(database: Database) -> None:
    """Its machine got the new files late: what it holds must not wait for days, as nobody frees it again."""
    shop = Shop(database, caps=[ONE])
    old = shop.stage.project
    shop.amend(caps=[THREE])
    shop.seconds(5)
    new, shop.stage.project = shop.stage.project, old
    shop.order("a", "b")
    assert shop.fates() == ["pending: capped:1 per 1 day", "sent"]
    held = next(row for row in shop.stage.messages() if row["state"] == "pending")
    assert held["due_at"] <= shop.stage.now + timedelta(minutes=1)
    shop.stage.project = new
    shop.stage.run(timedelta(minutes=1))
    assert shop.fates() == ["sent"] * 2


def test_only_what_can_put_messages_off_makes_another_fingerprint() -> None:
    def of(**policy: Any) -> str:
        return fingerprint(project_of(OFFERS, **policy))

    mutes = [Mute("x", when=Reviewed.happened())]
    assert of(caps=[ONE], mutes=mutes) == of(
        caps=[Cap(1, per=days(1))], mutes=[Mute("x", when=Reviewed.happened())], consent="opt_in"
    )
    different = {
        of(),
        of(caps=[ONE]),
        of(caps=[THREE]),
        of(mutes=mutes),
        of(mutes=[Mute("x", when=Reviewed.never())]),
        of(quiet_hours=QuietHours(time(8), time(16))),
        of(timezone="Asia/Jakarta"),
    }
    assert len(different) == 7
