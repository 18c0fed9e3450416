"""`lifecycle caps`: what caps did, what others would have done, and why one email waits."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle.cli.sides import bar, duration
from lifecycle.cli.trials import load_with
from lifecycle.settings import Settings
from tests.cli.conftest import Shop

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
POLICY = """
from lifecycle import Cap, Policy, Sender, days
policy = Policy(
    sender=Sender("Shop", "hello@shop.example", postal_address="1 Road"), timezone="Asia/Jakarta", consent="opt_out",
    caps=[{caps}],
)
"""


def message(shop: Shop, number: int, **columns: Any) -> None:
    """An email about an order, sent an hour ago unless told otherwise."""
    row = {
        "id": number,
        "customer_id": "1",
        "enrollment_id": number,
        "journey": "thanks",
        "step": "thanks",
        "template": "thanks",
        "kind": "marketing",
        "topic": "orders",
        "state": "sent",
        "created_at": NOW - timedelta(hours=1),
        "counted_at": NOW - timedelta(hours=1),
        "sent_at": NOW - timedelta(hours=1),
        "expires_at": NOW + timedelta(days=7),
        "capped_until": NOW + timedelta(days=3),
        "message_id": f"{number}@shop.example",
    }
    shop.add("enrollment", id=number, customer_id="1", journey=row["journey"], step="thanks", key=str(number),
             trigger={}, entered_at=NOW, state="active")  # fmt: skip
    shop.add("message", **row | columns)


@pytest.fixture
def capped(any_shop: Shop) -> Shop:
    """A shop whose customer 1 was thanked, and waits for one more thank-you under a cap of one a day."""
    (any_shop.folder / "journeys" / "policy.py").write_text(POLICY.format(caps="Cap(1, per=days(1))"))
    any_shop.add("customer", id="1", email="a@b.example", created_at=NOW, traits={}, consents={}, pace={})
    message(any_shop, 1)
    held = {"capped_at": NOW, "capped_by": "1 per 1 day", "lost_to": [1], "sent_at": None, "counted_at": None}
    until = NOW + timedelta(hours=23)
    message(any_shop, 2, state="pending", reason="capped:1 per 1 day", due_at=until, wake_at=until, **held)
    message(any_shop, 3, journey="invitation", topic="offers", template="invitation", state="skipped",
            reason="capped:1 per 1 day", **held)  # fmt: skip
    any_shop.environment["LIFECYCLE_CLOCK"] = f"{NOW:%Y-%m-%dT%H:%M:%SZ}@{datetime.now(UTC).timestamp()}x1"
    return any_shop


def of(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in each.items() if name != "record"} for each in records
            if each["record"] == kind]  # fmt: skip


def test_the_report_tells_what_went_out_and_what_was_held_back(capped: Shop) -> None:
    found = capped.json("caps", "report")

    nothing = {"waited": 0, "digested": 0, "otherwise": 0, "wait_p50": None, "wait_p95": None}
    assert of(found, "cap") == [
        {"cap": "1 per 1 day", "journey": "invitation", "sent": 0, "held": 1, "skipped": 1, "waiting": 0, **nothing},
        {"cap": "1 per 1 day", "journey": "thanks", "sent": 1, "held": 1, "skipped": 0, "waiting": 1, **nothing},
    ]
    assert of(found, "lost_to") == [
        {"cap": "1 per 1 day", "journey": "invitation", "to": "thanks", "messages": 1, "slots": 1},
        {"cap": "1 per 1 day", "journey": "thanks", "to": "thanks", "messages": 1, "slots": 1},
    ]
    (at,) = of(found, "at_cap")
    assert (at["cap"], at["customers"]) == ("1 per 1 day", 1)
    assert at["first"] == [{"customer_id": "1", "next_free": "2026-11-23T08:00:00Z"}]


def test_the_report_is_readable_as_tables(capped: Shop) -> None:
    out = capped.run("caps", "report").stdout

    assert re.search(r"^1 per 1 day *\n  invitation +0 +1 +1", out, re.MULTILINE)
    assert re.search(r"1 per 1 day +1 +1 11-23 08:00", out)
    assert re.search(r"held back, while a slot was taken by +thanks", out)


def test_the_report_is_on_its_period_only(capped: Shop) -> None:
    before = capped.json("caps", "report", "--since", "2026-10-01", "--until", "2026-11-22")
    after = capped.json("caps", "report", "--last", "2h")

    assert of(before, "cap") == of(before, "lost_to") == []
    assert of(before, "period") == [{"since": "2026-10-01T00:00:00Z", "until": "2026-11-22T00:00:00Z"}]
    assert len(of(after, "cap")) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--last", "soon"], "'soon' is no span like 30d"),
        (["--last", "0d"], "'0d' is no span"),
        (["--last", "2d", "--since", "2026-01-01"], "either --last or --since"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "--since is not before --until"),
    ],
)
def test_a_period_that_is_none_is_told_in_a_line(shop: Shop, options: list[str], told: str) -> None:
    refused = shop.run("caps", "report", *options, exit_code=2)

    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_report_where_nothing_was_capped_says_so(shop: Shop) -> None:
    assert "nothing was sent that counts under a cap" in shop.run("caps", "report").stdout


def test_a_customers_story_tells_what_filled_the_cap_and_when_the_next_slot_opens(capped: Shop) -> None:
    out = capped.run("customers", "show", "1").stdout

    lines = [line.strip() for line in out.splitlines()]
    waiting = lines[lines.index("now") :]
    assert waiting[1].startswith("○ thanks goes out at 2026-11-23 15:00 put off: capped:1 per 1 day")
    assert waiting[2:5] == [
        "first held back 2026-11-22 16:00 by the cap 1 per 1 day",
        "slot taken by thanks (thanks), sent 2026-11-22 15:00",
        "next slot 2026-11-23 15:00; given up after 2026-11-25 16:00",
    ]
    skipped = next(number for number, line in enumerate(lines) if "– skipped invitation" in line)
    assert lines[skipped + 2] == "slot taken by thanks (thanks), sent 2026-11-22 15:00"


def test_the_story_of_a_capped_email_is_there_for_programs(capped: Shop) -> None:
    skipped, waits = of(capped.json("customers", "show", "1"), "capped")

    assert (waits["next_slot"], waits["cap_now"]) == ("2026-11-23T08:00:00Z", "1 per 1 day")
    assert [each["id"] for each in waits["filled_by"]] == [each["id"] for each in waits["lost_to"]] == [1]
    assert (skipped["state"], skipped["template"]) == ("skipped", "invitation")
    assert "next_slot" not in skipped


def test_the_story_holds_where_the_policy_is_broken(capped: Shop) -> None:
    (capped.folder / "journeys" / "policy.py").write_text("policy = None\n")

    assert "next slot 2026-11-23 08:00" in capped.run("customers", "show", "1").stdout


# lifecycle caps try


def order(number: int, at: datetime) -> dict[str, Any]:
    said = {"properties": {"order_id": f"A{number}", "total": number}, "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    return {"type": "track", "userId": str(number % 3), "event": "order.completed", **said}


@pytest.fixture
def file(bare_shop: Shop) -> Path:
    """The events of three customers who order every three hours, one after the other."""
    begin = datetime(2025, 3, 1, 1, tzinfo=UTC)
    events = [
        {"type": "identify", "userId": str(user), "timestamp": "2025-03-01T00:00:00Z",
         "traits": {"email": f"{user}@example.com"}}
        for user in range(3)
    ] + [order(number, begin + timedelta(hours=number)) for number in range(24)]  # fmt: skip
    path = bare_shop.folder / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    (bare_shop.folder / "gentler.py").write_text(POLICY.format(caps="Cap(1, per=days(1)), Cap(9, per=days(9))"))
    return path


def test_two_policies_are_tried_on_a_file_side_by_side(bare_shop: Shop, file: Path) -> None:
    found = bare_shop.json("caps", "try", "--policy", "gentler.py", "--events", file.name)

    present, tried = of(found, "policy")
    assert (present["policy"], present["file"], present["sent"]) == ("present", "journeys/policy.py", 24)
    assert (tried["policy"], tried["file"], tried["customers"]) == ("tried", "gentler.py", 3)
    emails = {(each["policy"], each["emails"]): each["customers"] for each in of(found, "emails")}
    assert emails["present", 8] == 3
    assert sum(number * customers for (which, number), customers in emails.items() if which == "tried") == tried["sent"]
    assert 3 <= tried["sent"] < 24
    held = [each for each in of(found, "held_back") if each["policy"] == "tried"]
    assert {each["reason"] for each in held} == {"capped:1 per 1 day"}
    assert tried["sent"] + sum(each["messages"] for each in held) == 24
    assert sorted(path.name for path in (bare_shop.folder / ".lifecycle").iterdir()) == ["compiled"]


def test_the_distribution_is_drawn(bare_shop: Shop, file: Path) -> None:
    out = bare_shop.run("caps", "try", "--policy", "gentler.py", "--events", file.name).stdout

    assert re.search(r"emails per customer +journeys/policy.py +gentler.py", out)
    assert re.search(r"^ +8 +█+ 3 ", out, re.MULTILINE)
    assert re.search(r"^thanks +24 → \d+", out, re.MULTILINE)
    assert re.search(r"^thanks +capped:1 per 1 day +0 → \d+", out, re.MULTILINE)


def test_the_databases_own_history_is_tried_from_a_day_on(bare_shop: Shop, file: Path) -> None:
    url = f"sqlite:///{bare_shop.folder / 'live.db'}"
    bare_shop.run("replay", file.name, "--database", url)
    before = (bare_shop.folder / "live.db").read_bytes()
    bare_shop.environment["DATABASE_URL"] = url

    found = bare_shop.json("caps", "try", "--policy", "gentler.py", "--since", "2025-03-01T13:00:00Z")

    present, tried = of(found, "policy")
    assert present["sent"] == 12
    assert tried["sent"] < 12
    assert (bare_shop.folder / "live.db").read_bytes() == before


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("policy = Policy(", "gentler.py:1"),
        ("from .words import Order\n", "gentler.py:1"),
        ("nothing = 1\n", "there is no `policy` in it"),
        (POLICY.format(caps="Cap(-1, per=days(1))"), "gentler.py:5: Cap(-1) is no number of messages"),
        (POLICY.format(caps="Cap(1, per=days(1), topic='order')"), "never counts: no journey has the topic 'order'"),
        (POLICY.format(caps="Cap(1, per=days(1), journey='thank')"), "never counts: there is no journey 'thank'"),
    ],
)
def test_a_broken_policy_is_one_clear_line(bare_shop: Shop, file: Path, source: str, told: str) -> None:
    (bare_shop.folder / "gentler.py").write_text(source)

    refused = bare_shop.run("caps", "try", "--policy", "gentler.py", "--events", file.name, exit_code=1)

    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""


def test_another_policy_may_use_the_words_of_the_vocabulary(bare_shop: Shop) -> None:
    elsewhere = bare_shop.folder / "elsewhere" / "gentler.py"
    elsewhere.parent.mkdir()
    elsewhere.write_text("from .vocabulary import OrderCompleted\n" + POLICY.format(caps="Cap(1, per=days(1))"))

    project = load_with(Settings.load(), elsewhere)

    assert [cap.name for cap in project.policy.caps] == ["1 per 1 day"]
    assert list(project.journeys) == ["invitation", "thanks"]


@pytest.mark.parametrize("history", [[], ["--events", "events.jsonl", "--since", "2025-03-01"]], ids=["none", "both"])
def test_it_wants_one_history(bare_shop: Shop, file: Path, history: list[str]) -> None:
    refused = bare_shop.run("caps", "try", "--policy", "gentler.py", *history, exit_code=2)

    assert "say which history: --events FILE or --since DATE" in refused.stderr


def test_a_damaged_file_is_told_by_the_process_that_reads_it(bare_shop: Shop, file: Path) -> None:
    (bare_shop.folder / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00 cut short")

    refused = bare_shop.run("caps", "try", "--policy", "gentler.py", "--events", "cut.gz", exit_code=1)

    assert "cut.gz is cut short or damaged" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_bars_are_in_proportion_and_never_vanish() -> None:
    assert [bar(share, 4) for share in (0, 0.001, 0.25, 0.5 + 1 / 32, 1)] == ["", "▏", "█", "██▏", "████"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, ""),
        (0, "0s"),
        (59.4, "59s"),
        (60, "1m"),
        (3600, "1h"),
        (3660, "1h 1m"),
        (86_400 * 2 + 7200, "2d 2h"),
    ],
)
def test_lengths_of_time_are_told_in_two_units(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told
