"""Digests: what caps held back goes out as one email, each of it in one digest, under the same promises as all mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from lifecycle import Branch, Cap, Digest, Event, Exit, Journey, Mute, Send, Wait, days, last_send, on
from lifecycle.errors import RenderError
from lifecycle.flow.claim import claim
from lifecycle.flow.settle import settle
from lifecycle.mail.render import Rendered, Summary
from lifecycle.mail.transport import Accepted, Deferred, Refused
from lifecycle.store.database import Database
from lifecycle.testing import PlainRenderer
from tests.stage import LEASE, NOON, Ordered, Reviewed, Stage, project_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAILY = [Cap(1, per=days(1))]


def journey(name: str, topic: str = "offers", priority: int = 50, **more: Any) -> Journey:
    """One that sends one email of its own name to whoever orders, which waits for a digest if it must."""
    steps = [Send(name, on_capped="digest", **more.pop("send", {}))]
    given: dict[str, Any] = {"enter": on(Ordered), "key": Ordered.order_id, "steps": steps} | more
    return Journey(name=name.replace(" ", "_"), topic=topic, priority=priority, **given)


def stage_of(database: Database, *journeys: Journey, **policy: Any) -> Stage:
    """Somebody who has had today's email already, so that all else is gathered."""
    first = Journey(name="first", topic="orders", enter=on(Reviewed), key=Reviewed.order_id, steps=[Send("first")])
    stage = Stage(database, project_of(first, *journeys, **{"caps": DAILY} | policy))
    stage.identify("ann", email="ann@example.com", timezone="UTC")
    stage.track("ann", Reviewed, order_id="R1")
    stage.run()
    assert stage.sent() == ["ann@example.com"]
    stage.outbox.letters.clear()
    return stage


def document(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


def digests(stage: Stage) -> list[dict[str, Any]]:
    rows = [row | {"sections": document(row["sections"])} for row in stage.messages()]
    return [row for row in rows if row["sections"] is not None]


def only_digest(stage: Stage) -> dict[str, Any]:
    (digest,) = digests(stage)
    return digest


def state(row: dict[str, Any]) -> str:
    return f"{row['state']}: {row['reason']}" if row["reason"] else str(row["state"])


def fates(stage: Stage) -> dict[str, str]:
    """By journey; a digest's own under "digest"."""
    return {row["journey"]: state(row) for row in stage.messages() if row["journey"] != "first"}


def test_what_a_cap_held_back_goes_out_as_one_email_at_the_next_free_moment(database: Database) -> None:
    stage = stage_of(database, journey("news", "news", 40), journey("sale", priority=60))
    stage.order("ann")
    stage.run(HOUR)
    assert fates(stage) == {"news": "pending: capped:1 per 1 day", "sale": "pending: capped:1 per 1 day"}
    stage.run(DAY)
    assert fates(stage) == {"news": "skipped: digested", "sale": "skipped: digested", "digest": "sent"}
    assert len(stage.outbox.letters) == 1
    digest = only_digest(stage)
    rows = {row["journey"]: row for row in stage.messages()}
    assert digest["sent_at"] == NOON + DAY
    assert [section["journey"] for section in digest["sections"]] == ["sale", "news"]
    assert {rows[name]["digest_id"] for name in ("news", "sale")} == {digest["id"]}
    assert (digest["template"], digest["topic"], digest["priority"], digest["key"]) == (
        "digest/gathered", "offers", 60, "A1",
    )  # fmt: skip
    assert {row["state"] for row in stage.enrollments()} == {"completed"}
    assert all(row["wake_at"] is None and row["due_at"] is None for row in stage.messages())


def test_one_alone_goes_as_itself(database: Database) -> None:
    stage = stage_of(database, journey("news"))
    stage.order("ann")
    stage.run(2 * DAY)
    assert fates(stage) == {"news": "sent"}
    assert stage.messages()[1]["sent_at"] == NOON + DAY


def gathered(stage: Stage, order: str = "A1") -> None:
    """All journeys' emails planned and held back by the cap, their journeys waiting."""
    stage.order("ann", order)
    stage.run(HOUR)
    assert {state(row) for row in stage.messages() if row["journey"] != "first"} == {"pending: capped:1 per 1 day"}


def gathered_and_due_with(stage: Stage, other: str) -> None:
    """A digest gathered, and due together with the email of somebody else's order."""
    stage.identify(other, email=f"{other}@example.com")
    gathered(stage)
    stage.now = NOON + DAY
    stage.order(other)
    stage.tick()


def test_a_digest_shows_each_section_by_its_own_email_and_event(
    database: Database,
) -> None:
    stage = stage_of(database, journey("news", "news"), journey("sale"))
    seen: dict[str, Any] = {}

    class Looking(PlainRenderer):
        def render(self, name: str, context: Any, locale: object = None) -> Rendered:
            seen[name] = context
            return super().render(name, context, locale)

        def summary(self, name: str, context: Any, locale: object = None) -> Summary:
            order = context["event"]["order_id"]
            return Summary(f"{name} {order}", f"more on {order}", f"https://shop.example/{order}")

    stage.mailer.renderer = Looking()
    gathered(stage)
    gathered(stage, "B2")
    stage.run(DAY)
    context = seen["digest/gathered"]
    sections = context["sections"]
    assert "event" not in context
    assert sorted(section["subject"] for section in sections) == ["news A1", "news B2", "sale A1", "sale B2"]
    assert sections[0] == {
        "template": "news", "topic": "news", "journey": "news", "subject": "news A1", "preheader": "more on A1",
        "url": "https://shop.example/A1", "event": {"order_id": "A1", "total": 5},
    }  # fmt: skip
    (letter,) = stage.outbox.letters
    assert f"List-Unsubscribe: <{stage.mailer.links.url('ann', 'news')}>".encode() in letter.data.replace(b"\r\n ", b"")
    assert only_digest(stage)["subject"] == "digest/gathered"


def test_a_digest_holds_no_more_than_the_policy_says_and_the_rest_has_another_chance(database: Database) -> None:
    names = [f"j{n}" for n in range(5)]
    stage = stage_of(database, *(journey(name, priority=90 - n) for n, name in enumerate(names)), digest=Digest(most=3))
    gathered(stage)
    stage.run(DAY)
    assert [section["journey"] for section in only_digest(stage)["sections"]] == names[:3]
    assert [fates(stage)[name] for name in names[3:]] == ["pending: capped:1 per 1 day"] * 2
    stage.run(DAY)
    assert [len(digest["sections"]) for digest in digests(stage)] == [3, 2]


def test_it_is_one_digest_also_where_the_hints_name_one_message_each(database: Database) -> None:
    stage = stage_of(database, *(journey(f"j{n}") for n in range(3)))
    gathered(stage)
    stage.now = NOON + DAY
    last = stage.messages()[-1]["id"]
    stage.deliver([last])
    assert len(only_digest(stage)["sections"]) == 3
    assert {row["state"] for row in stage.enrollments()} == {"completed"}  # all of them are told


def test_the_journeys_of_what_went_into_a_digest_go_on_at_once(database: Database) -> None:
    steps = [
        Send("one", on_capped="digest"),
        Branch("how?", when=last_send.was_digested, then=[Wait("a day", days(1))], otherwise=[Exit("sent")]),
        Send("two"),
    ]
    stage = stage_of(database, journey("long", steps=steps), journey("sale"))
    stage.outbox.answer = lambda letter: Deferred("451 later", 451)
    gathered(stage)
    stage.run(DAY)
    assert only_digest(stage)["state"] == "pending"
    (long,) = [row for row in stage.enrollments() if row["journey"] == "long"]
    assert (long["state"], long["step"]) == ("active", "a day")


# What counts


def test_a_digest_counts_once_under_all_and_once_under_each_topic_and_journey_of_it(database: Database) -> None:
    month = days(30)
    caps = [
        Cap(1, per=month, topic="news"),
        Cap(1, per=month, topic="offers"),
        Cap(1, per=month, journey="tips"),
        Cap(3, per=month),
        Cap(1, per=days(1)),
    ]
    stage = stage_of(database, journey("news", "news"), journey("sale"), journey("tips", "tips"), caps=caps)
    gathered(stage)
    stage.run(DAY)
    assert len(only_digest(stage)["sections"]) == 3
    stage.run(DAY)
    stage.order("ann", "B2")
    stage.track("ann", Reviewed, order_id="R2")
    stage.run(DAY)
    stage.track("ann", Reviewed, order_id="R3")
    stage.run(HOUR)
    later = {(row["journey"], row["key"]): state(row) for row in stage.messages() if row["key"] not in ("A1", "R1")}
    assert later == {
        ("news", "B2"): "pending: capped:1 per 30 days of news",
        ("sale", "B2"): "pending: capped:1 per 30 days of offers",
        ("tips", "B2"): "pending: capped:1 per 30 days in tips",
        ("first", "R2"): "sent",  # the third: what came first, the digest, and this
        ("first", "R3"): "pending: capped:3 per 30 days",
    }


def test_what_has_no_slot_under_its_own_topic_does_not_ride_along(database: Database) -> None:
    caps = [Cap(1, per=days(7), topic="sale"), Cap(1, per=days(1))]
    stage = stage_of(database, journey("news", "news"), journey("tips", "tips"), journey("sale", "sale"), caps=caps)
    gathered(stage)
    stage.run(DAY)
    assert len(only_digest(stage)["sections"]) == 3
    stage.order("ann", "B2")
    stage.run(DAY)
    assert [section["topic"] for section in digests(stage)[1]["sections"]] == ["news", "tips"]
    assert [state(row) for row in stage.messages() if row["journey"] == "sale"] == [
        "skipped: digested",
        "pending: capped:1 per 7 days of sale",
    ]


# What happens meanwhile


def test_consent_withdrawn_before_a_digest_is_formed_keeps_that_message_out(database: Database) -> None:
    stage = stage_of(database, journey("news", "news"), journey("sale"), journey("tips", "tips"))
    gathered(stage)
    stage.track("ann", "subscription.withdrawn", topic="news")
    stage.run(DAY)
    assert fates(stage)["news"] == "skipped: unsubscribed"
    assert [section["topic"] for section in only_digest(stage)["sections"]] == ["offers", "tips"]


def test_consent_withdrawn_between_the_tries_of_a_digest_removes_its_section(database: Database) -> None:
    stage = stage_of(database, journey("news", "news", 90), journey("sale"), journey("tips", "tips"))
    shown = looking(stage)
    stage.outbox.answer = lambda letter: Deferred("451 later", 451)
    gathered(stage)
    stage.run(DAY - HOUR)
    assert state(only_digest(stage)) == "pending: 451 later"
    assert only_digest(stage)["counted_at"] is None
    stage.now += timedelta(seconds=1)
    stage.track("ann", "subscription.withdrawn", topic="news")
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.run(HOUR)
    digest = only_digest(stage)
    assert (digest["state"], digest["topic"], digest["attempts"]) == ("sent", "offers", 2)
    assert [section["topic"] for section in digest["sections"]] == ["offers", "tips"]
    assert shown == [["news", "sale", "tips"], ["sale", "tips"]]
    (news,) = [row for row in stage.messages() if row["journey"] == "news"]
    assert (news["state"], news["reason"], news["digest_id"]) == ("skipped", "unsubscribed", None)
    assert len({letter.message_id for letter in stage.outbox.letters}) == 1
    url = stage.mailer.links.url("ann", "offers")
    assert url.encode() in stage.outbox.letters[-1].data.replace(b"\r\n ", b"")


def test_a_digest_of_which_nothing_is_left_is_not_sent(database: Database) -> None:
    stage = stage_of(database, journey("news", "news"), journey("sale"))
    stage.outbox.answer = lambda letter: Deferred("451 later", 451)
    gathered(stage)
    stage.run(DAY - HOUR)
    stage.now += timedelta(seconds=1)
    stage.track("ann", "subscription.withdrawn")
    stage.outbox.letters.clear()
    stage.run(HOUR)
    assert set(fates(stage).values()) == {"skipped: unsubscribed"}
    assert stage.outbox.letters == []
    assert {row["digest_id"] for row in stage.messages()} == {None}


def test_between_the_tries_a_goal_reached_or_an_expiry_removes_its_section(database: Database) -> None:
    steps = [Send("goal", on_capped="digest"), Wait("a while", days(9))]
    goal = journey("goal", goal=on(Ordered, where=Ordered.order_id == "WON"), steps=steps)
    brief = journey("brief", send={"expires": days(2)})
    stage = stage_of(database, goal, brief, journey("sale", "sale"), journey("tips", "tips"))
    stage.outbox.answer = lambda letter: Deferred("451 later", 451)
    gathered(stage)
    stage.run(DAY - HOUR)
    assert len(only_digest(stage)["sections"]) == 4
    stage.run(DAY)
    stage.now += timedelta(seconds=1)
    stage.track("ann", Ordered, order_id="WON")
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.run(DAY)
    first = digests(stage)[0]
    assert [section["journey"] for section in first["sections"]] == ["sale", "tips"]
    was = {row["journey"]: row["reason"] for row in stage.messages() if row["key"] == "A1"}
    assert (was["brief"], was["sale"]) == ("expired", "digested")
    assert was["goal"] == "goal_reached"


def test_a_digest_that_the_server_refuses_has_failed_and_what_went_into_it_says_where_it_went(
    database: Database,
) -> None:
    stage = stage_of(database, journey("news", "news"), journey("sale"))
    stage.outbox.answer = lambda letter: Refused(554, "5.7.1", "554 no")
    gathered(stage)
    stage.run(DAY)
    assert fates(stage) == {"news": "skipped: digested", "sale": "skipped: digested", "digest": "failed: 554 no"}
    assert only_digest(stage)["counted_at"] is None


class Unrenderable(PlainRenderer):
    """Emails whose names begin with "broken" cannot be rendered."""

    def summary(self, name: str, context: Any, locale: object = None) -> Summary:
        if name.startswith("broken"):
            raise RenderError(name, "customer.first_name is missing")
        return super().summary(name, context, locale)


def test_a_section_that_cannot_be_rendered_fails_alone(database: Database) -> None:
    stage = stage_of(database, journey("broken", "news", 90), journey("sale"), journey("tips", "tips"))
    stage.mailer.renderer = Unrenderable()
    gathered(stage)
    stage.run(DAY)
    digest = only_digest(stage)
    assert (digest["state"], digest["topic"]) == ("sent", "offers")
    assert [section["journey"] for section in digest["sections"]] == ["sale", "tips"]
    (broken,) = [row for row in stage.messages() if row["journey"] == "broken"]
    assert (broken["state"], broken["digest_id"]) == ("failed", None)
    assert "customer.first_name is missing" in broken["reason"]
    assert stage.mailer.links.url("ann", "offers").encode() in stage.outbox.letters[0].data.replace(b"\r\n ", b"")


def test_a_digest_of_which_nothing_can_be_rendered_fails_and_stops_nobody(database: Database) -> None:
    stage = stage_of(database, journey("broken 1"), journey("broken 2"))
    stage.mailer.renderer = Unrenderable()
    gathered_and_due_with(stage, "bob")
    stage.work()
    states = {(row["customer_id"], row["journey"]): row["state"] for row in stage.messages()}
    assert states[("ann", "digest")] == states[("ann", "broken_1")] == "failed"
    assert sum(letter.recipient == "bob@example.com" for letter in stage.outbox.letters) == 1


@pytest.mark.parametrize("others", [["broken 2"], ["sale", "tips"]], ids=["nothing is left", "the rest is left"])
def test_a_digest_whose_turn_does_not_come_has_lost_no_section(database: Database, others: list[str]) -> None:
    """It was rendered ahead of its turn, and by the time of that the template may be mended."""
    stage = stage_of(database, *(journey(name, priority=10) for name in ("broken 1", *others)))
    mended, stage.mailer.renderer = stage.mailer.renderer, Unrenderable()
    gathered_and_due_with(stage, "abe")
    stage.lose_hints()
    stage.advance([row["id"] for row in stage.enrollments() if row["customer_id"] == "abe"])
    stage.stopping = lambda: True
    stage.deliver([row["id"] for row in stage.messages()])
    assert len(document(only_digest(stage)["sections"])) == len(others) + 1
    stage.mailer.renderer, stage.stopping = mended, lambda: False
    stage.run()
    assert only_digest(stage)["state"] == "sent"
    assert {row["state"] for row in stage.messages() if row["digest_id"]} == {"skipped"}
    assert len([row for row in stage.messages() if row["digest_id"]]) == len(others) + 1


# Crashes and operators


def test_what_a_dead_worker_left_of_a_digest_is_settled_like_any_message(database: Database) -> None:
    """It was with the server: uncertain, and never sent again by itself."""
    stage = stage_of(database, journey("news", "news"), journey("sale"))
    gathered(stage)
    stage.now = NOON + DAY
    ids = [row["id"] for row in stage.messages()]
    claimed = claim(database, stage.project, stage.mailer, ids, stage.now, LEASE)
    assert [item.envelope.id for item in claimed.letters] == [only_digest(stage)["id"]]
    stage.run(3 * DAY)
    assert fates(stage) == {
        "news": "skipped: digested", "sale": "skipped: digested", "digest": "uncertain: lease_expired",
    }  # fmt: skip
    assert stage.outbox.letters == []
    assert {row["state"] for row in stage.enrollments()} == {"completed"}
    settle(database, [only_digest(stage)["id"]], "pending", stage.now, LEASE)
    stage.run(HOUR)
    assert state(only_digest(stage)) == "sent"


def test_a_digest_that_a_dead_worker_never_began_goes_out_whole(database: Database) -> None:
    stage = stage_of(database, journey("news", "news"), journey("sale"))
    stage.identify("bob", email="bob@example.com")
    stage.track("bob", Reviewed, order_id="R9")
    stage.run()
    stage.outbox.letters.clear()
    stage.order("bob")
    gathered(stage)
    stage.now = NOON + DAY
    claimed = claim(database, stage.project, stage.mailer, [row["id"] for row in stage.messages()], stage.now, LEASE)
    assert len(claimed.letters) == 2
    stage.run(HOUR)
    assert sorted(digest["state"] for digest in digests(stage)) == ["sent", "uncertain"]
    assert len(stage.outbox.letters) == 1


def test_a_worker_that_stops_hands_a_digest_back(database: Database) -> None:
    stage = stage_of(database, journey("news", "news"), journey("sale"))
    gathered(stage)
    stage.now = NOON + DAY
    stage.stopping = lambda: True
    stage.tick()
    stage.work()
    digest = only_digest(stage)
    assert (digest["state"], digest["attempts"], digest["counted_at"]) == ("pending", 0, None)
    stage.stopping = lambda: False
    stage.run()
    assert only_digest(stage)["state"] == "sent"


def test_who_is_forgotten_gets_no_digest_and_is_forgotten_in_one(database: Database) -> None:
    stage = stage_of(database, journey("news", "news"), journey("sale"))
    stage.outbox.answer = lambda letter: Deferred("451 later", 451)
    gathered(stage)
    stage.run(DAY - HOUR)
    stage.now += timedelta(seconds=1)
    stage.track("ann", "customer.erased")
    stage.outbox.letters.clear()
    stage.run(DAY)
    digest = only_digest(stage)
    assert (state(digest), digest["email"], stage.outbox.letters) == ("skipped: erased", None, [])


def looking(stage: Stage) -> list[list[str]]:
    """The sections of each digest that is rendered from now on, by template."""
    shown: list[list[str]] = []

    class Looking(PlainRenderer):
        def render(self, name: str, context: Any, locale: object = None) -> Rendered:
            if "sections" in context:
                shown.append([section["template"] for section in context["sections"]])
            return super().render(name, context, locale)

    stage.mailer.renderer = Looking()
    return shown


def test_a_digest_that_waits_to_be_tried_again_goes_before_what_matters_less(database: Database) -> None:
    """Also where the hint names only that."""
    low = journey("low", "tips", 10, enter=on(Reviewed), key=Reviewed.order_id, steps=[Send("low", on_capped="skip")])
    stage = stage_of(database, journey("news", "news", 90), journey("sale"), low)
    stage.outbox.answer = lambda letter: Deferred("451 later", 451)
    stage.order("ann")
    stage.run(HOUR)
    stage.now = NOON + DAY
    stage.tick()
    stage.work()
    assert state(only_digest(stage)) == "pending: 451 later"
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.now = only_digest(stage)["due_at"]
    stage.track("ann", Reviewed, order_id="R2")
    stage.advance(next(ids for what, ids in stage.hints.fresh if what == "advance"))
    (hinted,) = [row["id"] for row in stage.messages() if (row["journey"], row["key"]) == ("low", "R2")]
    stage.deliver([hinted])
    assert state(only_digest(stage)) == "sent"
    (row,) = [row for row in stage.messages() if row["id"] == hinted]
    assert state(row) == "skipped: capped:1 per 1 day"


def test_a_digest_that_a_mute_holds_goes_on_as_soon_as_it_is_lifted(database: Database) -> None:
    mute = Mute("cross", when=Cross.after(Calm))
    stage = stage_of(database, journey("news", "news"), journey("sale"), mutes=[mute])
    stage.outbox.answer = lambda letter: Deferred("451 later", 451)
    gathered(stage)
    stage.run(DAY - HOUR)
    stage.track("ann", Cross)
    stage.run(HOUR)
    assert state(only_digest(stage)) == "pending: muted:cross"
    stage.outbox.answer = lambda letter: Accepted("ok")
    stage.now += timedelta(minutes=1)
    stage.track("ann", Calm)
    stage.run()
    assert state(only_digest(stage)) == "sent"


class Cross(Event, name="customer.cross"):
    pass


class Calm(Event, name="customer.calm"):
    pass
