"""What is shipped for users' own tests: the page about it runs, and the shipped journeys do what they say."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lifecycle import days, hours
from lifecycle.journey.load import load
from lifecycle.journey.project import Project
from lifecycle.testing import A_MONDAY, Outbox, Simulation

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project() -> Project:
    found, problems = load(_ROOT / "journeys")
    assert found is not None, problems
    return found


def test_the_page_about_testing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_ROOT)
    page = (_ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    for example in examples:
        exec(compile(example, "docs/testing.md", "exec"), names)
    assert len(examples) == 2


MORNING = A_MONDAY.replace(hour=15)  # ten in New York


def begin(project: Project, at: datetime = MORNING, **traits: object) -> Simulation:
    sim = Simulation(project, at=at)
    sim.identify("42", **{"email": "ann@example.com", **traits})
    sim.allow("42")
    return sim


@pytest.mark.parametrize(("year", "greeted"), [(2027, (2, 28)), (2028, (2, 29))])
def test_a_birthday_on_29_february_is_greeted_once_on_its_day_or_the_one_before(
    project: Project, year: int, greeted: tuple[int, int]
) -> None:
    """Law 5, with the shipped journey."""
    with begin(project, datetime(year, 2, 1, 15, tzinfo=UTC), birthday=date(1992, 2, 29)) as sim:
        sim.run(days(60))
        (message,) = sim.messages("42")
        local = message["sent_at"] - timedelta(hours=5)  # New York, in winter
        assert (local.month, local.day, local.hour) == (*greeted, 9)


def test_a_birthday_that_becomes_known_today_is_greeted_today_and_one_of_yesterday_is_not(project: Project) -> None:
    """Law 5."""
    with begin(project) as sim:
        sim.identify("43", email="bob@example.com")
        sim.allow("43")
        sim.run(hours(1))
        sim.identify("42", birthday=date(1990, sim.now.month, sim.now.day))
        sim.identify("43", birthday=date(1990, sim.now.month, sim.now.day - 1))
        sim.run(days(2))
        assert sim.sent("42") == ["birthday/greeting"]
        assert sim.sent("43") == []


def test_a_regular_who_has_gone_quiet_is_won_back_until_they_order(project: Project) -> None:
    with begin(project, vip=True) as sim:
        for n in range(2):
            sim.track("42", "order.completed", order_id=f"A{n}", total=30, quantity=1)
            sim.run(days(20))
        sim.run(days(72))
        assert "win_back/ten_percent_off" in sim.sent("42")
        assert sim.standing("42")["win_back"] == "consider"
        sim.track("42", "order.completed", order_id="A9", total=30, quantity=1)
        sim.run(days(10))
        assert "win_back/personal_note" not in sim.sent("42")
        assert sim.standing("42")["win_back"] == "goal_reached"


def test_whoever_withdraws_gets_nothing_more(project: Project) -> None:
    with begin(project) as sim:
        sim.track("42", "customer.registered")
        sim.run(hours(1))
        assert sim.sent("42") == ["onboarding/welcome"]
        sim.withdraw("42")
        sim.run(days(30))
        assert sim.sent("42") == ["onboarding/welcome"]
        assert set(sim.unsent("42").values()) == {"unsubscribed"}


def test_what_was_not_run_is_not_taken(project: Project) -> None:
    with begin(project) as sim:
        sim.track("42", "customer.registered")
        assert sim.enrollments("42") == []
        assert isinstance(sim.outbox, Outbox)
        assert sim.outbox.letters == []
