"""Measures everything that has a bar, and says which are missed.

    python -m benchmarks [--quick] [--only deliver] [--on sqlite]

Ratios are medians of runs that alternate in one go; the absolute figures stand beside them. Exit code 1 if a bar is
missed. Nothing is written into the repository.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from . import machine
from .bars import BARS, POSTGRESQL, SQLITE, Line, exit_code
from .bench import Bench, Sizes

PARTS = {
    "start": "start.run",
    "preview": "preview.run",
    "rendering": "rendering.run",
    "gallery": "gallery.run",
    "deliver": "deliver.run",
    "memory": "deliver.memory",
    "claim": "claim.run",
    "caps": "caps.run",
    "million": "million.run",
    "end_to_end": "end_to_end.run",
    "replay": "replay.run",
}
"""Each part and the function that measures it."""

_DATABASES = {"sqlite": (SQLITE,), "postgresql": (POSTGRESQL,), "both": (SQLITE, POSTGRESQL)}


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that all of it runs, not for figures")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be repeated")
    parser.add_argument("--on", choices=_DATABASES, default="both", help="which databases (default: both)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers and folders go then, too
    print(machine.described(), flush=True)
    if options.quick:
        print("--quick: sizes are too small for the figures to mean anything")
    lines: list[Line] = []
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="lifecycle-bench-", ignore_cleanup_errors=True))
        )
        bench = Bench(folder, Sizes(options.quick), _DATABASES[options.on], stack)
        for name in options.only or PARTS:
            print(f"\n{name}", flush=True)
            for line in _measurer(name)(bench):
                print(line, flush=True)
                lines.append(line)
    missed = [line for line in lines if line.missed]
    print(f"\n{len(lines) - len(missed)} of {len(lines)} lines well, in {time.monotonic() - began:.0f} s")
    for line in missed:
        assert line.bar is not None
        print(f"missed: {BARS[line.bar].what}, {line.database}")
    return exit_code(lines)


def _measurer(name: str) -> Callable[[Bench], Iterator[Line]]:
    module, function = PARTS[name].split(".")
    measurer: Callable[[Bench], Iterator[Line]] = getattr(import_module(f"benchmarks.{module}"), function)
    return measurer


if __name__ == "__main__":
    sys.exit(main())
