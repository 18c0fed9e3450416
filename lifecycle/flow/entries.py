"""Entering customers into journeys by condition and by date: periodic passes, one scheduler each."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifecycle.journey.entries import EachYear, OnDate, When
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.store.audience import audience
from lifecycle.store.database import Database
from lifecycle.store.sweeps import due_sweeps, give_back, take_turn

from .poison import apart

PER_PASS = 20_000
"""How many customers enter one journey in one pass; more are found by the next, which then follows at once."""


def enter_due(
    db: Database,
    project: Project,
    now: datetime,
    *,
    lease: timedelta,
    limit: int = 1000,
    by_date: timedelta = timedelta(seconds=30),
    by_condition: timedelta = timedelta(seconds=60),
) -> list[int]:
    """Enters whoever is due into the journeys whose pass is due; returns the ids of the new enrollments.

    Any number of schedulers may call it at any time: each journey's pass is run by one of them, every `by_date` or
    `by_condition`, and two at once would do no harm. At most `limit` customers enter per transaction. An error in one
    journey's pass, unless the database is away, is logged and leaves the others be.
    """
    every = {
        f"enter {journey.name}": by_condition if isinstance(journey.enter, When) else by_date
        for journey in project.journeys.values()
        if isinstance(journey.enter, (When, EachYear, OnDate))
    }
    entered: list[int] = []
    for sweep in due_sweeps(db, every, now):
        name = sweep.removeprefix("enter ")
        with apart("entering a journey", journey=name):
            if take_turn(db, sweep, now, every[sweep]):
                found, ids = enter_journey(db, project, project.journeys[name], now, lease=lease, limit=limit)
                entered += ids
                if found >= PER_PASS:
                    give_back(db, sweep, now)
    return entered


def enter_journey(
    db: Database, project: Project, journey: Journey, now: datetime, *, lease: timedelta, limit: int = 1000
) -> tuple[int, list[int]]:
    """One pass for one journey: how many were found due, and the ids of the new enrollments."""
    assert isinstance(journey.enter, (When, EachYear, OnDate))
    due = audience(journey, journey.enter, project.policy.timezone, now, db.engine.dialect.name)
    if due is None:
        return 0, []
    with db.reading() as connection:
        customers = due.find(connection, PER_PASS)
    entered: list[int] = []
    for start in range(0, len(customers), limit):
        with db.transaction() as connection:
            entered += due.enter(connection, customers[start : start + limit], lease)
    return len(customers), entered
