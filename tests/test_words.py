"""The package offers the words of a journey file, and loads each when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import lifecycle


def test_every_word_is_there_and_says_who_it_is() -> None:
    assert {word: getattr(lifecycle, word).__name__ for word in lifecycle.__all__} == {
        word: word for word in lifecycle.__all__
    }
    assert set(lifecycle.__all__) <= set(dir(lifecycle))


def test_importing_the_package_loads_no_word() -> None:
    code = "import sys, lifecycle; print([name for name in sys.modules if name.startswith('lifecycle.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
