"""What the language refuses where it is written: one expression each, the reason and the remedy."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

import lifecycle
from lifecycle.errors import DefinitionError

from . import words

NAMES: dict[str, Any] = {
    **{word: getattr(lifecycle, word) for word in lifecycle.__all__},
    **{name: value for name, value in vars(words).items() if not name.startswith("_")},
    "date": date,
    "time": time,
    "datetime": datetime,
    "Decimal": Decimal,
    "UTC": UTC,
}
SEND = 'Send("hello")'


def journey(arguments: str) -> str:
    return f"Journey(**(dict(name='shop', topic='offers', enter=on(Ordered), steps=[{SEND}]) | dict({arguments})))"


DURATIONS = [
    ("days(0)", "days(0) is no time at all", "give at least 1, or drop it"),
    ("hours(-1)", "hours(-1) is no time at all", "give at least 1"),
    ("minutes(1.5)", "minutes(1.5) wants a whole number", "write minutes(3), say"),
    ("weeks(True)", "weeks(True) wants a whole number", "write weeks(3), say"),
    ("days(36_526)", "a duration of more than 100 years", "give at most days(36525)"),
    ("weeks(10**7)", "a duration of more than 100 years", "give at most days(36525)"),
    ("hours(10**9)", "a duration of more than 100 years", "give at most days(36525)"),
    ("always(3)", "always() wants a duration, not 3", "write days(3)"),
]
CONDITIONS = [
    ("customer.lifetime_value > '5'", "is a number, compared with '5' of type str", "give a number"),
    ("customer.birthday == datetime(2026, 1, 1)", "is a date, compared with", "give a date"),
    ("customer.created_at > datetime(2026, 1, 1)", "names no zone", "give it tzinfo=UTC"),
    ("customer.created_at > date(2026, 1, 1)", "is an instant, compared with", "give an instant"),
    ("customer.vip == 'yes'", "customer.vip is a flag, compared with 'yes'", "give a flag"),
    ("Ordered.gift > True", "order.completed.gift is a flag and has no order", "~ for its opposite"),
    ("Ordered.total == Ordered.order_id", "is a number, order.completed.order_id is a text", "compare like with like"),
    ("Ordered.total >= Ordered.total", "order.completed.total compared with itself", "with something else"),
    ("Ordered.total > customer.lifetime_value", "compared with customer.lifetime_value", "compare with a constant"),
    ("customer.first_name == customer.first_name", "compared with customer.first_name", "compare with a constant"),
    ("customer.lifetime_value > float('nan')", "customer.lifetime_value compared with nan", "that can be reached"),
    ("customer.lifetime_value > Decimal('sNaN')", "compared with Decimal('sNaN')", "that can be reached"),
    ("customer.first_name == 'A\\0'", "compared with 'A\\x00', which no event can hold", "drop the NUL"),
    ("customer.first_name.is_in('\\ud800')", "compared with '\\ud800', which", "lone surrogate"),
    ("customer.first_name == None", "compared with None", "is_set()"),
    ("customer.first_name.is_in()", "lists nothing", "give at least one value"),
    ("customer.first_name.is_in('Ann', 3)", "compared with 3 of type int", "give a text"),
    ("bool(customer.first_name)", "customer.first_name was used as a yes or no", "is_set()"),
    ("customer.first_name in ('Ann', 'Bob')", "used as a yes or no", "x.is_in(1, 2)"),
    ("customer.vip & 3", "& wants a condition, not 3", "(a == 1) & (b == 2)"),
    ("3 | customer.vip", "| wants a condition, not 3", "(a == 1) & (b == 2)"),
    ("customer.vip & Ordered.happened", "& wants a condition", "use Event.happened()"),
    ("Ordered.times()", "order.completed 0 to None times says nothing", "give at_least=2, or at_most=3"),
    ("Ordered.times(at_least=3, at_most=2)", "order.completed 3 to 2 times says nothing", "give at_least=2"),
    ("Ordered.times(at_least=-1)", "says nothing", "give at_least=2"),
    ("Ordered.happened(last=90)", "last= wants a duration, not 90", "write days(3)"),
    ("Ordered.happened(where='big')", "where= wants a condition, not 'big'", "compare an attribute"),
    (
        "Ordered.after('order.undone')",
        "after() wants an event class, not 'order.undone'",
        "declare it in vocabulary.py",
    ),
    ("Ordered.after(Ordered)", "order.completed is never after itself", "name the event that undoes it"),
    ("Reviewed.happened(where=last_send.was_sent)", "where= asks for last_send", "in the when= of a Branch"),
    ("customer.vip & last_send", "& wants a condition, not last_send", "last_send.was_sent"),
    ("last_send()", "last_send is a word, not a thing to make", "drop the ()"),
    ("Ordered()", "Ordered is a word, not a thing to make", "drop the ()"),
    ("Ordered.products == 'A1'", "order.completed.products is a list, which nothing", "for one in event.products"),
    ("Ordered.products.is_set()", "is a list, which nothing can be compared with", "take another property"),
    ("Ordered.order_id == Ordered.products", "order.completed.products is a list", "take another property"),
    ("Attribute[list]().__set_name__(customer, 'tags')", "Attribute 'tags' has no type", "write Attribute[str]()"),
]
ENTRIES = [
    ("on('order.completed')", "on() wants an event class, not 'order.completed'", "declare it in vocabulary.py"),
    ("on(Event)", "on() wants an event class", "declare it in vocabulary.py"),
    ("when(True)", "when() wants a condition, not True", "compare an attribute"),
    ("when(customer.vip & ~last_send.was_sent)", "when() asks for last_send, which only", "or in exit_when="),
    ("on(Ordered, where=last_send.was_sent)", "where= asks for last_send", "or in exit_when="),
    ("each_year(customer.first_name)", "wants an attribute that is a date", "each_year(customer.birthday)"),
    ("each_year(customer.birthday, at=9)", "at=9 is no wall time", "write at=time(9)"),
    ("each_year(customer.birthday, at=time(9, tzinfo=UTC))", "is no wall time", "without a zone"),
    ("on_date(2, 30)", "there is no day 30 in month 2", "write on_date(12, 24), say"),
]
STEPS = [
    ("Send('')", "Send('') has no name", "give a short text"),
    ("Send(7)", "Send(7) has no name", "give a short text"),
    ("Send('a\\0')", "Send('a\\x00') cannot be stored", "drop the NUL"),
    ("Send('hello', name='')", "Send('') has no name", "give a short text"),
    ("Send('hello', was='')", "was=('') has no name", "give a short text"),
    ("Send('hello', on_capped='drop')", "on_capped='drop' is unknown", "say 'wait', 'skip' or 'digest'"),
    ("Send('hello', priority=-2**31)", "priority=-2147483648 is no priority", "50 is usual"),
    ("Send('hello', priority=True)", "priority=True is no priority", "50 is usual"),
    ("Send('hello', send_within=3)", "send_within= wants a duration, not 3", "write days(3)"),
    ("Send('hello', expires=3)", "expires= wants a duration, not 3", "write days(3)"),
    ("Wait(days(3))", "has no name", "give a short text"),
    ("Wait('a')", "Wait('a') of nothing", "give either a duration"),
    ("Wait('a', days(1), until=time(9))", "Wait('a') says twice how long", "give either a duration"),
    ("Wait('a', 3)", "Wait('a') wants a duration, not 3", "write days(3)"),
    ("Wait('a', until=time(9, tzinfo=UTC))", "names a zone", "the time is the customer's own"),
    ("Wait('a', until=datetime(2026, 1, 1, tzinfo=UTC))", "names a zone", "the time is the customer's own"),
    ("Wait('a', until=customer.first_name)", "is no moment", "a date attribute"),
    ("Wait('a', until='tomorrow')", "until='tomorrow' is no moment", "give a time, a date"),
    ("Wait('a', until=customer.birthday, at=9)", "at=9 is no wall time", "write at=time(9)"),
    ("WaitFor('a', 'review.posted', up_to=days(1))", "WaitFor wants an event class", "declare it in vocabulary.py"),
    ("WaitFor('a', Reviewed, up_to=10)", "up_to= wants a duration, not 10", "write days(3)"),
    ("WaitFor('a', Reviewed, up_to=days(1), where=1)", "where= wants a condition, not 1", "compare"),
    ("WaitFor('a', Reviewed, up_to=days(1), then=Exit('x'))", "is no list of steps", "put them in brackets"),
    ("Branch('a', when=customer.lifetime_value)", "when= wants a condition", "compare an attribute"),
    ("Branch('a', when=customer.vip, then=['hello'])", "'hello' is no step", "use Send, Wait"),
    ("Split('a')", "the arms of Split('a') add to 0", "make them add to 100"),
    ("Split('a', [])", "[] is no arm", "Arm("),
    ("Split('a', Arm('x', 50), Arm('x', 50))", "two arms of Split('a') have one name", "rename one"),
    ("Arm('x', 101)", "Arm('x', 101) has no share", "0 to 100"),
    ("Arm('x', 12.5)", "Arm('x', 12.5) has no share", "whole percents"),
    ("Arm('', 50)", "Arm('') has no name", "give a short text"),
    ("Set('vip', True)", "Set wants an attribute, not 'vip'", "say Set(customer.vip, True)"),
    ("Set(customer.vip, 'yes')", "customer.vip is a flag, compared with 'yes'", "give a flag"),
    ("Set(customer.birthday, date(2000, 1, 1))", "a journey may not set 'birthday'", "the app's identify"),
    ("Exit('')", "Exit('') has no name", "give a short text"),
]
JOURNEYS = [
    (journey("name='spring sale!'"), "the name is no plain word", "use letters, digits and _"),
    (journey("name=''"), "the name is no plain word", "use letters, digits and _"),
    (journey("topic=' '"), "topic=' ' is no topic", "say what people unsubscribe from"),
    (journey("topic='a\\ud800'"), "topic='a\\ud800' is no topic", "say what people unsubscribe from"),
    (journey("topic='*'"), "topic='*' is no topic", "say what people unsubscribe from"),
    (journey("enter=Ordered"), "is no entry", "use on(), when()"),
    (journey("steps=[]"), "there are no steps", "give at least one Send"),
    (journey("steps=Send('hello')"), "is no list of steps", "put them in brackets"),
    (journey("kind='newsletter'"), "kind='newsletter' is unknown", "say 'marketing' or 'transactional'"),
    (journey("leap_day='feb 30'"), "leap_day='feb 30' is unknown", "say 'feb 28', 'mar 1' or 'skip'"),
    (journey("priority='high'"), "priority='high' is no priority", "50 is usual"),
    (journey("priority=10**20"), "priority=100000000000000000000 is no priority", "50 is usual"),
    (journey("holdout=101"), "holdout=101 is no share", "0 to 100"),
    (journey("holdout=0.1"), "holdout=0.1 is no share", "give whole percents"),
    (journey("holdout=5, kind='transactional'"), "transactional mail cannot be held out", "drop holdout="),
    (journey("expires=7"), "expires=7 is no duration", "write expires=days(7)"),
    (journey("again_after=always"), "re-entry without a minimum interval loops", "always(hours(1))"),
    (journey("again_after=30"), "again_after=30 is no duration", "days(30)"),
    (journey("enter=on_date(12, 24), again_after=days(9)"), "again_after with a yearly entry", "drop it"),
    (journey("key=Reviewed.order_id"), "key= is not a property of the trigger", "the event in on()"),
    (journey("key='order_id'"), "key= is not a property of the trigger", "the event in on()"),
    (journey("enter=manually(), key=Ordered.order_id"), "key= is not a property of the trigger", "the event in on()"),
    (journey("goal='order.completed'"), "goal= wants an event class", "declare it in vocabulary.py"),
    (journey("only=Ordered"), "only= wants a condition", "compare an attribute"),
    (journey("only=last_send.was_skipped | customer.vip"), "only= asks for last_send", "in the when= of a Branch"),
    (journey("exit_when=3"), "exit_when= wants a condition, not 3", "compare an attribute"),
    (journey(f"steps=[{SEND}, {SEND}]"), "is named 'hello' too", "give one of them name="),
    (journey(f"steps=[{SEND}] * 2"), "is named 'hello' too", "give one of them name="),
    (
        journey(f"steps=[{SEND}, Branch('hello', when=customer.vip)]"),
        "is named 'hello' too",
        "people are parked by name",
    ),
    (journey(f"steps=[Exit('x'), {SEND}]"), "stands after an Exit that everybody takes", "move or drop it"),
    (
        journey(f"steps=[Branch('b', when=customer.vip, then=[Exit('x')], otherwise=[Exit('y')]), {SEND}]"),
        "step 'hello' stands after an Exit that everybody takes",
        "move or drop it",
    ),
    (
        journey(f"steps=[Split('s', Arm('a', 100, [Exit('x'), {SEND}]))]"),
        "step 'hello' stands after an Exit",
        "move or drop it",
    ),
    (
        journey("steps=[Send('a', was='b'), Send('b')]"),
        "was='b' is a name of the step at",
        "can go to one step only: drop this was=",
    ),
    (journey("steps=[Send('a', was='x'), Send('b', was='x')]"), "was='x' is a name of the step at", "drop this was="),
    (journey("steps=[Send('a', was='a')]"), "was='a' is a name of the step at", "drop this was="),
]
POLICIES = [
    (
        "Purchases(Ordered, items='items')",
        "order.completed has no property 'items'",
        "items = Property[list[object]]()",
    ),
    ("Purchases(Ordered, items='product')", "has no property 'product'", "did you mean 'products'?"),
    ("Purchases(Ordered, items='total')", "order.completed.total is no list", "total = Property[list[object]]()"),
    ("Purchases(Ordered, items=Ordered.products)", "is no name", "write what the app calls it"),
    ("Purchases('order.completed')", "Purchases() wants an event class", "declare it in vocabulary.py"),
    ("Purchases(Ordered, product=' id')", "product=' id' is no name", "write what the app calls it"),
    ("Purchases(Ordered, quantity=2)", "quantity=2 is no name", "write what the app calls it"),
    ("Purchases(Ordered, orders=0)", "orders=0", "give a whole number from 1 to 100"),
    ("Purchases(Ordered, orders=True)", "orders=True", "give a whole number from 1 to 100"),
    ("Purchases(Ordered, refresh=minutes(5))", "refresh=5 minutes is too often", "give at least 1 hour"),
    ("Purchases(Ordered, refresh=24)", "refresh= wants a duration, not 24", "write days(3)"),
    ("Purchases(Ordered, lately=90)", "lately= wants a duration, not 90", "write days(3)"),
    (
        "Policy(sender=Sender('A', 'a@b.example', '1 Road'), purchases=Ordered)",
        "purchases=",
        "Purchases(OrderCompleted)",
    ),
    ("Fatigue(saturated=0.00001)", "saturated=1e-05 is no share from 0.01 to 1", "write saturated=0.5"),
    ("Fatigue(saturated=float('nan'))", "saturated=nan is no share", "write saturated=0.5"),
    ("Cap(1, per=days(1_000_000))", "a duration of more than 100 years", "give at most days(36525)"),
    ("Keep(1, priority=10**20)", "keeps nothing", "write keep=Keep(1, priority=80)"),
]


@pytest.mark.parametrize(
    ("expression", "reason", "remedy"),
    [*DURATIONS, *CONDITIONS, *ENTRIES, *STEPS, *JOURNEYS, *POLICIES],
    ids=lambda text: text[:60],
)
def test_what_cannot_be_is_refused_where_it_stands(expression: str, reason: str, remedy: str) -> None:
    code = compile(f"\n\n{expression}", "shop.py", "exec")

    with pytest.raises(DefinitionError) as refusal:
        exec(code, dict(NAMES))

    assert refusal.value.where == "shop.py:3"
    assert reason in refusal.value.message
    assert remedy in refusal.value.hint


TAKEN = [
    "Ordered.happened(last=days(90), where=Ordered.total >= 100)",
    "Ordered.happened(where=Ordered.order_id == Reviewed.order_id)",
    "customer.vip == False",
    "customer.lifetime_value >= 500",
    "customer.lifetime_value >= 99.5",
    "customer.first_name.is_in('Ann', 'Bob') & ~customer.birthday.is_set()",
    "customer.created_at < datetime(2026, 1, 1, tzinfo=UTC)",
    "Ordered.times(at_most=0) | Reviewed.never()",
    "Ordered.after(Reviewed) & ~Reviewed.after(Ordered)",
    "Branch('a', when=last_send.was_sent | last_send.was_digested)",
    journey("exit_when=last_send.was_skipped & customer.vip"),
    "Mute('open complaint', when=Ordered.after(Reviewed))",
    "on_date(2, 29)",
    "Fatigue(saturated=0.01)",
    "Purchases(Ordered, product='sku', quantity='n', orders=100, lately=days(1), refresh=hours(1))",
    "Cap(1, per=days(36_525))",
    "Send('hello', priority=-5)",
    "Wait('a', until=date(2026, 12, 24))",
    "Wait('a', until=datetime(2026, 12, 24, 18))",
    "Wait('a', until=Ordered.ships_on, at=time(8))",
    "Set(customer.lifetime_value, 3)",
    "Branch('a', when=customer.vip)",
    journey("again_after=always(hours(1)), goal=on(Ordered, where=Ordered.total > 5)"),
    journey("only=Ordered.total > 5, exit_when=customer.vip, key=Ordered.order_id, name='spring-sale_2026'"),
    journey("steps=[Branch('b', when=customer.vip, then=[Exit('x')]), Send('hello')]"),
]


@pytest.mark.parametrize("expression", TAKEN)
def test_what_can_be_is_taken(expression: str) -> None:
    eval(expression, dict(NAMES))
