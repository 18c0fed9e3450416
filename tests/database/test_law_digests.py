"""Law 5: every gathered message is in exactly one digest or ends for a reason of its own; a topic withdrawn is out.

Orders, withdrawals, busy servers, dead workers, lost and doubled hints in any order; after every move, and at the end,
the rows and what was rendered are held against what was done, by brute force.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlmodel import SQLModel

from lifecycle import Cap, Digest, Journey, Send, Wait, days, hours, on
from lifecycle.flow.claim import claim
from lifecycle.mail.render import Rendered
from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome, Refused, Unknown
from lifecycle.store.database import Database
from lifecycle.testing import PlainRenderer
from tests.stage import LEASE, Ordered, Reviewed, Stage, project_of

CAPS = [
    Cap(1, per=hours(6)),
    Cap(3, per=days(3)),
    Cap(1, per=days(1), topic="news"),
    Cap(2, per=days(2), journey="sale"),
]
CUSTOMERS = ["ann", "bob"]
TOPICS = ["news", "offers", "tips"]


def journey(name: str, topic: str, priority: int, send: Send, *more: Any, **given: Any) -> Journey:
    enter: dict[str, Any] = {"enter": on(Ordered), "key": Ordered.order_id}
    return Journey(name=name, topic=topic, priority=priority, steps=[send, *more], **enter | given)


JOURNEYS = [
    journey("news", "news", 60, Send("news", on_capped="digest"), Wait("a while", days(1)), goal=Reviewed),
    journey("sale", "offers", 70, Send("sale", on_capped="digest", send_within=days(2))),
    journey("last", "offers", 40, Send("last", on_capped="digest", expires=hours(30))),
    journey("tips", "tips", 50, Send("tips", on_capped="digest"), Send("more tips", on_capped="digest")),
    journey("wait", "tips", 55, Send("wait")),
    journey("receipt", "orders", 50, Send("receipt"), kind="transactional"),
]
BUSY, LATER = Deferred("451 later", 451), st.sampled_from([0, 1, 5, 30, 60, 360, 720, 1440])
ANSWER = st.sampled_from([Accepted("ok"), BUSY, BUSY, BUSY, Refused(554, None, "554 no"), Unknown("lost")])
FATE = st.sampled_from(["fine", "fine", "doubled", "lost", "dies"])
CUSTOMER = st.sampled_from(CUSTOMERS)
MOVE = st.one_of(
    st.tuples(st.just("order"), CUSTOMER, st.integers(0, 9)),
    st.tuples(st.just("review"), CUSTOMER),
    st.tuples(st.just("withdraw"), CUSTOMER, st.sampled_from([*TOPICS, None])),
    st.tuples(st.just("grant"), CUSTOMER, st.sampled_from([*TOPICS, None])),
    st.tuples(st.just("object"), st.integers(0, 2)),
    st.tuples(st.just("work"), LATER, st.lists(FATE, max_size=4), st.lists(ANSWER, max_size=5)),
    st.tuples(st.just("work"), LATER, st.lists(FATE, max_size=4), st.lists(ANSWER, max_size=5)),
)


class Play:
    """One stage with everything that may happen on it, and what must hold."""

    def __init__(self, database: Database) -> None:
        with database.transaction() as connection:
            for table in reversed(SQLModel.metadata.sorted_tables):
                connection.execute(table.delete())
        self.stage = Stage(database, project_of(*JOURNEYS, caps=CAPS, digest=Digest(most=3)))
        self.stage.outbox.answer = self.answer
        self.coming: list[Outcome] = []
        self.accepted: Counter[str] = Counter()
        self.withdrawn: dict[str, dict[str | None, tuple[datetime, bool]]] = {who: {} for who in CUSTOMERS}
        self.mistakes: list[str] = []
        play = self

        class Watching(PlainRenderer):
            """Notes whoever is shown what they have withdrawn from."""

            def render(self, name: str, context: Any, locale: object = None) -> Rendered:
                for section in context.get("sections", ()):
                    play.look(context["customer"]["email"].partition("@")[0], section["topic"])
                return super().render(name, context, locale)

        self.stage.mailer.renderer = Watching()
        for who in CUSTOMERS:
            self.stage.identify(who, email=f"{who}@example.com", timezone="UTC")

    def answer(self, letter: Letter) -> Outcome:
        outcome = self.coming.pop() if self.coming else Accepted("ok")
        self.accepted[letter.message_id] += isinstance(outcome, Accepted | Unknown)
        return outcome

    def look(self, who: str, topic: str) -> None:
        said = [self.withdrawn[who][key] for key in (topic, None) if key in self.withdrawn[who]]
        if said and not max(said, key=lambda each: (each[0], not each[1]))[1]:
            self.mistakes.append(f"{who} was shown {topic}")

    def move(self, kind: str, *what: Any) -> None:
        self.stage.now += timedelta(seconds=1)
        match kind, *what:
            case "order", who, number:
                self.stage.order(who, f"{who}-{number}")
            case "review", who:
                self.stage.track(who, Reviewed, order_id="any")
            case (("withdraw" | "grant"), who, topic):
                event = "subscription.withdrawn" if kind == "withdraw" else "subscription.granted"
                self.stage.track(who, event, topic=topic)
                self.withdrawn[who][topic] = (self.stage.now, kind == "grant")
            case "object", number:
                self.object(number)
            case "work", minutes, fates, answers:
                self.stage.now += timedelta(minutes=minutes)
                self.coming = [*answers]
                self.stage.tick()
                self.work([*fates])

    def object(self, number: int) -> None:
        """Somebody withdraws from what waits in a digest to be tried again."""
        for row in self.stage.messages():
            sections = document(row["sections"])
            if sections and row["state"] == "pending":
                self.move("withdraw", row["customer_id"], sections[number % len(sections)]["topic"])
                return

    def work(self, fates: list[str]) -> None:
        fresh = self.stage.hints.fresh
        while fresh:
            what, ids = fresh.pop(0)
            match fates.pop() if fates else "fine":
                case "lost":
                    continue
                case "dies" if what == "deliver":
                    claim(self.stage.db, self.stage.project, self.stage.mailer, ids, self.stage.now, LEASE)
                    continue
                case "doubled":
                    fresh.append((what, ids))
            (self.stage.advance if what == "advance" else self.stage.deliver)(ids)

    def check(self) -> None:
        rows = [row | {"sections": document(row["sections"])} for row in self.stage.messages()]
        digests = {row["id"]: row for row in rows if row["sections"] is not None}
        within = Counter(section["id"] for digest in digests.values() for section in digest["sections"])
        for row in rows:
            digested = (row["state"], row["reason"]) == ("skipped", "digested")
            assert digested == (row["digest_id"] is not None) == (within[row["id"]] == 1), row
            if digested:
                assert row["id"] in {section["id"] for section in digests[row["digest_id"]]["sections"]}
                assert row["customer_id"] == digests[row["digest_id"]]["customer_id"]
                assert row["capped_at"] is not None
        for digest in digests.values():
            assert len(digest["sections"]) <= 3
            assert digest["sections"] or digest["state"] == "skipped"
        assert not self.mistakes
        assert max(self.accepted.values(), default=0) <= 2
        check_caps(rows)

    def end(self) -> None:
        """Everything gets its time; then nothing is left over."""
        self.coming = []
        self.stage.run(timedelta(days=12))
        self.check()
        rows = self.stage.messages()
        assert {row["state"] for row in rows} <= {"sent", "skipped", "failed", "uncertain"}
        assert all(row["wake_at"] is None for row in rows)
        assert {row["state"] for row in self.stage.enrollments()} <= {"completed", "goal_reached"}


def document(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


def check_caps(rows: list[dict[str, Any]]) -> None:
    """No window of any cap holds more than its limit, a digest being one of each topic and journey that it shows."""
    counted = [row for row in rows if row["counted_at"] is not None and row["kind"] == "marketing"]
    for _, theirs in groupby(sorted(counted, key=lambda row: row["customer_id"]), key=lambda row: row["customer_id"]):
        sent = [(row["sent_at"] or row["counted_at"], parts(row)) for row in theirs]
        for cap in CAPS:
            moments = [at for at, of in sent if any(falls_under(cap, *part) for part in of)]
            for start in moments:
                assert sum(start <= at < start + cap.span for at in moments) <= cap.limit, cap


def parts(row: dict[str, Any]) -> list[tuple[str, str]]:
    if row["sections"]:
        return [(section["topic"], section["journey"]) for section in row["sections"]]
    return [(row["topic"], row["journey"])]


def falls_under(cap: Cap, topic: str, journey: str) -> bool:
    return cap.topic in (None, topic) and cap.journey in (None, journey)


def play(database: Database, moves: list[Any]) -> None:
    stage = Play(database)
    for who in CUSTOMERS:
        stage.move("order", who, 0)
    for move in [("work", 0, [], []), *moves]:
        stage.move(*move)
        if move[0] == "work":
            stage.check()
    stage.end()


_ALWAYS: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


_OBJECTED = [("work", 720, [], [BUSY] * 2), ("object", 1), ("work", 480, [], [BUSY] * 2), ("object", 0)]


@settings(max_examples=15, **_ALWAYS)
@example(moves=[*_OBJECTED, ("work", 60, [], [])])
@given(moves=st.lists(MOVE, min_size=5, max_size=25))
def test_every_gathered_message_is_in_exactly_one_digest_or_ends_for_a_reason_of_its_own(
    database: Database, moves: list[Any]
) -> None:
    play(database, moves)


@pytest.mark.long
@settings(max_examples=2000, **_ALWAYS)
@given(moves=st.lists(MOVE, min_size=10, max_size=60))
def test_it_is_so_for_long(database: Database, moves: list[Any]) -> None:
    play(database, moves)
