"""Replaying eighteen months of real purchases: `lifecycle replay` as anybody would run it, start included."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from .bars import SQLITE, Line
from .bench import ROOT, Bench


def run(bench: Bench) -> Iterator[Line]:
    """The one line of the part."""
    if not bench.wanted(SQLITE):
        return
    history = bench.folder / "cdnow.jsonl"
    with history.open("wb") as file:
        subprocess.run([sys.executable, ROOT / "examples/cdnow/make_events.py"], stdout=file, check=True)
    lines = sum(1 for _ in history.open("rb"))
    until = ["--until", "1997-03-01"] if bench.sizes.quick else []
    seconds, mails = [], 0
    for _ in range(bench.sizes.pick(3, 1)):
        with tempfile.TemporaryDirectory(dir=bench.folder) as home:
            where = ["--database", f"sqlite:///{home}/replay.db", "--outbox", f"{home}/outbox"]
            command = [str(Path(sys.executable).with_name("lifecycle")), "replay", str(history), *where, *until]
            start = time.perf_counter()
            subprocess.run(command, cwd=ROOT, env=bench.environment(), check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
            mails = sum(1 for _ in Path(home, "outbox").rglob("*.eml"))
    yield Line("replay.cdnow", SQLITE, seconds, f"{lines:,} events, {mails:,} emails as files")
