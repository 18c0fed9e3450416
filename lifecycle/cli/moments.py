"""Moments and spans of time, as people write them after an option."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from lifecycle.errors import LifecycleError
from lifecycle.workshop.moment import wall_moment

_SPAN = re.compile(r"(\d{1,5})\s*([wdhm])")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes"}


class Moment(click.ParamType[datetime]):
    """A day, or a moment with its zone."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day like 1997-03-20, and no moment like 1997-03-20T09:00:00Z", param, ctx)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


class WallMoment(click.ParamType[datetime]):
    """A moment by the clock on somebody's wall, which is naive, or one with its offset."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return wall_moment(str(value))
        except LifecycleError as error:
            self.fail(str(error), param, ctx)


class Span(click.ParamType[timedelta]):
    """A length of time such as 30d, 12h or 2w."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = _SPAN.fullmatch(str(value).strip().lower())
        if found is None or not int(found[1]):
            self.fail(f"{value!r} is no span like 30d, 12h or 2w", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
