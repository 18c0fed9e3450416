"""What docs/caps.md shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import click

from lifecycle.cli import lifecycle
from lifecycle.journey.check import check
from lifecycle.journey.load import load

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "caps.md").read_text(encoding="utf-8")


def test_the_policy_of_the_page_loads_beside_the_journeys_and_has_no_problem(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```python\n(# journeys/policy\.py.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "shown.py").write_text(shown)

    project, problems = load(ROOT / "journeys", tmp_path / "shown.py")

    assert problems == []
    assert project is not None
    assert [cap.name for cap in project.policy.caps][1:3] == ["3 per 7 days", "8 per 30 days"]
    assert check(project, ROOT / "templates" / "email", tmp_path / "compiled") == []


def test_the_gentler_policy_of_the_example_only_lowers_what_the_shops_own_allows() -> None:
    gentler, problems = load(ROOT / "journeys", ROOT / "examples" / "cdnow" / "gentler_policy.py")
    shops, _ = load(ROOT / "journeys")

    assert problems == []
    assert gentler is not None
    assert shops is not None
    assert gentler.journeys.keys() == shops.journeys.keys()
    for cap, lower in zip(shops.policy.caps, gentler.policy.caps, strict=True):
        assert (lower.limit, -lower.span) <= (cap.limit, -cap.span)
        assert (lower.topic, lower.journey) == (cap.topic, cap.journey)


def test_every_page_that_is_linked_is_there() -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_commands_of_the_page_are_commands() -> None:
    for line in re.findall(r"\blifecycle ((?:[a-z-]+ )?[a-z-]+)", "\n".join(re.findall(r"`[^`\n]+`", PAGE))):
        first, _, second = line.partition(" ")
        command = lifecycle.get_command(click.Context(lifecycle), first)
        assert command is not None, line
        if second and isinstance(command, click.Group):
            assert command.get_command(click.Context(command), second) is not None, line
