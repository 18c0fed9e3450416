# ruff: noqa: DTZ001 - naive datetimes are what clocks on walls show
"""What happens next to somebody in a journey, for every kind of step, without a database."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from lifecycle import (
    Arm,
    Attribute,
    Branch,
    Event,
    Exit,
    Flag,
    Journey,
    Property,
    Send,
    Set,
    Split,
    Wait,
    WaitFor,
    days,
    hours,
    minutes,
    on,
)
from lifecycle.core.decide import MESSAGE, START, Decision, Ended, Held, Parked, Standing, decide
from lifecycle.core.facts import Activity, Facts, Occurrence
from lifecycle.errors import DefinitionError
from lifecycle.journey.steps import Step, walk_steps


class customer:  # noqa: N801 - the noun of the language
    vip = Flag()
    visit = Attribute[date]()


class Ordered(Event, name="ordered"):
    order_id = Property[str]()
    ships_on = Property[date]()


class Reviewed(Event, name="reviewed"):
    order_id = Property[str]()


customer.vip.name, customer.visit.name = "vip", "visit"
NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 3, 7, 14, tzinfo=UTC)  # 9:00 in New York, on the day before its clocks change
FACTS = Facts(
    "42",
    NEW_YORK,
    trigger={"order_id": "A1", "ships_on": "2026-03-09"},
    trigger_event="ordered",
    activity={"ordered": Activity(1, NOW, NOW)},
)


def journey(*steps: Step, **more: Any) -> Journey:
    return Journey(name="j", topic="t", enter=on(Ordered), steps=list(steps), **more)


def standing(step: str, awaiting: str | None = None, *, arrived: bool = False) -> Standing:
    return Standing(step, awaiting, arrived, NOW)


def start(of: Journey, facts: Facts = FACTS) -> Decision:
    return decide(of, standing(of.first, START), facts, NOW)


def parked(decision: Decision) -> str:
    assert isinstance(decision.then, Parked)
    return decision.then.step


# Send, Set, Exit


def test_a_send_plans_its_email_and_waits_for_what_becomes_of_it() -> None:
    send = Send("hello")
    assert start(journey(send)) == Decision(Parked("hello", None, MESSAGE), send, {})


def test_after_its_message_the_journey_goes_on() -> None:
    of = journey(Send("hello"), Wait("a day", days(1)))
    assert parked(decide(of, standing("hello", MESSAGE), FACTS, NOW)) == "a day"


def test_after_the_last_step_the_journey_is_completed() -> None:
    assert decide(journey(Send("hello")), standing("hello", MESSAGE), FACTS, NOW).then == Ended("completed")


def test_an_exit_ends_the_journey_with_its_reason() -> None:
    assert start(journey(Exit("enough"))).then == Ended("exited", "enough")


def test_what_a_step_sets_a_branch_behind_it_sees() -> None:
    of = journey(
        Set(customer.vip, True),
        Branch("vip?", when=customer.vip, then=[Send("vip")], otherwise=[Send("not")]),
    )
    decision = start(of)
    assert parked(decision) == "vip"
    assert decision.traits == {"vip": True}


def test_several_sets_in_a_row_are_done_at_once_and_also_on_the_way_out() -> None:
    of = journey(Set(customer.vip, True), Set(customer.vip, False, name="again"), Exit("done"))
    assert start(of) == Decision(Ended("exited", "done"), None, {"vip": False})


# Wait


def test_a_wait_of_days_keeps_the_wall_time_over_a_clock_change_and_one_of_hours_does_not() -> None:
    by_days = start(journey(Wait("w", days(1)), Send("x"))).then
    by_hours = start(journey(Wait("w", hours(24)), Send("x"))).then
    assert by_days == Parked("w", NOW + timedelta(hours=23), None)
    assert by_hours == Parked("w", NOW + timedelta(hours=24), None)


@pytest.mark.parametrize(
    ("until", "at", "due"),
    [
        (time(10), time(9), datetime(2026, 3, 7, 15, tzinfo=UTC)),
        (time(8), time(9), datetime(2026, 3, 8, 12, tzinfo=UTC)),  # tomorrow, in summer time
        (datetime(2026, 3, 9, 9, 30), time(9), datetime(2026, 3, 9, 13, 30, tzinfo=UTC)),
        (date(2026, 3, 9), time(11), datetime(2026, 3, 9, 15, tzinfo=UTC)),
        (Ordered.ships_on, time(9), datetime(2026, 3, 9, 13, tzinfo=UTC)),
        (customer.visit, time(9), datetime(2026, 4, 1, 13, tzinfo=UTC)),
    ],
)
def test_a_wait_until_a_moment_of_the_customers_own_clock(until: Any, at: time, due: datetime) -> None:
    facts = replace(FACTS, traits={"visit": "2026-04-01"})
    assert start(journey(Wait("w", until=until, at=at), Send("x")), facts).then == Parked("w", due, None)


@pytest.mark.parametrize(
    ("until", "traits"),
    [
        (time(9), {}),  # it is nine
        (datetime(2026, 3, 7, 8, 59), {}),
        (date(2026, 3, 6), {}),
        (customer.visit, {}),
        (customer.visit, {"visit": "soon"}),
        (customer.visit, {"visit": 20260401}),
        (customer.visit, {"visit": "2026-03-07"}),  # at nine: now
    ],
)
def test_a_wait_until_what_is_past_or_unknown_is_no_wait(until: Any, traits: dict[str, object]) -> None:
    facts = replace(FACTS, traits=traits)
    assert parked(start(journey(Wait("w", until=until), Send("x")), facts)) == "x"


def test_after_a_wait_the_journey_goes_on_and_does_not_wait_again() -> None:
    of = journey(Wait("w", days(1)), Send("x"))
    assert parked(decide(of, standing("w"), FACTS, NOW)) == "x"


# WaitFor

AWAITING = journey(
    WaitFor(
        "review",
        Reviewed,
        up_to=days(1),
        where=Reviewed.order_id == Ordered.order_id,
        then=[Send("thanks")],
        otherwise=[Send("please")],
    ),
    Send("after"),
)


def reviewed(order: str, at: datetime) -> Facts:
    return replace(FACTS, occurrences={"reviewed": [Occurrence(at, {"order_id": order})]})


def test_an_awaited_event_is_waited_for_as_long_as_it_says() -> None:
    assert start(AWAITING).then == Parked("review", NOW + timedelta(hours=23), "reviewed")


def test_what_came_takes_the_one_way_and_the_timeout_the_other_and_both_rejoin() -> None:
    assert parked(decide(AWAITING, standing("review", "reviewed", arrived=True), FACTS, NOW)) == "thanks"
    assert parked(decide(AWAITING, standing("review", "reviewed"), FACTS, NOW)) == "please"
    for step in ("thanks", "please"):
        assert parked(decide(AWAITING, standing(step, MESSAGE), FACTS, NOW)) == "after"


def test_who_was_quicker_than_the_journey_is_not_made_to_wait() -> None:
    assert parked(start(AWAITING, reviewed("A1", NOW))) == "thanks"


def test_an_event_that_came_before_the_journey_or_of_another_order_is_not_the_awaited_one() -> None:
    assert parked(start(AWAITING, reviewed("A1", NOW - timedelta(seconds=1)))) == "review"
    assert parked(start(AWAITING, reviewed("B2", NOW))) == "review"


def test_the_event_that_began_the_journey_is_not_the_next_of_its_kind() -> None:
    """Under a virtual clock the trigger bears the very moment of entering."""
    of = journey(WaitFor("again", Ordered, up_to=days(1)), Send("x"))
    trigger = Occurrence(NOW, FACTS.trigger)
    assert parked(start(of, replace(FACTS, occurrences={"ordered": [trigger]}))) == "again"
    another = Occurrence(NOW, {"order_id": "B2"})
    assert parked(start(of, replace(FACTS, occurrences={"ordered": [trigger, another]}))) == "x"


# Branch and Split


def test_a_branch_without_a_way_goes_on_behind_it() -> None:
    of = journey(Branch("vip?", when=customer.vip, then=[Send("vip")]), Send("after"))
    assert parked(start(of)) == "after"
    assert parked(start(of, replace(FACTS, traits={"vip": True}))) == "vip"


def test_ways_nest_and_rejoin_behind_the_innermost_that_has_something() -> None:
    of = journey(
        Branch(
            "outer",
            when=customer.vip,
            then=[Branch("inner", when=Reviewed.happened(), otherwise=[Send("deep")])],
            otherwise=[Send("shallow")],
        ),
        Send("after"),
    )
    vip = replace(FACTS, traits={"vip": True})
    assert parked(start(of, vip)) == "deep"
    assert parked(decide(of, standing("deep", MESSAGE), vip, NOW)) == "after"
    assert parked(start(of)) == "shallow"
    assert parked(start(of, replace(vip, activity={"reviewed": Activity(1, NOW, NOW)}))) == "after"


def test_a_split_divides_by_its_shares_and_each_customer_stays_where_they_were() -> None:
    of = journey(Split("offer", Arm("a", 30, [Send("a")]), Arm("b", 70, [Send("b")])), Send("after"))
    arms = {str(n): parked(start(of, replace(FACTS, customer_id=str(n)))) for n in range(2000)}
    assert abs(Counter(arms.values())["a"] / 2000 - 0.3) < 0.04
    assert all(parked(start(of, replace(FACTS, customer_id=who))) == arm for who, arm in arms.items())
    assert parked(decide(of, standing("a", MESSAGE), FACTS, NOW)) == "after"


# Ends that are not the last step


def test_a_condition_to_leave_ends_the_journey_before_its_next_step() -> None:
    of = journey(Send("hello"), exit_when=customer.vip)
    assert start(of, replace(FACTS, traits={"vip": True})) == Decision(Ended("exited", "exit_when"))
    assert parked(start(of)) == "hello"


def test_who_stands_at_a_step_that_was_removed_is_held() -> None:
    assert decide(journey(Send("hello")), standing("gone"), FACTS, NOW) == Decision(Held("step_removed"))


def test_an_old_name_leads_to_the_step_that_has_it_now() -> None:
    of = journey(Wait("new name", days(1), was="old name"), Send("x"))
    assert parked(decide(of, standing("old name"), FACTS, NOW)) == "x"
    waited = journey(
        WaitFor("new", Reviewed, up_to=days(1), then=[Send("came")], otherwise=[Send("not")], was="old"), Send("x")
    )
    assert parked(decide(waited, standing("old", "reviewed", arrived=True), FACTS, NOW)) == "came"


# Every journey ends


@st.composite
def step_trees(draw: st.DrawFn) -> list[Step]:
    """Steps of every kind, nested three deep, with names of their own."""
    numbers = iter(range(10_000))

    def name(kind: str) -> str:
        return f"{kind} {next(numbers)}"

    def some(depth: int) -> list[Step]:
        kinds = ["send", "wait", "until", "set", *(["branch", "split", "for"] if depth else [])]
        steps = [one(kind, depth) for kind in draw(st.lists(st.sampled_from(kinds), max_size=3))]
        if depth < 3 and not draw(st.integers(0, 6)):
            steps.append(Exit("enough", name=name("exit")))
        return steps

    def one(kind: str, depth: int) -> Step:
        match kind:
            case "send":
                return Send("template", name=name("send"))
            case "wait":
                return Wait(name("wait"), draw(st.sampled_from([days(1), hours(2), minutes(5)])))
            case "until":
                until: Any = draw(st.sampled_from([time(9), date(2026, 4, 1), Ordered.ships_on]))
                return Wait(name("until"), until=until)
            case "set":
                return Set(customer.vip, draw(st.booleans()), name=name("set"))
            case "branch":
                return Branch(name("branch"), when=customer.vip, then=some(depth - 1), otherwise=some(depth - 1))
            case "split":
                return Split(name("split"), Arm("a", 50, some(depth - 1)), Arm("b", 50, some(depth - 1)))
            case _:
                return WaitFor(name("for"), Reviewed, up_to=days(3), then=some(depth - 1), otherwise=some(depth - 1))

    return [Send("first", name="first"), *some(3)]


@given(step_trees(), st.integers(0, 1000), st.data())
def test_every_journey_ends_and_nobody_stands_at_a_step_twice(steps: list[Step], who: int, data: st.DataObject) -> None:
    try:
        of = journey(*steps)
    except DefinitionError:  # a step behind an exit that everybody takes
        reject()
    order = [step.name for step in walk_steps(of.steps)]
    now, facts, visited = NOW, replace(FACTS, customer_id=str(who)), []
    at = Standing(of.first, START, False, NOW)
    while True:
        decision = decide(of, at, facts, now)
        facts = replace(facts, traits={**facts.traits, **(decision.traits or {})})
        if isinstance(decision.then, Ended):
            return
        assert isinstance(decision.then, Parked)
        visited.append(decision.then.step)
        assert visited == sorted(set(visited), key=order.index)  # forwards only, each once
        assert (decision.send is not None) == (decision.then.awaiting == MESSAGE)
        arrived = decision.then.awaiting == "reviewed" and data.draw(st.booleans())
        if decision.then.due_at is not None:
            assert decision.then.due_at > now
            now = decision.then.due_at
        at = Standing(decision.then.step, decision.then.awaiting, arrived, NOW)


def test_deciding_loads_no_database_no_broker_and_no_queue() -> None:
    """Law 6."""
    program = (
        "import sys; import lifecycle.core.decide, lifecycle.core.judge, lifecycle.core.caps, lifecycle.core.needs; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "lifecycle" in loaded
    assert not {"sqlalchemy", "sqlmodel", "dramatiq", "redis", "psycopg", "sqlite3"}.intersection(loaded)
