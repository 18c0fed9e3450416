"""Journeys as pictures: one neutral description as data, and drawings that read nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from .entries import EachYear, OnDate
from .journey import Journey
from .phrases import entry_in_words, event_in_words, in_words, moment_in_words, value_in_words
from .steps import Branch, Exit, Send, Set, Split, Step, Wait, WaitFor


def describe(journey: Journey) -> dict[str, Any]:
    """The journey as JSON-able data; every drawing consumes this and nothing else.

    Steps: `{"name", "kind", "says", "where"}` and, where steps nest, `"ways": [{"name", "says", "steps"}]`.
    """
    return {
        "name": journey.name,
        "topic": journey.topic,
        "kind": journey.kind,
        "where": journey.defined_at,
        "enter": entry_in_words(journey.enter),
        "only": None if journey.only is None else in_words(journey.only),
        "key": None if journey.key is None else str(journey.key),
        "again_after": None if journey.again_after is None else str(journey.again_after),
        "goal": None if journey.goal is None else event_in_words(journey.goal.event, journey.goal.where),
        "exit_when": None if journey.exit_when is None else in_words(journey.exit_when),
        "priority": journey.priority,
        "holdout": journey.holdout,
        "expires": str(journey.expires),
        "leap_day": journey.leap_day if isinstance(journey.enter, EachYear | OnDate) else None,
        "steps": [_step(step) for step in journey.steps],
    }


def as_text(journey: Journey) -> str:
    """The journey as a tree for the terminal."""
    drawn = describe(journey)
    lines = [f"{drawn['name']}  ({drawn['kind']}, topic {drawn['topic']}, priority {drawn['priority']})"]
    lines += [f"  {label:<8}{text}" for label, text in _facts(drawn)]
    return "\n".join([*lines, *_tree(drawn["steps"], "  ")])


def as_mermaid(journey: Journey) -> str:
    """The journey as a Mermaid flowchart, which GitHub and many editors draw."""
    drawn = describe(journey)
    chart = _Chart()
    start = chart.node("([", f"enter {drawn['enter']}", "])")
    ends = chart.steps(drawn["steps"], [(start, "")])
    if ends:
        chart.join(ends, chart.node("([", "end", "])"))
    if drawn["goal"]:
        chart.lines.append(f'    goal{{{{"goal, at any step: {_quoted(drawn["goal"])}"}}}}')
    return "\n".join(["flowchart TD", *chart.lines]) + "\n"


def _facts(drawn: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "enter", drawn["enter"] + (f", by {drawn['key']}" if drawn["key"] else "")
    if drawn["only"]:
        yield "only", f"if {drawn['only']}"
    if drawn["leap_day"] is None:
        each = " per key" if drawn["key"] else ""
        yield "again", f"after {drawn['again_after']}" if drawn["again_after"] else f"never: once ever{each}"
    if drawn["goal"]:
        yield "goal", drawn["goal"]
    if drawn["exit_when"]:
        yield "exit", f"when {drawn['exit_when']}"
    if drawn["holdout"]:
        yield "holdout", f"{drawn['holdout']} %"


def _tree(steps: Sequence[Mapping[str, Any]], indent: str) -> Iterator[str]:
    for step in steps:
        last = step is steps[-1]
        yield f"{indent}{'└─' if last else '├─'} {step['says']}"
        inside = indent + ("   " if last else "│  ")
        ways = [way for way in step.get("ways", ()) if way["steps"]]
        for way in ways:
            final = way is ways[-1]
            yield f"{inside}{'└─' if final else '├─'} {way['says']}:"
            yield from _tree(way["steps"], inside + ("   " if final else "│  "))


class _Chart:
    """Lines of a flowchart; an end is a node with the label of the edge that will leave it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._nodes = 0

    def node(self, left: str, text: str, right: str) -> str:
        self._nodes += 1
        self.lines.append(f'    n{self._nodes}{left}"{_quoted(text)}"{right}')
        return f"n{self._nodes}"

    def join(self, ends: Sequence[tuple[str, str]], to: str) -> None:
        for end, label in ends:
            self.lines.append(f"    {end} -->" + (f'|"{_quoted(label)}"| ' if label else " ") + to)

    def steps(self, steps: Sequence[Mapping[str, Any]], ends: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Draws `steps` after `ends`; returns the ends of what was drawn."""
        for step in steps:
            left, right = _SHAPES[step["kind"]]
            node = self.node(left, step["says"], right)
            self.join(ends, node)
            if step["kind"] == "exit":
                return []
            ends = [(node, "")]
            if "ways" in step:
                ends = [end for way in step["ways"] for end in self.steps(way["steps"], [(node, way["says"])])]
        return ends


_SHAPES = {
    "send": ("[", "]"),
    "wait": ("(", ")"),
    "wait_for": ("(", ")"),
    "branch": ("{", "}"),
    "split": ("{", "}"),
    "set": ("[/", "/]"),
    "exit": ("([", "])"),
}


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")


def _step(step: Step) -> dict[str, Any]:
    drawn: dict[str, Any] = {"name": step.name, "where": step.defined_at}
    match step:
        case Send(template=template):
            named = "" if step.name == template else f" ({step.name})"
            drawn |= {"kind": "send", "says": f"send {template}{named}", "template": template}
            drawn |= {"on_capped": step.on_capped, "send_within": str(step.send_within)}
            drawn |= {"expires": None if step.expires is None else str(step.expires)}
        case Wait(duration=None, until=until):
            drawn |= {"kind": "wait", "says": f"wait until {moment_in_words(until, step.at)} ({step.name})"}
        case Wait(duration=duration):
            drawn |= {"kind": "wait", "says": f"wait {duration} ({step.name})"}
        case WaitFor(event=event, up_to=up_to, where=where):
            says = f"wait for {event_in_words(event, where)}, up to {up_to} ({step.name})"
            drawn |= {"kind": "wait_for", "says": says, "ways": _two(step, "it came", "it did not")}
        case Branch(when=when):
            says = f"{step.name}: {in_words(when)}"
            drawn |= {"kind": "branch", "says": says, "ways": _two(step, "yes", "no")}
        case Split(arms=arms):
            ways = [{"name": arm.name, "says": f"{arm.name} {arm.percent} %", "steps": _all(arm.steps)} for arm in arms]
            drawn |= {"kind": "split", "says": f"split {step.name}", "ways": ways}
        case Set(attribute=attribute, value=value):
            drawn |= {"kind": "set", "says": f"set {attribute} to {value_in_words(value)}"}
        case Exit(reason=reason):
            drawn |= {"kind": "exit", "says": f"exit: {reason}"}
        case _:
            assert_never(step)
    return drawn


def _two(step: WaitFor | Branch, then: str, otherwise: str) -> list[dict[str, Any]]:
    return [
        {"name": "then", "says": then, "steps": _all(step.then)},
        {"name": "otherwise", "says": otherwise, "steps": _all(step.otherwise)},
    ]


def _all(steps: Sequence[Step]) -> list[dict[str, Any]]:
    return [_step(step) for step in steps]
