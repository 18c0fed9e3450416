"""No window of a cap's length ever holds more than its limit, and nobody waits longer than that needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.core.caps import Counted, counts_now, full, longest, next_free
from lifecycle.journey.caps import Cap
from lifecycle.journey.durations import Duration, days, hours

START = datetime(2026, 3, 1, tzinfo=UTC)
TOPICS = ["offers", "orders", "news"]
MINUTE = timedelta(minutes=1)

caps_of_a_policy = st.lists(
    st.builds(
        lambda limit, minutes, topic: Cap(limit, per=Duration(seconds=60 * minutes), topic=topic),
        st.integers(1, 4),
        st.integers(1, 60),
        st.sampled_from([None, *TOPICS]),
    ),
    max_size=4,
)
attempts = st.lists(st.tuples(st.integers(0, 20), st.sampled_from(TOPICS)), max_size=40)


def has_room(caps: list[Cap], history: list[Counted], topic: str, now: datetime) -> bool:
    """Brute force: with one more at `now`, every half-open window that holds it has at most the limit."""
    for cap in caps:
        if not cap.concerns(topic):
            continue
        counted = [past.at for past in history if cap.concerns(past.topic)]
        for start in [*(at for at in counted if now - cap.span < at <= now), now]:
            if sum(start <= at < start + cap.span for at in [*counted, now]) > cap.limit:
                return False
    return True


def most_in_a_window(moments: list[datetime], window: timedelta) -> int:
    return max((sum(start <= at < start + window for at in moments) for start in moments), default=0)


@given(caps_of_a_policy, attempts)
def test_sending_whenever_no_cap_is_full_never_puts_more_than_the_limit_into_any_window(
    caps: list[Cap], tries: list[tuple[int, str]]
) -> None:
    history: list[Counted] = []
    now = START
    for minutes, topic in tries:
        now += minutes * MINUTE
        if full(caps, counts_now(caps, history, now), topic) is None:
            history.append(Counted(now, topic))
    for cap in caps:
        assert most_in_a_window([past.at for past in history if cap.concerns(past.topic)], cap.span) <= cap.limit


@given(caps_of_a_policy, attempts)
def test_waiting_for_the_next_free_moment_never_puts_more_than_the_limit_into_any_window(
    caps: list[Cap], tries: list[tuple[int, str]]
) -> None:
    history: list[Counted] = []
    now = START
    for minutes, topic in tries:
        now += minutes * MINUTE
        free = next_free(caps, history, topic, now)
        assert free is not None
        now = max(now, free)
        assert full(caps, counts_now(caps, history, now), topic) is None
        history.append(Counted(now, topic))
    for cap in caps:
        assert most_in_a_window([past.at for past in history if cap.concerns(past.topic)], cap.span) <= cap.limit


@given(caps_of_a_policy, attempts, st.sampled_from(TOPICS), st.integers(0, 30))
def test_the_next_free_moment_is_the_first_that_brute_force_finds(
    caps: list[Cap], tries: list[tuple[int, str]], topic: str, later: int
) -> None:
    moments = [START]
    for minutes, _ in tries:
        moments.append(moments[-1] + minutes * MINUTE)
    history = [Counted(at, of) for at, (_, of) in zip(moments[1:], tries, strict=True)]
    now = moments[-1] + later * MINUTE
    brute = next(now + n * MINUTE for n in range(10_000) if has_room(caps, history, topic, now + n * MINUTE))
    assert next_free(caps, history, topic, now) == brute
    assert (full(caps, counts_now(caps, history, now), topic) is None) == (brute == now)


def test_a_message_counts_until_the_window_has_passed_and_not_a_moment_longer() -> None:
    caps = [Cap(1, per=days(1))]
    history = [Counted(START, "offers")]
    almost = START + timedelta(days=1) - timedelta(microseconds=1)
    assert counts_now(caps, history, almost) == [1]
    assert counts_now(caps, history, START + timedelta(days=1)) == [0]
    assert next_free(caps, history, "offers", almost) == START + timedelta(days=1)


def test_a_cap_of_a_topic_counts_only_that_topic() -> None:
    caps = [Cap(1, per=days(1), topic="offers")]
    history = [Counted(START, "offers")]
    assert full(caps, counts_now(caps, history, START), "orders") is None
    assert full(caps, counts_now(caps, history, START), "offers") == caps[0]


def test_a_cap_of_none_is_never_free() -> None:
    assert next_free([Cap(0, per=hours(1))], [], "offers", START) is None


def test_a_send_that_another_worker_dated_a_moment_ahead_counts_as_well() -> None:
    caps = [Cap(1, per=hours(1))]
    ahead = START + timedelta(seconds=1)
    assert counts_now(caps, [Counted(ahead, "offers")], START) == [1]
    assert next_free(caps, [Counted(ahead, "offers")], "offers", START) == ahead + timedelta(hours=1)


def test_the_longest_window_is_that_of_the_widest_cap() -> None:
    assert longest([]) == timedelta(0)
    assert longest([Cap(1, per=days(1)), Cap(3, per=days(30)), Cap(2, per=days(7))]) == timedelta(days=30)
