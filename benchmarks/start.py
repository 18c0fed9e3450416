"""How long a command takes to start: whole processes, from the fork to the exit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .bars import Line
from .bench import ROOT, Bench


def run(bench: Bench) -> Iterator[Line]:
    """All lines of the part."""
    runs = bench.sizes.pick(11, 5)
    yield Line("start.help", "", [milliseconds(bench, bench.folder, "--help") for _ in range(runs)])
    milliseconds(bench, bench.folder, "check")
    warm = [milliseconds(bench, bench.folder, "check") for _ in range(runs)]
    yield Line("start.check", "", warm, "emails compiled by an earlier run and unchanged since")
    cold = []
    for _ in range(3):
        with tempfile.TemporaryDirectory(dir=bench.folder) as home:
            cold.append(milliseconds(bench, Path(home), "check"))
    yield Line(
        None, "", cold, "eleven emails through MJML and premailer", "lifecycle check, nothing compiled yet", "ms"
    )


def milliseconds(bench: Bench, home: Path, *arguments: str) -> float:
    """How long one command takes, with that home."""
    command = [str(Path(sys.executable).with_name("lifecycle")), *arguments]
    start = time.perf_counter()
    subprocess.run(
        command, cwd=ROOT, env=bench.environment(LIFECYCLE_HOME=str(home)), check=True, stdout=subprocess.DEVNULL
    )
    return (time.perf_counter() - start) * 1000
