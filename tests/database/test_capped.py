"""What reports tell of caps: against what a brute force over the rows finds, on both databases."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from math import ceil
from typing import Any

from sqlmodel import SQLModel

from lifecycle import Cap, Journey, QuietHours, Send, Wait, days, hours, on
from lifecycle.flow.cap_report import cap_report
from lifecycle.flow.slots import at_caps, outlooks
from lifecycle.store import capped
from lifecycle.store.database import Database
from tests.stage import LEASE, NOON, Ordered, Stage, project_of

SINCE, UNTIL = NOON - timedelta(days=30), NOON
JOURNEYS = ("birthday", "onboarding", "win_back")
CAPS = ("1 per 1 day", "3 per 7 days")


def message(number: int, **columns: Any) -> dict[str, Any]:
    """A row that was sent at noon, if nothing else is said."""
    usual = {
        "id": number,
        "customer_id": "1",
        "enrollment_id": number,
        "journey": "win_back",
        "step": "hello",
        "key": "",
        "template": "hello",
        "kind": "marketing",
        "topic": "offers",
        "priority": 50,
        "on_capped": "wait",
        "state": "sent",
        "reason": None,
        "created_at": NOON,
        "expires_at": NOON + timedelta(days=3),
        "capped_until": NOON + timedelta(days=3),
        "message_id": f"m{number}",
        "attempts": 1,
        "counted_at": NOON,
        "sent_at": NOON,
    }
    return usual | columns


def keep(database: Database, rows: Sequence[dict[str, Any]], customers: Sequence[str] = ("1",)) -> None:
    tables = SQLModel.metadata.tables
    with database.transaction() as connection:
        people = [{"id": id, "created_at": NOON, "traits": {}, "consents": {}, "pace": {}} for id in customers]
        connection.execute(tables["customer"].insert(), people)
        for row in rows:
            connection.execute(tables["message"].insert().values(**row))


def some_history(seed: int = 7) -> list[dict[str, Any]]:
    """Messages around the period: some sent, some held back by a cap before, in every way that this may end."""
    dice = random.Random(seed)
    rows = []
    for number in range(1, 301):
        at = SINCE - timedelta(days=5) + timedelta(minutes=dice.randrange(40 * 24 * 60))
        row = message(number, journey=dice.choice(JOURNEYS), created_at=at, counted_at=at, sent_at=at)
        row["topic"] = "offers" if row["journey"] == "win_back" else "news"
        if dice.random() < 0.6:
            row |= {"capped_at": at, "capped_by": dice.choice(CAPS)}
            row["lost_to"] = sorted(dice.sample(range(1, 301), dice.choice((1, 1, 3))))
            fate = dice.choice(("sent", "sent", "sent", "capped", "digested", "goal_reached", "pending"))
            if fate == "sent":
                row["sent_at"] = row["counted_at"] = at + timedelta(minutes=dice.randrange(1, 4000))
            else:
                state = "pending" if fate == "pending" else "skipped"
                reason = f"capped:{row['capped_by']}" if fate in ("capped", "pending") else fate
                row |= {"state": state, "reason": reason, "sent_at": None, "counted_at": None}
        rows.append(row)
    return rows


def nearest_rank(values: list[float], percent: int) -> float | None:
    return sorted(values)[ceil(percent / 100 * len(values)) - 1] if values else None


def test_what_was_held_back_in_a_period_is_what_brute_force_finds(database: Database) -> None:
    rows = some_history()
    keep(database, rows)
    expected = {}
    in_period = [row for row in rows if "capped_at" in row and SINCE <= row["capped_at"] < UNTIL]
    for cap in CAPS:
        for journey in JOURNEYS:
            theirs = [row for row in in_period if (row["capped_by"], row["journey"]) == (cap, journey)]
            waits = [(row["sent_at"] - row["capped_at"]).total_seconds() for row in theirs if row["state"] == "sent"]
            expected[cap, journey] = (
                len(theirs),
                len(waits),
                nearest_rank(waits, 50),
                nearest_rank(waits, 95),
                sum(row["state"] == "skipped" and row["reason"].startswith("capped:") for row in theirs),
                sum(row["reason"] == "digested" for row in theirs),
                sum(row["state"] == "pending" for row in theirs),
            )

    with database.reading() as connection:
        found = capped.held(connection, SINCE, UNTIL)

    assert {(each.cap, each.journey): each[2:] for each in found} == expected
    assert len(in_period) > 100


def test_what_was_sent_in_a_period_is_found_without_what_was_sent_before_and_after(database: Database) -> None:
    rows = some_history()
    rows.append(message(900, journey="birthday", topic="news", counted_at=SINCE - LEASE / 2, sent_at=SINCE))
    rows.append(message(901, journey="birthday", topic="news", counted_at=UNTIL - LEASE / 2, sent_at=UNTIL))
    keep(database, rows)
    expected = Counter(
        (row["journey"], row["topic"]) for row in rows if row["state"] == "sent" and SINCE <= row["sent_at"] < UNTIL
    )

    with database.reading() as connection:
        found = capped.sent(connection, SINCE, UNTIL, LEASE)

    assert {(each.journey, *each.counted.topics): each.sent for each in found} == expected


def test_who_took_the_slots_is_counted_by_message_and_by_slot(database: Database) -> None:
    rows = some_history()
    keep(database, rows)
    journeys = {row["id"]: row["journey"] for row in rows}
    slots: Counter[tuple[str, str, str]] = Counter()
    messages: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
    for row in rows:
        if "capped_at" in row and SINCE <= row["capped_at"] < UNTIL:
            for other in row["lost_to"]:
                key = (row["capped_by"], row["journey"], journeys[other])
                slots[key] += 1
                messages[key].add(row["id"])

    with database.reading() as connection:
        found = capped.paid(connection, SINCE, UNTIL)

    assert {each[:3]: each.slots for each in found} == slots
    assert {each[:3]: each.messages for each in found} == {key: len(ids) for key, ids in messages.items()}


def test_a_cap_that_nothing_filled_has_nobody_who_took_its_slots(database: Database) -> None:
    held = {"state": "skipped", "reason": "capped:0 per 1 day", "capped_by": "0 per 1 day", "sent_at": None}
    keep(database, [message(1, capped_at=NOON - timedelta(days=1), lost_to=[], counted_at=None, **held)])

    with database.reading() as connection:
        assert capped.paid(connection, SINCE, UNTIL) == []
        assert [each.skipped for each in capped.held(connection, SINCE, UNTIL)] == [1]


def test_pauses_that_customers_ask_for_are_one_line_whatever_their_day(database: Database) -> None:
    held = {"state": "pending", "capped_at": NOON - timedelta(days=1), "sent_at": None, "counted_at": None}
    keep(database, [message(n, capped_by=f"paused until 2026-12-{n}", lost_to=[], **held) for n in (10, 20, 30)])

    with database.reading() as connection:
        (found,) = capped.held(connection, SINCE, UNTIL)

    assert (found.cap, found.held, found.waiting, found.p50) == ("paused by the customer", 3, 3, None)


def test_a_digest_counts_under_the_caps_of_all_its_sections(database: Database) -> None:
    sections = [
        {"id": 2, "topic": "offers", "journey": "win_back", "template": "a", "message_id": "m2"},
        {"id": 3, "topic": "news", "journey": "birthday", "template": "b", "message_id": "m3"},
    ]
    sent = {"counted_at": NOON - timedelta(days=1), "sent_at": NOON - timedelta(days=1)}
    keep(database, [message(1, journey="digest", sections=sections, **sent), message(4, **sent)])
    caps = [Cap(3, per=days(7)), Cap(1, per=days(7), topic="news"), Cap(1, per=days(7), journey="birthday")]

    with database.reading() as connection:
        lines = cap_report(connection, project_of(caps=caps), SINCE, UNTIL, NOON, LEASE).lines

    assert [(line.cap, line.journey, line.sent) for line in lines] == [
        ("3 per 7 days", "digest", 1),
        ("3 per 7 days", "win_back", 1),
        ("1 per 7 days of news", "digest", 1),
        ("1 per 7 days in birthday", "digest", 1),
    ]


def test_a_customers_own_cap_is_reported_though_the_policy_has_not_got_it(database: Database) -> None:
    own = "1 per 7 days of offers, as they asked"
    keep(database, [message(1, capped_at=NOON - timedelta(days=1), capped_by=own, lost_to=[])])

    with database.reading() as connection:
        report = cap_report(connection, project_of(caps=[Cap(9, per=days(7))]), SINCE, UNTIL, NOON, LEASE)

    (line,) = [line for line in report.lines if line.cap == own]
    assert (line.sent, line.held and line.held.held) == (None, 1)


def test_who_is_at_a_cap_and_when_their_slot_opens_is_what_brute_force_finds(database: Database) -> None:
    dice = random.Random(3)
    caps = [Cap(1, per=days(1)), Cap(3, per=days(7)), Cap(2, per=days(2), window="calendar"), Cap(0, per=hours(1))]
    customers = [f"c{number:03}" for number in range(40)]
    rows = []
    for number in range(1, 121):
        at = NOON - timedelta(minutes=dice.randrange(8 * 24 * 60))
        rows.append(message(number, customer_id=dice.choice(customers), counted_at=at, sent_at=at))
    keep(database, rows, customers)
    expected: dict[str, list[tuple[datetime, str]]] = {cap.name: [] for cap in caps[:3]}
    for customer in customers:
        moments = sorted((row["sent_at"] for row in rows if row["customer_id"] == customer), reverse=True)
        for cap in caps[:3]:
            opens = _brute_opens(cap, moments)
            if opens is not None:
                expected[cap.name].append((opens, customer))

    with database.reading() as connection:
        found = at_caps(connection, project_of(caps=caps, timezone="UTC"), NOON, LEASE, few=4)

    assert {name: at.customers for name, at in found.items()} == {name: len(those) for name, those in expected.items()}
    assert {name: at.first for name, at in found.items()} == {
        name: sorted(those)[:4] for name, those in expected.items()
    }


def _brute_opens(cap: Cap, moments: Sequence[datetime]) -> datetime | None:
    """The first hour's quarter from now on, to the minute, at which there is room; None if that is now."""

    def room(now: datetime) -> bool:
        if cap.window == "rolling":
            return sum(now - cap.span < at for at in moments) < cap.limit
        return sum((now.date() - at.date()).days < cap.span.days for at in moments) < cap.limit

    now = NOON
    while not room(now):
        now += timedelta(minutes=1)
    return None if now == NOON else now


def test_what_waits_is_told_the_slot_that_the_engine_then_gives_it(database: Database) -> None:
    loud = Journey(name="loud", topic="offers", enter=on(Ordered), priority=80, steps=[Send("loud/now")])
    shy = Journey(
        name="shy", topic="news", enter=on(Ordered), priority=20, steps=[Wait("a bit", hours(1)), Send("shy/later")]
    )
    caps = [Cap(1, per=hours(22))]
    night = QuietHours(time(9), time(11))
    stage = Stage(database, project_of(loud, shy, caps=caps, quiet_hours=night))
    stage.identify("1", email="one@example.com")
    stage.order("1")
    stage.run(hours(2).rolling)
    waiting = next(row for row in stage.messages() if row["state"] == "pending")

    with database.reading() as connection:
        outlook = outlooks(connection, stage.project, [waiting["id"]], stage.now, LEASE)[waiting["id"]]
    stage.run(days(2).rolling)

    later = next(row for row in stage.messages() if row["journey"] == "shy")
    first = next(row for row in stage.messages() if row["journey"] == "loud")
    assert outlook.next_slot == later["sent_at"] == NOON + timedelta(hours=23)  # 22 hours on, quiet hours are over
    assert (outlook.cap, outlook.filled_by) == ("1 per 22 hours", (first["id"],))
