"""The policy follows its file while a role runs; journeys stay as they were until it is started anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.engine import Engine, sound
from lifecycle.errors import DefinitionError
from lifecycle.journey.live import LiveProject
from lifecycle.journey.load import load
from lifecycle.journey.project import Project
from lifecycle.settings import Settings

POLICY = """\
from lifecycle import Cap, Policy, Sender, days
policy = Policy(sender=Sender("A", "a@b.example", "1"), {})
"""
JOURNEY = """\
from lifecycle import Journey, Send, manually
hello = Journey(name="hello", topic="news", enter=manually(), steps=[Send("hello")])
"""
ONE, TWO = "caps=[Cap(1, per=days(1))]", "caps=[Cap(2, per=days(1))]"


class Files:
    """A folder of journeys, and a role that looks at it each second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.second = 0.0
        self._live: LiveProject | None = None
        for name, text in (("vocabulary", "class customer:\n    pass\n"), ("hello", JOURNEY)):
            self.write(f"journeys/{name}.py", text)
        self.policy(ONE)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def policy(self, says: str) -> None:
        self.write("journeys/policy.py", POLICY.format(says))

    def look(self) -> Project:
        self.second += 1
        if self._live is None:
            read: Callable[[], Project] = lambda: sound(*load(self.folder / "journeys"))
            self._live = LiveProject(self.folder / "journeys" / "policy.py", read, monotonic=lambda: self.second)
        return self._live.now()

    def limits(self) -> list[int]:
        return [cap.limit for cap in self.look().policy.caps]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_changed_policy_is_in_force_at_the_next_look(files: Files) -> None:
    assert files.limits() == [1]
    files.policy(TWO)
    assert files.limits() == [2]


def test_a_policy_that_stays_leaves_the_project_itself(files: Files) -> None:
    """So that what follows from it stays kept."""
    assert files.look() is files.look()


def test_journeys_stay_until_the_role_is_started_anew(files: Files) -> None:
    first = files.look()
    files.write("journeys/hello.py", JOURNEY.replace("hello", "bye"))
    files.policy(TWO)
    project = files.look()
    assert project.journeys is first.journeys
    assert project.policy is not first.policy


def test_a_broken_policy_is_logged_once_and_the_one_before_it_stays(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    assert files.limits() == [1]
    files.policy("caps=[Cap(-1, per=days(1))]")
    for _ in range(4):
        assert files.limits() == [1]
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "journeys/policy.py:2" in errors[0]
    assert "give 0 or more" in errors[0]
    files.policy(TWO)
    assert files.limits() == [2]


def test_a_half_written_policy_is_not_even_logged(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    assert files.limits() == [1]
    files.write("journeys/policy.py", POLICY[:60])
    assert files.limits() == [1]
    files.policy(TWO)
    assert files.limits() == [2]
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_policy_that_is_gone_leaves_the_one_before(files: Files) -> None:
    assert files.limits() == [1]
    (files.folder / "journeys" / "policy.py").unlink()
    assert files.limits() == [1]
    assert files.limits() == [1]
    files.policy(TWO)
    assert files.limits() == [2]


def test_what_is_broken_at_the_start_is_told_at_once(files: Files) -> None:
    files.policy("caps=[Cap(-1, per=days(1))]")
    with pytest.raises(DefinitionError, match=r"policy\.py:2"):
        files.look()


def test_a_role_looks_at_the_file_by_itself(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifecycle.journey.live._EVERY", 0.0)
    settings = Settings.load(journeys=files.folder / "journeys", templates=files.folder, home=files.folder / "home")
    files.write("hello.mjml", "<mjml/>")
    engine = Engine(settings)
    assert [cap.limit for cap in engine.project.policy.caps] == [1]
    files.policy(TWO)
    assert [cap.limit for cap in engine.project.policy.caps] == [2]
