"""The `lifecycle` command. Each command lives in a module of its own, which is imported only when it is called."""

from __future__ import annotations

from .root import lifecycle


def main() -> None:
    """The console script; ends the process with 0 (done), 1 (found problems) or 2 (used wrongly)."""
    lifecycle()


__all__ = ["lifecycle", "main"]
