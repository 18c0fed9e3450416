"""Who gets a slot, and when: laws on what really went out, under a crowd of messages that come at random.

Hints come in small portions and in any order, as they do when more falls due than one carries.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lifecycle import Cap, Journey, Keep, QuietHours, Send, Wait, days, hours, on
from lifecycle.core.caps import Counted, Slots, counts
from lifecycle.flow import claim
from lifecycle.flow.pause import pause
from lifecycle.journey.steps import Step
from lifecycle.store.database import Database
from lifecycle.store.pauses import Scope
from tests.core.test_caps import legal
from tests.stage import NOON, KeptHints, Ordered, Reviewed, Stage, project_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = ["UTC", "Asia/Kathmandu", "America/New_York"]
QUIET = QuietHours(time(22), time(7))
CAPS = [
    Cap(1, per=hours(3)),
    Cap(2, per=days(1), window="calendar"),
    Cap(3, per=days(2)),
    Cap(1, per=days(1), topic="offers"),
    Cap(1, per=days(2), journey="low"),
]
PEOPLE, ORDERS = 6, 3


class Scattered(KeptHints):
    """Hints of deliveries, three at a time and shuffled."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    def deliver(self, ids: Sequence[int]) -> None:
        shuffled = self._dice.sample(list(ids), len(ids))
        for start in range(0, len(ids), 3):
            super().deliver(shuffled[start : start + 3])


def journey(name: str, topic: str, *steps: Step, **more: Any) -> Journey:
    given: dict[str, Any] = {"enter": on(Ordered), "key": Ordered.order_id} | more
    return Journey(name=name, topic=topic, steps=list(steps) or [Send(name, send_within=days(2))], **given)


def crowded(database: Database, dice: random.Random) -> Stage:
    """People of three zones who order now and then over two days; each order plans four emails."""
    low = journey("low", "news", priority=20)
    offer = journey("offer", "offers", Send("offer", send_within=days(2), priority=60), priority=10)
    high = journey("high", "orders", priority=80)
    late = journey("late", "offers", Wait("a while", hours(5)), Send("late", send_within=days(2)), priority=70)
    stage = Stage(database, project_of(low, offer, high, late, caps=CAPS, quiet_hours=QUIET))
    stage.hints = Scattered(dice)
    for n in range(PEOPLE):
        stage.identify(f"c{n}", email=f"c{n}@example.com", timezone=ZONES[n % 3])
    orders = sorted((dice.randrange(2 * 1440), n, order) for n in range(PEOPLE) for order in range(ORDERS))
    for minute, n, order in orders:
        stage.run(NOON + minute * MINUTE - stage.now)
        stage.order(f"c{n}", f"A{order}")
    stage.run(5 * DAY)
    return stage


def seen(row: Any) -> Counted:
    at = row["sent_at"] or row["created_at"]
    return Counted(at, frozenset([row["topic"]]), frozenset([row["journey"]]), True, row["priority"], row["id"])


@pytest.fixture(params=[1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))])
def dice(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


def test_a_waiting_message_goes_out_in_the_first_minute_that_brute_force_finds_legal(
    database: Database, dice: random.Random
) -> None:
    """Law 3: what was sent counts as it was; every minute from planning on is tried, for every message."""
    stage = crowded(database, dice)
    rows = stage.messages()
    waited = 0
    for row in rows:
        zone = ZoneInfo(ZONES[int(row["customer_id"][1:]) % 3])
        others = [seen(each) for each in rows if each["customer_id"] == row["customer_id"] and each["sent_at"]]
        others = [each for each in others if each.id != row["id"]]
        mine, moment = seen(row), row["created_at"]
        until = row["sent_at"] or row["capped_until"]
        while moment < until:
            assert not legal(Slots(CAPS, zone, [each for each in others if each.at <= moment]), mine, moment, QUIET), (
                f"{row['journey']} of {row['customer_id']} could have gone at {moment}, went at {row['sent_at']}"
            )
            moment += MINUTE
        if row["sent_at"]:
            assert moment == row["sent_at"]
            before = [
                each for each in others if each.at < moment or (each.at == moment and each.id in earlier(rows, row))
            ]
            assert legal(Slots(CAPS, zone, before), mine, moment, QUIET)
            waited += moment > row["created_at"]
        else:
            assert row["reason"].startswith("capped:")
    assert waited > PEOPLE


def earlier(rows: Sequence[Any], row: Any) -> set[int]:
    """Those sent at the same moment, but of more weight."""
    weight = (-row["priority"], row["expires_at"], row["id"])
    return {each["id"] for each in rows if (-each["priority"], each["expires_at"], each["id"]) < weight}


def test_nobody_gets_what_matters_less_while_the_same_cap_holds_what_matters_more(
    database: Database, dice: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 2: every decision is looked at, and every message that was due at it, in whatever hint it was."""
    decisions: list[list[dict[str, Any]]] = []
    written = claim._write

    def spy(connection: Any, writes: list[dict[str, Any]], *others: Any) -> None:
        decisions.append(writes)
        written(connection, writes, *others)

    monkeypatch.setattr(claim, "_write", spy)
    stage = crowded(database, dice)
    rows = {row["id"]: row for row in stage.messages()}
    due: dict[int, datetime | None] = {id: row["created_at"] for id, row in rows.items()}
    held = 0
    for writes in decisions:
        decided = {write["id"]: write for write in writes}
        for sent in (write for write in writes if write["state"] == "sending"):
            low, now = rows[sent["id"]], sent["counted_at"]
            for high in rivals(rows, low):
                moment = due[high["id"]]
                if moment is None or moment > now or high["created_at"] > now:
                    continue
                write = decided.get(high["id"])
                assert write is not None, "it was due, and nobody looked at it"
                cap = next((cap for cap in CAPS if write["reason"] == f"capped:{cap.name}"), None)
                assert cap is None or not counts(cap, seen(low))
                held += cap is not None
        for write in writes:
            due[write["id"]] = write["due_at"] if write["state"] == "pending" else None
    assert held, "nothing of more weight was ever held by a cap of its own: nothing is shown"


def rivals(rows: dict[int, Any], low: Any) -> list[Any]:
    return [
        row for row in rows.values() if row["customer_id"] == low["customer_id"] and row["priority"] > low["priority"]
    ]


# What a held message says, and slots that are kept


def test_a_held_message_says_which_cap_held_it_first_and_what_filled_it(database: Database) -> None:
    first, second = journey("first", "orders", priority=90), journey("second", "offers", priority=80)
    third = journey("third", "offers", priority=70)
    stage = Stage(database, project_of(first, second, third, caps=[Cap(2, per=days(1)), Cap(1, per=days(3))]))
    stage.identify("ann", email="ann@example.com")
    stage.order("ann")
    stage.run()
    by_name = {row["journey"]: row for row in stage.messages()}
    assert by_name["first"]["capped_at"] is None
    for name in ("second", "third"):
        row = by_name[name]
        assert (row["capped_by"], row["lost_to"]) == ("1 per 3 days", [by_name["first"]["id"]])
        assert row["capped_at"] == NOON
    stage.run(4 * DAY)
    again = next(row for row in stage.messages() if row["journey"] == "third")
    assert (again["state"], again["capped_at"], again["capped_by"]) == ("skipped", NOON, "1 per 3 days")


def test_a_slot_is_kept_for_who_waits_at_the_step_before_an_important_email(database: Database) -> None:
    birthday = journey("birthday", "orders", Wait("until the day", days(2)), Send("birthday", priority=80))
    news = journey("news", "news", enter=on(Reviewed), key=Reviewed.order_id)
    keep = Keep(1, priority=80)
    stage = Stage(database, project_of(birthday, news, caps=[Cap(2, per=days(7), keep=keep)]))
    for name in ("ann", "bob"):
        stage.identify(name, email=f"{name}@example.com")
    stage.order("ann")
    for n in range(2):
        for name in ("ann", "bob"):
            stage.track(name, Reviewed, order_id=f"{name}{n}")
        stage.run(MINUTE)
    sent = defaultdict(list)
    stage.run(3 * DAY)
    for row in stage.messages():
        if row["sent_at"]:
            sent[row["customer_id"]].append((row["journey"], row["sent_at"]))
    assert sorted(sent["ann"]) == [("birthday", NOON + 2 * DAY), ("news", NOON)]
    assert sorted(sent["bob"]) == [("news", NOON), ("news", NOON + MINUTE)]


def test_a_kept_slot_is_free_again_soon_after_what_it_was_kept_for_did_not_go(database: Database) -> None:
    birthday = journey(
        "birthday", "orders", Wait("until the day", days(2)), Send("birthday", priority=80), goal=Reviewed
    )
    news = journey("news", "news", Send("news", send_within=days(5)), priority=30)
    stage = Stage(database, project_of(birthday, news, caps=[Cap(1, per=days(7), keep=Keep(1, priority=80))]))
    stage.identify("ann", email="ann@example.com")
    stage.order("ann")
    stage.run(HOUR)
    assert [row["reason"] for row in stage.messages()] == ["capped:1 per 7 days"]
    stage.track("ann", Reviewed)  # the goal: there will be no birthday mail
    stage.run(3 * DAY)
    (row,) = stage.messages()
    assert row["sent_at"] == NOON + 2 * DAY + MINUTE


def test_what_another_cap_holds_is_looked_at_when_that_opens_and_not_when_a_kept_slot_would(database: Database) -> None:
    birthday = journey(
        "birthday", "orders", Wait("until the day", hours(2)), Send("birthday", priority=90), goal=Reviewed
    )
    first = journey("first", "orders", priority=60)
    news = journey("news", "news", Send("news", send_within=days(3)))
    caps = [Cap(1, per=hours(1)), Cap(2, per=days(7), keep=Keep(1, priority=80))]
    stage = Stage(database, project_of(birthday, first, news, caps=caps))
    stage.identify("ann", email="ann@example.com")
    stage.order("ann")
    stage.run(MINUTE)
    stage.track("ann", Reviewed)  # the goal: there will be no birthday mail
    stage.run(5 * DAY)
    assert {row["journey"]: row["sent_at"] for row in stage.messages()} == {"first": NOON, "news": NOON + HOUR}


def test_no_slot_is_kept_for_what_the_customer_or_an_operator_has_stopped(database: Database) -> None:
    waits = journey("waits", "orders", Wait("until the day", days(2)), Send("waits", priority=90))
    due = journey("due", "orders", Send("due", priority=90))
    news = journey("news", "news", Send("news", on_capped="skip"), enter=on(Reviewed), key=Reviewed.order_id)
    stage = Stage(database, project_of(waits, due, news, caps=[Cap(1, per=days(7), keep=Keep(1, priority=80))]))
    for name in ("ann", "bob"):
        stage.identify(name, email=f"{name}@example.com")
    stage.track("ann", "subscription.withdrawn", topic="orders")
    stage.order("ann")
    stage.run(MINUTE)
    stage.track("ann", Reviewed, order_id="R1")
    stage.run(MINUTE)
    pause(stage.db, Scope("topic", "orders"), "the printer burns", stage.now)
    stage.order("bob")
    stage.run(MINUTE)
    stage.track("bob", Reviewed, order_id="R2")
    stage.run(MINUTE)
    assert [row["state"] for row in stage.messages() if row["journey"] == "news"] == ["sent", "sent"]


def test_what_is_found_stopped_as_it_is_judged_keeps_no_slot_from_the_next(database: Database) -> None:
    high = journey("high", "orders", Send("high", priority=90))
    news = journey("news", "news", Send("news", on_capped="skip"))
    stage = Stage(database, project_of(high, news, caps=[Cap(1, per=days(7), keep=Keep(1, priority=80))]))
    stage.identify("ann", email="ann@example.com")
    pause(stage.db, Scope("journey", "high"), "it is wrong", stage.now)
    stage.order("ann")
    stage.run(MINUTE)
    assert stage.states() == {"high": "pending: paused", "news": "sent"}


def test_transactional_mail_obeys_only_the_caps_that_say_so_and_waits_like_any_other(database: Database) -> None:
    receipt = journey("receipt", "orders", kind="transactional")
    caps = [Cap(1, per=hours(1)), Cap(2, per=days(1), counts="all", obeyed_by="all")]
    stage = Stage(database, project_of(receipt, caps=caps, quiet_hours=QUIET))
    stage.identify("ann", email="ann@example.com")
    for n in range(3):
        stage.order("ann", f"A{n}")
    stage.run()
    assert sorted((row["state"], row["reason"] or "") for row in stage.messages()) == [
        ("pending", "capped:2 per 1 day, all mail"),
        ("sent", ""),
        ("sent", ""),
    ]
    stage.run(2 * DAY)
    assert max(row["sent_at"] for row in stage.messages()) == NOON + DAY


def test_a_message_counts_with_the_topic_that_it_had_when_it_was_sent(database: Database) -> None:
    """Also when the journey is of another topic today."""
    caps = [Cap(1, per=days(7), topic="offers")]
    stage = Stage(database, project_of(journey("news", "offers"), caps=caps))
    stage.identify("ann", email="ann@example.com")
    stage.order("ann", "A1")
    stage.run(HOUR)
    stage.project = project_of(
        journey("news", "news"), journey("offer", "offers", Send("offer", on_capped="skip")), caps=caps
    )
    stage.order("ann", "B2")
    stage.run(HOUR)
    assert [(row["topic"], row["state"]) for row in stage.messages()] == [
        ("offers", "sent"),
        ("news", "sent"),
        ("offers", "skipped"),
    ]
