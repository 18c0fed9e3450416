"""The filters that templates may use beside Jinja's own; some write for the locale of whoever gets the email."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from lifecycle.mail import formats

# What a template that is rendered without an engine around it is shown in.
_LOCALE, _CURRENCY = "en", "USD"


def default(value: object, fallback: object = "", boolean: bool = False) -> object:
    """Return `fallback` for a value that is missing, None or blank, because mail must not read "Hi None,"."""
    if isinstance(value, Undefined) or value is None or (isinstance(value, str) and not value.strip()):
        return fallback
    return fallback if boolean and not value else value


@pass_context
def money(context: Context, value: Any, currency: object = "") -> str:
    """Return an amount as the customer's locale writes it; without a currency it is in the policy's."""
    code = str(currency) or context.get("_currency", _CURRENCY)
    return formats.money(_countable(value, "money"), code, context.get("locale", _LOCALE))


@pass_context
def number(context: Context, value: Any, decimals: int | None = None) -> str:
    """Return a number as the customer's locale writes it: 1234.5 → "1,234.5"."""
    return formats.number(_countable(value, "number"), decimals, context.get("locale", _LOCALE))


@pass_context
def percent(context: Context, value: Any, decimals: int | None = None) -> str:
    """Return a share of one: 0.1 → "10%"."""
    return formats.percent(_countable(value, "percent"), decimals, context.get("locale", _LOCALE))


@pass_context
def date(context: Context, value: object, style: str = "long") -> str:
    """Return the day that it is or was for the customer: "March 20, 1997"."""
    return _moment(context, value, "date", style)


@pass_context
def time(context: Context, value: object, style: str = "short") -> str:
    """Return the time of day that it is or was for the customer: "9:00 AM"."""
    return _moment(context, value, "time", style)


@pass_context
def datetime(context: Context, value: object, style: str = "medium") -> str:
    """Return day and time as they are or were for the customer."""
    return _moment(context, value, "datetime", style)


def _moment(context: Context, value: object, kind: formats.Kind, style: str) -> str:
    zone = getattr(context.get("now"), "tzinfo", None)
    return formats.moment(_given(value), kind, style, context.get("locale", _LOCALE), zone)


def _countable(value: Any, name: str) -> Any:
    """Return the value, which may be a number; a list or mapping, which no cache can look up, is none."""
    if isinstance(value, int | float | str | Decimal):
        return value
    if isinstance(value, Undefined):
        return str(value)
    raise ValueError(f"{name} expects a number, not {type(value).__name__}")


def _given(value: Any) -> Any:
    """Return the value; one that is missing raises the error that names it."""
    return str(value) if isinstance(value, Undefined) else value
