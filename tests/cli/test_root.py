"""What all commands have in common: they start fast, help, and end with one line and the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from lifecycle.cli import lifecycle
from tests.cli.conftest import Shop

REPOSITORY = Path(__file__).parents[2]
THERE = [name for name, later in lifecycle.later.items() if find_spec(later.target.partition(":")[0])]


def _loaded(*arguments: str, cwd: Path) -> set[str]:
    """The modules that a command loads in a process of its own."""
    program = f"""
import json, sys
from lifecycle.cli import lifecycle
try:
    lifecycle({list(arguments)!r})
finally:
    print("\\n" + json.dumps(list(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_help_loads_nothing_that_takes_long(tmp_path: Path) -> None:
    loaded = _loaded("--help", cwd=tmp_path)

    heavy = {"sqlalchemy", "sqlmodel", "dramatiq", "redis", "mjml", "premailer", "lxml", "pydantic", "rich", "jinja2"}
    assert not loaded & heavy


def test_check_loads_neither_database_nor_queue(bare_shop: Shop) -> None:
    bare_shop.run("check")  # compiles the emails, so that the next one finds them

    loaded = _loaded("check", cwd=bare_shop.folder)

    assert not loaded & {"sqlalchemy", "dramatiq", "redis", "mjml", "premailer", "lxml"}


@pytest.mark.parametrize("name", THERE)
def test_each_command_says_in_the_list_what_it_says_itself(name: str) -> None:
    command = lifecycle.get_command(click.Context(lifecycle), name)

    assert command is not None
    assert command.help
    first = command.help.strip().splitlines()[0]
    assert first.endswith("."), first
    assert lifecycle.later[name].says.endswith(".")


@pytest.mark.parametrize("name", THERE)
def test_every_command_and_option_has_a_help_text(name: str) -> None:
    def bare(command: click.Command, path: str) -> list[str]:
        found = [] if command.help else [path]
        options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
        found += [f"{path} {option.opts[0]}" for option in options if not option.help]
        if isinstance(command, click.Group):
            for inner_name in command.list_commands(click.Context(command)):
                inner = command.get_command(click.Context(command), inner_name)
                assert inner is not None
                found += bare(inner, f"{path} {inner_name}")
        return found

    command = lifecycle.get_command(click.Context(lifecycle), name)
    assert command is not None
    assert bare(command, name) == []


def test_a_command_that_does_not_exist_names_the_nearest(shop: Shop) -> None:
    result = shop.run("mesages", exit_code=2)

    assert result.stderr == "error: there is no command 'mesages'; did you mean 'messages'? (see: lifecycle --help)\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["messages", "--state", "lost"],
        ["messages", "--nonsense"],
        ["emit"],
        ["emit", "order.completed"],
        ["emit", "order.completed", "--customer", "1", "-p", "total"],
        ["emit", "order.completed", "--customer", "1", "-p", "total=much"],
        ["emit", "order.completed", "--customer", "1", "--at", "yesterday"],
        ["events", "dead", "retry"],
        ["journeys", "show", "thank"],
        ["preview", "thnks"],
        ["send-test", "thanks"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line_and_exit_code_2(shop: Shop, arguments: list[str]) -> None:
    result = shop.run(*arguments, exit_code=2)

    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "arguments", "says"),
    [
        ({}, ["messages"], "run: lifecycle db upgrade"),
        ({}, ["consume"], "run: lifecycle db upgrade"),
        ({"LIFECYCLE_LEASE": "soon"}, ["messages"], "LIFECYCLE_LEASE is wrong"),
        ({"DATABASE_URL": "postgresql://u:geheim@localhost:1/x"}, ["messages"], "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://u:geheim@localhost:1/x"}, ["worker"], "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:////dev/null/x.db"}, ["db", "upgrade"], "DATABASE_URL"),
        ({"LIFECYCLE_JOURNEYS": "nowhere"}, ["journeys", "list"], "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_missing_or_away_is_one_line_without_its_password(
    bare_shop: Shop, environment: dict[str, str], arguments: list[str], says: str
) -> None:
    bare_shop.environment.update(environment)

    result = bare_shop.run(*arguments, exit_code=1)

    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert "geheim" not in result.output


def test_looking_for_a_database_does_not_make_one(bare_shop: Shop) -> None:
    bare_shop.run("messages", exit_code=1)
    bare_shop.run("check")

    assert not (bare_shop.folder / ".lifecycle" / "lifecycle.db").exists()


def test_tables_that_are_gone_say_how_to_get_them(shop: Shop) -> None:
    from sqlalchemy import text

    with shop.database() as db, db.transaction() as connection:
        connection.execute(text("DROP TABLE message"))

    result = shop.run("messages", exit_code=1)

    assert result.stderr.count("\n") == 1
    assert "lifecycle db upgrade" in result.stderr


def test_a_mistake_of_ours_keeps_its_traceback(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("lifecycle.store.reports.messages", broken)

    result = shop.run("messages", exit_code=None)

    assert isinstance(result.exception, ZeroDivisionError)


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    program = [sys.executable, "scripts/document_commands.py", "--check"]

    done = subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_procfile_names_commands_that_exist() -> None:
    for line in (REPOSITORY / "Procfile").read_text().splitlines():
        if line and not line.startswith("#"):
            words = line.partition(": ")[2].split()
            assert words[0] == "lifecycle"
            assert words[1] in lifecycle.later
