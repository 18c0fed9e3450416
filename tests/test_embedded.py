from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path

import psutil
import pytest
from redis import AuthenticationError, Redis

from lifecycle import embedded
from lifecycle.errors import ConfigurationError

USER = """
import sys
from pathlib import Path
from lifecycle import embedded
server = embedded.start(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start_user(tmp_path: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str]]]:
    """Starts processes that share the server of one home."""
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_embedded_server_takes_a_stream_and_keeps_it_over_a_restart(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server, Redis.from_url(server.url) as client:
        client.xadd("lifecycle:events", {"message": "kept"})
    with embedded.start(tmp_path) as server, Redis.from_url(server.url) as client:
        assert client.xlen("lifecycle:events") == 1


def test_a_queue_that_is_set_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    with embedded.queue("redis://elsewhere/0", tmp_path) as url:
        assert url == "redis://elsewhere/0"
        assert _servers_of(tmp_path) == []
    with embedded.queue(None, tmp_path) as url, Redis.from_url(url) as client:
        assert client.ping()


def test_one_home_never_has_two_servers(tmp_path: Path) -> None:
    with ThreadPool(4) as pool:
        servers = pool.map(lambda _: embedded.start(tmp_path), range(4))
    try:
        assert len({server.url for server in servers}) == 1
        assert len(_servers_of(tmp_path)) == 1
    finally:
        for server in servers:
            server.close()


def test_it_answers_only_who_may_read_its_home(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        assert stat.S_IMODE((tmp_path / "valkey").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "valkey" / "address").stat().st_mode) == 0o600
        password = server.url.removeprefix("redis://:").partition("@")[0]
        assert password not in repr(server)
        assert not any(password in word for process in _servers_of(tmp_path) for word in process.cmdline())
        with (
            Redis.from_url(server.url.replace(password, "wrong")) as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.ping()


def test_it_ends_with_its_last_user_and_not_before(
    tmp_path: Path, start_user: Callable[[], tuple[subprocess.Popen[str], str]]
) -> None:
    first, url = start_user()
    second, same = start_user()
    assert url == same
    server = _servers_of(tmp_path)[0]
    first.send_signal(signal.SIGKILL)
    first.wait()
    with Redis.from_url(url) as client:
        assert client.ping()
    second.send_signal(signal.SIGKILL)
    second.wait()
    server.wait(60)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal")
def test_it_ends_also_when_its_watcher_is_killed(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as first:
        server = _servers_of(tmp_path)[0]
        watcher = server.parent()
        assert watcher is not None
        assert watcher.pid != os.getpid()
        watcher.kill()
        server.wait(60)
        with embedded.start(tmp_path) as second, Redis.from_url(second.url) as client:
            assert client.ping()
            assert second.url != first.url


def test_a_server_that_cannot_start_says_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "appendonlydir").write_text("in the way")
    with pytest.raises(ConfigurationError, match=r"valkey\.log.*REDIS_URL"):
        embedded.start(tmp_path)
    assert _servers_of(tmp_path) == []


def test_a_test_run_that_is_killed_leaves_no_postgres(tmp_path: Path) -> None:
    code = USER.replace("from lifecycle import embedded", "from tests import servers")
    code = code.replace("embedded.start(Path(sys.argv[1]))", "servers.share_postgres(sys.argv[1])")
    run = f"killed-{os.getpid():x}"
    with subprocess.Popen(
        [sys.executable, "-c", code, run],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip().partition("host=")[2])
        postmaster = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
        process.kill()
    postmaster.wait(60)
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not folder.exists()


def _servers_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "valkey-server":
            try:
                if Path(process.cwd()) == (home / "valkey").resolve():
                    found.append(process)
            except psutil.Error:
                continue
    return found
