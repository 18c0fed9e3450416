"""Writes docs/commands.md from what `--help` says. With --check it only tells whether the page is current."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from lifecycle.cli import lifecycle

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
_HEAD = """\
# Commands

Made from `--help` by `python scripts/document_commands.py`; do not edit. Exit codes: 0 done, 1 found problems,
2 used wrongly. Every listing takes `--json`: one JSON object per line, with stable field names.
"""
_WIDTH = 100


def page() -> str:
    """The page, with every command and its help."""
    settings: dict[str, Any] = {**lifecycle.context_settings, "max_content_width": _WIDTH, "terminal_width": _WIDTH}
    root = click.Context(lifecycle, info_name="lifecycle", **settings)
    return "\n".join([_HEAD, *(f"## {path}\n\n```text\n{text}\n```\n" for path, text in _helps(lifecycle, root))])


def _helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _helps(inner, click.Context(inner, info_name=name, parent=context))


def main() -> int:
    """Write the page, or compare it."""
    made = page()
    if "--check" in sys.argv:
        current = PAGE.exists() and PAGE.read_text(encoding="utf-8") == made
        print("docs/commands.md is current" if current else "run: python scripts/document_commands.py")
        return 0 if current else 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
