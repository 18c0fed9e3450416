from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import clock
from lifecycle.errors import ConfigurationError

NOON = datetime(1997, 3, 20, 12, tzinfo=UTC)


def test_the_clock_is_real_unless_told_otherwise() -> None:
    before = datetime.now(UTC)
    seen = clock.now()
    assert before <= seen <= datetime.now(UTC)
    assert seen.tzinfo is UTC


def test_a_fixed_clock_stands_still_until_it_is_moved() -> None:
    with clock.use(clock.Fixed(NOON)) as fixed:
        assert clock.now() == NOON
        fixed.advance(timedelta(days=10))
        assert clock.now() == NOON + timedelta(days=10)
        fixed.set(NOON - timedelta(hours=1))
        assert clock.now() == NOON - timedelta(hours=1)


def test_a_fixed_clock_answers_in_utc_and_refuses_an_instant_without_a_zone() -> None:
    jakarta = timezone(timedelta(hours=7))
    assert clock.Fixed(datetime(1997, 3, 20, 19, tzinfo=jakarta)).now().isoformat() == "1997-03-20T12:00:00+00:00"
    with pytest.raises(ValueError, match="has no time zone"):
        clock.Fixed(datetime(1997, 3, 20, 19))  # noqa: DTZ001 - the mistake that is tested


def test_sleeping_on_a_fixed_clock_moves_it_at_once() -> None:
    with clock.use(clock.Fixed(NOON)):
        started = time.monotonic()
        clock.sleep(3600)
        assert clock.now() == NOON + timedelta(hours=1)
        assert time.monotonic() - started < 60


def test_the_former_clock_comes_back_after_a_block_also_when_it_fails() -> None:
    with clock.use(clock.Fixed(NOON)) as outer:
        with pytest.raises(RuntimeError, match="inside"), clock.use(clock.Fixed(NOON + timedelta(days=1))):
            raise RuntimeError("inside")
        assert clock.current() is outer


def test_a_scaled_clock_runs_faster_from_its_origin() -> None:
    scaled = clock.Scaled(NOON, time.time() - 72, 1200)
    elapsed = scaled.now() - NOON
    assert timedelta(days=1) <= elapsed < timedelta(days=2)
    assert scaled.real_seconds(86_400) == 72


def test_sleeping_on_a_scaled_clock_takes_its_share_of_real_time() -> None:
    with clock.use(clock.Scaled.starting_at(NOON, 36_000)):
        before = clock.now()
        started = time.monotonic()
        clock.sleep(360)
        assert clock.now() - before >= timedelta(seconds=360)
        assert time.monotonic() - started >= 0.01


def test_a_sleep_ends_early_when_its_event_is_set() -> None:
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    started = time.monotonic()
    assert clock.sleep(600, until=stop) is True
    assert time.monotonic() - started < 300
    assert clock.sleep(0.001, until=threading.Event()) is False


@given(
    virtual=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    real=st.floats(1, 4e9),
    speed=st.floats(0.001, 1_000_000),
)
def test_processes_that_share_the_text_of_a_clock_share_the_clock(virtual: datetime, real: float, speed: float) -> None:
    scaled = clock.Scaled(virtual, real, speed)
    again = clock.parse(str(scaled))
    assert isinstance(again, clock.Scaled)
    assert (again.virtual, again.real, again.speed) == (scaled.virtual, scaled.real, scaled.speed)


def test_the_text_of_the_setting_is_read_as_documented() -> None:
    scaled = clock.parse("1997-03-20T05:00:00Z@1760000000.0x1200")
    assert isinstance(scaled, clock.Scaled)
    assert (scaled.virtual, scaled.real, scaled.speed) == (NOON - timedelta(hours=7), 1_760_000_000, 1200)
    assert isinstance(clock.parse("real"), clock.Real)
    assert isinstance(clock.parse(""), clock.Real)


@pytest.mark.parametrize(
    "text",
    [
        "now",
        "1997-03-20T05:00:00Z",
        "1997-03-20T05:00:00Z@1760000000",
        "1997-03-20T05:00:00Z@1760000000x",
        "1997-03-20T05:00:00Z@1760000000x0",
        "1997-03-20T05:00:00@1760000000x1200",
        "1997-13-20T05:00:00Z@1760000000x1200",
        "@1760000000x1200",
        "1997-03-20T05:00:00Z@-1x1200",
        "1997-03-20T05:00:00Z@1760000000xnan",
    ],
)
def test_a_clock_that_cannot_be_read_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        clock.parse(text)
    assert "LIFECYCLE_CLOCK" in str(caught.value)
    assert "for example 1997-03-20T05:00:00Z@" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_asking_for_the_time_is_cheap() -> None:
    with clock.use(clock.Scaled.starting_at(NOON, 1200)):
        best = min(_seconds_for_a_thousand() for _ in range(20))
    assert best < 5e-3  # 1 µs each is the aim; five times that is a defect on any machine


def _seconds_for_a_thousand() -> float:
    started = time.thread_time()
    for _ in range(1000):
        clock.now()
    return time.thread_time() - started
