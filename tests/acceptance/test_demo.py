"""The demo as people start it, shortened to one live day at 20,000 times."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SHORT = ["--day", "1997-01-03", "--end", "1997-01-05", "--speed", "20000"]
_PATIENCE = 60.0


@pytest.fixture(scope="module")
def compiled_emails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the shipped emails compile to, once for all tests in here."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def home(tmp_path: Path, compiled_emails: Path) -> Iterator[Path]:
    """A folder for everything that is made; whatever still runs in it afterwards is ended."""
    (tmp_path / "home" / "demo").mkdir(parents=True)
    (tmp_path / "home" / "demo" / "compiled").symlink_to(compiled_emails)
    yield tmp_path / "home"
    for process in running_in(tmp_path):
        process.kill()


def start(home: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lifecycle.cli", "demo", *(options or SHORT)],
        cwd=ROOT,
        env=os.environ | {"LIFECYCLE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )


def hear_ctrl_c() -> None:
    """As in a terminal: whoever starts the tests in a shell's background makes them, and their children, deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def running_in(folder: Path) -> list[psutil.Process]:
    """The processes that have to do with a folder, by their command lines or environments."""
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            continue
        if str(folder) in words and process.pid != os.getpid():
            found.append(process)
    return found


def nobody_runs_in(folder: Path) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while running_in(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_the_demo_plays_three_acts_and_its_three_commands_work(home: Path) -> None:
    demo = start(home)
    out, _ = demo.communicate(timeout=120)

    assert demo.returncode == 0, out
    for words in ("Made up", "Act 1 of 3", "Act 2 of 3", "Act 3 of 3", "post_purchase", "never agreed", "Try next:"):
        assert words in out
    letters = list((home / "demo" / "mail").glob("*.eml"))
    assert len(letters) > 10
    letter = message_from_bytes(letters[0].read_bytes(), policy=policy.default)
    assert letter["From"].endswith("<hello@blueroom.example>")
    assert "3 Jan 1997" in letter["Date"] or "4 Jan 1997" in letter["Date"]  # in UTC
    commands = [line.strip() for line in out.partition("Try next:")[2].splitlines() if line.strip()]
    assert len(commands) == 3
    for command in commands:
        tried = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (tried.returncode, tried.stderr) == (0, ""), command
        assert len(tried.stdout) > 100, command
    assert nobody_runs_in(home)


@pytest.mark.parametrize("act", ["Act 1 of 3", "Act 2 of 3"])
def test_ctrl_c_leaves_nothing_running(home: Path, act: str) -> None:
    demo = start(home, "--day", "1997-01-03", "--speed", "100")
    assert demo.stdout is not None
    for line in demo.stdout:
        if act in line:
            break
    if act == "Act 2 of 3":
        _wait_for_roles(home / "demo" / "roles.log")
        assert len(running_in(home)) > 4

    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=_PATIENCE)

    assert demo.returncode == 130
    assert rest.splitlines()[-1] == "stopped; nothing is left running"
    assert "Traceback" not in rest
    assert nobody_runs_in(home)


def _wait_for_roles(log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if log.exists() and log.read_text().count("started") >= 3:
            return
        time.sleep(0.1)
    raise AssertionError("the roles did not start")
