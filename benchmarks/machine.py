"""The machine that is measured, and what processes on it have used."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import text

from lifecycle.store.database import Database


def described() -> str:
    """Processor, cores, memory, system, Python and SQLite, and how busy the machine is already."""
    memory = psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{one:.1f}" for one in psutil.getloadavg())
    now = datetime.now(UTC)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{_processor()}, {cores} cores, "
        f"{memory:.0f} GiB, {platform.system()} {platform.release()}\n"
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; {now:%Y-%m-%d %H:%M} UTC, "
        f"load before {load}"
    )


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Postmaster:
    """The CPU time of a PostgreSQL server on this machine, all its processes together, those that ended included."""

    def __init__(self, db: Database) -> None:
        """Raises psutil.NoSuchProcess when the server runs elsewhere."""
        with db.reading() as connection:
            backend = psutil.Process(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        if "postgres" not in backend.name():
            raise psutil.NoSuchProcess(backend.pid)
        parent = backend.parent()
        assert parent is not None
        self._postmaster = parent

    def cpu_seconds(self) -> float:
        """So far."""
        own = self._postmaster.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for child in self._postmaster.children():
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total


def cpu_meter(db: Database) -> Postmaster | None:
    """What measures the database's CPU time apart from the worker's; None for SQLite, which runs in the worker."""
    return None if db.is_sqlite else Postmaster(db)
