"""Digests: what caps held back goes out as one email, each of it in one digest, under the same promises as all mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson

from lifecycle import Cap, Journey, Send, days, on
from lifecycle.store.database import Database
from tests.stage import NOON, Ordered, Reviewed, Stage, project_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAILY = [Cap(1, per=days(1))]


def journey(name: str, topic: str = "offers", priority: int = 50, **more: Any) -> Journey:
    """One that sends one email of its own name to whoever orders, which waits for a digest if it must."""
    steps = [Send(name, on_capped="digest", **more.pop("send", {}))]
    return Journey(
        name=name, topic=topic, enter=on(Ordered), key=Ordered.order_id, priority=priority, **{"steps": steps} | more
    )


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
    return row["state"] + (f": {row['reason']}" if row["reason"] else "")


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
