"""Entering by condition and by date: on time, once, and whatever races."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Row, insert, text, update

from lifecycle import Attribute, Event, Flag, Journey, Policy, Send, Sender, days, each_year, on_date, when
from lifecycle.flow import entries
from lifecycle.flow.entries import enter_due, enter_journey
from lifecycle.journey.entries import Entry
from lifecycle.journey.project import Project
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.store import tables
from lifecycle.store.audience import audience as audience_of
from lifecycle.store.database import Database
from lifecycle.store.sweeps import take_turn
from lifecycle.store.types import Instant

LEASE = timedelta(minutes=5)
JAKARTA = ZoneInfo("Asia/Jakarta")


class customer:  # noqa: N801 - the noun of the language
    birthday = Attribute[date]()
    member_since = Attribute[date]()
    vip = Flag()


class Bought(Event, name="bought"):
    pass


def journey(enter: Entry, name: str = "greet", **options: Any) -> Journey:
    return Journey(name=name, topic="offers", enter=enter, steps=[Send("birthday/greeting")], **options)


def project(*journeys: Journey) -> Project:
    sender = Sender("Toko Kopi", "halo@tokokopi.example", postal_address="Jl. Braga 1, Bandung")
    return Project(Vocabulary(), {one.name: one for one in journeys}, Policy(sender=sender, timezone="Asia/Jakarta"))


def customers(database: Database, *ids: str, **columns: Any) -> None:
    born = columns.get("birthday")
    columns.setdefault("birthday_md", born.month * 100 + born.day if born else None)
    row = {"created_at": datetime(2020, 1, 1, tzinfo=UTC), "traits": {}, "consents": {}, **columns}
    with database.transaction() as connection:
        connection.execute(insert(tables.Customer), [{"id": id_, **row} for id_ in ids])


def change(database: Database, id_: str, **columns: Any) -> None:
    with database.transaction() as connection:
        connection.execute(update(tables.Customer).where(tables.Customer.id == id_).values(**columns))  # type: ignore[arg-type]


def bought(database: Database, id_: str, *moments: datetime) -> None:
    brief = {"count": len(moments), "first_at": min(moments), "last_at": max(moments)}
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM activity"))
        connection.execute(insert(tables.Activity), [{"customer_id": id_, "event": "bought", **brief}])
        for moment in moments:
            event = {"customer_id": id_, "name": "bought", "timestamp": moment, "received_at": moment}
            event |= {"message_id": f"{id_} {moment}", "properties": {}, "digest": ""}
            connection.execute(insert(tables.Event), [event])


def enter(database: Database, one: Journey, now: datetime) -> int:
    """A pass whose turn it is; how many entered."""
    return len(enter_journey(database, project(one), one, now, lease=LEASE)[1])


def enrollments(database: Database) -> Sequence[Row[Any]]:
    sql = text(
        'SELECT id, customer_id, "key", entry, state, step, due_at, wake_at, entered_at FROM enrollment ORDER BY id'
    )
    moments = {name: Instant() for name in ("due_at", "wake_at", "entered_at")}
    with database.reading() as connection:
        return connection.execute(sql.columns(**moments)).all()


def days_of_entering(database: Database, one: Journey, first: date, last: date) -> list[str]:
    """Asks at noon in Jakarta on each day; the days on which somebody entered."""
    found = []
    while first <= last:
        if enter(database, one, datetime.combine(first, time(12), JAKARTA)):
            found.append(str(first))
        first += timedelta(days=1)
    return found


@pytest.mark.parametrize(
    ("leap_day", "greeted"),
    [("feb 28", ["2027-02-28", "2028-02-29"]), ("mar 1", ["2027-03-01", "2028-02-29"]), ("skip", ["2028-02-29"])],
)
@pytest.mark.parametrize("attribute", [customer.birthday, customer.member_since])
def test_a_29_february_is_celebrated_as_the_journey_says(
    database: Database, attribute: Attribute[date], leap_day: Any, greeted: list[str]
) -> None:
    customers(database, "siti", birthday=date(1996, 2, 29), traits={"member_since": "2016-02-29"})
    one = journey(each_year(attribute), leap_day=leap_day)

    found = days_of_entering(database, one, date(2027, 2, 26), date(2027, 3, 3))
    found += days_of_entering(database, one, date(2028, 2, 26), date(2028, 3, 3))

    assert found == greeted


def test_a_birthday_is_greeted_at_nine_on_each_ones_own_clock(database: Database) -> None:
    zones = ["Asia/Jakarta", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
    for zone in zones:
        customers(database, zone, timezone=zone, birthday=date(1990, 7, 1))
    customers(database, "none", birthday=date(1990, 7, 1))
    customers(database, "wrong", timezone="Mars/Base", birthday=date(1990, 7, 1))
    one = journey(each_year(customer.birthday, at=time(9)))

    moment = datetime(2027, 6, 29, tzinfo=UTC)
    while moment < datetime(2027, 7, 4, tzinfo=UTC):
        enter(database, one, moment)
        moment += timedelta(minutes=30)

    local = dict.fromkeys(["none", "wrong"], JAKARTA) | {zone: ZoneInfo(zone) for zone in zones}
    assert {row.customer_id: row.entered_at for row in enrollments(database)} == {
        id_: datetime.combine(date(2027, 7, 1), time(9), zone) for id_, zone in local.items()
    }


def test_an_hour_that_a_clock_change_skips_is_the_moment_after_the_gap(database: Database) -> None:
    customers(database, "ann", timezone="America/New_York", birthday=date(1990, 3, 14))
    one = journey(each_year(customer.birthday, at=time(2, 30)))
    gap = datetime(2027, 3, 14, 7, tzinfo=UTC)

    assert [enter(database, one, gap - timedelta(microseconds=1)), enter(database, one, gap)] == [0, 1]


def test_a_birthday_on_a_day_that_the_zone_skipped_is_greeted_on_the_next(database: Database) -> None:
    customers(database, "sina", timezone="Pacific/Apia", birthday=date(1990, 12, 30))
    customers(database, "tui", timezone="Pacific/Apia", birthday=date(1990, 12, 31))
    one = journey(each_year(customer.birthday))
    apia = ZoneInfo("Pacific/Apia")

    eve = enter(database, one, datetime(2011, 12, 29, 23, 59, tzinfo=apia))
    enter(database, one, datetime(2011, 12, 31, 9, tzinfo=apia))

    assert eve == 0
    assert {row.customer_id: row.key for row in enrollments(database)} == {"sina": "2011", "tui": "2011"}


def test_a_birthday_set_today_is_greeted_and_one_set_too_late_is_not(database: Database) -> None:
    one = journey(each_year(customer.birthday))
    customers(database, "siti", "budi")
    today = datetime(2027, 5, 20, 22, tzinfo=JAKARTA)
    assert enter(database, one, today) == 0

    change(database, "siti", birthday=date(1990, 5, 20), birthday_md=520)
    change(database, "budi", birthday=date(1990, 5, 19), birthday_md=519)

    assert enter(database, one, today + timedelta(minutes=1)) == 1
    assert [row.customer_id for row in enrollments(database)] == ["siti"]


def test_a_birthday_that_changes_after_the_greeting_is_not_greeted_twice_that_year(database: Database) -> None:
    one = journey(each_year(customer.birthday))
    customers(database, "siti", birthday=date(1990, 5, 20))
    assert enter(database, one, datetime(2027, 5, 20, 12, tzinfo=JAKARTA)) == 1

    change(database, "siti", birthday=date(1990, 6, 3), birthday_md=603)

    assert days_of_entering(database, one, date(2027, 6, 1), date(2027, 6, 5)) == []
    assert days_of_entering(database, one, date(2028, 6, 1), date(2028, 6, 5)) == ["2028-06-03"]


def test_the_day_itself_is_no_anniversary_yet(database: Database) -> None:
    customers(database, "new", traits={"member_since": "2027-05-20"})
    customers(database, "future", traits={"member_since": "2031-05-20"})
    customers(database, "strange", traits={"member_since": "20 May"})
    customers(database, "old", traits={"member_since": "2026-05-20"})

    enter(database, journey(each_year(customer.member_since)), datetime(2027, 5, 20, 12, tzinfo=JAKARTA))

    assert [row.customer_id for row in enrollments(database)] == ["old"]


def test_a_date_is_for_everybody_whom_only_lets_in_and_who_is_not_erased(database: Database) -> None:
    customers(database, "vip", traits={"vip": True})
    customers(database, "other", traits={"vip": "yes"})
    customers(database, "erased", traits={"vip": True}, erased_at=datetime(2027, 1, 1, tzinfo=UTC))
    one = journey(on_date(12, 24, at=time(18)), only=customer.vip)

    early = enter(database, one, datetime(2027, 12, 24, 17, 59, tzinfo=JAKARTA))
    assert (early, enter(database, one, now := datetime(2027, 12, 24, 18, tzinfo=JAKARTA))) == (0, 1)

    row = enrollments(database)[0]
    assert (row.customer_id, row.key, row.entry, row.state, row.step) == ("vip", "2027", 1, "active", one.first)
    assert (row.due_at, row.wake_at, row.entered_at) == (now, now + LEASE, now)


def test_whoever_was_not_away_for_90_days_enters_at_the_very_moment_that_they_are(database: Database) -> None:
    customers(database, "siti")
    last = datetime(2027, 1, 10, 8, 30, tzinfo=UTC)
    bought(database, "siti", last - timedelta(days=30), last)
    one = journey(when(Bought.times(at_least=2) & ~Bought.happened(last=days(90))))
    moment = last + timedelta(days=90)

    before = enter(database, one, moment - timedelta(microseconds=1))

    assert (before, enter(database, one, moment)) == (0, 1)


def test_a_condition_that_goes_on_holding_lets_in_once_ever(database: Database) -> None:
    customers(database, "siti", traits={"vip": True})
    one = journey(when(customer.vip))
    now = datetime(2027, 1, 1, tzinfo=UTC)

    entered = [enter(database, one, now + timedelta(days=gone)) for gone in (0, 1, 400)]

    assert entered == [1, 0, 0]


def test_again_after_lets_in_again_once_the_former_walk_is_over_and_the_span_has_passed(database: Database) -> None:
    customers(database, "siti", traits={"vip": True})
    one = journey(when(customer.vip), again_after=days(180))
    now = datetime(2027, 1, 1, tzinfo=UTC)
    enter(database, one, now)

    still_in_it = enter(database, one, now + timedelta(days=200))
    with database.transaction() as connection:
        connection.execute(text("UPDATE enrollment SET state = 'completed'"))
    too_early = enter(database, one, now + timedelta(days=180) - timedelta(microseconds=1))
    on_time = enter(database, one, now + timedelta(days=180))

    assert (still_in_it, too_early, on_time) == (0, 0, 1)
    assert [row.entry for row in enrollments(database)] == [1, 2]


def test_schedulers_at_once_enter_everybody_once(database: Database) -> None:
    ids = [f"c{number:03}" for number in range(200)]
    customers(database, *ids, birthday=date(1990, 5, 20), traits={"vip": True})
    now = datetime(2027, 5, 20, 12, tzinfo=JAKARTA)
    both = [journey(each_year(customer.birthday)), journey(when(customer.vip), again_after=days(1))]
    together = Barrier(4)

    def passes(_: int) -> list[int]:
        together.wait()
        return [
            id_ for one in both for id_ in enter_journey(database, project(one), one, now, lease=LEASE, limit=30)[1]
        ]

    with ThreadPoolExecutor(4) as schedulers:
        found = [id_ for ids_ in schedulers.map(passes, range(4)) for id_ in ids_]

    rows = enrollments(database)
    assert sorted(found) == [row.id for row in rows]
    assert sorted((row.key, row.customer_id) for row in rows) == sorted(
        (key, id_) for key in ("", "2027") for id_ in ids
    )


def test_a_pass_is_run_by_one_scheduler_and_is_due_again_after_its_interval(database: Database) -> None:
    customers(database, "siti", traits={"vip": True})
    shop = project(journey(when(customer.vip), again_after=days(1)))
    now = datetime(2027, 1, 1, tzinfo=UTC)
    together = Barrier(4)

    def scheduler(_: int) -> list[int]:
        together.wait()
        return enter_due(database, shop, now, lease=LEASE)

    with ThreadPoolExecutor(4) as schedulers:
        first = [len(ids) for ids in schedulers.map(scheduler, range(4))]
    customers(database, "budi", traits={"vip": True})
    too_early = enter_due(database, shop, now + timedelta(seconds=59), lease=LEASE)
    in_time = enter_due(database, shop, now + timedelta(seconds=60), lease=LEASE)

    assert sorted(first) == [0, 0, 0, 1]
    assert (len(too_early), len(in_time)) == (0, 1)


def test_more_than_a_pass_takes_go_on_with_the_next_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "PER_PASS", 4)
    customers(database, *"abcdefghij", traits={"vip": True})
    shop, now = project(journey(when(customer.vip))), datetime(2027, 1, 1, tzinfo=UTC)

    entered = [len(enter_due(database, shop, now, lease=LEASE, limit=3)) for _ in range(4)]

    assert entered == [4, 4, 2, 0]


def test_a_clock_that_was_once_ahead_stops_no_pass(database: Database) -> None:
    shop = project(journey(when(customer.vip), again_after=days(1)))
    now = datetime(2027, 1, 1, tzinfo=UTC)
    enter_due(database, shop, now + timedelta(days=365), lease=LEASE)
    customers(database, "siti", traits={"vip": True})
    assert len(enter_due(database, shop, now, lease=LEASE)) == 1
    assert not take_turn(database, "enter greet", now + timedelta(seconds=1), timedelta(seconds=60))


def test_an_error_in_one_journeys_pass_is_logged_and_stops_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    customers(database, "siti", traits={"vip": True})
    broken, whole = (journey(when(customer.vip), name=name) for name in ("broken", "whole"))

    def audience(one: Journey, *rest: Any) -> Any:
        if one.name == "broken":
            raise LookupError("nobody foresaw this")
        return audience_of(one, *rest)

    monkeypatch.setattr(entries, "audience", audience)
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert len(enter_due(database, project(broken, whole), now, lease=LEASE)) == 1
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert vars(record)["journey"] == "broken"
    assert record.exc_info is not None
    assert "nobody foresaw this" in str(record.exc_info[1])
