"""The filters that templates may use beside Jinja's own."""

from __future__ import annotations

from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

from jinja2 import Undefined

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "IDR": "Rp ", "INR": "₹", "AUD": "A$", "CAD": "C$"}
_WITHOUT_CENTS = frozenset({"JPY", "KRW", "IDR", "VND", "CLP"})


def default(value: object, fallback: object = "", boolean: bool = False) -> object:
    """Return `fallback` for a value that is missing, None or blank, because mail must not read "Hi None,"."""
    if isinstance(value, Undefined) or value is None or (isinstance(value, str) and not value.strip()):
        return fallback
    return fallback if boolean and not value else value


def money(value: object, currency: str = "USD") -> str:
    """Return an amount for people: 29.325 → "$29.33"; halves round up, currencies without cents show none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"money expects a number, not {type(value).__name__}")
    return _in_money(value, currency)


@lru_cache(maxsize=1024, typed=True)  # one email says the same amount in subject, text and HTML
def _in_money(value: int | float | str | Decimal, currency: str) -> str:
    try:
        amount = Decimal(str(value))
        if amount.is_nan():
            raise InvalidOperation
        amount = amount.quantize(Decimal(1) if currency in _WITHOUT_CENTS else Decimal("0.01"), ROUND_HALF_UP)
    except InvalidOperation as error:
        raise ValueError(f"money expects a number, not {str(value)[:40]!r}") from error
    sign = "-" if amount < 0 else ""
    return f"{sign}{_SYMBOLS.get(currency, currency + ' ')}{abs(amount):,}"


def calendar_date(value: object, pattern: str = "") -> str:
    """Return a date for people: 1997-03-20 → "20 March 1997", or by a strftime pattern."""
    if isinstance(value, str):
        text, value = value, _parsed(value)
        if value is None:
            raise ValueError(f"date expects a date like 1997-03-20, not {text[:40]!r}")
    if not isinstance(value, date):
        raise ValueError(f"date expects a date, not {type(value).__name__}")
    return value.strftime(pattern) if pattern else f"{value.day} {value:%B} {value.year}"


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
