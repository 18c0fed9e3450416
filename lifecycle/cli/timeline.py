"""One person's story as a picture for the terminal: who they are, then everything in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from rich.text import Text

from .listing import console, harmless

_NAMES = ("email", "first_name", "last_name", "birthday", "timezone", "locale")
_MARKS = {
    "event": ("●", "cyan"),
    "consent": ("✓", "green"),
    "enter": ("▶", "blue"),
    "leave": ("■", "blue"),
    "planned": ("○", "dim"),
    "sent": ("✉", "green"),
    "skipped": ("–", "yellow"),
    "failed": ("✗", "red"),
    "uncertain": ("?", "bold red"),
    "suppressed": ("✗", "red"),
}
_SOON = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the story, with `notes` under it; `order` breaks ties of `at` in the order in which things follow
    from each other."""

    at: datetime
    order: int
    mark: str
    what: str
    detail: str = ""
    notes: Sequence[str] = ()


def write_story(
    known: Mapping[str, Any],
    story: Mapping[str, list[dict[str, Any]]],
    zone: ZoneInfo,
    notes: Mapping[int, Sequence[str]] = MappingProxyType({}),
    standing: Iterable[tuple[str, str]] = (),
) -> None:
    """Writes the story, with all times in `zone`; `notes` by the id of the message that they are about; `standing`:
    more of who they are, each with its label."""
    out = console()
    for line in _portrait(known, story, zone):
        out.print(line)
    for label, said in standing:
        out.print(Text.assemble((f"  {label:<16} ", "dim"), harmless(said)))
    moments = sorted(_moments(known, story, notes), key=lambda moment: (moment.at, moment.order, moment.what))
    for day, of_day in groupby(moments, key=lambda moment: moment.at.astimezone(zone).date()):
        out.print(Text(f"\n{day:%a %-d %B %Y}", style="bold"))
        for moment in of_day:
            mark, style = _MARKS[moment.mark]
            line = Text.assemble((f"  {moment.at.astimezone(zone):%H:%M}  ", "dim"), (f"{mark} ", style))
            line.append(harmless(moment.what), style="bold" if moment.mark in ("sent", "enter") else "")
            line.append(f"  {harmless(moment.detail)}" if moment.detail else "", style="dim")
            out.print(line)
            for note in moment.notes:
                out.print(Text(f"           {harmless(note)}", style="dim"))
    waiting = list(_waiting(story, zone, notes))
    if waiting:
        out.print(Text("\nnow", style="bold"))
        for line in waiting:
            out.print(line)
    counts = ", ".join(f"{len(rows):,} {kind}{'' if len(rows) == 1 else 's'}" for kind, rows in story.items() if rows)
    out.print(Text(f"\n{counts or 'nothing else is known'}; times are in {zone.key}", style="dim"))


def _portrait(known: Mapping[str, Any], story: Mapping[str, list[dict[str, Any]]], zone: ZoneInfo) -> Iterator[Text]:
    name = " ".join(filter(None, (known["first_name"], known["last_name"])))
    yield Text.assemble((harmless(f"customer {known['id']}"), "bold"), f"  {harmless(name)}")
    said = {field: known[field] for field in _NAMES if known[field] is not None} | dict(sorted(known["traits"].items()))
    for field, value in said.items():
        yield Text.assemble((f"  {field:<16} ", "dim"), harmless(_shown(value)))
    yield Text.assemble((f"  {'known since':<16} ", "dim"), f"{known['created_at'].astimezone(zone):%Y-%m-%d %H:%M}")
    for consent in _newest_by_topic(story["consent"]):
        answer = "granted" if consent["granted"] else "withdrawn"
        topic = harmless(consent["topic"] or "everything")
        yield Text.assemble(
            ("  consent          ", "dim"), f"{topic}: ", (answer, "green" if consent["granted"] else "red")
        )
    if known["erased_at"] is not None:
        yield Text("  erased: nothing is sent to this customer any more", style="red")


def _newest_by_topic(consents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    newest = {consent["topic"]: consent for consent in consents}
    return sorted(newest.values(), key=lambda consent: consent["topic"] or "")


def _moments(
    known: Mapping[str, Any], story: Mapping[str, list[dict[str, Any]]], notes: Mapping[int, Sequence[str]]
) -> Iterator[Moment]:
    for event in story["event"]:
        name = event["name"] or "identify"
        if name.startswith("subscription."):
            continue  # the consent says it
        said = event["properties"] | ({"traits": event["traits"]} if event["traits"] else {})
        yield Moment(event["timestamp"], 0, "event", name, _brief(said))
    for consent in story["consent"]:
        answer = "granted" if consent["granted"] else "withdrawn"
        details = {name: consent[name] for name in ("source", "text_version") if consent[name]}
        yield Moment(
            consent["at"], 1, "consent", f"consent to {consent['topic'] or 'everything'} {answer}", _brief(details)
        )
    for one in story["suppression"]:
        yield Moment(one["at"], 1, "suppressed", f"address suppressed: {one['reason']}", one["reply"] or "")
    if known["erased_at"] is not None:
        yield Moment(known["erased_at"], 1, "suppressed", "erased")
    for enrollment in story["enrollment"]:
        name, key = enrollment["journey"], f"key {enrollment['key']}" if enrollment["key"] else ""
        yield Moment(enrollment["entered_at"], 2, "enter", f"enters {name}", key)
        if enrollment["ended_at"] is not None:
            reason = enrollment["reason"] if enrollment["reason"] != enrollment["state"] else ""
            yield Moment(enrollment["ended_at"], 5, "leave", f"leaves {name}: {enrollment['state']}", reason or key)
    for message in story["message"]:
        yield from _message(message, notes.get(message["id"], ()))


def _message(message: Mapping[str, Any], notes: Sequence[str]) -> Iterator[Moment]:
    """When it was planned, and what became of it; of one that was not sent only the planning has a moment."""
    name = f"{message['template']} ({message['journey']})"
    planned, sent, state = message["created_at"], message["sent_at"], message["state"]
    if state in ("skipped", "failed", "uncertain"):
        yield Moment(planned, 3, state, f"{state} {name}", message["reason"] or "", notes)
    elif sent is None or sent - planned > _SOON:
        yield Moment(planned, 3, "planned", f"planned {name}")
    if sent is not None:
        yield Moment(sent, 4, "sent", f"sent {name}", f"“{message['subject']}”" if message["subject"] else "", notes)


def _prospect(message: Mapping[str, Any], zone: ZoneInfo) -> str:
    """When an email goes out, or where that is for somebody to decide, when it is looked at again."""
    template, reason = message["template"], message["reason"] or ""
    when = f" at {message['due_at'].astimezone(zone):%Y-%m-%d %H:%M}" if message["due_at"] else ""
    if reason.startswith(("muted:", "paused")):
        return f"{template} waits: {reason}, looked at again{when} or as soon as that is over"
    return f"{template} goes out{when}" + (f"  put off: {reason}" if reason else "")


def _waiting(
    story: Mapping[str, list[dict[str, Any]]], zone: ZoneInfo, notes: Mapping[int, Sequence[str]]
) -> Iterator[Text]:
    """Where the person stands in journeys, and what is about to be sent."""
    for message in story["message"]:
        if message["state"] in ("pending", "sending"):
            yield Text.assemble("  ", ("○ ", "cyan"), harmless(_prospect(message, zone)))
            for note in notes.get(message["id"], ()):
                yield Text(f"    {harmless(note)}", style="dim")
    for enrollment in story["enrollment"]:
        if enrollment["state"] not in ("active", "held"):
            continue
        where = f"{enrollment['journey']}: {enrollment['state']} at {enrollment['step']!r}"
        awaiting = enrollment["awaiting"]
        if awaiting not in (None, "start", "message"):
            where += f", waiting for {awaiting}"
        elif awaiting == "message":
            where += ", until that email is done"
        if enrollment["due_at"] is not None:
            where += f", until {enrollment['due_at'].astimezone(zone):%Y-%m-%d %H:%M}"
        if enrollment["reason"]:
            where += f" ({enrollment['reason']})"
        yield Text.assemble("  ", ("▶ ", "blue"), harmless(where))


def _brief(said: Mapping[str, Any], most: int = 100) -> str:
    text = "  ".join(f"{name}={_shown(value)}" for name, value in said.items())
    return text if len(text) <= most else text[: most - 1] + "…"


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case dict():
            return "{" + _brief(value) + "}"
    return str(value)
