"""The harness: medians, ratios, exit codes, and that no bar of the specification is without a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS, _measurer
from benchmarks.bars import BARS, BOTH, POSTGRESQL, SQLITE, Line, exit_code, per_second, ratios

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def test_the_median_of_the_runs_counts_not_the_best_of_them() -> None:
    line = Line("deliver.smtplib", SQLITE, [0.2, 0.9, 3.0])
    assert line.value == 0.9
    assert line.missed


def test_a_ratio_compares_runs_of_the_same_round() -> None:
    assert ratios([10.0, 40.0, 90.0], [10.0, 20.0, 30.0]) == [1.0, 2.0, 3.0]
    assert per_second(500, [0.5, 2.0]) == [1000.0, 250.0]


def test_rounds_without_their_counterpart_are_no_ratio() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("value", "missed"), [(1.0, False), (1.01, False), (0.99, True)])
def test_at_least_includes_the_bar_itself(value: float, missed: bool) -> None:
    assert Line("deliver.smtplib", POSTGRESQL, [value]).missed is missed


@pytest.mark.parametrize(("value", "missed"), [(0.5, False), (0.49, False), (0.51, True)])
def test_at_most_includes_the_bar_itself(value: float, missed: bool) -> None:
    assert Line("deliver.cpu", POSTGRESQL, [value]).missed is missed


def test_a_bar_that_holds_for_one_database_is_not_missed_on_the_other() -> None:
    slow = [1.0]
    assert Line("end_to_end.rate", POSTGRESQL, slow).missed
    assert not Line("end_to_end.rate", SQLITE, slow).missed
    assert not Line(None, SQLITE, slow, what="to make the customers", unit="s").missed


def test_one_missed_bar_fails_the_run() -> None:
    well, missed = Line("deliver.usual", SQLITE, [9.0]), Line("deliver.usual", POSTGRESQL, [7.9])
    assert exit_code([well, well]) == 0
    assert exit_code([well, missed, well]) == 1


def test_a_line_shows_median_spread_bar_and_absolute_figures() -> None:
    line = str(Line("deliver.smtplib", POSTGRESQL, [0.9, 1.25, 1.5], "3,100 emails/s; smtplib 2,500/s"))
    for part in ("✓ PostgreSQL", "1.25 × (0.90 to 1.50)", "[≥ 1 ×]", "3,100 emails/s; smtplib 2,500/s"):
        assert part in line
    assert str(Line("deliver.smtplib", POSTGRESQL, [0.5])).startswith("✗ PostgreSQL")
    assert str(Line("replay.cdnow", POSTGRESQL, [500.0])).startswith("· PostgreSQL")


def test_every_bar_of_the_specification_is_there() -> None:
    assert {(name, bar.limit, bar.at_most) for name, bar in BARS.items()} == {
        ("deliver.smtplib", 1.0, False),
        ("deliver.usual", 8.0, False),
        ("deliver.blast", 0.5, False),
        ("deliver.cpu", 0.5, True),
        ("deliver.two", 1.1, False),
        ("memory.peak", 150, True),
        ("events.rate", 8_000, False),
        ("events.growth", 1.4, True),
        ("claim.growth", 3.0, True),
        ("claim.bloat", 2.0, True),
        ("claim.caps", 1.4, True),
        ("caps.ten", 1.5, True),
        ("caps.heavy", 1.3, True),
        ("caps.growth", 1.3, True),
        ("enter.when", 2.0, True),
        ("enter.each_year", 2.0, True),
        ("enter.reads", 0, True),
        ("end_to_end.rate", 1_000, False),
        ("replay.cdnow", 60, True),
        ("rendering.bare", 1.5, True),
        ("rendering.cold", 2.0, True),
        ("rendering.cached", 50, True),
        ("start.help", 250, True),
        ("preview.cold", 1_000, True),
        ("preview.warm", 1_000, True),
        ("start.check", 1_500, True),
        ("preview.warm", 1_000, True),
        ("preview.cold", 1_000, True),
        ("gallery.paint", 1_000, True),
    }
    assert all(set(bar.on) & {*BOTH, ""} for bar in BARS.values())


def test_every_bar_has_a_part_that_measures_it() -> None:
    measured = "".join((FOLDER / f"{_measurer(name).__module__.rpartition('.')[2]}.py").read_text() for name in PARTS)
    assert {*re.findall(r'"([a-z_]+\.[a-z_]+)"', measured)} >= BARS.keys()
