"""The journeys that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.journey.check import check
from lifecycle.journey.load import load
from lifecycle.journey.steps import Send, walk_steps
from lifecycle.mail.source import email_names

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_nothing_is_wrong_with_them() -> None:
    project, problems = load(Path("journeys"))

    assert problems == []
    assert project is not None
    assert check(project, Path("templates/email")) == []


def test_every_shipped_email_is_sent_by_one_of_them() -> None:
    project, _ = load(Path("journeys"))

    assert project is not None
    sent = [
        step.template
        for journey in project.journeys.values()
        for step in walk_steps(journey.steps)
        if isinstance(step, Send)
    ]
    assert sorted([*sent, project.policy.digest.template]) == email_names(Path("templates/email"))
