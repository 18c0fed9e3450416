"""Amounts, numbers, dates and times in the customer's locale and zone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.mail import formats

JAKARTA = ZoneInfo("Asia/Jakarta")


@pytest.mark.parametrize(
    ("value", "currency", "locale", "printed"),
    [
        (125000, "IDR", "id", "Rp 125.000"),
        (125000, "IDR", "en", "IDR 125,000"),
        (29.325, "USD", "en", "$29.33"),
        (29.325, "USD", "id", "US$29,33"),
        (29.325, "USD", "en_GB", "US$29.33"),
        (-5, "EUR", "en", "-€5.00"),
        (-0.001, "USD", "en", "$0.00"),
        (1234.5, "JPY", "ja", "￥1,235"),
        (3, "chf", "de_CH", "CHF 3.00"),
        (3, "EUR", "fr", "3,00 €"),
        (1234567, "EUR", "fr", "1\u202f234\u202f567,00 €"),
        (Decimal("0.005"), "KWD", "en", "KWD 0.005"),
        ("1234567.5", "USD", "hi", "$12,34,567.50"),
    ],
)
def test_amounts_stand_as_the_locale_writes_them(
    value: formats.Number, currency: str, locale: str, printed: str
) -> None:
    """The space of "Rp 125.000" is U+0020, as issue 4 writes it: text parts stay ASCII, and searching finds it."""
    assert formats.money(value, currency, locale) == printed


@given(value=st.decimals(-(10**12), 10**12, places=4))
def test_halves_round_up_whatever_the_locale(value: Decimal) -> None:
    exact = abs(value) * 100
    cents = int(exact) + (exact - int(exact) >= Decimal("0.5"))

    digits = "".join(filter(str.isdigit, formats.money(value, "USD", "id")))

    assert int(digits) == cents


@pytest.mark.parametrize(
    ("value", "decimals", "locale", "printed"),
    [
        (1234.5, None, "en", "1,234.5"),
        (1234.5, None, "id", "1.234,5"),
        (1234.5, 2, "id", "1.234,50"),
        (2.5, 0, "en", "3"),
        (0.00049, None, "en", "0"),
        ("1e6", None, "de", "1.000.000"),
    ],
)
def test_numbers_stand_as_the_locale_writes_them(
    value: formats.Number, decimals: int | None, locale: str, printed: str
) -> None:
    assert formats.number(value, decimals, locale) == printed


@pytest.mark.parametrize(
    ("value", "decimals", "locale", "printed"),
    [(0.1, None, "id", "10%"), (0.125, None, "en", "13%"), (0.125, 1, "id", "12,5%"), (0.1, None, "fr", "10 %")],
)
def test_shares_stand_as_the_locale_writes_them(
    value: formats.Number, decimals: int | None, locale: str, printed: str
) -> None:
    assert formats.percent(value, decimals, locale) == printed


@pytest.mark.parametrize(
    ("kind", "style", "locale", "printed"),
    [
        ("date", "long", "en", "March 21, 1997"),
        ("date", "long", "en_GB", "21 March 1997"),
        ("date", "long", "id", "21 Maret 1997"),
        ("date", "full", "id", "Jumat, 21 Maret 1997"),
        ("date", "short", "id", "21/03/97"),
        ("date", "EEEE d MMMM", "id", "Jumat 21 Maret"),
        ("date", "d 'o''clock'", "en", "21 o'clock"),
        ("date", "%d.%m.%y", "id", "21.03.97"),
        ("time", "short", "en", "6:30 AM"),
        ("time", "short", "id", "06.30"),
        ("time", "HH:mm z", "id", "06:30 WIB"),
        ("datetime", "medium", "id", "21 Mar 1997 06.30.00"),
        ("datetime", "short", "en", "3/21/97, 6:30 AM"),
    ],
)
def test_moments_are_those_of_the_customers_zone(kind: formats.Kind, style: str, locale: str, printed: str) -> None:
    """Half past eleven at night in London is the next morning in Jakarta."""
    for value in ("1997-03-20T23:30:00Z", datetime(1997, 3, 20, 23, 30, tzinfo=UTC)):
        assert formats.moment(value, kind, style, locale, JAKARTA) == printed


def test_a_day_without_a_time_is_the_same_everywhere() -> None:
    for value in ("1994-02-28", date(1994, 2, 28), "1994-02-28T23:30:00"):
        assert formats.moment(value, "date", "long", "id", JAKARTA) == "28 Februari 1994"


def test_equal_moments_of_two_zones_are_not_mixed_up() -> None:
    moment = datetime(1997, 3, 20, 23, 30, tzinfo=UTC)

    printed = [formats.moment(moment, "time", "short", "id", ZoneInfo(zone)) for zone in ("Asia/Jakarta", "UTC")]

    assert printed == ["06.30", "23.30"]


def test_both_hours_of_a_clock_change_keep_their_names() -> None:
    new_york = ZoneInfo("America/New_York")
    first, second = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)

    printed = [formats.moment(each, "time", "HH:mm z", "en_US", new_york) for each in (first, second)]

    assert printed == ["01:30 EDT", "01:30 EST"]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: formats.money("NaN", "USD", "en"), "money expects a number, not 'NaN'"),
        (lambda: formats.money(float("inf"), "USD", "en"), "money expects a number, not 'inf'"),
        (lambda: formats.money(True, "USD", "en"), "money expects a number, not bool"),
        (lambda: formats.money(1, "RPX", "en"), "money knows no currency 'RPX'"),
        (lambda: formats.number(1, 99, "en"), "number takes from 0 to 20 decimals, not 99"),
        (lambda: formats.percent("x", None, "en"), "percent expects a number, not 'x'"),
        (lambda: formats.moment("soon", "date", "long", "en", None), "date expects a date like 1997-03-20, not 'soon'"),
        (lambda: formats.moment(7, "time", "short", "en", None), "time expects a time, not int"),
        (lambda: formats.moment("09:00", "datetime", "short", "en", None), "datetime expects a date and time like"),
        (lambda: formats.moment("1997-03-20", "date", "lang", "en", None), "date knows short, medium, long, full and"),
        (lambda: formats.moment("1997-03-20", "date", "", "en", None), "date knows short, medium, long, full and"),
    ],
)
def test_what_cannot_be_formatted_says_why(call: object, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value).startswith(reason)
