"""A policy tried on a history decides as a replay does that writes every email, and as live roles did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from lifecycle import Cap, Journey, Policy, Send, Wait, days, hours, on, when
from lifecycle.flow.replay import Line, read_lines
from lifecycle.flow.trial import begin, run_trial
from lifecycle.journey.project import Project
from lifecycle.store.database import Database
from lifecycle.store.outcomes import Outcome, outcome
from lifecycle.store.solo import SoloDatabase
from tests.database.test_replay import history, messages, project, purchases, run
from tests.stage import LEASE, NOON, Ordered, Reviewed, Stage, project_of

LATE = timedelta(hours=72)
EVER = datetime(1990, 1, 1, tzinfo=UTC)


@pytest.fixture
def solo(sqlite_database: Database) -> Iterator[SoloDatabase]:
    sqlite_database.close()
    with closing(SoloDatabase(sqlite_database.url)) as db:
        yield db


@pytest.fixture
def fresh(tmp_path: Path, _sqlite_with_tables: Path) -> Iterator[SoloDatabase]:
    """One more database, with all tables, all empty."""
    path = tmp_path / "trial.db"
    path.write_bytes(_sqlite_with_tables.read_bytes())
    with closing(SoloDatabase(f"sqlite:///{path}")) as db:
        yield db


def tried(db: SoloDatabase, tried_on: Project, lines: list[Line], since: datetime | None = None) -> Outcome:
    return run_trial(db, tried_on, lines, since=since, lease=LEASE, max_lateness=LATE)


def decisions(db: Database) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "subject"} for row in messages(db)]


def test_a_trial_decides_as_a_replay_that_writes_every_email(solo: SoloDatabase, fresh: SoloDatabase) -> None:
    run(solo, purchases(8))

    tried(fresh, project(), history(purchases(8)))

    assert decisions(fresh) == decisions(solo)


def test_the_outcome_is_what_brute_force_finds(solo: SoloDatabase) -> None:
    found = tried(solo, project(), history(purchases(8)))

    rows = messages(solo)
    sent = [row for row in rows if row["state"] == "sent"]
    per_customer = Counter(row["customer_id"] for row in sent)
    week = timedelta(days=7)
    assert found.customers == 8
    assert found.sent == len(sent)
    assert found.emails == Counter(per_customer.values()) + Counter({0: 8 - len(per_customer)})
    assert found.most_in_a_week == max(
        sum(first["customer_id"] == row["customer_id"] and timedelta(0) <= row["sent_at"] - first["sent_at"] < week
            for row in sent)
        for first in sent
    )  # fmt: skip
    for journey, part in found.journeys.items():
        theirs = [row for row in rows if row["journey"] == journey]
        assert part.sent == sum(row["state"] == "sent" for row in theirs)
        assert part.held_back == Counter(row["reason"] for row in theirs if row["state"] == "skipped")


def test_goals_count_as_reached_after_a_send_only_if_an_email_went_before(database: Database) -> None:
    patient = Journey(name="patient", topic="offers", enter=on(Reviewed), goal=Ordered, steps=[
        Wait("a day", days(1)), Send("patient/hello"), Wait("long", days(30)), Send("patient/again"),
    ])  # fmt: skip
    stage = Stage(database, project_of(patient))
    for customer in ("early", "late", "never"):
        stage.identify(customer, email=f"{customer}@example.com")
        stage.track(customer, Reviewed)
    stage.run(hours(2).rolling)
    stage.order("early")
    stage.run(days(2).rolling)
    stage.order("late")
    stage.run()

    with database.reading() as connection:
        part = outcome(connection, EVER).part("patient")
        later = outcome(connection, stage.now - timedelta(hours=1)).part("patient")

    assert (part.goals, part.goals_after_sends) == (2, 1)
    assert (later.goals, later.goals_after_sends) == (1, 1)


def test_a_tighter_policy_sends_less_and_never_breaks_its_own_caps(solo: SoloDatabase) -> None:
    tight = Project(project().vocabulary, project().journeys, _with_caps(project().policy, Cap(1, per=days(5))))

    found = tried(solo, tight, history(purchases(8)))

    moments: dict[str, list[datetime]] = {}
    for row in messages(solo):
        if row["state"] == "sent" and row["kind"] == "marketing":
            moments.setdefault(row["customer_id"], []).append(row["sent_at"])
    assert found.sent > 25
    for theirs in moments.values():
        assert all(abs(one - other) >= timedelta(days=5) for one, other in combinations(theirs, 2))


def _with_caps(policy: Policy, *caps: Cap) -> Policy:
    return Policy(
        sender=policy.sender,
        timezone=policy.timezone,
        consent=policy.consent,
        quiet_hours=policy.quiet_hours,
        caps=caps,
    )


HELLO = Journey(name="hello", topic="offers", enter=on(Reviewed), steps=[Send("hello/one"), Wait("w", days(9)),
                                                                         Send("hello/two")])  # fmt: skip
REGULAR = Journey(name="regular", topic="offers", enter=when(Ordered.times(at_least=2)), steps=[Send("regular/hello")])


def started(live: Stage, fresh: SoloDatabase, since: datetime) -> list[Line]:
    """A trial's beginning at `since` of what happened on a stage; the history from then on."""
    onward = BytesIO()
    begin(fresh, live.project, live.db, since, [live.project.policy], onward, lease=LEASE)
    return read_lines(onward.getvalue().splitlines(), "live", live.now + timedelta(days=1))


def test_a_trial_in_the_middle_knows_what_was_before_but_moves_nobody_by_it(
    database: Database, fresh: SoloDatabase
) -> None:
    live = Stage(database, project_of(HELLO, REGULAR, caps=[Cap(1, per=days(3))]))
    for customer in ("1", "2"):
        live.identify(customer, email=f"{customer}@example.com")
    live.track("1", Reviewed)
    live.order("2", "A1")
    live.run(days(2).rolling)
    since = live.now
    live.run(hours(1).rolling)
    live.order("2", "A2")  # the second: that there was a first is known from before
    live.track("1", Reviewed)  # entered before, once for ever
    live.run(days(20).rolling)

    lines = started(live, fresh, since)
    found = tried(fresh, live.project, lines, since)

    assert len(lines) == 2
    assert {name: part.sent for name, part in found.journeys.items()} == {"regular": 1}
    assert found.customers == 2
    assert [row["sent_at"] for row in messages(fresh) if row["journey"] == "hello"] == [NOON]


def test_what_was_sent_before_a_trial_counts_under_its_caps(database: Database, fresh: SoloDatabase) -> None:
    live = Stage(database, project_of(HELLO, REGULAR, caps=[Cap(1, per=days(3))]))
    live.identify("1", email="1@example.com")
    live.order("1", "A1")
    live.run(days(2).rolling)
    live.track("1", Reviewed)
    live.run(hours(1).rolling)
    since = live.now
    live.order("1", "A2")
    live.run(days(20).rolling)

    found = tried(fresh, live.project, started(live, fresh, since), since)

    (sent,) = [row["sent_at"] for row in messages(fresh) if row["journey"] == "regular"]
    assert sent == NOON + timedelta(days=2) + timedelta(days=3)
    assert found.part("regular").waits == [timedelta(days=2, hours=23).total_seconds()]


def test_the_databases_own_events_give_what_the_file_gave(database: Database, fresh: SoloDatabase) -> None:
    run(database, purchases(3))
    onward = BytesIO()

    begin(fresh, project(), database, EVER, [project().policy], onward, lease=LEASE)
    lines = read_lines(onward.getvalue().splitlines(), "live", datetime(2026, 1, 1, tzinfo=UTC))
    tried(fresh, project(), [replace(line) for line in lines])

    assert decisions(fresh) == decisions(database)
