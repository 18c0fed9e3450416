"""The examples in docs/journeys.md run, and its mistakes are refused with the words it shows."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import lifecycle
from journeys import vocabulary
from lifecycle.errors import DefinitionError

PAGE = Path(__file__).parents[1] / "docs" / "journeys.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MISTAKE = re.compile(r"^```python mistake\n(.*?)^```\n```text\n(.*?)\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def found(pattern: re.Pattern[str]) -> list[Any]:
    page = PAGE.read_text(encoding="utf-8")
    return [
        pytest.param(*match.groups(), id=f"line {page.count(chr(10), 0, match.start()) + 1}")
        for match in pattern.finditer(page)
    ]


def run(source: str) -> dict[str, Any]:
    names = {
        **{word: getattr(lifecycle, word) for word in lifecycle.__all__},
        **{name: value for name, value in vars(vocabulary).items() if not name.startswith("_")},
        "date": date,
        "datetime": datetime,
        "time": time,
        "Decimal": Decimal,
    }
    exec(compile(source, "docs/journeys.md", "exec"), names)
    return names


@pytest.mark.parametrize("source", found(EXAMPLE))
def test_every_example_runs(source: str) -> None:
    run(source)


@pytest.mark.parametrize(("source", "reason", "remedy"), found(MISTAKE))
def test_every_mistake_is_refused_in_the_words_of_the_page(source: str, reason: str, remedy: str) -> None:
    with pytest.raises(DefinitionError) as refusal:
        run(source)

    assert (refusal.value.message, refusal.value.hint) == (reason, remedy)


def test_the_page_explains_every_word_of_the_language() -> None:
    page = PAGE.read_text(encoding="utf-8")

    # Duration is what days() and the others make; journey files do not write it.
    assert [word for word in lifecycle.__all__ if not re.search(rf"\b{word}\b", page)] == ["Duration"]


def test_every_block_is_an_example_or_a_mistake() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.count("```python") == len(EXAMPLE.findall(page)) + len(MISTAKE.findall(page)) > 20
