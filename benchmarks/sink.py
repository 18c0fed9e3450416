"""A fast SMTP server that counts what it accepts and throws it away, in a process of its own.

    python -m benchmarks.sink --port 2525 [--latency 0.005] [--log ids.txt]

Prints `ready PORT`. The command XSTAT answers `250 accepted=… distinct=… cpu=… last=…`; `--log` gets one Message-ID a
line, written before the client is told that the message was accepted.
"""

from __future__ import annotations

import argparse
import asyncio
import smtplib
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from lifecycle.mail.mailbox import serve
from lifecycle.mail.receiver import Mail, Receiver


class Tally:
    """What was accepted: how often, and each Message-ID once."""

    def __init__(self, log: BinaryIO | None) -> None:
        self.accepted = 0
        self.message_ids: set[bytes] = set()
        self.last_at = 0.0  # of the last acceptance, on the wall
        self._log = log

    def count(self, data: bytes) -> None:
        """Count one message, by its Message-ID."""
        self.accepted += 1
        self.last_at = time.time()
        start = data.find(b"\nMessage-ID: ") + 13
        message_id = data[start : data.find(b"\r", start)] if start > 12 else b""
        self.message_ids.add(message_id)
        if self._log is not None:
            self._log.write(message_id + b"\n")


class SinkReceiver(Receiver):
    """A conversation whose messages are counted."""

    def __init__(self, tally: Tally, latency: float) -> None:
        super().__init__()
        self._tally = tally
        self.delay = latency

    def keep(self, mail: Mail) -> None:
        self._tally.count(mail.data)

    def other(self, verb: bytes, argument: bytes) -> bytes:
        if verb != b"XSTAT":
            return super().other(verb, argument)
        tally = self._tally
        counts = f"accepted={tally.accepted} distinct={len(tally.message_ids)}"
        return f"250 {counts} cpu={time.process_time():.3f} last={tally.last_at:.6f}\r\n".encode()


class Sink:
    """A sink in a process of its own, for the length of a with block."""

    def __init__(self, *, latency: float = 0.0, log: Path | None = None) -> None:
        self._arguments = ["--latency", str(latency), *(["--log", str(log)] if log else [])]
        self.port = 0

    @property
    def url(self) -> str:
        """Where letters can be delivered."""
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> Sink:
        command = [sys.executable, "-m", "benchmarks.sink", *self._arguments]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).resolve().parent.parent
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready "):
            self._process.wait()
            raise RuntimeError("the sink did not start")
        self.port = int(line.split()[1])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def stat(self) -> dict[str, float]:
        """How many messages were accepted, how many of them distinct, the CPU seconds of the sink, and when the last
        one was accepted, in seconds since 1970."""
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="localhost") as smtp:
            _, said = smtp.docmd("XSTAT")
        return {name: float(value) for name, _, value in (word.partition("=") for word in said.decode().split())}


def main() -> None:
    """Run a sink until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink")
    parser.add_argument("--port", type=int, default=0, help="0, the default, picks a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds by which every reply is held back")
    parser.add_argument("--log", type=Path, help="a file that gets every Message-ID")
    options = parser.parse_args()
    log = options.log.open("ab", buffering=0) if options.log else None
    tally = Tally(log)
    asyncio.run(
        serve(
            lambda: SinkReceiver(tally, options.latency), options.port, lambda port: print(f"ready {port}", flush=True)
        )
    )


if __name__ == "__main__":
    main()
