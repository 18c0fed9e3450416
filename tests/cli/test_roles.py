"""The roles as processes: they start, end when told to, and leave nothing behind, however they are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import OperationalError, ProgrammingError

from lifecycle.cli.foreman import Foreman
from lifecycle.cli.roles import _again_and_again
from tests.cli.conftest import Shop

PATIENCE = 30.0  # seconds for what takes one or two on a quiet machine


def _until(what: Callable[[], object], describe: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, describe()
        time.sleep(0.05)


def _started(process: subprocess.Popen[str]) -> list[str]:
    """The lines up to the one that says that the role has started."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if "started" in line:
            return lines
    raise AssertionError("".join(lines))


def _ended(process: subprocess.Popen[str]) -> str:
    """What it printed until its end."""
    try:
        out, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return out


@pytest.mark.parametrize(
    ("role", "number"),
    [
        ("consume", signal.SIGTERM),
        ("schedule", signal.SIGTERM),
        ("worker", signal.SIGTERM),
        ("schedule", signal.SIGINT),
    ],
)
def test_a_role_that_is_told_to_end_says_so_and_ends_well(
    shop: Shop, redis_url: str, role: str, number: signal.Signals
) -> None:
    shop.environment |= {"REDIS_URL": redis_url, "LIFECYCLE_LOG_FORMAT": "json"}
    process = shop.start(role)

    begun = "".join(_started(process))
    process.send_signal(number)
    rest = _ended(process)

    assert process.returncode == 0, rest
    assert f'"role": "{role}"' in begun
    assert '"message": "stopped"' in rest
    assert "Traceback" not in rest


def _worker_at_work(shop: Shop, redis_url: str) -> subprocess.Popen[str]:
    """A worker that has just sent a letter, so that it is up and running."""
    from lifecycle.engine import Engine
    from lifecycle.settings import Settings
    from lifecycle.worker import BrokerHints, make_broker

    shop.environment["REDIS_URL"] = redis_url
    _add_due_message(shop)
    process = shop.start("worker", "--processes", "1")
    broker = make_broker(Engine(Settings.load(LIFECYCLE_REDIS_URL=redis_url)))
    BrokerHints(broker, 100).deliver([1])
    broker.close()
    outbox = shop.folder / ".lifecycle" / "outbox"
    _until(lambda: list(outbox.glob("*.eml")))
    return process


def _add_due_message(shop: Shop) -> None:
    now = datetime.now(UTC)
    shop.add("customer", id="1", email="a@b.example", created_at=now, traits={}, consents={})
    shop.add(
        "enrollment", id=1, journey="thanks", customer_id="1", key="A", step="thanks", state="active",
        awaiting="message", trigger={"order_id": "A", "total": 1}, entered_at=now,
    )  # fmt: skip
    shop.add(
        "message", id=1, customer_id="1", enrollment_id=1, journey="thanks", step="thanks", key="A", template="thanks",
        kind="marketing", topic="orders", created_at=now, due_at=now, wake_at=now + timedelta(hours=1),
        expires_at=now + timedelta(days=1), capped_until=now + timedelta(days=1), message_id="m1@shop.example",
    )  # fmt: skip


def test_a_worker_takes_a_signal_to_its_whole_group_as_one(shop: Shop, redis_url: str) -> None:
    process = _worker_at_work(shop, redis_url)

    os.killpg(process.pid, signal.SIGTERM)
    out = _ended(process)

    assert process.returncode == 0, out
    assert "Killing" not in out
    assert [row["state"] for row in shop.json("messages")] == ["sent"]


def test_worker_processes_end_when_their_parent_is_killed(shop: Shop, redis_url: str) -> None:
    process = _worker_at_work(shop, redis_url)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children

    process.kill()

    _, left = psutil.wait_procs(children, PATIENCE)
    assert left == []
    _ended(process)


@pytest.fixture
def up(shop: Shop) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Everything at work on this machine, with nothing set: an event was emitted and its email came out."""
    process = shop.start("up", "--workers", "1")
    shop.run(
        "emit", "order.completed", "--customer", "7", "-p", "order_id=A1", "-p", "total=3", "-t", "email=a@b.example"
    )
    outbox = shop.folder / ".lifecycle" / "outbox"
    _until(lambda: list(outbox.glob("*.eml")) or process.poll() is not None)
    everybody = psutil.Process(process.pid).children(recursive=True)
    assert {"valkey-server"} < {child.name() for child in everybody}
    return process, everybody


def test_up_runs_everything_and_leaves_nothing_behind(
    shop: Shop, up: tuple[subprocess.Popen[str], list[psutil.Process]]
) -> None:
    process, everybody = up

    process.terminate()
    out = _ended(process)

    assert process.returncode == 0, out
    _, left = psutil.wait_procs(everybody, PATIENCE)
    assert left == []
    for role in ("consume ", "schedule", "worker  "):
        assert f"{role} │ " in out
    assert "killed" not in out
    assert [row["state"] for row in shop.json("messages")] == ["sent"]


def test_everything_ends_when_up_is_killed(up: tuple[subprocess.Popen[str], list[psutil.Process]]) -> None:
    process, everybody = up

    process.kill()

    _, left = psutil.wait_procs(everybody, PATIENCE)
    assert left == []
    _ended(process)


class _Lines:
    """What a foreman showed."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def __call__(self, name: str, line: str) -> None:
        self.all.append(f"{name}: {line}")

    def count(self, line: str) -> int:
        return self.all.count(line)


def _foreman(program: str, lines: _Lines) -> Foreman:
    return Foreman({"one": [sys.executable, "-u", "-c", program]}, lines, dict(os.environ))


def _run_until(foreman: Foreman, done: Callable[[], object], patience: float = PATIENCE) -> None:
    stop = threading.Event()
    running = threading.Thread(target=foreman.run, args=(stop,), kwargs={"patience": patience})
    running.start()
    try:
        _until(done)
    finally:
        stop.set()
        running.join()


def test_a_role_that_dies_is_started_again(tmp_path: Path) -> None:
    lines = _Lines()

    _run_until(_foreman("print('hello'); raise SystemExit(3)", lines), lambda: lines.count("one: hello") >= 2)

    assert "one: ended by itself (exit code 3); starting it again in 1 s" in lines.all


def test_a_role_that_does_not_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    lines = _Lines()
    program = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid)
time.sleep(600)
"""
    _run_until(_foreman(program, lines), lambda: lines.all, patience=0.2)

    grandchild = int(lines.all[0].partition(": ")[2])
    _until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)
    assert "one: does not end within 0.2 s, so it is killed" in lines.all


class _Stop(threading.Event):
    """Does not wait, but remembers for how long it was to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        return self.is_set()


def test_the_scheduler_waits_for_what_is_away_with_growing_pauses_and_goes_on() -> None:
    stop = _Stop()
    away: list[Exception | None] = [
        RedisConnectionError("refused"),
        OperationalError("SELECT", {}, Exception("server closed the connection")),
        OperationalError("SELECT", {}, Exception("server closed the connection")),
        None,
    ]

    def look() -> None:
        error = away.pop(0)
        if error is not None:
            raise error
        stop.set()

    _again_and_again(look, stop)

    assert stop.waits == [0.5, 1.0, 2.0, 1.0]


def test_the_scheduler_does_not_hide_a_mistake_of_ours() -> None:
    def look() -> None:
        raise ProgrammingError("SELEKT", {}, Exception("syntax error"))

    with pytest.raises(ProgrammingError):
        _again_and_again(look, _Stop())
