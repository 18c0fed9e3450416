"""When customers may become due to enter a journey by condition or by date: what spares a replay the sweeps.

Schedulers sweep over everybody, every minute or so. A replay of a year would do little else, so it asks for single
customers, at the only moments at which the answer can change; the same SQL answers:

- an event that the entry's conditions count comes, or anything said of the customer's traits: then;
- an event leaves a window (`last=`): its timestamp plus the window;
- an anniversary begins, on their own clock; on the day of an `on_date` that of every zone;
- `again_after` is over; who is still in the journey then is asked for again each hour.
"""

from __future__ import annotations

from calendar import isleap
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from lifecycle.core.anniversaries import anniversaries
from lifecycle.core.calendar import on_day
from lifecycle.core.evaluate import known_value
from lifecycle.core.zones import known_zones
from lifecycle.journey.conditions import After, AttributeRef, Compare, Count, IsSet, IsTrue, OneOf, walk
from lifecycle.journey.entries import EachYear, OnDate, When
from lifecycle.journey.journey import Journey, LeapDay
from lifecycle.journey.project import Project
from lifecycle.store import ahead
from lifecycle.store.audience import audience
from lifecycle.store.database import Database
from lifecycle.store.facts import load_facts

_HOUR = timedelta(hours=1)
_EVERYBODY = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as it concerns entries: whose, what (None: an identify), when, and the names of the traits it says."""

    customer_id: str
    event: str | None
    at: datetime
    traits: Collection[str]


@dataclass(frozen=True, slots=True)
class _Watch:
    """What a journey's entry depends on: events counted, with the windows they leave, and traits."""

    windows: Mapping[str, Collection[timedelta]]
    traits: frozenset[str]


class Openings:
    """Who is to be asked for, and when; kept up while events are taken and people enter."""

    def __init__(self, db: Database, project: Project, lease: timedelta) -> None:
        self._db = db
        self._lease = lease
        self._timezone = project.policy.timezone
        self._journeys: dict[str, Journey] = {}
        self._watches: dict[str, _Watch] = {}
        for name, journey in project.journeys.items():
            if isinstance(journey.enter, When | EachYear | OnDate):
                self._journeys[name] = journey
                self._watches[name] = _watch(journey)
        self._known: set[str] = set()
        self._heap: list[tuple[datetime, str, str, bool]] = []

    def next(self) -> datetime | None:
        """The next moment at which somebody is to be asked for."""
        return self._heap[0][0] if self._heap else None

    def start(self, now: datetime) -> None:
        """Reads from the database what lies ahead of `now`; everybody who is known is asked for once."""
        with self._db.reading() as connection:
            everybody = ahead.customers(connection)
            self._known.update(everybody)
            for name, watch in self._watches.items():
                longest = max((span for spans in watch.windows.values() for span in spans), default=timedelta(0))
                for customer, event, at in ahead.events_since(connection, watch.windows, now - longest):
                    self._add_windows(name, customer, event, at, now)
                again = self._journeys[name].again_after
                if again is not None:
                    for customer, entered_at in ahead.last_entries(connection, name).items():
                        self._add(max(now, entered_at + again.rolling), name, customer, again=True)
        for name, journey in self._journeys.items():
            for customer in everybody:
                self._add(now, name, customer)
            if isinstance(journey.enter, OnDate):
                self._add_date(name, journey.enter, now.year, now)
                self._add_date(name, journey.enter, now.year + 1, now)
            if isinstance(journey.enter, EachYear):
                self._add_anniversaries(journey, journey.enter, everybody, now)

    def hear(self, heard: Iterable[Heard], now: datetime) -> None:
        """Notes what follows from events that were just taken."""
        for one in heard:
            new = one.customer_id not in self._known
            self._known.add(one.customer_id)
            for name, watch in self._watches.items():
                counted = one.event in watch.windows
                if counted:
                    self._add_windows(name, one.customer_id, str(one.event), one.at, now)
                if counted or new or not watch.traits.isdisjoint(one.traits):
                    self._add(now, name, one.customer_id)

    def ask(self, customers: Iterable[str], now: datetime) -> None:
        """Has these customers asked for, because their traits may change without an event."""
        for customer in customers:
            for name in self._watches:
                self._add(now, name, customer)

    def enter(self, now: datetime) -> list[int]:
        """Enters whoever is due at `now`; returns the ids of the new enrollments."""
        asked: dict[str, dict[str, bool]] = defaultdict(dict)
        while self._heap and self._heap[0][0] <= now:
            _, name, customer, again = heappop(self._heap)
            asked[name][customer] = again or asked[name].get(customer, False)
        entered: list[int] = []
        for name in sorted(asked):
            entered += self._enter(self._journeys[name], asked[name], now)
        return entered

    def _enter(self, journey: Journey, asked: Mapping[str, bool], now: datetime) -> list[int]:
        entry = journey.enter
        assert isinstance(entry, When | EachYear | OnDate)
        ids: list[int] = []
        with self._db.transaction() as connection:
            customers = ahead.customers(connection) if _EVERYBODY in asked else sorted(asked)
            zones = None if isinstance(entry, When) else ahead.zones(connection, customers)
            due = audience(journey, entry, self._timezone, now, connection.dialect.name, zones)
            if due is not None:
                ids = due.enter(connection, customers, self._lease)
            if journey.again_after is not None:
                for customer in ahead.whose(connection, ids) if ids else ():
                    self._add(now + journey.again_after.rolling, journey.name, customer, again=True)
                waited = [customer for customer, again in asked.items() if again]
                for customer in ahead.still_in(connection, journey.name, waited, now) if waited else ():
                    self._add(now + _HOUR, journey.name, customer, again=True)
        if isinstance(entry, EachYear):
            self._add_anniversaries(journey, entry, customers, now)
        elif isinstance(entry, OnDate) and _EVERYBODY in asked:
            self._add_date(journey.name, entry, now.year + 1, now)
        return ids

    def _add(self, moment: datetime, name: str, customer: str, *, again: bool = False) -> None:
        heappush(self._heap, (moment, name, customer, again))

    def _add_windows(self, name: str, customer: str, event: str, at: datetime, now: datetime) -> None:
        for span in self._watches[name].windows[event]:
            if at + span > now:
                self._add(at + span, name, customer)

    def _add_anniversaries(self, journey: Journey, entry: EachYear, customers: Sequence[str], now: datetime) -> None:
        """The next anniversary of each, which the asking itself renews each year."""
        with self._db.reading() as connection:
            known = load_facts(connection, customers, demands={}, events=(), now=now, default_zone=self._timezone)
        for customer, facts in known.items():
            day = known_value(facts.traits.get(entry.attribute.name), "date")
            if isinstance(day, str):
                self._add(next_anniversary(now, day, facts.zone, entry.at, journey.leap_day), journey.name, customer)

    def _add_date(self, name: str, entry: OnDate, year: int, now: datetime) -> None:
        """The moments of that year, after `now`, at which the day begins somewhere; where there is no 29 February, on
        both days that may stand for it. Each of them, when it comes, adds those of the next year."""
        days = [date(year, 2, 28), date(year, 3, 1)] if (entry.month, entry.day) == (2, 29) else []
        with suppress(ValueError):  # there is a 29 February in leap years only
            days.append(date(year, entry.month, entry.day))
        for moment in {on_day(day, entry.at, ZoneInfo(zone)) for day in days for zone in known_zones()}:
            if moment > now:
                self._add(moment, name, _EVERYBODY)


def next_anniversary(now: datetime, day: str, zone: ZoneInfo, at: time, leap_day: LeapDay) -> datetime:
    """The first moment after `now` at which the anniversary of a date, as ISO text, begins on a clock in `zone`."""
    month, number = int(day[5:7]), int(day[8:10])
    for year in range(now.astimezone(zone).year, now.year + 10):
        celebrated = _celebrated(year, month, number, leap_day)
        if celebrated is not None:
            for later in (0, 1):  # a day that the zone skips is celebrated on the next
                moment = on_day(celebrated + timedelta(days=later), at, zone)
                if moment > now and any(each.day == day[5:] for each in anniversaries(moment, zone, at, leap_day)):
                    return moment
    raise AssertionError("there is a leap year in any ten")


def _celebrated(year: int, month: int, number: int, leap_day: LeapDay) -> date | None:
    if (month, number) != (2, 29) or isleap(year):
        return date(year, month, number)
    return {"feb 28": date(year, 2, 28), "mar 1": date(year, 3, 1), "skip": None}[leap_day]


def _watch(journey: Journey) -> _Watch:
    conditions = [journey.only] if journey.only is not None else []
    traits = set()
    if isinstance(journey.enter, When):
        conditions.append(journey.enter.condition)
    else:
        traits.add("timezone")
    if isinstance(journey.enter, EachYear):
        traits.add(journey.enter.attribute.name)
    windows: dict[str, set[timedelta]] = defaultdict(set)
    for condition in conditions:
        for node in walk(condition.node()):
            match node:
                case Count(event=event, last=last):
                    windows[event] |= set() if last is None else {last.rolling}
                case After(event, other):
                    windows[event] |= set()
                    windows[other] |= set()
                case Compare(left=AttributeRef(name=name)) | OneOf(left=AttributeRef(name=name)):
                    traits.add(name)
                case IsSet(left=AttributeRef(name=name)) | IsTrue(left=AttributeRef(name=name)):
                    traits.add(name)
                case _:
                    pass
    return _Watch(windows, frozenset(traits))
