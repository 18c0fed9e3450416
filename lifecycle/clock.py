"""The one clock that all code asks: real, fixed (tests and replay), or scaled (a demo day in a minute).

    from lifecycle import clock

    clock.now()                                   # aware, UTC
    with clock.use(clock.Fixed(datetime(2026, 2, 28, 9, tzinfo=UTC))) as fixed:
        fixed.advance(timedelta(days=1))

Everything that is stored or compared is UTC; a person's own time zone is the business of `core.calendar`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from lifecycle.errors import ConfigurationError

ClockT = TypeVar("ClockT", bound="Clock")


class Clock(Protocol):
    """What tells the time. `real_seconds` says how long a span of this clock's time lasts on the wall."""

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""

    def real_seconds(self, seconds: float) -> float:
        """How many real seconds to wait until `seconds` of this clock's time have passed."""

    def pass_time(self, seconds: float) -> bool:
        """Jump over `seconds` if this clock can; False: the caller has to wait for them."""


class Real:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def real_seconds(self, seconds: float) -> float:
        return seconds

    def pass_time(self, seconds: float) -> bool:
        return False


class Fixed:
    """A clock that stands still until it is told otherwise; sleeping on it moves it at once."""

    def __init__(self, instant: datetime) -> None:
        self._instant = _as_utc(instant)

    def now(self) -> datetime:
        return self._instant

    def set(self, instant: datetime) -> None:
        """Move to `instant`, forwards or backwards."""
        self._instant = _as_utc(instant)

    def advance(self, span: timedelta) -> datetime:
        """Move by `span` and return the new instant."""
        self._instant += span
        return self._instant

    def real_seconds(self, seconds: float) -> float:
        return 0.0

    def pass_time(self, seconds: float) -> bool:
        self._instant += timedelta(seconds=seconds)
        return True


class Scaled:
    """A clock that stood at `virtual` at the real instant `real` and runs `speed` times as fast.

    `str()` gives the text from which `parse` makes the same clock again, so that several processes share it.
    """

    def __init__(self, virtual: datetime, real: float, speed: float) -> None:
        if not 0.001 <= speed <= 1_000_000:
            raise ConfigurationError(f"the speed of a clock lies between 0.001 and 1,000,000, not at {speed:g}")
        self.virtual = _as_utc(virtual)
        self.real = real
        self.speed = speed

    @classmethod
    def starting_at(cls, virtual: datetime, speed: float) -> Scaled:
        """A clock that stands at `virtual` now."""
        return cls(virtual, time.time(), speed)

    def now(self) -> datetime:
        return self.virtual + timedelta(seconds=(time.time() - self.real) * self.speed)

    def real_seconds(self, seconds: float) -> float:
        return seconds / self.speed

    def pass_time(self, seconds: float) -> bool:
        return False

    def __str__(self) -> str:
        virtual = self.virtual.isoformat().replace("+00:00", "Z")
        return f"{virtual}@{self.real!r}x{self.speed!r}"

    def __repr__(self) -> str:
        return f"Scaled({self})"


_FORM = re.compile(r"(?P<virtual>[^@]+)@(?P<real>\d+(?:\.\d+)?)x(?P<speed>\d+(?:\.\d+)?)")
_REMEDY = "write VIRTUAL@REAL_UNIX_SECONDSxSPEED, for example 1997-03-20T05:00:00Z@1760000000.0x1200, or leave it out"


def parse(text: str) -> Clock:
    """Make a clock from the text of `LIFECYCLE_CLOCK`: empty or "real", or what `str(Scaled(...))` gave.

    Raises ConfigurationError when the text is neither.
    """
    if text in ("", "real"):
        return Real()
    form = _FORM.fullmatch(text)
    if form is None:
        raise ConfigurationError(f"LIFECYCLE_CLOCK={text!r} is not a clock; {_REMEDY}")
    try:
        virtual = datetime.fromisoformat(form["virtual"])
        return Scaled(virtual, float(form["real"]), float(form["speed"]))
    except (ValueError, ConfigurationError) as error:
        raise ConfigurationError(f"LIFECYCLE_CLOCK={text!r} is not a clock ({error}); {_REMEDY}") from None


def _as_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone; add one, for example tzinfo=UTC")
    return instant.astimezone(UTC)


class use(Generic[ClockT]):  # noqa: N801 - reads as a verb: `with clock.use(...)`
    """Make `clock` the current one: for good when called, for a block when used with `with`.

    Threads share it. `with` gives the clock itself and puts the former one back at the end.
    """

    def __init__(self, clock: ClockT) -> None:
        self._clock = clock
        self._former = current()
        _set(clock)

    def __enter__(self) -> ClockT:
        return self._clock

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _set(self._former)


_current: Clock = Real()
_now: Callable[[], datetime] = _current.now


def _set(clock: Clock) -> None:
    global _current, _now
    _current = clock
    _now = clock.now


def current() -> Clock:
    """The clock that is in use."""
    return _current


def now() -> datetime:
    """The present instant by the current clock, aware and in UTC."""
    return _now()


def real_seconds(seconds: float) -> float:
    """How many real seconds `seconds` of the current clock's time last: 0 on a fixed clock."""
    return _current.real_seconds(seconds)


def sleep(seconds: float, *, until: Event | None = None) -> bool:
    """Wait until `seconds` of the current clock's time have passed; a fixed clock jumps there at once.

    `until` is a `threading.Event` that ends the wait early, for example on SIGTERM. Returns whether it is set.
    """
    if seconds > 0 and not _current.pass_time(seconds):
        if until is not None:
            return until.wait(_current.real_seconds(seconds))
        time.sleep(_current.real_seconds(seconds))
    return until is not None and until.is_set()
