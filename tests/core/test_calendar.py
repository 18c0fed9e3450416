# ruff: noqa: DTZ001 - naive datetimes are what clocks on walls show
"""People live by the clock on their wall, also on the days on which it is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.calendar import at_wall, next_wall_time, on_day, plus, quiet_until, zone_named
from lifecycle.journey.durations import days, hours, weeks
from lifecycle.journey.policy import QuietHours

JAKARTA, NEW_YORK = ZoneInfo("Asia/Jakarta"), ZoneInfo("America/New_York")
LORD_HOWE, APIA = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia")
CHANGES = {
    JAKARTA: [datetime(2026, 3, 8)],  # none, ever
    NEW_YORK: [datetime(2026, 3, 8), datetime(2026, 11, 1)],
    LORD_HOWE: [datetime(2026, 4, 5), datetime(2026, 10, 4)],  # half an hour
    APIA: [datetime(2011, 12, 30), datetime(2012, 4, 1), datetime(2011, 9, 24)],  # the first left out a day
}
QUARTER = timedelta(minutes=15)  # all zones change at whole quarters


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]


def shown(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def quarters(start: datetime, end: datetime) -> list[datetime]:
    return [start + n * QUARTER for n in range(int((end - start) / QUARTER))]


@st.composite
def near_a_change(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """A wall time within two days of a change of the clocks."""
    zone = draw(st.sampled_from([*CHANGES]))
    change = draw(st.sampled_from(CHANGES[zone]))
    return change + draw(st.integers(-2 * 96, 3 * 96)) * QUARTER, zone


wall_times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))


@pytest.mark.parametrize(
    ("zone", "local", "moment"),
    [
        (JAKARTA, datetime(2026, 3, 8, 2, 30), utc(2026, 3, 7, 19, 30)),
        (NEW_YORK, datetime(2026, 3, 8, 2, 30), utc(2026, 3, 8, 7)),  # skipped: 3:00
        (NEW_YORK, datetime(2026, 11, 1, 1, 30), utc(2026, 11, 1, 5, 30)),  # twice: the first
        (LORD_HOWE, datetime(2026, 10, 4, 2, 15), utc(2026, 10, 3, 15, 30)),  # skipped: 2:30
        (LORD_HOWE, datetime(2026, 4, 5, 1, 45), utc(2026, 4, 4, 14, 45)),  # twice: the first
        (APIA, datetime(2011, 12, 30, 12), utc(2011, 12, 30, 10)),  # a day left out: midnight after it
    ],
)
def test_a_wall_time_that_is_skipped_means_the_end_of_the_gap_and_one_that_comes_twice_the_first(
    zone: ZoneInfo, local: datetime, moment: datetime
) -> None:
    assert at_wall(local, zone) == moment


@given(near_a_change())
def test_a_wall_time_is_the_first_moment_at_which_clocks_show_it_or_are_past_it(
    place: tuple[datetime, ZoneInfo],
) -> None:
    local, zone = place
    start = local.replace(tzinfo=UTC) - timedelta(hours=15)
    brute = next(moment for moment in quarters(start, start + timedelta(days=3)) if shown(moment, zone) >= local)
    assert at_wall(local, zone) == brute


@pytest.mark.parametrize(
    ("zone", "start", "length"),
    [
        (NEW_YORK, datetime(2026, 3, 7, 9), 23),
        (NEW_YORK, datetime(2026, 10, 31, 9), 25),
        (LORD_HOWE, datetime(2026, 10, 3, 9), 23.5),
        (LORD_HOWE, datetime(2026, 4, 4, 9), 24.5),
        (JAKARTA, datetime(2026, 3, 7, 9), 24),
        (APIA, datetime(2011, 12, 28, 9), 24),
    ],
)
def test_a_wait_of_a_day_over_a_clock_change_ends_at_the_same_wall_time_and_one_of_hours_does_not(
    zone: ZoneInfo, start: datetime, length: float
) -> None:
    moment = at_wall(start, zone)
    after = plus(moment, days(1), zone)
    assert shown(after, zone) == start + timedelta(days=1)
    assert after - moment == timedelta(hours=length)
    assert plus(moment, hours(24), zone) - moment == timedelta(hours=24)


def test_a_wait_into_a_day_that_was_left_out_ends_when_the_next_day_begins() -> None:
    moment = at_wall(datetime(2011, 12, 29, 9), APIA)
    assert shown(plus(moment, days(1), APIA), APIA) == datetime(2011, 12, 31)
    assert shown(plus(moment, days(2), APIA), APIA) == datetime(2011, 12, 31, 9)


@given(near_a_change(), st.integers(1, 3))
def test_weeks_are_seven_times_as_many_days(place: tuple[datetime, ZoneInfo], n: int) -> None:
    local, zone = place
    moment = at_wall(local, zone)
    assert plus(moment, weeks(n), zone) == plus(moment, days(7 * n), zone)


@given(near_a_change(), wall_times)
def test_the_next_wall_time_is_the_first_that_clocks_show(place: tuple[datetime, ZoneInfo], at: time) -> None:
    local, zone = place
    moment = at_wall(local, zone)
    found = next_wall_time(moment, at, zone)
    showing = shown(found, zone)
    if showing.time() == at:
        brute = [
            m for m in quarters(moment, found) if shown(m, zone).time() == at and m == at_wall(shown(m, zone), zone)
        ]
        assert not brute  # the second showing of a doubled hour counts for nothing
    else:  # skipped by a gap of that day, of which `found` is the end
        assert shown(found - QUARTER, zone).time() < at < showing.time()
        assert found - moment <= timedelta(days=1)


def test_nine_in_the_morning_is_not_midnight_where_a_day_was_left_out() -> None:
    evening = at_wall(datetime(2011, 12, 29, 20), APIA)
    assert shown(next_wall_time(evening, time(9), APIA), APIA) == datetime(2011, 12, 31, 9)


@pytest.mark.parametrize(
    ("zone", "local", "ends"),
    [
        (JAKARTA, datetime(2026, 1, 5, 23), datetime(2026, 1, 6, 8)),
        (JAKARTA, datetime(2026, 1, 5, 21), datetime(2026, 1, 6, 8)),  # the start is quiet
        (JAKARTA, datetime(2026, 1, 5, 8), None),  # the end is not
        (NEW_YORK, datetime(2026, 3, 7, 22), datetime(2026, 3, 8, 8)),
        (NEW_YORK, datetime(2026, 10, 31, 22), datetime(2026, 11, 1, 8)),
        (LORD_HOWE, datetime(2026, 10, 3, 22), datetime(2026, 10, 4, 8)),
        (LORD_HOWE, datetime(2026, 4, 4, 22), datetime(2026, 4, 5, 8)),
        (APIA, datetime(2011, 12, 29, 22), datetime(2011, 12, 31, 8)),  # one night of eleven hours
        (APIA, datetime(2011, 12, 31, 0), datetime(2011, 12, 31, 8)),
        (APIA, datetime(2011, 12, 29, 20), None),
    ],
)
def test_quiet_hours_end_in_the_morning_by_the_customers_own_clock(
    zone: ZoneInfo, local: datetime, ends: datetime | None
) -> None:
    until = quiet_until(at_wall(local, zone), QuietHours(time(21), time(8)), zone)
    assert (until and shown(until, zone)) == ends


@given(near_a_change(), wall_times, wall_times)
def test_quiet_hours_end_at_a_moment_that_is_not_quiet_and_all_before_it_are(
    place: tuple[datetime, ZoneInfo], start: time, end: time
) -> None:
    local, zone = place
    if start == end:
        return
    quiet = QuietHours(start, end)
    moment = at_wall(local, zone)
    until = quiet_until(moment, quiet, zone)
    if until is None:
        return
    assert quiet_until(until, quiet, zone) is None
    assert {quiet_until(before, quiet, zone) for before in quarters(moment, until)} == {until}


@given(near_a_change(), wall_times, wall_times)
def test_nobody_is_disturbed_while_their_clock_shows_quiet_hours(
    place: tuple[datetime, ZoneInfo], start: time, end: time
) -> None:
    local, zone = place
    if start == end:
        return
    quiet = QuietHours(start, end)
    for moment in quarters(at_wall(local, zone), at_wall(local, zone) + timedelta(hours=6)):
        at = shown(moment, zone).time()
        shows = start <= at < end if start < end else at >= start or at < end
        found = quiet_until(moment, quiet, zone) is not None
        in_a_changed_night = min(start, end) < time(4) and zone is not JAKARTA
        assert found >= shows
        assert found == shows or in_a_changed_night  # a doubled hour may be quiet both times


def test_without_quiet_hours_no_moment_is_quiet() -> None:
    assert quiet_until(utc(2026, 1, 1), None, JAKARTA) is None


@pytest.mark.parametrize("name", [None, "", "Mars/Base", "asia/jakarta", "../etc/passwd", "EST5EDT4,M3"])
def test_an_unknown_zone_is_the_policys(name: str | None) -> None:
    assert zone_named(name, "Asia/Jakarta").key == "Asia/Jakarta"


def test_a_day_begins_where_the_customer_is() -> None:
    assert on_day(date(2026, 2, 28), time(9), JAKARTA) == utc(2026, 2, 28, 2)
