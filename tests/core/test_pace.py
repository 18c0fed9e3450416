"""What customers ask for, and what the saturated are left with: always less than the policy allows, never more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import Cap, Fatigue, Keep, Policy, Sender, days, hours
from lifecycle.core.fatigue import SATURATED
from lifecycle.core.pace import effective_caps, merged, paused_until, preference

NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
SENDER = Sender("Shop", "hello@shop.example", postal_address="1 Main Street")
ZONE = ZoneInfo("Europe/Berlin")  # the clocks changed on the 29th


def policy_of(*caps: Cap, share: float | None = None) -> Policy:
    return Policy(sender=SENDER, caps=caps, fatigue=None if share is None else Fatigue(saturated=share))


def names(policy: Policy, pace: dict[str, Any], state: str = "on_target") -> list[str]:
    return [cap.name for cap in effective_caps(policy, pace, state)]


def asked(topic: str = "*", at_most: int | None = 1, per_days: int | None = 7, at: str = "a") -> dict[str, Any]:
    return {"caps": {topic: {"at_most": at_most, "per_days": per_days, "at": at}}}


def test_a_pace_is_a_cap_of_their_own_beside_the_policys() -> None:
    policy = policy_of(Cap(3, per=days(7)))
    assert names(policy, asked()) == ["3 per 7 days", "1 per 7 days, as they asked"]
    assert names(policy, asked("offers", 0, 30)) == ["3 per 7 days", "0 per 30 days of offers, as they asked"]


def test_what_was_kept_once_and_names_no_topic_is_passed_over() -> None:
    pace = {"caps": asked(" offers")["caps"] | asked("off\0ers")["caps"] | asked("offers")["caps"]}
    assert names(policy_of(), pace) == ["1 per 7 days of offers, as they asked"]


def test_a_pace_that_asks_for_no_less_changes_nothing() -> None:
    policy = policy_of(Cap(3, per=days(7)), Cap(1, per=days(7), topic="offers"))
    for pace in (asked("*", 3, 7), asked("*", 9, 7), asked("*", 3, 2), asked("offers", 1, 7), asked("offers", None)):
        assert effective_caps(policy, pace, "on_target") is policy.caps, pace
    assert effective_caps(policy, {}, SATURATED) is policy.caps, "the policy says nothing of fatigue"
    # Less in one topic, or in calendar days or one journey, is not less of everything.
    assert len(names(policy_of(Cap(1, per=days(7), topic="offers")), asked())) == 2
    assert len(names(policy_of(Cap(1, per=days(7), window="calendar")), asked())) == 2
    assert len(names(policy_of(Cap(1, per=days(7), journey="win_back")), asked())) == 2


HALVES = [
    (Cap(8, per=days(30)), 0.5, "4 per 30 days, saturated"),
    (Cap(3, per=days(7)), 0.5, "1 per 7 days, saturated"),
    (Cap(1, per=days(1)), 0.5, "1 per 2 days, saturated"),
    (Cap(1, per=days(7), topic="offers"), 0.5, "1 per 14 days of offers, saturated"),
    (Cap(1, per=hours(36)), 0.5, "1 per 3 days, saturated"),
    (Cap(1, per=days(1), window="calendar"), 0.3, "1 per 4 calendar days, saturated"),
    (Cap(2, per=days(3)), 0.3, "1 per 5 days, saturated"),
    (Cap(100, per=days(1)), 0.29, "29 per 1 day, saturated"),
    (Cap(2, per=days(1)), 1.0, "2 per 1 day"),
    (Cap(0, per=days(1)), 0.5, "0 per 1 day"),
]


@pytest.mark.parametrize(("cap", "share", "name"), HALVES, ids=[name for _, _, name in HALVES])
def test_the_saturated_are_left_a_share_of_the_messages_or_one_in_a_longer_window(
    cap: Cap, share: float, name: str
) -> None:
    assert names(policy_of(cap, share=share), {}, SATURATED) == [name]
    assert names(policy_of(cap, share=share), {}, "on_target") == [cap.name]


@pytest.mark.parametrize("cap", [Cap(1, per=days(36_525)), Cap(1, per=days(36_525), window="calendar")])
def test_no_window_grows_past_the_longest(cap: Cap) -> None:
    (lowered,) = effective_caps(policy_of(cap, share=0.01), {}, SATURATED)
    assert lowered.span == cap.span


def test_transactional_mail_obeys_a_cap_as_it_was() -> None:
    policy = policy_of(Cap(2, per=days(1), counts="all", obeyed_by="all"), share=0.5)
    caps = effective_caps(policy, {}, SATURATED)
    assert [(cap.limit, cap.counts, cap.obeyed_by) for cap in caps] == [(2, "all", "all"), (1, "all", "marketing")]


@dataclass(frozen=True)
class Mail:
    at: datetime
    topic: str
    journey: str
    marketing: bool


def allows(caps: Sequence[Cap], history: Sequence[Mail], mail: Mail) -> bool:
    """By brute force, and without what caps keep for others: whether `mail` may go."""
    return all(
        sum(_counts(cap, past, mail.at) for past in history) < cap.limit
        for cap in caps
        if _falls_under(cap, mail) and (mail.marketing or cap.obeyed_by == "all")
    )


def _counts(cap: Cap, past: Mail, now: datetime) -> bool:
    if not _falls_under(cap, past) or not (past.marketing or cap.counts == "all"):
        return False
    if cap.window == "calendar":
        return (now.astimezone(ZONE).date() - past.at.astimezone(ZONE).date()).days < cap.per.days
    return now - past.at < timedelta(days=cap.per.days, seconds=cap.per.seconds)


def _falls_under(cap: Cap, mail: Mail) -> bool:
    return cap.topic in (None, mail.topic) and cap.journey in (None, mail.journey)


topics = st.sampled_from(["offers", "orders"])
journeys = st.sampled_from(["win_back", "birthday"])
mails: st.SearchStrategy[Literal["marketing", "all"]] = st.sampled_from(["marketing", "all"])
windows: st.SearchStrategy[Literal["rolling", "calendar"]] = st.sampled_from(["rolling", "calendar"])
paces = st.fixed_dictionaries(
    {},
    optional={
        "caps": st.dictionaries(
            st.sampled_from(["*", "offers", "orders"]),
            st.fixed_dictionaries({"at_most": st.integers(0, 4), "per_days": st.integers(1, 9), "at": st.just("a")}),
        )
    },
)


@st.composite
def some_caps(draw: st.DrawFn) -> Cap:
    limit = draw(st.integers(0, 5))
    window = draw(windows)
    per = draw(st.integers(1, 8).map(days) | (st.integers(1, 90).map(hours) if window == "rolling" else st.nothing()))
    return Cap(
        limit,
        per=per,
        topic=draw(st.none() | topics),
        journey=draw(st.none() | journeys),
        window=window,
        counts=draw(mails),
        obeyed_by=draw(mails),
        keep=draw(st.none() | st.builds(Keep, st.integers(1, limit), st.integers(0, 99))) if limit else None,
    )


moments = st.integers(0, 20 * 24).map(lambda n: NOW - timedelta(hours=n)) | st.integers(0, 20 * 86_400).map(
    lambda n: NOW - timedelta(seconds=n)
)
some_mail = st.builds(Mail, moments, topics, journeys, st.booleans())


@given(
    caps=st.lists(some_caps(), max_size=4, unique_by=lambda cap: cap.name),
    share=st.none() | st.sampled_from([0.01, 0.2, 0.3, 0.5, 0.7, 0.99, 1.0]),
    pace=paces,
    state=st.sampled_from([SATURATED, "on_target", "undersaturated", "unknown", None]),
    history=st.lists(some_mail, max_size=8),
    topic=topics,
    journey=journeys,
)
def test_what_holds_for_one_customer_never_allows_what_the_policy_does_not(
    caps: list[Cap],
    share: float | None,
    pace: dict[str, Any],
    state: str | None,
    history: list[Mail],
    topic: str,
    journey: str,
) -> None:
    policy = policy_of(*caps, share=share)
    theirs = effective_caps(policy, pace, state)
    for at in {NOW, *(past.at + span for past in history for cap in theirs for span in (_span(cap),))}:
        before = [past for past in history if past.at <= at]
        offer = Mail(at, topic, journey, marketing=True)
        assert allows(caps, before, offer) or not allows(theirs, before, offer)
        receipt = Mail(at, topic, journey, marketing=False)
        assert allows(caps, before, receipt) == allows(theirs, before, receipt), "only marketing is lowered"
        if state != SATURATED:
            own = [cap for cap in theirs if cap not in caps]
            assert allows(theirs, before, offer) == (allows(caps, before, offer) and allows(own, before, offer))


def _span(cap: Cap) -> timedelta:
    return timedelta(days=cap.per.days, seconds=cap.per.seconds)


@given(pace=paces, history=st.lists(some_mail, max_size=8), topic=topics)
def test_what_they_asked_for_is_what_they_get(pace: dict[str, Any], history: list[Mail], topic: str) -> None:
    """Against the words themselves: at most n in any so many days, of that topic or of all."""
    theirs = effective_caps(policy_of(Cap(2, per=days(4)), Cap(1, per=days(3), topic="offers")), pace, None)
    offer = Mail(NOW, topic, "win_back", marketing=True)
    if allows(theirs, history, offer):
        for wanted, said in pace.get("caps", {}).items():
            if wanted in ("*", topic):
                since = NOW - timedelta(days=said["per_days"])
                lately = [m for m in history if m.marketing and m.at > since and wanted in ("*", m.topic)]
                assert len(lately) + 1 <= said["at_most"]


def test_a_pause_lasts_until_their_day_begins() -> None:
    pace = {"pause": {"until": "2026-03-29", "at": "a"}}
    midnight = datetime(2026, 3, 28, 23, tzinfo=UTC)  # in Berlin
    assert paused_until(pace, ZONE, midnight - timedelta(seconds=1)) == midnight
    assert paused_until(pace, ZONE, midnight) is None
    assert paused_until({"pause": {"until": None, "at": "a"}}, ZONE, midnight) is None
    assert paused_until(asked(), ZONE, midnight) is None


GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"topic": None, "at_most": 1, "per_days": 7}, asked()),
    ({"at_most": 1, "per_days": 7}, asked()),
    ({"topic": "offers", "at_most": 0, "per_days": 366}, asked("offers", 0, 366)),
    ({"topic": "offers", "at_most": None}, asked("offers", None, None)),
    ({"at_most": None, "per_days": "whatever"}, asked("*", None, None)),
    ({"pause_until": "2026-12-31"}, {"pause": {"until": "2026-12-31", "at": "a"}}),
    ({"pause_until": None}, {"pause": {"until": None, "at": "a"}}),
    (
        {"at_most": 1, "per_days": 7, "pause_until": "2026-12-31"},
        asked() | {"pause": {"until": "2026-12-31", "at": "a"}},
    ),
]


@pytest.mark.parametrize(("properties", "pace"), GOOD)
def test_what_the_event_says_is_kept(properties: dict[str, Any], pace: dict[str, Any]) -> None:
    said, faults = preference(properties, "a")
    assert (merged({}, said), faults) == (pace, [])


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "neither at_most nor pause_until"),
    ({"topic": "offers", "per_days": 7}, "neither at_most nor pause_until"),
    ({"at_most": 1}, "per_days"),
    ({"at_most": 1, "per_days": 0}, "per_days"),
    ({"at_most": 1, "per_days": 367}, "per_days"),
    ({"at_most": 1, "per_days": 7.0}, "per_days"),
    ({"at_most": 1, "per_days": True}, "per_days"),
    ({"at_most": True, "per_days": 7}, "at_most"),
    ({"at_most": -1, "per_days": 7}, "at_most"),
    ({"at_most": 10**12, "per_days": 7}, "at_most"),
    ({"at_most": "1", "per_days": 7}, "at_most"),
    ({"at_most": 1.5, "per_days": 7}, "at_most"),
    ({"at_most": 1, "per_days": 7, "topic": 3}, "topic"),
    ({"at_most": 1, "per_days": 7, "topic": ["offers"]}, "topic"),
    ({"at_most": None, "topic": " "}, "topic"),
    ({"at_most": 1, "per_days": 7, "topic": "offers "}, "topic"),
    ({"at_most": 1, "per_days": 7, "topic": "off\0ers"}, "topic"),
    ({"at_most": 1, "per_days": 7, "topic": ""}, "topic"),
    ({"pause_until": "31.12.2026"}, "pause_until"),
    ({"pause_until": "2026-02-30"}, "pause_until"),
    ({"pause_until": "2026-W01-1"}, "pause_until"),
    ({"pause_until": "9999-12-31"}, "pause_until"),
    ({"pause_until": 20261231}, "pause_until"),
    ({"pause_until": "2026-12-31T00:00:00Z"}, "pause_until"),
]


@pytest.mark.parametrize(("properties", "about"), BAD)
def test_what_makes_no_sense_is_refused_with_a_reason(properties: dict[str, Any], about: str) -> None:
    said, faults = preference(properties, "a")
    assert merged(asked("orders"), said) == asked("orders")
    assert len(faults) == 1
    assert about in faults[0]


def test_one_half_may_be_wrong_and_the_other_is_kept() -> None:
    said, faults = preference({"at_most": 1, "per_days": 7, "pause_until": "soon"}, "a")
    assert merged({}, said) == asked()
    assert len(faults) == 1


def test_any_order_of_statements_leaves_the_newest_and_of_two_at_once_the_slower() -> None:
    said: list[tuple[str, dict[str, Any]]] = [
        ("b", {"topic": "offers", "at_most": 1, "per_days": 7}),
        ("b", {"topic": "offers", "at_most": 2, "per_days": 14}),  # as slow, but for longer
        ("b", {"topic": "offers", "at_most": None}),
        ("a", {"topic": "offers", "at_most": 0, "per_days": 30}),
        ("a", {"pause_until": "2027-01-01"}),
        ("c", {"pause_until": None}),
    ]
    results = []
    for order in permutations(said):
        pace: dict[str, Any] = {}
        for at, properties in order:
            pace = merged(pace, preference(properties, at)[0])
        results.append(pace)
    assert all(pace == results[0] for pace in results)
    assert results[0] == asked("offers", 2, 14, "b") | {"pause": {"until": None, "at": "c"}}


def test_what_was_taken_back_is_not_brought_back_by_an_older_statement() -> None:
    withdrawn, _ = preference({"at_most": None}, "b")
    older, _ = preference({"at_most": 1, "per_days": 7}, "a")
    assert effective_caps(policy_of(), merged(merged({}, withdrawn), older), None) == ()
