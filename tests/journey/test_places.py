"""Where the steps lead: places laid out by name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lifecycle import Arm, Branch, Exit, Journey, Send, Set, Split, Wait, WaitFor, days, manually
from lifecycle.journey.steps import Step, walk_steps

from .words import Reviewed, customer


def journey(*steps: Step) -> Journey:
    return Journey(name="shop", topic="offers", enter=manually(), steps=steps)


def ways_on(journey: Journey, step: str) -> tuple[str | None, dict[str, str | None]]:
    place = journey.places[step]
    return place.next, dict(place.ways)


def test_a_step_leads_to_the_next_and_the_last_to_the_end() -> None:
    shop = journey(Send("hello"), Wait("a while", days(1)), Send("bye"))

    assert shop.first == "hello"
    assert ways_on(shop, "hello") == ("a while", {})
    assert ways_on(shop, "a while") == ("bye", {})
    assert ways_on(shop, "bye") == (None, {})


def test_both_ways_of_a_branch_rejoin_at_the_step_after_it() -> None:
    shop = journey(Branch("vip?", when=customer.vip, then=[Send("a"), Send("b")], otherwise=[Send("c")]), Send("after"))

    assert ways_on(shop, "vip?") == ("after", {"then": "a", "otherwise": "c"})
    assert ways_on(shop, "a") == ("b", {})
    assert ways_on(shop, "b") == ("after", {})
    assert ways_on(shop, "c") == ("after", {})


def test_a_way_without_steps_leads_straight_on() -> None:
    shop = journey(Branch("vip?", when=customer.vip, then=[Send("a")]), Send("after"))

    assert ways_on(shop, "vip?") == ("after", {"then": "a", "otherwise": "after"})


def test_a_way_without_steps_at_the_end_leads_to_the_end() -> None:
    shop = journey(Branch("vip?", when=customer.vip, then=[Send("a")]))

    assert ways_on(shop, "vip?") == (None, {"then": "a", "otherwise": None})


def test_every_arm_of_a_split_rejoins() -> None:
    shop = journey(Split("offer", Arm("x", 30, [Send("a")]), Arm("y", 30), Arm("z", 40, [Send("b")])), Send("after"))

    assert ways_on(shop, "offer") == ("after", {"x": "a", "y": "after", "z": "b"})
    assert ways_on(shop, "a") == ways_on(shop, "b") == ("after", {})


def test_nested_waits_lead_out_through_all_that_surrounds_them() -> None:
    shop = journey(
        WaitFor(
            "outer",
            Reviewed,
            up_to=days(3),
            then=[Exit("reviewed")],
            otherwise=[WaitFor("inner", Reviewed, up_to=days(3), otherwise=[Wait("last", days(1))])],
        ),
        Set(customer.vip, False),
    )

    assert ways_on(shop, "outer") == ("set vip", {"then": "exit reviewed", "otherwise": "inner"})
    assert ways_on(shop, "inner") == ("set vip", {"then": "set vip", "otherwise": "last"})
    assert ways_on(shop, "last") == ("set vip", {})
    assert ways_on(shop, "set vip") == (None, {})


def test_a_renamed_step_is_found_by_its_old_name() -> None:
    shop = journey(Wait("a week", days(7), was="pause"), Send("bye"))

    found = shop.place("pause")

    assert found is not None
    assert found.step.name == "a week"
    assert shop.place("a week") is found
    assert shop.place("removed") is None


def test_a_journey_is_a_value_that_its_lines_do_not_change() -> None:
    one = journey(Wait("a week", days(7)), Send("bye"))
    other = journey(Wait("a week", days(7)), Send("bye"))

    assert one == other
    assert hash(one) == hash(other)
    assert one != journey(Wait("a week", days(8)), Send("bye"))


def trees() -> st.SearchStrategy[tuple[str, ...]]:
    """Shapes of steps as nested tuples; names are given when they are built."""
    plain = st.sampled_from(["send", "wait", "exit"])
    return st.recursive(
        st.lists(plain, min_size=1, max_size=3).map(tuple),
        lambda inner: st.lists(st.one_of(plain, st.tuples(inner, inner)), min_size=1, max_size=3).map(tuple),
        max_leaves=12,
    )


def build(shape: tuple[object, ...], names: list[str]) -> list[Step]:
    """The steps of a shape; what would stand after an Exit that everybody takes is left out."""
    steps: list[Step] = []
    for part in shape:
        names.append(f"s{len(names)}")
        name = names[-1]
        match part:
            case "send":
                steps.append(Send("hello", name=name))
            case "wait":
                steps.append(Wait(name, days(1)))
            case "exit":
                steps.append(Exit("enough", name=name))
            case (tuple() as then, tuple() as otherwise):
                ways = build(then, names), build(otherwise, names)
                steps.append(Branch(name, when=customer.vip, then=ways[0], otherwise=ways[1]))
        if ends(steps[-1]):
            break
    return steps


def ends(step: Step) -> bool:
    """Whether nobody goes on after it."""
    match step:
        case Exit():
            return True
        case Branch(then=then, otherwise=otherwise):
            return any(map(ends, then)) and any(map(ends, otherwise))
        case _:
            return False


@given(trees())
def test_every_journey_ends_and_every_step_of_it_can_be_reached(shape: tuple[object, ...]) -> None:
    shop = journey(*build(shape, []))

    # Places are visited in the order of their ways: no way leads back.
    order = [step.name for step in walk_steps(shop.steps)]
    reached = {shop.first}
    for name in order:
        place = shop.places[name]
        onward = [] if isinstance(place.step, Exit) else [place.next, *place.ways.values()]
        if isinstance(place.step, Branch):
            onward = list(place.ways.values())
        assert all(order.index(way) > order.index(name) for way in onward if way is not None)
        reached |= {way for way in onward if way is not None}
    assert reached == set(order) == set(shop.places)
