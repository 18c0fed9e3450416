"""Groups of commands that are imported when they are called, so that `--help` answers at once."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Later:
    """A command that is not imported yet: where it lives, what it does in a line, and under which heading it stands."""

    target: str
    says: str
    section: str = "Commands"

    def load(self) -> click.Command:
        """The command itself."""
        module, _, name = self.target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


class Group(click.Group):
    """A group that knows a near miss, and whose commands may be `later` ones, listed in their order."""

    def __init__(self, *args: Any, later: Mapping[str, Later] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.later = dict(later or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.later, *(name for name in self.commands if name not in self.later)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.later and cmd_name not in self.commands:
            self.commands[cmd_name] = self.later[cmd_name].load()
        return self.commands.get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"there is no command {name!r}" + did_you_mean(name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not self.later:
            return super().format_commands(ctx, formatter)
        width = max(map(len, self.later))
        for section in dict.fromkeys(later.section for later in self.later.values()):
            rows = [(name.ljust(width), one.says) for name, one in self.later.items() if one.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)
        return None


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of an error about `word`: the nearest known one, or all of them where they are few."""
    import difflib  # only mistakes pay for it

    close = difflib.get_close_matches(word, known, 1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= 8 else ""
