"""Conditions in Python: unknown never matches, windows are half-open, `where=` reads the counted event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from lifecycle import Attribute, Event, Flag, Property, days, hours, last_send
from lifecycle.core.evaluate import counted, demands, matches
from lifecycle.core.facts import Activity, Facts, Occurrence
from lifecycle.journey.conditions import Condition, Fate

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)


class customer:  # noqa: N801 - the noun of the language
    first_name = Attribute[str]()
    birthday = Attribute[date]()
    created_at = Attribute[datetime]()
    spent = Attribute[Decimal]()
    joined = Attribute[date]()
    vip = Flag()


class Bought(Event, name="bought"):
    order_id = Property[str]()
    total = Property[Decimal]()
    gift = Property[bool]()


class Reviewed(Event, name="reviewed"):
    order_id = Property[str]()


def with_traits(**traits: object) -> Facts:
    return Facts("siti", ZoneInfo("Asia/Jakarta"), traits)


def with_events(*moments: datetime, properties: Sequence[Mapping[str, object]] = (), known: bool = True) -> Facts:
    """Somebody who bought at these moments; `known` says whether the events were fetched or only their activity."""
    given = [*properties, *({} for _ in moments[len(properties) :])]
    occurrences = [Occurrence(at, one) for at, one in zip(moments, given, strict=True)]
    activity = {"bought": Activity(len(moments), min(moments), max(moments))} if moments else {}
    return Facts("siti", ZoneInfo("UTC"), activity=activity, occurrences={"bought": occurrences} if known else {})


@pytest.mark.parametrize(
    ("condition", "traits"),
    [
        (customer.first_name == "Siti", {}),
        (customer.first_name != "Siti", {}),
        (customer.first_name != "Siti", {"first_name": None}),
        (customer.first_name < "Z", {"first_name": 5}),
        (customer.spent >= 0, {"spent": "12"}),
        (customer.spent >= 0, {"spent": True}),
        (customer.spent.is_in(Decimal(1), Decimal(2)), {"spent": True}),
        (customer.spent.is_set(), {"spent": []}),
        (customer.vip & customer.vip, {"vip": 1}),
        (customer.vip & customer.vip, {"vip": "true"}),
        (customer.joined > date(1, 1, 1), {"joined": "2026-1-31"}),
        (customer.joined > date(1, 1, 1), {"joined": "2026-01-31\n"}),
        (customer.joined > date(1, 1, 1), {"joined": "２０２６-01-31"}),
    ],
    ids=str,
)
def test_what_is_unknown_or_of_another_type_never_matches_and_its_opposite_does(
    condition: Condition, traits: dict[str, object]
) -> None:
    facts = with_traits(**traits)

    assert (matches(condition, facts, NOW), matches(~condition, facts, NOW)) == (False, True)


@pytest.mark.parametrize(
    ("condition", "traits"),
    [
        (customer.first_name > "Z", {"first_name": "a"}),
        (customer.first_name > "\uffff", {"first_name": "😀"}),
        (customer.spent == Decimal("0.1"), {"spent": 0.1}),
        (customer.spent == 2**53, {"spent": 2**53 + 1}),
        (customer.spent < 10**308, {"spent": 9e307}),
        (customer.joined == date(2026, 1, 31), {"joined": "2026-01-31"}),
        (customer.birthday < date(2000, 1, 1), {"birthday": date(1999, 12, 31)}),
        (customer.created_at <= NOW, {"created_at": NOW.astimezone(ZoneInfo("Asia/Jakarta"))}),
        (customer.vip | (customer.spent > 5), {"vip": False, "spent": 6}),
    ],
    ids=str,
)
def test_what_is_known_compares_by_code_point_as_double_precision_and_by_calendar(
    condition: Condition, traits: dict[str, object]
) -> None:
    assert matches(condition, with_traits(**traits), NOW)


@pytest.mark.parametrize("known", [True, False], ids=["events fetched", "activity only"])
def test_a_window_ends_now_and_leaves_out_the_moment_at_which_it_begins(known: bool) -> None:
    def happened(at: datetime) -> bool:
        return matches(Bought.happened(last=days(1)), with_events(at, known=known), NOW)

    assert [happened(at) for at in (NOW - DAY, NOW - DAY + TICK, NOW)] == [False, True, True]


def test_an_event_of_the_future_does_not_count_yet() -> None:
    facts = with_events(NOW - 3 * DAY, NOW + TICK)

    assert matches(Bought.happened(), facts, NOW)
    assert not matches(Bought.times(at_least=2), facts, NOW)
    assert not matches(Bought.happened(last=days(1)), facts, NOW)
    assert matches(Bought.never(), with_events(NOW + TICK), NOW)


def test_counts_have_a_lower_and_an_upper_bound() -> None:
    facts = with_events(NOW - 3 * DAY, NOW - 2 * DAY, NOW - DAY)

    found = [
        matches(Bought.times(at_least=least, at_most=most), facts, NOW) for least, most in [(1, 2), (3, 3), (4, 9)]
    ]

    assert found == [False, True, False]
    assert matches(Bought.times(at_most=0), with_events(), NOW)


def test_where_reads_the_counted_event_and_the_trigger_for_other_events() -> None:
    mine: list[dict[str, object]] = [{"order_id": "A", "total": 5}, {"order_id": "B", "total": 50}]
    facts = with_events(NOW - DAY, NOW, properties=mine)
    facts = Facts("siti", facts.zone, {}, facts.activity, facts.occurrences, {"order_id": "B"}, "reviewed")

    def same_order(at_least: int) -> Condition:
        return Bought.happened(where=(Bought.order_id == Reviewed.order_id) & (Bought.total >= at_least))

    assert matches(same_order(50), facts, NOW)
    assert not matches(same_order(51), facts, NOW)


def test_a_property_of_an_event_that_did_not_trigger_is_unknown() -> None:
    facts = Facts("siti", ZoneInfo("UTC"), trigger={"order_id": "B"}, trigger_event="reviewed")

    assert matches(Reviewed.order_id == "B", facts, NOW)
    assert not matches(Bought.order_id == "B", facts, NOW)


def test_the_awaited_event_is_the_candidate_and_the_trigger_keeps_its_own_properties() -> None:
    facts = Facts("siti", ZoneInfo("UTC"), trigger={"order_id": "A"}, trigger_event="bought")
    where = Reviewed.order_id == Bought.order_id

    def awaited(order_id: str) -> bool:
        return matches(where, facts, NOW, Occurrence(NOW, {"order_id": order_id}), "reviewed")

    assert (awaited("A"), awaited("B")) == (True, False)


def test_only_what_activity_cannot_answer_is_demanded_with_the_longest_window() -> None:
    brief = Bought.happened() & Bought.times(at_least=2) & ~Bought.happened(last=days(90)) & Bought.never()
    several = Bought.times(at_least=2, last=hours(48)) | Bought.times(at_least=2, last=days(3))

    assert demands(brief, customer.vip) == {}
    assert demands(several) == {"bought": days(3)}
    assert demands(several, Bought.happened(where=Bought.total > 5)) == {"bought": None}
    assert demands(Bought.happened(last=days(2), where=Reviewed.happened(last=hours(1)) & Reviewed.never())) == {
        "bought": days(2)
    }
    assert counted(Bought.happened(where=Reviewed.never()), None) == {"bought", "reviewed"}


def test_facts_that_lack_what_was_demanded_are_refused() -> None:
    facts = with_events(NOW - DAY, NOW, known=False)

    with pytest.raises(LookupError, match="lack the occurrences of 'bought'"):
        matches(Bought.times(at_least=2, last=hours(1)), facts, NOW)


WORDS = {"B": "bought", "R": "reviewed"}


@pytest.mark.parametrize(
    ("history", "holds"),
    [
        ("", False),
        ("B", True),
        ("R", False),
        ("B R", False),
        ("R B", True),
        ("B R B", True),
        ("B B R", False),
        ("B+R", False),  # at one moment: it is undone
        ("B NOW R", True),
        ("R NOW B", False),
        ("B R NOW B", False),
        ("B NOW B R", True),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["with occurrences", "with activity"])
def test_after_is_true_from_the_event_until_the_one_that_undoes_it(history: str, holds: bool, known: bool) -> None:
    moments = [part.split("+") for part in history.split()]
    now_at = moments.index(["NOW"]) if ["NOW"] in moments else len(moments)
    at = {
        name: [NOW + (n - now_at) * DAY for n, part in enumerate(moments) if key in part] for key, name in WORDS.items()
    }
    ahead = now_at < len(moments)
    facts = Facts(
        "siti",
        ZoneInfo("UTC"),
        activity={name: Activity(len(times), min(times), max(times)) for name, times in at.items() if times},
        occurrences={name: [Occurrence(time, {}) for time in times] for name, times in at.items()}
        if known or ahead
        else {},
    )
    condition = Bought.after(Reviewed)

    assert (matches(condition, facts, NOW), matches(~condition, facts, NOW)) == (holds, not holds)
    assert counted(condition) == {"bought", "reviewed"}
    assert demands(condition) == {}


def test_after_refuses_to_guess_where_an_event_lies_ahead_and_its_occurrences_were_not_fetched() -> None:
    ahead = {"bought": Activity(2, NOW - DAY, NOW + DAY)}

    with pytest.raises(LookupError, match="lack the occurrences of 'bought'"):
        matches(Bought.after(Reviewed), Facts("siti", ZoneInfo("UTC"), activity=ahead), NOW)


@pytest.mark.parametrize("fate", ["sent", "skipped", "digested", None])
def test_last_send_is_what_became_of_it_and_unknown_before_the_first(fate: Fate | None) -> None:
    facts = Facts("siti", ZoneInfo("UTC"), last_send=fate)
    words: dict[str, Condition] = {
        "sent": last_send.was_sent,
        "skipped": last_send.was_skipped,
        "digested": last_send.was_digested,
    }

    assert {name for name, condition in words.items() if matches(condition, facts, NOW)} == {fate} - {None}
