"""`lifecycle messages`: stable fields in a stable order, filters, and settling the uncertain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Shop

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
FIELDS = (
    "id customer_id email journey step enrollment_id key template locale kind topic priority state reason subject "
    "created_at due_at sent_at attempts message_id digest_id"
)


def _add(shop: Shop, number: int, **columns: Any) -> None:
    row = {
        "id": number,
        "customer_id": "1",
        "enrollment_id": number,
        "journey": "thanks",
        "step": "thanks",
        "template": "thanks",
        "kind": "marketing",
        "topic": "orders",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
        "capped_until": NOW + timedelta(days=3),
        "message_id": f"{number}@shop.example",
    }
    row |= columns
    shop.add(
        "enrollment", id=number, journey=row["journey"], customer_id=row["customer_id"], key=str(number), step="thanks",
        trigger={}, entered_at=NOW,
    )  # fmt: skip
    shop.add("message", **row)


def test_the_fields_are_those_that_others_rely_on(any_shop: Shop) -> None:
    _add(any_shop, 7, state="sent", sent_at=NOW + timedelta(minutes=1), email="a@b.example", subject="Hé")

    (row,) = any_shop.json("messages")

    assert " ".join(row) == FIELDS
    assert row["created_at"] == "2026-11-22T09:00:00Z"
    assert row["sent_at"] == "2026-11-22T09:01:00Z"
    assert (row["id"], row["subject"], row["due_at"], row["attempts"]) == (7, "Hé", None, 0)


def test_the_order_does_not_follow_generated_ids(any_shop: Shop) -> None:
    _add(any_shop, 1, customer_id="2")
    _add(any_shop, 2, customer_id="1")
    _add(any_shop, 3, created_at=NOW - timedelta(hours=1))
    _add(any_shop, 4, journey="birthday")

    assert [row["id"] for row in any_shop.json("messages")] == [3, 4, 2, 1]
    assert [row["id"] for row in any_shop.json("messages", "--limit", "2")] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--state", "skipped"], [1, 2]),
        (["--state", "skipped", "--state", "sent"], [1, 2, 3]),
        (["--reason", "capped"], [1]),
        (["--customer", "2"], [3]),
        (["--journey", "birthday"], [2]),
        (["--journey", "nothing"], []),
    ],
    ids=str,
)
def test_filters_narrow_the_listing(any_shop: Shop, arguments: list[str], expected: list[int]) -> None:
    _add(any_shop, 1, state="skipped", reason="capped:1 per day", created_at=NOW)
    _add(any_shop, 2, state="skipped", reason="no_consent", journey="birthday", created_at=NOW + timedelta(1))
    _add(any_shop, 3, state="sent", customer_id="2", created_at=NOW + timedelta(2))

    assert [row["id"] for row in any_shop.json("messages", *arguments)] == expected


def test_the_table_says_how_many_it_leaves_out(shop: Shop) -> None:
    for number in range(1, 4):
        _add(shop, number)

    result = shop.run("messages", "--limit", "2")

    assert "the newest 2 of 3; all of them: --limit 0" in result.stderr
    assert "the newest" not in shop.run("messages").stderr


def test_a_name_that_steers_terminals_is_shown_harmless(shop: Shop) -> None:
    _add(shop, 1, subject="\x1b[31mred\x1b[0m \N{RIGHT-TO-LEFT OVERRIDE} [bold]x[/bold]\r\nnext")

    out = shop.run("messages").stdout

    assert "\x1b" not in out
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in out
    assert "[bold]x[/bold] next" in out


def test_an_uncertain_message_is_settled_as_sent_and_counts(any_shop: Shop) -> None:
    _uncertain(any_shop)

    assert any_shop.run("messages", "settle", "5", "--as", "sent").stdout == "5: sent\n"

    (row,) = any_shop.json("messages")
    assert (row["state"], row["reason"], row["sent_at"]) == ("sent", "settled by hand", "2026-11-22T09:05:00Z")
    assert _counted_at(any_shop) == NOW


def test_one_that_never_went_out_counts_no_more(any_shop: Shop) -> None:
    _uncertain(any_shop)

    any_shop.run("messages", "settle", "5", "--as", "skipped")

    (row,) = any_shop.json("messages")
    assert (row["state"], row["due_at"]) == ("skipped", None)
    assert _counted_at(any_shop) is None


def test_one_that_shall_go_out_again_is_due_now(any_shop: Shop) -> None:
    _uncertain(any_shop)

    any_shop.run("messages", "settle", "5", "--as", "pending")

    (row,) = any_shop.json("messages")
    assert row["state"] == "pending"
    assert datetime.fromisoformat(row["due_at"]) > NOW
    assert _counted_at(any_shop) is None


def test_only_uncertain_messages_can_be_settled(shop: Shop) -> None:
    _add(shop, 6, state="sent")

    result = shop.run("messages", "settle", "6", "7", "--as", "pending", exit_code=1)

    assert "message 6 is not uncertain" in result.stderr
    assert "message 7 is not uncertain" in result.stderr
    assert [row["state"] for row in shop.json("messages")] == ["sent"]


def _uncertain(shop: Shop) -> None:
    shop.add("customer", id="1", created_at=NOW, traits={}, consents={})
    _add(shop, 5, state="uncertain", reason="lease_expired", counted_at=NOW)


def _counted_at(shop: Shop) -> datetime | None:
    from sqlmodel import select

    from lifecycle.store.tables import Message

    with shop.database() as db, db.reading() as connection:
        counted_at: datetime | None = connection.execute(select(Message.counted_at)).scalar_one()
    return counted_at
