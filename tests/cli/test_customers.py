"""`lifecycle customers`: lists, imports, and one person's story in their own time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.cli.conftest import Shop

NOW = datetime(2026, 11, 22, 20, tzinfo=UTC)  # 3 in the morning of the 23rd in Jakarta


@pytest.fixture
def siti(any_shop: Shop) -> Shop:
    """A shop that knows Siti, who ordered, was thanked, and told once that she was not."""
    shop = any_shop
    shop.add(
        "customer",
        id="42",
        email="siti@example.com",
        first_name="Siti",
        birthday=date(1994, 2, 28),
        timezone="Asia/Jakarta",
        created_at=NOW - timedelta(days=1),
        traits={"vip": True},
        consents={},
    )
    event = {"customer_id": "42", "received_at": NOW, "digest": "x"}
    shop.add("event", message_id="e1", name="order.completed", timestamp=NOW, properties={"total": 12.5}, **event)
    shop.add("consent", customer_id="42", topic="orders", granted=True, source="web", at=NOW, event_id="e0")
    shop.add(
        "enrollment", id=1, journey="thanks", customer_id="42", key="A1", step="thanks", state="completed", trigger={},
        entered_at=NOW, ended_at=NOW + timedelta(hours=2),
    )  # fmt: skip
    shop.add(
        "enrollment", id=2, journey="invitation", customer_id="42", step="a week", state="active", awaiting=None,
        trigger={}, entered_at=NOW, due_at=NOW + timedelta(days=7),
    )  # fmt: skip
    message = {
        "customer_id": "42", "journey": "thanks", "key": "A1", "template": "thanks", "kind": "marketing",
        "topic": "orders", "created_at": NOW, "expires_at": NOW, "capped_until": NOW,
    }  # fmt: skip
    sent = {"state": "sent", "sent_at": NOW + timedelta(hours=2), "subject": "Thanks for A1"}
    shop.add("message", enrollment_id=1, step="thanks", message_id="m1", **message, **sent)
    skipped = {"state": "skipped", "reason": "capped:1 per day"}
    shop.add("message", enrollment_id=2, step="again", message_id="m2", **message, **skipped)
    return shop


def test_a_story_is_told_in_the_persons_own_zone_and_order(siti: Shop) -> None:
    out = siti.run("customers", "show", "42").stdout

    lines = out.splitlines()
    assert lines[0] == "customer 42  Siti"
    assert "Mon 23 November 2026" in out
    told = [line for line in lines if line.startswith("  0")]
    assert [line.split("  ")[1:3] for line in told] == [
        ["03:00", "● order.completed"],
        ["03:00", "✓ consent to orders granted"],
        ["03:00", "▶ enters invitation"],
        ["03:00", "▶ enters thanks"],
        ["03:00", "○ planned thanks (thanks)"],
        ["03:00", "– skipped thanks (thanks)"],
        ["05:00", "✉ sent thanks (thanks)"],
        ["05:00", "■ leaves thanks: completed"],
    ]
    assert "capped:1 per day" in out
    assert "“Thanks for A1”" in out
    assert "invitation: active at 'a week', until 2026-11-30 03:00" in out
    assert out.endswith("times are in Asia/Jakarta\n")


def test_a_story_can_be_told_in_utc(siti: Shop) -> None:
    out = siti.run("customers", "show", "42", "--utc").stdout

    assert "Sun 22 November 2026" in out
    assert "  20:00  ● order.completed" in out


def test_a_story_says_what_a_mute_holds_back_and_when_that_is_looked_at_again(siti: Shop) -> None:
    message = {"customer_id": "42", "journey": "thanks", "template": "thanks", "kind": "marketing", "topic": "orders"}
    moments = {"created_at": NOW, "expires_at": NOW, "capped_until": NOW, "due_at": NOW + timedelta(hours=1)}
    held = {"state": "pending", "reason": "muted:open complaint"}
    siti.add("message", enrollment_id=1, step="later", message_id="m3", **message, **moments, **held)

    lines = siti.run("customers", "show", "42").stdout.splitlines()

    said = "thanks waits: muted:open complaint, looked at again at 2026-11-23 04:00 or as soon as that is over"
    assert f"  ○ {said}" in lines


def test_a_story_as_json_names_each_record(siti: Shop) -> None:
    records = siti.json("customers", "show", "42")

    assert [record["record"] for record in records] == [
        "customer", "event", "consent", "enrollment", "enrollment", "message", "message",
    ]  # fmt: skip
    assert records[0]["birthday"] == "1994-02-28"
    assert records[1]["timestamp"] == "2026-11-22T20:00:00Z"


def test_a_story_says_how_much_they_ask_for_and_how_much_they_have_had(any_shop: Shop) -> None:
    asked = {"at_most": 1, "per_days": 7, "at": "2026-11-01T00:00:00.000000Z"}
    pause = {"until": "2026-12-31", "at": "2026-11-01T00:00:00.000000Z"}
    any_shop.add("customer", id="42", created_at=NOW, traits={}, pace={"caps": {"offers": asked}, "pause": pause})
    counts = {"sent": 12, "opened": 1, "clicked": 0, "bought": 0, "complained": 0}
    computed = {"score": 0.9167, "state": "saturated", "sunset_at": NOW, "computed_at": NOW}
    any_shop.add("fatigue", customer_id="42", **counts, **computed)

    lines = any_shop.run("customers", "show", "42", "--utc").stdout.splitlines()
    records = {record["record"]: record for record in any_shop.json("customers", "show", "42")}

    assert lines[2] == "  pace             they ask for at most 1 per 7 days of offers, nothing until 2026-12-31"
    assert lines[3] == "  fatigue          saturated: score 0.9167 = 1 - (1 + 2·0 + 4·0) / 12"
    assert lines[4].strip() == (
        "in 90 days 12 marketing emails, 1 opened, 0 clicked; 0 purchases soon after one, 0 complaints, "
        "as of 2026-11-22 20:00"
    )
    assert lines[5] == "  sunset           since 2026-11-22 20:00 no marketing, until they do something"
    assert records["customer"]["pace"]["caps"]["offers"]["at_most"] == 1
    assert {name: records["fatigue"][name] for name in ("sent", "score", "state", "sunset_at")} == {
        "sent": 12, "score": 0.9167, "state": "saturated", "sunset_at": "2026-11-22T20:00:00Z",
    }  # fmt: skip


def test_a_story_is_told_even_where_the_journey_files_are_broken(siti: Shop) -> None:
    (siti.folder / "journeys" / "policy.py").write_text("policy = None\n")

    assert "customer 42" in siti.run("customers", "show", "42").stdout


def test_a_customer_who_is_not_known_is_one_line(shop: Shop) -> None:
    result = shop.run("customers", "show", "nobody", exit_code=1)

    assert result.stderr.startswith("error: there is no customer 'nobody'")
    assert result.stderr.count("\n") == 1


def test_customers_are_listed_by_id_and_found_by_address(any_shop: Shop) -> None:
    for number, email in (("2", "b@EXAMPLE.com"), ("1", "a@example.com"), ("3", "c@other.example"), ("4", None)):
        any_shop.add("customer", id=number, email=email, created_at=NOW, traits={"n": number}, consents={})

    assert [row["id"] for row in any_shop.json("customers", "list")] == ["1", "2", "3", "4"]
    assert [row["id"] for row in any_shop.json("customers", "list", "--email", "*@example.com")] == ["1", "2"]
    assert [row["id"] for row in any_shop.json("customers", "list", "--email", "_@example.com")] == []
    assert [row["id"] for row in any_shop.json("customers", "list", "--limit", "1")] == ["1"]
    assert "the first 2" in any_shop.run("customers", "list", "--limit", "2").stderr


def test_a_file_of_customers_is_taken_and_its_bad_lines_named(any_shop: Shop) -> None:
    file = any_shop.folder / "people.csv"
    file.write_text("id,email,first_name,vip,points\n1,a@b.example,Ann,yes,3\n2,b@b.example,Bob,perhaps,4\n")

    result = any_shop.run("customers", "import", str(file), exit_code=1)

    assert result.stdout == "1 taken, 0 known already, 1 refused\n"
    assert "lifecycle events dead" in result.stderr
    (ann,) = any_shop.json("customers", "list")
    assert (ann["first_name"], ann["traits"]) == ("Ann", {"vip": True, "points": 3})
    (letter,) = any_shop.json("events", "dead", "list")
    assert letter["entry_id"] == "people.csv:3"
    assert any_shop.run("customers", "import", str(file), exit_code=1).stdout.startswith("0 taken, 1 known already")
