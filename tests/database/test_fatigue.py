"""Fatigue and sunset as they are computed set by set: against a count by hand, and in what becomes of the mail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlmodel import SQLModel

from lifecycle import Cap, Event, Fatigue, Journey, Send, Sunset, Wait, days, on
from lifecycle.core.fatigue import Counts, score, state
from lifecycle.flow.consume import Entry, take
from lifecycle.flow.fatigue import compute_due
from lifecycle.flow.replay import read_lines, replay
from lifecycle.journey.project import Project
from lifecycle.store.database import Database
from lifecycle.store.sql import Statement
from lifecycle.store.types import Instant, stamp
from lifecycle.testing import Outbox, mailer_for
from tests.stage import LEASE, NOON, Ordered, Reviewed, Stage, project_of

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
NEWS = Journey(name="news", topic="offers", enter=on(Reviewed), key=Reviewed.order_id, steps=[Send("news")])
THANKS = Journey(
    name="thanks",
    topic="orders",
    kind="transactional",
    enter=on(Ordered),
    key=Ordered.order_id,
    steps=[Send("thanks")],
)
HALF = Fatigue(saturated=0.5, bought=Ordered)
SHOP = project_of(NEWS, THANKS, fatigue=HALF, sunset=Sunset(after=3, silent_for=days(30)))

_FATIGUE = Statement(
    """
    SELECT customer_id, sent, opened, clicked, bought, complained, score, state, sunset_at, wake_at FROM fatigue
    ORDER BY customer_id
    """,
    returns={"sunset_at": Instant(), "wake_at": Instant()},
)
_OUTCOMES = Statement(
    "SELECT customer_id, step, state, sent_at, reason, capped_by FROM message ORDER BY customer_id, step",
    returns={"sent_at": Instant()},
)


def standing(db: Database) -> dict[str, dict[str, Any]]:
    """What was computed, by customer."""
    with db.reading() as connection:
        return {row["customer_id"]: dict(row) for row in _FATIGUE.run(connection).mappings()}


# Against a count by hand


@dataclass(frozen=True)
class Mailed:
    """A message that was claimed at `at`; `number` makes its Message-ID."""

    number: int
    customer: str
    at: datetime
    kind: str = "marketing"
    state: str = "sent"


@dataclass(frozen=True)
class Did:
    """An event of a customer, perhaps about the message of that number."""

    customer: str
    event: str
    at: datetime
    number: int | None = None
    machine: Any = None

    @property
    def by_machine(self) -> bool:
        return self.machine in (True, 1, "true")


edges = st.sampled_from([0, 5, 25, 30, 35, 85, 90, 95]).map(lambda n: n * DAY)
ages = st.builds(lambda edge, seconds: edge + seconds * SECOND, edges, st.integers(-1, 1)) | st.integers(
    -86_000, 100 * 86_400
).map(lambda n: n * SECOND)
moments = ages.map(lambda age: NOON - age)
people = st.sampled_from(["ann", "ben"])
events = st.sampled_from(
    ["email.opened"] * 4
    + ["email.clicked"] * 2
    + ["order.completed"] * 2
    + ["email.complained", "email.bounced", "page"]
)
flags = st.sampled_from([None, None, None, True, False, 1, "true", "no"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Mailed], list[Did]]:
    """Up to a dozen messages, some of them transactional, and what customers did with them or without."""
    mailed: list[Mailed] = []
    for number in range(draw(st.integers(0, 12))):
        at = min(draw(moments), NOON)
        kind = draw(st.sampled_from(["marketing"] * 5 + ["transactional"]))
        mailed.append(Mailed(number, draw(people), at, kind, draw(st.sampled_from(["sent", "sent", "uncertain"]))))
    did: list[Did] = []
    for _ in range(draw(st.integers(0, 16))):
        customer, at, about = draw(people), draw(moments), draw(st.none() | st.integers(0, 13))
        if draw(st.booleans()) and mailed:  # somebody does something about an email of theirs, at a telling moment
            of = draw(st.sampled_from(mailed))
            customer, about = of.customer, of.number
            at = min(of.at + draw(st.sampled_from([0, 1, 5 * 86_400, 5 * 86_400 + 1])) * SECOND, NOON + DAY)
        did += [Did(customer, draw(events), at, about, draw(flags))] * draw(st.integers(1, 2))
    return mailed, did


def by_hand(mailed: Sequence[Mailed], did: Sequence[Did], customer: str, now: datetime = NOON) -> Counts:
    """The words of docs/caps.md, one after the other."""
    since = now - 90 * DAY
    mine = [m for m in mailed if m.customer == customer and m.kind == "marketing" and since < m.at <= now]
    lately = [d for d in did if d.customer == customer and since < d.at <= now]

    def reacted(event: str) -> int:
        return sum(any(d.event == event and d.number == m.number and not d.by_machine for d in lately) for m in mine)

    bought = [d for d in lately if d.event == "order.completed"]
    return Counts(
        len(mine),
        reacted("email.opened"),
        reacted("email.clicked"),
        sum(any(timedelta(0) < d.at - m.at <= 5 * DAY for m in mine) for d in bought),
        sum(d.event == "email.complained" for d in lately),
    )


def sun_set_by_hand(mailed: Sequence[Mailed], did: Sequence[Did], customer: str, now: datetime = NOON) -> bool:
    """Three marketing emails since the last sign of life, and that thirty days ago."""
    mine = sorted(m.at for m in mailed if m.customer == customer and m.kind == "marketing" and m.at <= now)
    signs = [
        d.at
        for d in did
        if d.customer == customer
        and (not d.event.startswith("email.") or (d.event in ("email.opened", "email.clicked") and not d.by_machine))
    ]
    silent = [at for at in mine if not signs or at > max(signs)]
    return len(silent) >= 3 and (max(signs) if signs else mine[0]) <= now - 30 * DAY


def put(db: Database, project: Project, mailed: Sequence[Mailed], did: Sequence[Did]) -> None:
    """The history as rows."""
    raws = [
        orjson.dumps({
            "type": "track", "messageId": f"e{n}", "userId": d.customer, "event": d.event, "timestamp": d.at,
            "properties": ({} if d.number is None else {"message_id": f"<{d.number}@x>" if n % 2 else f"{d.number}@x"})
            | ({} if d.machine is None else {"machine": d.machine}),
        })
        for n, d in enumerate(did)
    ]  # fmt: skip
    taken = take(
        db,
        project,
        [Entry(f"{n}-0", raw) for n, raw in enumerate(raws)],
        NOON,
        lease=LEASE,
        max_lateness=timedelta(0),
    )
    assert taken.refused == 0
    rows = [
        {
            "customer_id": m.customer, "enrollment_id": m.number, "journey": "j", "step": "s", "key": "",
            "template": "t", "kind": m.kind, "topic": "offers", "state": m.state, "created_at": m.at,
            "expires_at": m.at, "capped_until": m.at, "message_id": f"{m.number}@x", "attempts": 1, "counted_at": m.at,
        }
        for m in mailed
    ]  # fmt: skip
    with db.transaction() as connection:
        if rows:
            connection.execute(insert(SQLModel.metadata.tables["message"]), rows)
        for person in ("ann", "ben"):
            connection.execute(
                text(
                    "INSERT INTO fatigue (customer_id, sent, opened, clicked, bought, complained, state, computed_at, "
                    "wake_at) VALUES (:id, 0, 0, 0, 0, 0, 'unknown', :now, :now)"
                ),
                {"id": person, "now": _bound(db, NOON)},
            )


def _bound(db: Database, moment: datetime) -> Any:
    return stamp(moment) if db.engine.dialect.name == "sqlite" else moment


def empty(db: Database) -> None:
    with db.transaction() as connection:
        for table in (
            "customer",
            "activity",
            "event",
            "message",
            "enrollment",
            "fatigue",
            "suppression",
            "dead_letter",
        ):
            connection.execute(text(f"DELETE FROM {table}"))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=histories())
@example(
    history=(
        [Mailed(n, "ann", NOON - 31 * DAY) for n in range(3)] + [Mailed(4, "ben", NOON - 89 * DAY)],
        [
            Did("ann", "page", NOON - 31 * DAY),  # the emails at that moment are not silent ones
            Did("ann", "email.complained", NOON - 90 * DAY),
            Did("ben", "order.completed", NOON - 84 * DAY),
            Did("ben", "order.completed", NOON - 84 * DAY + SECOND),
            Did("ben", "order.completed", NOON - 89 * DAY),
        ],
    )
)
def test_what_is_computed_in_sql_is_what_a_person_would_count(
    database: Database, history: tuple[list[Mailed], list[Did]]
) -> None:
    mailed, did = history
    empty(database)
    put(database, SHOP, mailed, did)

    assert compute_due(database, SHOP, NOON) == 2

    heard = any(d.event in ("email.opened", "email.clicked") and d.at > NOON - 90 * DAY for d in did)
    for person, row in standing(database).items():
        counts = by_hand(mailed, did, person)
        assert Counts(*(row[name] for name in ("sent", "opened", "clicked", "bought", "complained"))) == counts
        assert (row["score"], row["state"]) == (score(counts), state(counts, heard=heard))
        assert (row["sunset_at"] == NOON) == sun_set_by_hand(mailed, did, person), person
        sent_at: dict[int | None, datetime] = {m.number: m.at for m in mailed}
        if all(sent_at.get(d.number, d.at) <= d.at <= NOON for d in did):  # nobody answers before they are asked
            # Nothing more of it changes before the moment at which it is computed again, which is the next morning.
            morning = NOON.replace(hour=0)
            while (morning := morning + DAY) < (row["wake_at"] or NOON + 130 * DAY):
                assert by_hand(mailed, did, person, morning) == counts
                assert sun_set_by_hand(mailed, did, person, morning) == (row["sunset_at"] is not None)


# What becomes of the mail


class SignedUp(Event, name="signed.up"):
    pass


def series(every: int = 10, emails: int = 12, patience: int = 3) -> Journey:
    """An email every so many days, to whoever once signed up, each waiting so many days for a slot."""
    sends = [Send(f"n{n}", send_within=days(patience), expires=days(90)) for n in range(emails)]
    steps = [step for n, send in enumerate(sends) for step in (send, Wait(f"w{n}", days(every)))]
    return Journey(name="series", topic="offers", enter=on(SignedUp), steps=steps)


def began(database: Database, project: Project, *people: str) -> Stage:
    """They (or Ann and Ben) have signed up; somebody else opened something: opens are heard of here."""
    stage = Stage(database, project)
    stage.track("somebody else", "email.opened", message_id="1@example.com")
    for person in people or ("ann", "ben"):
        stage.identify(person, email=f"{person}@example.com")
        stage.track(person, SignedUp)
    return stage


def reacts(stage: Stage, person: str, event: str, **properties: Any) -> None:
    """To the newest email."""
    newest = max((m for m in stage.messages() if m["customer_id"] == person and m["sent_at"]), key=_sent_at)
    stage.track(person, event, message_id=f"<{newest['message_id']}>", **properties)


def _sent_at(message: dict[str, Any]) -> Any:
    return message["sent_at"]


def got(stage: Stage, person: str) -> list[int]:
    """On which days since the beginning emails went out."""
    return [(m["sent_at"] - NOON).days for m in stage.messages() if m["customer_id"] == person and m["sent_at"]]


def reasons(stage: Stage, person: str) -> set[str | None]:
    return {m["reason"] for m in stage.messages() if m["customer_id"] == person}


def test_the_saturated_get_half_of_what_the_policy_allows_and_nobody_gets_more(database: Database) -> None:
    daily = series(every=1, emails=30, patience=20)
    stage = began(database, project_of(daily, caps=[Cap(2, per=days(4))], fatigue=HALF))
    for _ in range(25):
        stage.run(DAY)
        if len(got(stage, "ben")) < 8:
            reacts(stage, "ben", "email.opened")
            reacts(stage, "ben", "email.clicked")
    assert standing(stage.db)["ann"]["state"] == "saturated"
    assert standing(stage.db)["ben"]["state"] == "undersaturated"
    ann, ben = got(stage, "ann"), got(stage, "ben")
    # Two in four days until there is enough to tell, then one.
    assert ann == [0, 1, 4, 5, 8, 12, 16, 20, 24]
    assert ben == [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25]  # nobody gets more than before
    assert "capped:1 per 4 days, saturated" in reasons(stage, "ann")


def test_who_is_saturated_no_longer_gets_at_once_what_waited_for_the_longer_window(database: Database) -> None:
    weekly = series(every=7, patience=60)
    stage = began(database, project_of(weekly, caps=[Cap(1, per=days(6))], fatigue=Fatigue(saturated=0.1)))
    stage.run(days_of(30))
    assert got(stage, "ann") == [0, 7, 14, 21, 28]
    stage.run(days_of(20))
    assert got(stage, "ann") == [0, 7, 14, 21, 28], "the next is allowed after sixty days"
    reacts(stage, "ann", "email.opened", machine=True)
    stage.run(DAY)
    assert got(stage, "ann") == [0, 7, 14, 21, 28]
    reacts(stage, "ann", "email.clicked")
    stage.run(SECOND)
    assert got(stage, "ann") == [0, 7, 14, 21, 28, 51]


BEFORE_SUNSET = [0, 10, 20, 30, 40]


def days_of(n: int) -> timedelta:
    return n * DAY


def test_the_sun_sets_on_who_shows_no_sign_of_life_until_they_act(database: Database) -> None:
    stage = began(database, project_of(series(), THANKS, sunset=Sunset(after=4, silent_for=days(35))))
    stage.run(days_of(20))
    reacts(stage, "ben", "email.opened")
    stage.run(days_of(31))
    # Signing up was Ann's last sign of life; four more emails went out, and 35 days. Ben opened one meanwhile.
    assert got(stage, "ann") == BEFORE_SUNSET == [0, 10, 20, 30, 40]
    assert got(stage, "ben") == [0, 10, 20, 30, 40, 50]
    assert "sunset" in reasons(stage, "ann")
    assert standing(database)["ann"]["sunset_at"] is not None

    reacts(stage, "ann", "email.opened", machine="true")  # a mail program fetched the pictures
    stage.track("ann", "email.bounced", hard=False)
    stage.order("ann")
    stage.lose_hints()
    assert standing(database)["ann"]["sunset_at"] is None, "in the very transaction that takes the order"


ACTS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "a": ("email.opened", {}, True),
    "b": ("email.opened", {"machine": True}, False),
    "c": ("email.clicked", {}, True),
    "d": ("email.clicked", {"machine": True}, False),
    "e": ("email.complained", {"address": "someone@example.com"}, False),
    "f": ("page.viewed", {}, True),
    "g": ("order.completed", {"order_id": "1"}, True),
    "h": ("subscription.granted", {"topic": "other"}, True),
}


def test_whatever_they_do_ends_the_sunset_but_what_machines_do(database: Database) -> None:
    stage = began(database, project_of(series(), sunset=Sunset(after=4, silent_for=days(35))), *ACTS)
    stage.run(days_of(55))
    for person, (event, properties, _) in ACTS.items():
        assert got(stage, person) == BEFORE_SUNSET
        stage.track(person, event, **properties)
    stage.run(days_of(5))
    assert {person for person in ACTS if got(stage, person) == [*BEFORE_SUNSET, 60]} == {
        person for person, (_, _, lifts) in ACTS.items() if lifts
    }


def test_what_came_late_and_was_before_the_sunset_ends_it_too_if_it_is_recent_enough(database: Database) -> None:
    stage = began(database, project_of(series(), sunset=Sunset(after=4, silent_for=days(35))))
    stage.run(days_of(55))
    sunset_at = standing(database)["ann"]["sunset_at"]
    assert sunset_at is not None
    stage.take(stage.message("track", "ann", event="page.viewed", timestamp=sunset_at - DAY))
    stage.run(days_of(5))
    assert got(stage, "ann") == [*BEFORE_SUNSET, 60]


def test_transactional_mail_goes_out_whatever_the_fatigue(database: Database) -> None:
    policy = {"caps": [Cap(1, per=days(1))], "fatigue": HALF, "sunset": Sunset(after=3, silent_for=days(20))}
    stage = began(database, project_of(series(), THANKS, **policy))
    stage.run(days_of(35))
    assert standing(database)["ann"]["sunset_at"] is not None
    stage.order("ann")
    stage.run()
    assert "thanks" in {m["step"] for m in stage.messages() if m["state"] == "sent"}


def test_nothing_is_counted_where_the_policy_asks_for_none_of_it(database: Database) -> None:
    stage = began(database, project_of(series()))
    stage.run(days_of(30))
    assert standing(database) == {}
    assert compute_due(database, stage.project, stage.now) == 0


def test_a_policy_that_begins_to_ask_knows_what_was_before(database: Database) -> None:
    stage = began(database, project_of(series()))
    stage.run(days_of(45))
    stage.project = project_of(series(), fatigue=HALF, sunset=Sunset(after=4, silent_for=days(35)))
    stage.run(days_of(30))
    assert got(stage, "ann") == [0, 10, 20, 30, 40, 50], "the first email after that begins it, and is the last"
    assert "sunset" in reasons(stage, "ann")
    assert standing(database)["ann"]["sent"] == 6


def test_one_look_computes_only_so_many_and_the_next_goes_on(database: Database) -> None:
    stage = began(database, project_of(series(), fatigue=HALF))
    stage.run()
    stage.now += DAY
    assert [compute_due(database, stage.project, stage.now, most=1) for _ in range(3)] == [1, 1, 0]


def test_who_is_written_to_no_more_costs_nothing_after_the_window(database: Database) -> None:
    stage = began(database, project_of(series(emails=2), fatigue=HALF))
    stage.run(days_of(120))
    assert {row["wake_at"] for row in standing(database).values()} == {None}
    assert {row["sent"] for row in standing(database).values()} == {0}


def test_a_replay_computes_fatigue_on_its_own_clock_the_same_on_each_database_and_in_any_portions(
    sqlite_database: Database, postgres_database: Database, tmp_path: Path
) -> None:
    project = project_of(
        series(every=3, emails=30, patience=9),
        caps=[Cap(2, per=days(7))],
        fatigue=HALF,
        sunset=Sunset(after=7, silent_for=days(30)),
    )
    lines = list(history(30))
    whole = replayed(sqlite_database, project, [lines])
    assert {row["reason"] for row in whole} >= {"sunset", None}
    assert {row["capped_by"] for row in whole} == {"2 per 7 days", "1 per 7 days, saturated", None}
    assert replayed(postgres_database, project, [lines]) == whole
    portions = Database(f"sqlite:///{tmp_path / 'portions.db'}")
    SQLModel.metadata.create_all(portions.engine)
    middle = len(lines) // 2
    assert replayed(portions, project, [lines[:middle], lines[middle:]]) == whole
    assert standing(portions) == standing(sqlite_database) == standing(postgres_database)
    portions.close()


def history(span: int) -> Iterator[bytes]:
    """Six people sign up one after the other; some of them order or look at a page now and then."""
    for n in range(6):
        yield _event(f"s{n}", n, "signed.up", n * 7 * HOUR, {"email": f"p{n}@example.com"})
    for day in range(span):
        for n in range(6):
            if n % 4 and (day + n) % (n + 3) == 0:
                yield _event(f"o{day}-{n}", n, "order.completed" if n % 2 else "page.viewed", day * DAY + n * HOUR)
            if n == 1:
                yield _event(f"m{day}", n, "email.opened", day * DAY + n * HOUR)


def _event(id: str, n: int, event: str, after: timedelta, traits: dict[str, str] | None = None) -> bytes:
    message = {"type": "track", "messageId": id, "userId": f"p{n}", "event": event, "timestamp": NOON + after}
    return orjson.dumps(message | ({"context": {"traits": traits}} if traits else {}))


def replayed(db: Database, project: Project, portions: Sequence[Sequence[bytes]]) -> list[dict[str, Any]]:
    """What a replay of the portions, one after the other, did with every message."""
    for lines in portions:
        read = read_lines(lines, "history", NOON + 365 * DAY)
        until = read[-1].at + (SECOND if lines is not portions[-1] else 25 * DAY)
        replay(db, project, mailer_for(project, Outbox()), read, lease=LEASE, max_lateness=3 * DAY, until=until)
    with db.reading() as connection:
        return [dict(row) for row in _OUTCOMES.run(connection).mappings()]
