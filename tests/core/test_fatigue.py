"""The fatigue score: what a person can check with pencil and paper."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import Sunset, days
from lifecycle.core.fatigue import Counts, Silence, is_sunset, next_look, score, state

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)

STATES = [
    (Counts(sent=20, opened=20), 0.0, "undersaturated"),
    (Counts(sent=20, opened=10), 0.5, "undersaturated"),
    (Counts(sent=20, opened=4, clicked=3), 0.5, "undersaturated"),
    (Counts(sent=20, opened=5, clicked=1), 0.65, "on_target"),
    (Counts(sent=20, opened=3), 0.85, "on_target"),
    (Counts(sent=20, opened=2), 0.9, "saturated"),
    (Counts(sent=20), 1.0, "saturated"),
    (Counts(sent=20, bought=1), 0.8, "on_target"),
    (Counts(sent=8, opened=8, clicked=8, bought=3), 0.0, "undersaturated"),
    (Counts(sent=4), 1.0, "unknown"),
    (Counts(sent=5), 1.0, "saturated"),
    (Counts(), None, "unknown"),
    (Counts(bought=2), None, "unknown"),
    (Counts(sent=20, opened=20, complained=1), 1.0, "saturated"),
    (Counts(sent=1, complained=1), 1.0, "saturated"),
]


@pytest.mark.parametrize(("counts", "expected", "name"), STATES)
def test_the_score_is_the_share_that_met_no_reaction(counts: Counts, expected: float | None, name: str) -> None:
    assert score(counts) == expected
    assert state(counts, heard=True) == name


def test_where_opens_and_clicks_are_not_reported_silence_says_nothing() -> None:
    assert state(Counts(sent=50), heard=False) == "unknown"
    assert state(Counts(sent=50, bought=20), heard=False) == "unknown"
    assert state(Counts(sent=50, complained=1), heard=False) == "saturated"


small = st.integers(0, 50)


@given(sent=small, opened=small, clicked=small, bought=small)
def test_more_reactions_never_tire_and_more_emails_without_one_never_refresh(
    sent: int, opened: int, clicked: int, bought: int
) -> None:
    before = score(Counts(sent, opened, clicked, bought))
    if before is None:
        assert sent == 0
        return
    assert 0 <= before <= 1
    for more in (Counts(sent, opened + 1, clicked, bought), Counts(sent, opened, clicked + 1, bought)):
        after = score(more)
        assert after is not None
        assert after <= before
    ignored = score(Counts(sent + 1, opened, clicked, bought))
    assert ignored is not None
    assert ignored >= before


def test_the_sun_sets_after_so_many_emails_into_so_long_a_silence() -> None:
    rule, long_ago = Sunset(after=5, silent_for=days(60)), NOW - timedelta(days=60)
    assert is_sunset(Silence(long_ago, 5), rule, NOW)
    assert not is_sunset(Silence(long_ago, 4), rule, NOW)
    assert not is_sunset(Silence(long_ago + timedelta(seconds=1), 5), rule, NOW)
    assert not is_sunset(Silence(long_ago, 5), None, NOW)
    assert not is_sunset(Silence(None, 0), rule, NOW)


def test_everybody_is_looked_at_as_the_day_begins_in_utc() -> None:
    assert next_look(NOW) == datetime(2026, 3, 5, tzinfo=UTC)
    assert next_look(next_look(NOW)) == datetime(2026, 3, 6, tzinfo=UTC)
    assert next_look(NOW.replace(hour=23)) == datetime(2026, 3, 5, tzinfo=UTC)
