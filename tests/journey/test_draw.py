"""Drawings of a journey, and the description that they all read."""

from __future__ import annotations

import json
from datetime import time
from typing import Any

import pytest

from lifecycle import (
    Arm,
    Branch,
    Exit,
    Journey,
    Send,
    Set,
    Split,
    Wait,
    WaitFor,
    always,
    days,
    each_year,
    hours,
    last_send,
    manually,
    on,
    on_date,
    when,
)
from lifecycle.journey.conditions import Condition
from lifecycle.journey.draw import as_mermaid, as_text, describe
from lifecycle.journey.entries import Entry
from lifecycle.journey.phrases import entry_in_words, in_words

from .words import Ordered, Registered, Reviewed, customer

SHOP = Journey(
    name="shop",
    topic="orders",
    enter=on(Ordered, where=Ordered.total > 0),
    only=~customer.vip,
    key=Ordered.order_id,
    again_after=always(hours(1)),
    goal=Registered,
    exit_when=Reviewed.times(at_least=3),
    holdout=10,
    steps=[
        Send("thanks"),
        WaitFor(
            "review",
            Reviewed,
            up_to=days(10),
            where=Reviewed.order_id == Ordered.order_id,
            then=[Exit("reviewed")],
        ),
        Split("ask", Arm("now", 50, [Send("ask", name="ask now")]), Arm("late", 50, [Wait("evening", until=time(18))])),
        Branch("rich?", when=customer.lifetime_value >= 500, then=[Set(customer.vip, True)]),
    ],
)
WAIT = "wait for review.posted with review.posted.order_id = order.completed.order_id, up to 10 days (review)"


def test_the_description_is_data_that_says_everything() -> None:
    drawn = json.loads(json.dumps(describe(SHOP)))
    where = {step.pop("where").split(":")[0] for step in _all_steps(drawn["steps"])} | {
        drawn.pop("where").split(":")[0]
    }

    assert {place.rsplit("/", 1)[-1] for place in where} == {"test_draw.py"}
    assert drawn == {
        "name": "shop",
        "topic": "orders",
        "kind": "marketing",
        "enter": "on order.completed with order.completed.total > 0",
        "only": "not customer.vip",
        "key": "order.completed.order_id",
        "again_after": "1 hour",
        "goal": "customer.registered",
        "exit_when": "3 or more review.posted",
        "priority": 50,
        "holdout": 10,
        "expires": "7 days",
        "leap_day": None,
        "steps": [
            _send("thanks"),
            {
                "name": "review",
                "kind": "wait_for",
                "says": WAIT,
                "ways": [
                    {
                        "name": "then",
                        "says": "it came",
                        "steps": [{"name": "exit reviewed", "kind": "exit", "says": "exit: reviewed"}],
                    },
                    {"name": "otherwise", "says": "it did not", "steps": []},
                ],
            },
            {
                "name": "ask",
                "kind": "split",
                "says": "split ask",
                "ways": [
                    {"name": "now", "says": "now 50 %", "steps": [_send("ask", "ask now")]},
                    {
                        "name": "late",
                        "says": "late 50 %",
                        "steps": [{"name": "evening", "kind": "wait", "says": "wait until 18:00 (evening)"}],
                    },
                ],
            },
            {
                "name": "rich?",
                "kind": "branch",
                "says": "rich?: customer.lifetime_value ≥ 500",
                "ways": [
                    {
                        "name": "then",
                        "says": "yes",
                        "steps": [{"name": "set vip", "kind": "set", "says": "set customer.vip to yes"}],
                    },
                    {"name": "otherwise", "says": "no", "steps": []},
                ],
            },
        ],
    }


def _send(template: str, name: str = "") -> dict[str, object]:
    return {
        "name": name or template,
        "kind": "send",
        "says": f"send {template}" + (f" ({name})" if name else ""),
        "template": template,
        "on_capped": "wait",
        "send_within": "3 days",
        "expires": None,
    }


def _all_steps(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for step in steps:
        found.append(step)
        for way in step.get("ways", []):
            found += _all_steps(way["steps"])
    return found


def test_the_tree_reads_top_down() -> None:
    assert (
        as_text(SHOP)
        == """\
shop  (marketing, topic orders, priority 50)
  enter   on order.completed with order.completed.total > 0, by order.completed.order_id
  only    if not customer.vip
  again   after 1 hour
  goal    customer.registered
  exit    when 3 or more review.posted
  holdout 10 %
  ├─ send thanks
  ├─ wait for review.posted with review.posted.order_id = order.completed.order_id, up to 10 days (review)
  │  └─ it came:
  │     └─ exit: reviewed
  ├─ split ask
  │  ├─ now 50 %:
  │  │  └─ send ask (ask now)
  │  └─ late 50 %:
  │     └─ wait until 18:00 (evening)
  └─ rich?: customer.lifetime_value ≥ 500
     └─ yes:
        └─ set customer.vip to yes"""
    )


def test_the_tree_says_who_enters_only_once() -> None:
    once = Journey(name="once", topic="x", enter=on(Ordered), steps=[Send("thanks")])
    each = Journey(name="each", topic="x", enter=on(Ordered), key=Ordered.order_id, steps=[Send("thanks")])
    yearly = Journey(name="yearly", topic="x", enter=each_year(customer.birthday), steps=[Send("thanks")])

    assert "  again   never: once ever\n" in as_text(once)
    assert "  again   never: once ever per key\n" in as_text(each)
    assert "again" not in as_text(yearly)


def test_the_flowchart_joins_every_way_that_goes_on() -> None:
    assert as_mermaid(SHOP).splitlines() == [
        "flowchart TD",
        '    n1(["enter on order.completed with order.completed.total > 0"])',
        '    n2["send thanks"]',
        "    n1 --> n2",
        f'    n3("{WAIT}")',
        "    n2 --> n3",
        '    n4(["exit: reviewed"])',
        '    n3 -->|"it came"| n4',
        '    n5{"split ask"}',
        '    n3 -->|"it did not"| n5',
        '    n6["send ask (ask now)"]',
        '    n5 -->|"now 50 %"| n6',
        '    n7("wait until 18:00 (evening)")',
        '    n5 -->|"late 50 %"| n7',
        '    n8{"rich?: customer.lifetime_value ≥ 500"}',
        "    n6 --> n8",
        "    n7 --> n8",
        '    n9[/"set customer.vip to yes"/]',
        '    n8 -->|"yes"| n9',
        '    n10(["end"])',
        "    n9 --> n10",
        '    n8 -->|"no"| n10',
        '    goal{{"goal, at any step: customer.registered"}}',
    ]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Ordered.happened(last=days(90)), "any order.completed in the last 90 days"),
        (~Ordered.happened(last=days(90)), "no order.completed in the last 90 days"),
        (Ordered.never(), "no order.completed"),
        (Ordered.times(at_least=2, at_most=4), "2 to 4 order.completed"),
        (Ordered.times(at_most=4), "at most 4 order.completed"),
        (customer.vip & (customer.visits.is_in(1, 2) | ~customer.birthday.is_set()),
         "customer.vip and (customer.visits is one of 1, 2 or not customer.birthday is known)"),
        (Ordered.after(Reviewed) | customer.vip, "any order.completed without review.posted since or customer.vip"),
        (~Ordered.after(Reviewed), "no order.completed without review.posted since"),
        (last_send.was_sent, "the last email was sent"),
        (~(last_send.was_skipped | last_send.was_digested),
         "not (the last email was skipped or the last email went into a digest)"),
        (customer.first_name != "Ann", "customer.first_name ≠ “Ann”"),
        (~(customer.vip & (customer.visits < 3)), "not (customer.vip and customer.visits < 3)"),
    ],
)  # fmt: skip
def test_conditions_are_said_as_a_person_would(condition: Condition, words: str) -> None:
    assert in_words(condition) == words


def test_entries_are_said_as_a_person_would() -> None:
    entries: list[Entry] = [
        on(Ordered),
        when(Ordered.never()),
        each_year(customer.birthday),
        on_date(12, 4, at=time(7)),
        manually(),
    ]

    assert [entry_in_words(entry) for entry in entries] == [
        "on order.completed",
        "when no order.completed",
        "each year on customer.birthday at 09:00",
        "each year on 4 December at 07:00",
        "by hand",
    ]
