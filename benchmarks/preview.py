"""How long somebody waits for one email: whole processes of `lifecycle preview`, from the fork to the exit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from .bars import Line
from .bench import Bench
from .start import milliseconds

_EMAIL = "onboarding/welcome"


def run(bench: Bench) -> Iterator[Line]:
    """All lines of the part."""
    milliseconds(bench, bench.folder, "preview", _EMAIL)
    warm = [milliseconds(bench, bench.folder, "preview", _EMAIL) for _ in range(bench.sizes.pick(11, 5))]
    yield Line("preview.warm", "", warm, "compiled by an earlier run and unchanged since")
    cold = []
    for _ in range(bench.rounds):
        with tempfile.TemporaryDirectory(dir=bench.folder) as home:
            cold.append(milliseconds(bench, Path(home), "preview", _EMAIL))
    yield Line("preview.cold", "", cold, "its MJML is compiled first")
