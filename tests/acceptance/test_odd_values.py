"""Values that no app should send, in every place where one may stand, through the shipped journeys and emails."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from lifecycle.cli import lifecycle
from tests.servers import conninfo

REPOSITORY = Path(__file__).parents[2]
ODD: list[Any] = [
    None, True, "", 0, -1, 1e308, 5e-324, 2**63 - 1, -(2**63), "abc", "x" * 10_000, [], {}, [[]], {"a": {"b": None}},
    "2026-02-30", "0000-00-00", "9999-12-31", "1e400", "NaN", "Infinity", "\x85", "\u2028", "'; DROP TABLE event; --",
    "{{ 7*7 }}", "%s %(x)s :name", "\\u0000", "😀", "１２", "9" * 400, -0.0, "1997-03-20T00:00:00+14:00",
]  # fmt: skip
_OF_THE_EMAIL = re.compile("Error: (money expects a number|ngettext counts whole things), not | is missing")
TRAITS = [
    "email", "first_name", "last_name", "birthday", "timezone", "locale", "created_at", "lifetime_value", "vip",
    "favourite_genre",
]  # fmt: skip
PROPERTIES = ["order_id", "total", "quantity"]


def _events() -> Iterator[dict[str, Any]]:
    """An odd customer for each value in each place, and a good one for each value."""
    places = ["", *TRAITS, *PROPERTIES]
    for number, value in enumerate(ODD):
        for place in places:
            customer = f"{place or 'good'}-{number}"
            traits = {"email": f"{customer}@example.com", "first_name": "Ann", "birthday": "1970-03-10"}
            order = {"order_id": "1", "total": 5, "quantity": 1}
            if place:
                (traits if place in TRAITS else order)[place] = value
            yield _said(customer, "subscription.granted", {"topic": None}, traits)
            yield _said(customer, "order.completed", order)
            if place in PROPERTIES:
                yield _said(customer, "review.posted", {"order_id": value, "stars": value})


def _said(
    customer: str, event: str, properties: dict[str, Any], traits: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "type": "track",
        "userId": customer,
        "event": event,
        "timestamp": "1997-03-01T17:00:00Z",
        "properties": properties,
        "context": {"traits": traits},
    }


def test_odd_values_stop_nobody(
    database_url: str, tmp_path: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "compiled").symlink_to(compiled)
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in _events()))
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path / "home"))
    run = CliRunner().invoke

    replayed = run(
        lifecycle,
        ["replay", str(file), "--database", conninfo(database_url), "--outbox", str(tmp_path / "out"),
         "--until", "1997-04-01"],
    )  # fmt: skip
    assert replayed.exit_code == 0, replayed.output + repr(replayed.exception)
    monkeypatch.setenv("DATABASE_URL", database_url)
    messages = [json.loads(line) for line in run(lifecycle, ["messages", "--json"]).stdout.split("\n") if line]
    letters = run(lifecycle, ["events", "dead", "--json"]).stdout

    of_good = Counter((m["template"], m["state"]) for m in messages if m["customer_id"].startswith("good"))
    theirs = ("post_purchase/thanks", "birthday/greeting", "post_purchase/ask_review")
    assert of_good == {(template, "sent"): len(ODD) for template in theirs}
    for message in messages:
        assert message["state"] in ("sent", "skipped", "failed"), message
        if message["state"] == "failed":
            assert "\n" not in message["reason"]
            assert re.search(
                "Error: (money expects a number|ngettext counts whole things), not | is missing", message["reason"]
            )
    assert "fault in the engine" not in letters
