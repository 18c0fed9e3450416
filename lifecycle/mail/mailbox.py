"""A local SMTP server that keeps what it receives as `.eml` files: for the demo, and for work on one's own machine.

    python -m lifecycle.mail.mailbox --folder received --port 2525

Listens on this machine only, and prints one line once it does.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

from lifecycle.mail.receiver import Mail, Receiver
from lifecycle.processes import end_with_stdin

_UNSAFE = re.compile(r"[^A-Za-z0-9@._+-]+")


class Mailbox:
    """A folder of received messages, numbered in the order of arrival: `000001-siti@example.com.eml`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        numbers = (name.name.split("-")[0] for name in folder.glob("*-*.eml"))
        self.received = max((int(number) for number in numbers if number.isdecimal()), default=0)

    def keep(self, mail: Mail) -> Path:
        """Write one message, whole or not at all; return its file. Raises OSError."""
        number = self.received + 1
        recipient = _UNSAFE.sub("_", mail.recipients[0] if mail.recipients else "nobody")[:100]
        path = self.folder / f"{number:06d}-{recipient}.eml"
        unfinished = self.folder / f".{number:06d}.part"
        unfinished.write_bytes(mail.data)
        unfinished.replace(path)
        self.received = number
        return path


class MailboxReceiver(Receiver):
    """A conversation whose messages go into a mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__()
        self._mailbox = mailbox

    def content(self, mail: Mail) -> bytes:
        try:
            path = self._mailbox.keep(mail)
        except OSError as error:
            return f"451 4.3.0 cannot keep it: {error.strerror}\r\n".encode()
        return f"250 2.0.0 kept as {path.name}\r\n".encode()


async def serve(receiver: Callable[[], Receiver], port: int, ready: Callable[[int], None]) -> None:
    """Listen on this machine until SIGTERM or SIGINT; port 0 picks a free one, and `ready` is told which."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    open_ones: WeakSet[Receiver] = WeakSet()

    def converse() -> Receiver:
        one = receiver()
        open_ones.add(one)
        return one

    server = await loop.create_server(converse, "127.0.0.1", port)
    ready(server.sockets[0].getsockname()[1])
    await over.wait()
    server.close()
    for one in list(open_ones):
        if one.transport is not None:
            one.transport.close()


def main() -> None:
    """Run a mailbox until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m lifecycle.mail.mailbox", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="where the .eml files go")
    parser.add_argument("--port", type=int, default=0, help="0, the default, picks a free one")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with whoever holds its other end")
    options = parser.parse_args()
    if options.until_stdin_closes:
        end_with_stdin()
    mailbox = Mailbox(options.folder)

    def ready(port: int) -> None:
        print(f"listening on smtp://127.0.0.1:{port}, keeping mail in {options.folder}", flush=True)

    try:
        asyncio.run(serve(lambda: MailboxReceiver(mailbox), options.port, ready))
    except OSError as error:
        parser.exit(1, f"cannot listen on port {options.port}: {error.strerror}\n")


if __name__ == "__main__":
    main()
