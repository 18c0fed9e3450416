"""Amounts, numbers, dates and times as people of one locale write them (CLDR, by Babel).

Three departures from Babel, each tested: halves round up, as invoices do; a space stands between a code of letters and
its digits, as CLDR asks ("Rp 125.000", UTS 35 part 3, currencySpacing); and the no-break spaces that stand beside
digits, not between them, are ordinary ones, so that text parts stay plain and people find what they search for.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from babel import Locale
    from babel.numbers import NumberPattern

# Babel is imported where it is used: it takes 60 ms, and commands that format nothing must not wait for it.

Number: TypeAlias = int | float | str | Decimal
Kind: TypeAlias = Literal["date", "time", "datetime"]

STYLES = ("short", "medium", "long", "full")

# CLDR gives it two decimals, and nobody in Indonesia writes them: the smallest coin is 50 rupiah.
_WITHOUT_CENTS = frozenset({"IDR"})
_BESIDE_DIGITS = re.compile("(?<![0-9])[\u00a0\u202f]|[\u00a0\u202f](?![0-9])")
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=[0-9])")
_DIGIT_BEFORE_LETTER = re.compile(r"(?<=[0-9])(?=[^\W\d_])")
_QUOTED = re.compile("'[^']*'")
_MOST_DIGITS = 20


@lru_cache(maxsize=4096, typed=True)  # one email says the same amount in subject, text and HTML
def money(value: Number, currency: str, locale: str) -> str:
    """An amount: 29.325, "USD", "en" → "$29.33". Raises ValueError for what is no number or no currency."""
    code, pattern = _money_pattern(currency, locale)
    amount = rounded(value, pattern.frac_prec[1], "money")
    text = str(pattern.apply(amount, _locale(locale), currency=code, currency_digits=False))
    return _plain(_DIGIT_BEFORE_LETTER.sub(" ", _LETTER_BEFORE_DIGIT.sub(" ", text)))


def is_currency(code: object) -> bool:
    """Whether it is the code of a currency that is or was in use (ISO 4217), in capitals."""
    from babel.numbers import list_currencies

    return isinstance(code, str) and code in list_currencies()


@lru_cache(maxsize=256)
def _money_pattern(currency: str, locale: str) -> tuple[str, NumberPattern]:
    from babel.numbers import get_currency_precision, parse_pattern

    code = currency.upper()
    if not is_currency(code):
        raise ValueError(f"money knows no currency {currency[:40]!r}; write a code like 'IDR'")
    pattern = parse_pattern(_locale(locale).currency_formats["standard"].pattern)
    decimals = 0 if code in _WITHOUT_CENTS else get_currency_precision(code)
    pattern.frac_prec = decimals, decimals
    return code, pattern


@lru_cache(maxsize=4096, typed=True)
def number(value: Number, decimals: int | None, locale: str) -> str:
    """A number: 1234.5, "id" → "1.234,5"; up to three decimals, or exactly so many. Raises ValueError."""
    return _in_pattern(value, decimals, locale, "number", _locale(locale).decimal_formats[None].pattern, 3)


@lru_cache(maxsize=4096, typed=True)
def percent(value: Number, decimals: int | None, locale: str) -> str:
    """A share of one: 0.1 → "10%"; whole, or with exactly so many decimals. Raises ValueError."""
    return _in_pattern(value, decimals, locale, "percent", _locale(locale).percent_formats[None].pattern, 0)


def _in_pattern(value: Number, decimals: int | None, locale: str, name: str, pattern: str, most: int) -> str:
    from babel.numbers import parse_pattern

    if decimals is not None and (type(decimals) is not int or not 0 <= decimals <= _MOST_DIGITS):
        raise ValueError(f"{name} takes from 0 to {_MOST_DIGITS} decimals, not {decimals!r}")
    parsed = parse_pattern(pattern)
    parsed.frac_prec = (0, most) if decimals is None else (decimals, decimals)
    amount = rounded(value, parsed.frac_prec[1] + parsed.scale, name)
    return _plain(str(parsed.apply(amount, _locale(locale))))


def rounded(value: Number, decimals: int, name: str) -> Decimal:
    """The value with so many decimals, halves rounded up; `name` is who asks. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"{name} expects a number, not {type(value).__name__}")
    try:
        amount = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount.is_nan():
        raise ValueError(f"{name} expects a number, not {str(value)[:40]!r}")
    return amount + 0  # no minus before a zero


def moment(value: object, kind: Kind, style: str, locale: str, zone: tzinfo | None) -> str:
    """A date, a time of day or both: in that zone if `value` says its own, else as it stands.

    `style`: short, medium, long or full; a pattern of CLDR ("d MMMM"); or one of strftime ("%d.%m.%y"), whose names are
    English. Raises ValueError.
    """
    known = _known(value, kind)
    if isinstance(known, datetime) and known.tzinfo is not None and zone is not None:
        known = known.astimezone(zone)
    if kind == "date" and type(known) is datetime and "%" not in style:
        known = known.date()  # so that the same day is found again, whatever the time
    if isinstance(known, datetime | time):
        # Moments that are equal in two zones are one key, but not one time of day.
        return _written(known.replace(tzinfo=None), known.fold, known.tzinfo, kind, style, locale)
    return _written(known, 0, None, kind, style, locale)


def _known(value: object, kind: Kind) -> date | time:
    if isinstance(value, str):
        value = _parsed(value, kind)
    if kind == "time" and isinstance(value, time):
        return value
    if isinstance(value, datetime) or (kind == "date" and isinstance(value, date)):
        return value
    raise ValueError(f"{kind} expects a {_EXPECTED[kind][0]}, not {type(value).__name__}")


_EXPECTED = {
    "date": ("date", "1997-03-20"),
    "time": ("time", "09:00 or 1997-03-20T09:00:00Z"),
    "datetime": ("date and time", "1997-03-20T09:00:00Z"),
}


def _parsed(text: str, kind: Kind) -> datetime | time:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        if kind == "time":
            return time.fromisoformat(text)
    except ValueError:
        pass
    what, example = _EXPECTED[kind]
    raise ValueError(f"{kind} expects a {what} like {example}, not {text[:40]!r}")


@lru_cache(maxsize=4096)
def _written(value: date | time, fold: int, zone: tzinfo | None, kind: Kind, style: str, locale: str) -> str:
    from babel import dates

    if isinstance(value, datetime | time):
        value = value.replace(fold=fold, tzinfo=zone)
    if "%" in style:
        return value.strftime(style)
    _check_style(style, kind)
    chosen = _locale(locale)
    if isinstance(value, datetime) and kind != "date":
        write = dates.format_time if kind == "time" else dates.format_datetime
        # Babel takes a moment without a zone for UTC, and names it so where the style names zones.
        return _plain(write(value, style, tzinfo=zone if isinstance(zone, ZoneInfo) else None, locale=chosen))
    if isinstance(value, time):
        return _plain(dates.format_time(value, style, locale=chosen))
    return _plain(dates.format_date(value, style, locale=chosen))


def _check_style(style: str, kind: Kind) -> None:
    from babel.dates import PATTERN_CHARS

    unknown = next((char for char in _QUOTED.sub("", style) if char.isalpha() and char not in PATTERN_CHARS), None)
    if style not in STYLES and (unknown or not style):
        raise ValueError(f"{kind} knows {', '.join(STYLES)} and patterns like 'd MMMM y', not {style[:40]!r}")


def _plain(text: str) -> str:
    return text if text.isascii() else _BESIDE_DIGITS.sub(" ", text)


@lru_cache(maxsize=256)
def _locale(name: str) -> Locale:
    from babel import Locale

    return Locale.parse(name)
