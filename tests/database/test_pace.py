"""What customers ask for with `frequency.preferred`: less, from that moment on, and never more."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from lifecycle import Cap, Journey, QuietHours, Send, days, on
from lifecycle.store.database import Database
from tests.stage import NOON, Ordered, Reviewed, Stage, project_of

from .shop import document, letters, rows

DAY = timedelta(days=1)
PREFERRED = "frequency.preferred"
NEWS = Journey(
    name="news",
    topic="offers",
    enter=on(Reviewed),
    key=Reviewed.order_id,
    steps=[Send("news", send_within=days(30), expires=days(30))],
)
THANKS = Journey(
    name="thanks",
    topic="orders",
    kind="transactional",
    enter=on(Ordered),
    key=Ordered.order_id,
    steps=[Send("thanks")],
)


def stage_of(database: Database, *caps: Cap, **policy: Any) -> Stage:
    stage = Stage(database, project_of(NEWS, THANKS, caps=caps, **policy))
    for person in ("ann", "ben"):
        stage.identify(person, email=f"{person}@example.com")
    return stage


def news(stage: Stage, *people: str) -> None:
    """Something that is worth an email to each of them."""
    for person in people:
        stage.track(person, Reviewed, order_id=str(len(stage.messages())))
    stage.run()


def sent(stage: Stage, person: str) -> list[datetime]:
    return [m["sent_at"] for m in stage.messages() if m["customer_id"] == person and m["sent_at"]]


def waits(stage: Stage, person: str) -> list[tuple[str, datetime]]:
    return [
        (m["reason"], m["due_at"]) for m in stage.messages() if m["customer_id"] == person and m["state"] == "pending"
    ]


def test_who_asks_for_less_gets_less_and_nobody_else_does(database: Database) -> None:
    stage = stage_of(database, Cap(2, per=days(1)))
    stage.track("ann", PREFERRED, topic="offers", at_most=1, per_days=7)
    news(stage, "ann", "ben")
    news(stage, "ann", "ben")
    assert (len(sent(stage, "ann")), len(sent(stage, "ben"))) == (1, 2)
    assert waits(stage, "ann") == [("capped:1 per 7 days of offers, as they asked", NOON + 7 * DAY)]
    stage.run(7 * DAY)
    assert sent(stage, "ann") == [NOON, NOON + 7 * DAY]


def test_who_asks_for_more_gets_no_more_than_the_policy_allows(database: Database) -> None:
    stage = stage_of(database, Cap(1, per=days(2)))
    stage.track("ann", PREFERRED, topic=None, at_most=50, per_days=1)
    news(stage, "ann")
    news(stage, "ann")
    assert waits(stage, "ann") == [("capped:1 per 2 days", NOON + 2 * DAY)]


def test_a_pace_holds_where_the_policy_has_no_caps_and_concerns_marketing_only(database: Database) -> None:
    stage = stage_of(database)
    stage.track("ann", PREFERRED, at_most=0, per_days=30)
    news(stage, "ann")
    stage.order("ann")
    stage.run()
    assert stage.sent() == ["ann@example.com"]
    assert waits(stage, "ann") == [("capped:0 per 30 days, as they asked", NOON + 30 * DAY)]
    stage.run(30 * DAY)
    assert waits(stage, "ann") == []
    assert {m["reason"] for m in stage.messages() if m["step"] == "news"} <= {
        "capped:0 per 30 days, as they asked",
        "expired",
    }


def test_a_pause_is_waited_for_until_their_day_begins_and_the_night_is_over(database: Database) -> None:
    quiet = QuietHours(time(21), time(8))
    stage = stage_of(database, Cap(1, per=days(1)), quiet_hours=quiet, timezone="Asia/Jakarta")
    stage.now -= timedelta(hours=6)  # 13:00 in Jakarta
    began = stage.now
    stage.track("ann", PREFERRED, pause_until="2026-03-10")
    news(stage, "ann")
    morning = datetime(2026, 3, 10, 1, tzinfo=UTC)
    assert waits(stage, "ann") == [("capped:paused until 2026-03-10", morning)]
    stage.order("ann")  # what they ordered themselves is another matter
    stage.run()
    assert sent(stage, "ann") == [began]
    stage.run(10 * DAY)
    assert sent(stage, "ann") == [morning, began]


@pytest.mark.parametrize("taken_back", [{"topic": "offers", "at_most": None}, {"pause_until": None}])
def test_what_is_taken_back_frees_at_once_what_waited_for_it(database: Database, taken_back: dict[str, Any]) -> None:
    asked = (
        {"topic": "offers", "at_most": 0, "per_days": 30} if "topic" in taken_back else {"pause_until": "2026-12-31"}
    )
    stage = stage_of(database, Cap(1, per=days(2)))
    stage.track("ann", PREFERRED, **asked)
    news(stage, "ann")
    assert sent(stage, "ann") == []
    stage.now += DAY
    stage.track("ann", PREFERRED, **taken_back)
    stage.run()
    assert sent(stage, "ann") == [NOON + DAY]
    news(stage, "ann")
    assert waits(stage, "ann") == [("capped:1 per 2 days", NOON + 3 * DAY)]


def test_a_slower_pace_applies_to_what_is_planned_already(database: Database) -> None:
    stage = stage_of(database, Cap(1, per=days(2)))
    news(stage, "ann")
    news(stage, "ann")
    assert waits(stage, "ann") == [("capped:1 per 2 days", NOON + 2 * DAY)]
    stage.track("ann", PREFERRED, at_most=1, per_days=14)
    stage.run(13 * DAY)
    assert sent(stage, "ann") == [NOON]
    stage.run(DAY)
    assert sent(stage, "ann") == [NOON, NOON + 14 * DAY]


def test_what_was_said_first_and_comes_last_changes_nothing(database: Database) -> None:
    stage = stage_of(database)
    earlier, later = NOON - 2 * DAY, NOON - DAY
    stage.take(stage.message("track", "ann", event=PREFERRED, timestamp=later, properties={"at_most": None}))
    old = {"at_most": 1, "per_days": 300, "pause_until": "2026-12-31"}
    stage.take(stage.message("track", "ann", event=PREFERRED, timestamp=earlier, properties=old))
    pace = document(rows(database, "SELECT pace FROM customer WHERE id = 'ann'")[0][0])
    assert pace["caps"]["*"]["at_most"] is None
    assert pace["pause"]["until"] == "2026-12-31", "of the pause nothing newer was said"


def test_a_value_that_makes_no_sense_is_kept_with_its_reason_and_the_rest_of_the_event_is_taken(
    database: Database,
) -> None:
    stage = stage_of(database)
    stage.track("ann", PREFERRED, at_most=1, per_days=7)
    taken = stage.track("ann", PREFERRED, at_most="often", per_days=7, pause_until="2026-12-31")
    assert (taken.accepted, taken.refused) == (1, 0)
    (reason,) = letters(database).values()
    assert reason == "at_most is no number of messages, nor null; the event was taken, the pace is as it was"
    pace = document(rows(database, "SELECT pace FROM customer WHERE id = 'ann'")[0][0])
    assert (pace["caps"]["*"]["at_most"], pace["pause"]["until"]) == (1, "2026-12-31")
    assert rows(database, f"SELECT count FROM activity WHERE event = '{PREFERRED}'") == [(2,)]


@pytest.mark.parametrize("topic", ["offers ", " ", "\noffers"])
def test_a_topic_that_no_cap_can_be_of_holds_no_mail_back(database: Database, topic: str) -> None:
    stage = stage_of(database, Cap(2, per=days(1)))
    stage.track("ann", PREFERRED, topic=topic, at_most=1, per_days=7)
    (reason,) = letters(database).values()
    assert reason.startswith("the topic is no text")
    news(stage, "ann")
    assert sent(stage, "ann") == [NOON]
