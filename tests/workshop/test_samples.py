"""Sample files: laid over what is made up from the vocabulary, and every mistake told with its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from lifecycle import Attribute, Event, Journey, Policy, Property, Purchases, Send, Sender, on
from lifecycle.errors import TemplateError
from lifecycle.journey.project import Project
from lifecycle.journey.sample import A_DAY
from lifecycle.journey.vocabulary import Vocabulary
from lifecycle.workshop.samples import Sample, sample


class customer:  # noqa: N801 - the noun of the language
    city = Attribute[str]()
    points = Attribute[int]()


class Ordered(Event, name="order.completed"):
    order_id = Property[str]()
    total = Property[float]()
    products = Property[list[object]]()


SENDER = Sender("Shop", "hello@shop.example", postal_address="1 Road")
PROJECT = Project(
    Vocabulary({"city": customer.city, "points": customer.points}, {"order.completed": Ordered}),
    {"thanks": Journey(name="thanks", topic="orders", enter=on(Ordered), steps=[Send("thanks")])},
    Policy(sender=SENDER, purchases=Purchases(Ordered)),
)
WITHOUT_PURCHASES = replace(PROJECT, policy=Policy(sender=SENDER))


def sampled(folder: Path, locale: str | None = None, **files: str) -> Sample:
    """The sample of the email `thanks`, whose files are `thanks.<name>.json`, with `_` for a dot."""
    for name, text in files.items():
        (folder / f"thanks.{name.replace('_', '.')}.json").write_text(text)
    return sample(PROJECT, folder, "thanks", "order.completed", locale)


def test_without_a_file_everything_the_vocabulary_names_is_there(tmp_path: Path) -> None:
    found = sampled(tmp_path)

    assert found.customer["first_name"] == "Alice"
    assert found.customer["city"] == "City"
    assert found.customer["points"] == 2
    assert (found.event["order_id"], found.event["total"]) == ("A1001", 42.5)
    assert [order["order_id"] for order in found.more["orders"]][:2] == ["A1001", "A1001"]
    assert {*found.more["recommended"](1)[0]} >= {"id", "name", "url", "image", "price", "category"}


def test_each_locale_has_somebody_who_could_read_it(tmp_path: Path) -> None:
    her = sampled(tmp_path, "id").customer

    assert (her["first_name"], her["timezone"], her["locale"]) == ("Siti", "Asia/Jakarta", "id")
    assert sampled(tmp_path, "id-ID").customer["first_name"] == "Siti"
    assert sampled(tmp_path, "fr").customer["locale"] == "fr"


def test_a_file_says_as_much_as_it_likes_in_the_types_that_emails_get(tmp_path: Path) -> None:
    found = sampled(
        tmp_path,
        sample='{"customer": {"city": "Solo", "birthday": "1994-02-28", "created_at": "2026-01-02T03:04:05Z", '
        '"last_name": null}, "event": {"total": null, "products": null}, '
        '"orders": [{"order_id": "A1"}, {"at": "2026-01-02"}], "recommended": [{"name": "Teapot"}, {"price": 3}]}',
    )

    assert found.customer["city"] == "Solo"
    assert found.customer["birthday"] == date(1994, 2, 28)
    assert found.customer["created_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.customer["first_name"] == "Alice"
    assert "last_name" not in found.customer
    assert found.event == {"order_id": "A1001"}
    assert found.more["orders"] == [
        {"order_id": "A1", "at": A_DAY},
        {"at": datetime(2026, 1, 2, tzinfo=UTC)},
    ]
    assert [product["name"] for product in found.more["recommended"](5)] == ["Teapot", "Blue mug"]
    assert found.more["recommended"](1)[0]["url"].startswith("https://")


def test_a_locale_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    files = {"sample": '{"customer": {"city": "Bath", "points": 1}}', "id_sample": '{"customer": {"city": "Solo"}}'}

    assert sampled(tmp_path, **files).customer["city"] == "Bath"
    her = sampled(tmp_path, "id", **files).customer
    assert (her["city"], her["points"], her["first_name"]) == ("Solo", 1, "Siti")


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ('{\n  "customer": {,}\n}', "2:16", "this is no JSON: expecting property name", "mend the line"),
        ("[" * 100_000, "1:1", "it is nested too deeply", "write less"),
        ("[]", "1:1", "sample data are an object", "customer, event, orders, recommended"),
        ('{\n\n "customers": {}}', "3:2", "'customers' is nothing", "did you mean 'customer'?"),
        ('{"customer": []}', "1:2", "'customer' is no object", '"customer": {…}'),
        ('{"orders": [{}, 3]}', "1:2", "'orders' is no list of objects", '"orders": [{…}, {…}]'),
        (
            '{"event": {"city": 1}, "customer": {"cty": "x"}}',
            "1:37",
            "'customer.cty' is nothing",
            "did you mean 'city'?",
        ),
        ('{"customer": {},\n "event": {"order_idd": 1}}', "2:12", "'event.order_idd' is", "did you mean 'order_id'?"),
        ('{"customer": {"birthday": "soon"}}', "1:15", "the trait birthday is no date", "mend the value"),
        ('{"orders": [{"order_i": 1}]}', "1:14", "'orders.order_i' is", "did you mean 'order_id'?"),
        ('{"orders": [{"at": 5}]}', "1:14", "an order's at is no moment: 5", '"at": "2026'),
        ('{"recommended": [{"url": "", "nam": 1}]}', "1:30", "'recommended.nam' is", "did you mean 'name'?"),
        ('{"customer": {"first_name": 7}}', "1:15", "the trait first_name is no text", "mend the value"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_a_remedy(
    tmp_path: Path, text: str, place: str, message: str, hint: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        sampled(tmp_path, sample=text)

    assert caught.value.where == f"{tmp_path}/thanks.sample.json:{place}"
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "thanks.sample.json").write_bytes(b'{"customer": "\xff"}')

    with pytest.raises(TemplateError, match=r"thanks\.sample\.json:1:1: the file is not UTF-8"):
        sampled(tmp_path)


def test_an_event_where_none_starts_the_journey_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "thanks.sample.json").write_text('{"event": {"total": 1}}')

    with pytest.raises(TemplateError, match="no event starts a journey that sends this email"):
        sample(PROJECT, tmp_path, "thanks", None)


def test_orders_where_emails_have_none_are_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "thanks.sample.json").write_text('{"orders": []}')

    with pytest.raises(TemplateError, match="emails have no orders where the policy names no purchases"):
        sample(WITHOUT_PURCHASES, tmp_path, "thanks", "order.completed")


def test_the_same_sample_is_made_up_every_time(tmp_path: Path) -> None:
    one, other = sampled(tmp_path), sampled(tmp_path)

    assert (one.customer, one.event, one.more["orders"]) == (other.customer, other.event, other.more["orders"])
