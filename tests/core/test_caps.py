"""No window of a cap ever holds more than its limit, and nobody waits longer than that needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.caps import Counted, Slots, counts, longest, obeys
from lifecycle.errors import DefinitionError
from lifecycle.journey.caps import Cap, Keep
from lifecycle.journey.durations import Duration, days, hours
from lifecycle.journey.policy import QuietHours
from lifecycle.journey.steps import Send

# In the night to the 29th clocks go forward in Berlin; a week later they go back in Lord Howe, by half an hour.
START = datetime(2026, 3, 28, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
TOPICS, JOURNEYS = ["offers", "orders"], ["win_back", "birthday"]
ZONES = [
    ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York")
]
UTC_ZONE = ZONES[0]


def mail(at: datetime, topic: str = "offers", **changes: Any) -> Counted:
    return replace(Counted(at, frozenset((topic,)), frozenset(("win_back",))), **changes)


def quarters(least: int, most: int) -> st.SearchStrategy[datetime]:
    """Moments so far from the start; in quarters of an hour, so that brute force can try each of them."""
    return st.integers(least, most).map(lambda n: START + n * QUARTER)


def mails(at: st.SearchStrategy[datetime]) -> st.SearchStrategy[Counted]:
    return st.builds(
        Counted,
        at,
        st.sets(st.sampled_from(TOPICS), min_size=1).map(frozenset),
        st.sets(st.sampled_from(JOURNEYS), min_size=1).map(frozenset),
        st.sampled_from([True, True, False]),
        st.sampled_from([10, 50, 80]),
    )


caps_of_a_policy = st.lists(
    st.one_of(
        st.builds(
            lambda limit, minutes, **more: Cap(limit, per=Duration(seconds=minutes * 60), **more),
            st.integers(1, 4),
            st.integers(1, 100).map(lambda n: n * 15),
            topic=st.sampled_from([None, *TOPICS]),
            journey=st.sampled_from([None, None, *JOURNEYS]),
            counts=st.sampled_from(["marketing", "all"]),
            obeyed_by=st.sampled_from(["marketing", "all"]),
            keep=st.sampled_from([None, None, Keep(1, priority=80), Keep(1, priority=50)]),
        ),
        st.builds(
            lambda limit, n, **more: Cap(limit, per=days(n), window="calendar", **more),
            st.integers(1, 3),
            st.integers(1, 2),
            topic=st.sampled_from([None, *TOPICS]),
            counts=st.sampled_from(["marketing", "all"]),
            keep=st.sampled_from([None, None, Keep(1, priority=80)]),
        ),
    ),
    max_size=4,
)
night = st.sampled_from([None, QuietHours(time(21), time(8)), QuietHours(time(0), time(0, 30))])


# Brute force: what the words say, one moment after the other, without anything of what is tested.


def falls_under(cap: Cap, message: Counted, whose: str) -> bool:
    return (
        (message.marketing or whose == "all")
        and (not cap.topic or cap.topic in message.topics)
        and (not cap.journey or cap.journey in message.journeys)
    )


def together(cap: Cap, earlier: datetime, later: datetime, zone: ZoneInfo) -> bool:
    """Whether one window of the cap can hold both moments."""
    if cap.window == "rolling":
        return later - earlier < timedelta(days=cap.per.days, seconds=cap.per.seconds)
    gone: date = earlier.astimezone(zone).date()
    return (later.astimezone(zone).date() - gone).days < cap.per.days


def legal(slots: Slots, message: Counted, now: datetime, quiet: QuietHours | None) -> bool:
    if quiet is not None:
        clock = now.astimezone(slots.zone).time()
        inside = [quiet.start <= clock, clock < quiet.end]
        if all(inside) if quiet.start < quiet.end else any(inside):
            return False
    for cap in slots.caps:
        if not falls_under(cap, message, cap.obeyed_by):
            continue
        gone = [each for each in slots.past if falls_under(cap, each, cap.counts)]
        coming: list[Counted] = []
        if cap.keep and message.priority < cap.keep.priority:
            higher = [each for each in slots.ahead if each.priority >= cap.keep.priority]
            higher = [each for each in higher if falls_under(cap, each, cap.counts)]
            gone += [each for each in higher if each.at < now]
            coming = [each for each in higher if each.at >= now and together(cap, now, each.at, slots.zone)]
        used = sum(together(cap, each.at, now, slots.zone) for each in gone)
        if cap.limit - used <= min(cap.keep.slots if cap.keep else 0, len(coming)):
            return False
    return True


def most_in_a_window(cap: Cap, sent: Sequence[Counted], zone: ZoneInfo) -> int:
    moments = [each.at for each in sent if falls_under(cap, each, cap.counts)]
    return max((sum(at >= one and together(cap, one, at, zone) for at in moments) for one in moments), default=0)


# Laws


@given(
    caps_of_a_policy,
    st.lists(mails(quarters(-300, 0)), max_size=12),
    st.lists(mails(quarters(0, 100)), max_size=4),
    mails(quarters(0, 0)),
    st.sampled_from(ZONES),
    night,
)
def test_the_next_free_moment_is_the_first_that_brute_force_finds(
    caps: list[Cap],
    past: list[Counted],
    ahead: list[Counted],
    message: Counted,
    zone: ZoneInfo,
    quiet: QuietHours | None,
) -> None:
    slots = Slots(caps, zone, past, ahead)
    brute = next((now for n in range(1000) if legal(slots, message, now := START + n * QUARTER, quiet)), None)
    assert slots.next_free(message, START, quiet) == brute
    assert brute is not None
    if quiet is None:
        assert (slots.full(message, START) is None) == (brute == START)


@given(
    caps_of_a_policy,
    st.lists(st.tuples(st.integers(0, 30), mails(quarters(0, 0)), st.booleans()), max_size=25),
    st.sampled_from(ZONES),
)
def test_sending_when_no_cap_is_full_or_when_one_opens_never_puts_more_than_the_limit_into_any_window(
    caps: list[Cap], tries: list[tuple[int, Counted, bool]], zone: ZoneInfo
) -> None:
    slots, now = Slots(caps, zone), START
    for later, message, waits in tries:
        now += later * QUARTER
        if waits:
            free = slots.next_free(message, now)
            assert free is not None
            now = max(now, free)
        if slots.full(message, now) is None:
            slots.past.append(replace(message, at=now))
    for cap in caps:
        # Only of those caps that all mail obeys which it counts for: what disobeys may be any number.
        if cap.counts == "marketing" or cap.obeyed_by == "all":
            assert most_in_a_window(cap, slots.past, zone) <= cap.limit


@given(
    st.integers(1, 3),
    st.lists(mails(quarters(0, 100)).map(lambda each: replace(each, marketing=True)), max_size=10),
    st.lists(st.integers(0, 100), max_size=20),
)
def test_a_kept_slot_is_there_when_the_message_comes_that_it_was_kept_for(
    limit: int, planned: list[Counted], tries: list[int]
) -> None:
    """Whatever low ones do: as many planned high ones as slots are kept find a slot at their moment."""
    keep = Keep(1, priority=80)
    cap = Cap(limit, per=days(1), keep=keep)
    high = [replace(each, priority=80) for each in planned][:1]
    slots = Slots([cap], UTC_ZONE, ahead=list(high))
    low = mail(START, priority=10)
    for at in sorted({START + n * QUARTER for n in tries} | {each.at for each in high}):
        for each in high:
            if each.at == at:
                assert slots.full(each, at) is None
                slots.ahead.remove(each)
                slots.past.append(each)
        if slots.full(low, at) is None:
            slots.past.append(replace(low, at=at))


# Edges


def test_a_message_counts_until_the_window_has_passed_and_not_a_moment_longer() -> None:
    slots = Slots([Cap(1, per=days(1))], UTC_ZONE, [mail(START)])
    almost = START + timedelta(days=1) - timedelta(microseconds=1)
    assert slots.full(mail(almost), almost) is not None
    assert slots.full(mail(START), START + timedelta(days=1)) is None
    assert slots.next_free(mail(almost), almost) == START + timedelta(days=1)


def test_a_calendar_day_ends_at_the_customers_midnight_and_not_at_ours() -> None:
    jakarta = ZoneInfo("Asia/Jakarta")
    late = datetime(2026, 3, 4, 16, 30, tzinfo=UTC)  # 23:30 in Jakarta
    slots = Slots([Cap(1, per=days(1), window="calendar")], jakarta, [mail(late)])
    assert slots.next_free(mail(late), late) == datetime(2026, 3, 4, 17, tzinfo=UTC)


@pytest.mark.parametrize(("zone", "hours_of_the_day"), [("Europe/Berlin", 23), ("America/New_York", 24)])
def test_a_calendar_day_is_as_long_as_its_clock_change_makes_it(zone: str, hours_of_the_day: int) -> None:
    midnight = datetime(2026, 3, 29, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    slots = Slots([Cap(1, per=days(1), window="calendar")], ZoneInfo(zone), [mail(midnight)])
    assert slots.next_free(mail(midnight), midnight) == midnight + timedelta(hours=hours_of_the_day)


def test_of_one_topic_or_journey_only_that_counts() -> None:
    caps = [Cap(1, per=days(1), topic="offers"), Cap(1, per=days(1), journey="birthday")]
    slots = Slots(caps, UTC_ZONE, [mail(START)])
    assert slots.full(mail(START, "orders"), START) is None
    full = slots.full(mail(START), START)
    assert full is not None
    assert full.cap == caps[0]
    assert slots.full(mail(START, "orders", journeys=frozenset(["birthday"])), START) is None


def test_a_digest_counts_once_under_the_total_and_once_under_the_topic_of_each_section() -> None:
    digest = mail(START, topics=frozenset(["offers", "orders"]), id=7)
    total = Slots([Cap(2, per=days(1))], UTC_ZONE, [digest])
    assert total.full(mail(START), START) is None
    for topic in ("offers", "orders"):
        full = Slots([Cap(1, per=days(1), topic=topic)], UTC_ZONE, [digest]).full(mail(START, topic), START)
        assert full is not None
        assert full.ids == (7,)


@pytest.mark.parametrize(
    ("counting", "obeying", "receipt_counts", "receipt_obeys"),
    [
        ("marketing", "marketing", False, False),
        ("all", "marketing", True, False),
        ("marketing", "all", False, True),
        ("all", "all", True, True),
    ],
)
def test_whether_transactional_mail_counts_and_whether_it_obeys_are_two_settings(
    counting: Any, obeying: Any, receipt_counts: bool, receipt_obeys: bool
) -> None:
    cap = Cap(1, per=days(1), counts=counting, obeyed_by=obeying)
    receipt = mail(START, marketing=False)
    assert (counts(cap, receipt), obeys(cap, receipt)) == (receipt_counts, receipt_obeys)
    assert counts(cap, mail(START))
    assert obeys(cap, mail(START))


def test_a_slot_is_kept_only_while_something_that_matters_more_is_known_to_come_in_the_window() -> None:
    cap = Cap(2, per=days(7), keep=Keep(1, priority=80))
    high = mail(START + timedelta(days=3), priority=80, id=9)
    slots = Slots([cap], UTC_ZONE, [mail(START, id=1)], [high])
    low = mail(START, priority=10)
    full = slots.full(low, START)
    assert full is not None
    assert full.ids == (1, 9)
    assert slots.full(mail(START, priority=80), START) is None
    assert Slots([cap], UTC_ZONE, slots.past, [replace(high, priority=79)]).full(low, START) is None
    assert Slots([cap], UTC_ZONE, slots.past, [replace(high, at=START + timedelta(days=8))]).full(low, START) is None
    # Until the first is a week old both slots are gone; then one is free, the other is the high one's.
    assert slots.next_free(low, START) == START + timedelta(days=7)


def test_a_cap_of_none_is_never_free() -> None:
    assert Slots([Cap(0, per=hours(1))], UTC_ZONE).next_free(mail(START), START) is None


def test_a_send_that_another_worker_dated_a_moment_ahead_counts_as_well() -> None:
    ahead = START + timedelta(seconds=1)
    slots = Slots([Cap(1, per=hours(1))], UTC_ZONE, [mail(ahead)])
    assert slots.full(mail(START), START) is not None
    assert slots.next_free(mail(START), START) == ahead + timedelta(hours=1)


def test_the_longest_reach_is_that_of_the_widest_cap_a_calendar_day_being_up_to_two() -> None:
    assert longest([]) == timedelta(0)
    assert longest([Cap(1, per=days(1)), Cap(3, per=days(30)), Cap(2, per=days(7))]) == timedelta(days=30)
    assert longest([Cap(1, per=days(30), window="calendar"), Cap(3, per=days(30))]) == timedelta(days=31)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Cap(1, per=hours(3), window="calendar"),
        lambda: Cap(1, per=days(1), window="weekly"),  # type: ignore[arg-type]
        lambda: Cap(1, per=days(1), counts="some"),  # type: ignore[arg-type]
        lambda: Cap(1, per=days(1), keep=Keep(2, priority=80)),
        lambda: Keep(0, priority=80),
        lambda: Send("offer", priority="high"),  # type: ignore[arg-type]
    ],
)
def test_a_cap_or_a_priority_that_can_mean_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError):
        wrong()


@pytest.mark.parametrize("cap", [Cap(1, per=days(1)), Cap(1, per=days(1), window="calendar")])
def test_an_earlier_try_of_a_message_takes_no_slot_from_it(cap: Cap) -> None:
    slots = Slots([cap], UTC_ZONE, [mail(START, id=1)])
    assert slots.full(mail(START, id=1), START) is None
    assert slots.full(mail(START, id=2), START) is not None
