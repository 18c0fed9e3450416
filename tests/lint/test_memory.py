"""What lint found is found again at once, unless something changed that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.journey.project import Problem
from lifecycle.lint import lint, linter
from tests.journey.conftest import POLICY, VOCABULARY
from tests.lint.conftest import EMAIL, JOURNEY, Shop

CACHE = Path("compiled")


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the emails that lint looks at, as it does."""
    names: list[str] = []
    whole = linter.lint_email

    def noted(renderer: object, name: str, *rest: object) -> list[Problem]:
        names.append(name)
        return whole(renderer, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(linter, "lint_email", noted)
    return names


def found(shop: Shop) -> list[str]:
    return [problem.code for problem in lint(shop.folder.project(), Path("templates/email"), CACHE)]


def test_what_has_not_changed_is_not_looked_at_again(shop: Shop, looked_at: list[str]) -> None:
    shop.replace("Words", "{{ customer.first_name }}")

    assert [found(shop), found(shop)] == [["no_fallback"], ["no_fallback"]]
    assert looked_at == ["hello"]


def test_whatever_lint_depends_on_is_looked_at_again(shop: Shop, looked_at: list[str]) -> None:
    shop.write(EMAIL.replace("Words", "{{ event.ships_on }}"))
    assert found(shop) == ["no_fallback"]

    shop.folder.write("vocabulary.py", VOCABULARY.replace("Property[date]()", "Property[date](required=True)"))
    assert found(shop) == []
    shop.folder.write("policy.py", POLICY.replace('"Shop"', '"Shop ☕"'))
    assert found(shop) == ["emoji_sender"]
    shop.folder.write("shop.py", JOURNEY.replace("Ordered", "Registered"))
    assert found(shop) == ["emoji_sender", "unknown_variable"]
    shop.write("{}", "hello.sample.json")
    assert found(shop) == ["emoji_sender", "unknown_variable"]
    assert looked_at == ["hello"] * 5


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"state": 1}'])
def test_a_damaged_memory_is_none(shop: Shop, looked_at: list[str], damage: str) -> None:
    found(shop)
    (CACHE / "lint.json").write_text(damage)

    assert found(shop) == []
    assert looked_at == ["hello", "hello"]


def test_without_a_cache_nothing_is_kept(shop: Shop, looked_at: list[str]) -> None:
    for _ in range(2):
        lint(shop.folder.project(), Path("templates/email"))

    assert looked_at == ["hello", "hello"]
    assert not CACHE.exists()
