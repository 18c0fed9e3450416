"""`lifecycle pause` and `resume`: say what they stopped and freed, ask nothing, and know near misses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle import clock
from tests.cli.conftest import Shop

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def _add(shop: Shop, number: int, **columns: Any) -> None:
    """A planned email, of thanks unless told otherwise."""
    row = {
        "id": number,
        "customer_id": "1",
        "enrollment_id": number,
        "journey": "thanks",
        "step": "thanks",
        "template": "thanks",
        "kind": "marketing",
        "topic": "orders",
        "state": "pending",
        "created_at": NOW,
        "due_at": NOW,
        "wake_at": NOW,
        "expires_at": NOW + timedelta(days=7),
        "capped_until": NOW + timedelta(days=3),
        "message_id": f"{number}@shop.example",
    }
    shop.add("message", **row | columns)


def test_pausing_says_what_waits_and_how_to_go_on(any_shop: Shop) -> None:
    for number in range(1, 4):
        _add(any_shop, number)
    _add(any_shop, 4, journey="invitation", topic="offers")
    _add(any_shop, 5, state="sent", wake_at=None)

    result = any_shop.run("pause", "--journey", "thanks", "--reason", "wrong price")

    assert result.stdout.splitlines() == [
        "paused: journey thanks",
        "  3 planned emails wait",
        "  none is on its way",
        "  to go on: lifecycle resume --journey thanks",
    ]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("scope", "planned"),
    [(["--all"], 4), (["--marketing"], 3), (["--journey", "invitation"], 1), (["--topic", "orders"], 3)],
    ids=str,
)
def test_each_scope_covers_its_own(any_shop: Shop, scope: list[str], planned: int) -> None:
    for number in (1, 2):
        _add(any_shop, number)
    _add(any_shop, 3, journey="invitation", topic="offers")
    _add(any_shop, 4, journey="receipt", kind="transactional")

    (row,) = any_shop.json("pause", *scope, "--reason", "a try")

    assert (row["planned"], row["sending"], row["reason"]) == (planned, 0, "a try")
    assert any_shop.json("pause", "--list") == [row]
    assert set(row) == {"scope", "name", "reason", "paused_at", "planned", "sending"}


def test_what_a_server_may_have_by_then_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.cli.pause._PATIENCE", 0.0)
    _add(shop, 1, state="sending", claim="x", position=1, lanes=1)

    out = shop.run("pause", "--journey", "thanks", "--reason", "why").stdout

    assert "1 may have left before" in out
    assert "lifecycle messages --state sending --journey thanks" in out


def test_pausing_twice_tells_since_when_and_why(any_shop: Shop) -> None:
    any_shop.run("pause", "--marketing", "--reason", "the first")

    out = any_shop.run("pause", "--marketing", "--reason", "another").stdout

    assert out.startswith("all marketing is paused already, since 20")
    assert "UTC: the first" in out
    assert len(any_shop.json("pause", "--list")) == 1


def test_several_at_once(any_shop: Shop) -> None:
    any_shop.run("pause", "--journey", "thanks", "--topic", "offers", "--reason", "both")

    assert [(row["scope"], row["name"]) for row in any_shop.json("pause", "--list")] == [
        ("journey", "thanks"),
        ("topic", "offers"),
    ]
    result = any_shop.run("resume", "--journey", "thanks")
    assert result.stdout.splitlines()[-1] == "still paused: topic offers"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["pause", "--reason", "x"], "say what: --journey NAME, --topic NAME, --marketing or --all"),
        (["pause", "--all"], 'say why, for whoever finds it paused: --reason "…"'),
        (["pause", "--all", "--reason", "  "], 'say why, for whoever finds it paused: --reason "…"'),
        (["pause", "--journey", "thank", "--reason", "x"], "there is no journey 'thank'; did you mean 'thanks'?"),
        (["pause", "--topic", "offer", "--reason", "x"], "there is no topic 'offer'; did you mean 'offers'?"),
        (["pause", "--list", "--all"], "--list stands alone"),
        (["resume"], "say what: --journey NAME, --topic NAME, --marketing or --all; nothing is paused"),
        (["resume", "--all", "--drop-older-than", "soon"], "'soon' is no span like 30d, 12h or 2w"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_with_its_remedy(shop: Shop, arguments: list[str], line: str) -> None:
    result = shop.run(*arguments, exit_code=2)

    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_resuming_what_is_not_paused_says_what_is(shop: Shop) -> None:
    shop.run("pause", "--topic", "offers", "--reason", "x")

    result = shop.run("resume", "--all", exit_code=1)

    assert result.stderr == "error: everything is not paused; paused are topic offers (--topic offers)\n"


@pytest.mark.parametrize("missing", [["everything"], ["everything", "topic news"]], ids=str)
def test_one_that_is_not_paused_does_not_stop_the_others(shop: Shop, missing: list[str]) -> None:
    shop.run("pause", "--journey", "thanks", "--topic", "offers", "--topic", "orders", "--reason", "x")
    more = ["--topic", "news"] if "topic news" in missing else []

    result = shop.run("resume", "--all", *more, "--journey", "thanks", "--topic", "offers", "--json", exit_code=1)

    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"scope": scope, "name": name, "freed": 0, "dropped": 0}
        for scope, name in (("journey", "thanks"), ("topic", "offers"))
    ]
    verb = "is" if len(missing) == 1 else "are"
    assert result.stderr == (
        f"error: {' and '.join(missing)} {verb} not paused; paused are topic orders (--topic orders)\n"
    )


def test_broken_journey_files_do_not_stand_in_the_way(shop: Shop) -> None:
    (shop.folder / "journeys" / "thanks.py").write_text("nonsense(")

    result = shop.run("pause", "--journey", "thanks", "--reason", "x")

    assert result.stdout.startswith("paused: journey thanks")
    assert "names are taken as they are" in result.stderr


def test_resuming_frees_what_was_held_and_drops_what_is_too_old(any_shop: Shop) -> None:
    any_shop.add("customer", id="1", created_at=NOW, traits={}, consents={})
    any_shop.run("pause", "--marketing", "--reason", "x")
    later, now = NOW + timedelta(days=999), clock.now()
    held = {"reason": "paused", "due_at": later, "wake_at": later}
    _add(any_shop, 1, created_at=now - timedelta(days=3), **held)
    _add(any_shop, 2, created_at=now - timedelta(days=1), **held)
    _add(any_shop, 3, created_at=now - timedelta(days=3), due_at=later, wake_at=later, reason="quiet_hours")
    _add(any_shop, 4, created_at=now - timedelta(days=3), **held | {"reason": "sent_again, paused"})

    out = any_shop.run("resume", "--marketing", "--drop-older-than", "2d").stdout

    assert out.splitlines() == [
        "resumed: all marketing",
        "  1 waiting email is due now, as far as caps and hours allow",
        "  2 older emails were skipped",
    ]
    rows = {row["id"]: (row["state"], row["reason"]) for row in any_shop.json("messages")}
    assert rows == {
        1: ("skipped", "paused"),
        2: ("pending", None),
        3: ("pending", "quiet_hours"),
        4: ("uncertain", "sent_again, paused"),
    }
    assert any_shop.json("pause", "--list") == []
