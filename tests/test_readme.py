"""What the README shows, runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import redis

from lifecycle.journey.check import check
from lifecycle.journey.load import load
from lifecycle.lint import lint

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(beginning: str) -> str:
    """The one Python example that begins so."""
    found = [
        each for each in re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE) if beginning in each
    ]
    assert len(found) == 1
    return str(found[0])


def test_the_journey_loads_in_the_place_that_it_names_and_checks_without_a_problem(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "journeys", tmp_path / "journeys")
    (tmp_path / "journeys" / "win_back.py").write_text(block("# journeys/win_back.py"))

    project, problems = load(tmp_path / "journeys")

    assert problems == []
    assert project is not None
    assert project.journeys["win_back"].holdout == 10
    emails = ROOT / "templates" / "email"
    assert [*check(project, emails), *lint(project, emails)] == []


def test_the_journey_has_about_twenty_lines() -> None:
    assert len(block("# journeys/win_back.py").splitlines()) <= 25


def test_an_app_emits_as_shown(redis_url: str) -> None:
    source = block("lifecycle.client").replace("redis://localhost:6379/0", redis_url)

    exec(compile(source, "README.md", "exec"), {})

    with redis.Redis.from_url(redis_url) as server:
        assert server.xlen("lifecycle:events") == 2


def test_every_page_that_is_linked_is_there() -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
