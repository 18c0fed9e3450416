"""The server's side of an SMTP conversation (RFC 5321), small and fast: for the demo, benchmarks and tests."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

_PATH = re.compile(rb"(?:FROM|TO):\s*<([^>]*)>", re.IGNORECASE)
_LONGEST_COMMAND = 4096
_LARGEST_MESSAGE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it was received: `data` in CRLF lines, dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes


class Receiver(asyncio.Protocol):
    """One conversation. A subclass says in `keep` what becomes of a message, and may answer any step otherwise.

    Each step returns its reply in whole lines. `hang_up` ends the conversation after the replies so far, `pause`
    leaves what follows unread.
    """

    extensions: tuple[bytes, ...] = (b"PIPELINING", b"SIZE 33554432", b"8BITMIME", b"ENHANCEDSTATUSCODES")
    delay = 0.0
    """Seconds by which every reply is held back, as a distant network would."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.sender: str | None = None
        self.recipients: list[str] = []
        self._incoming = bytearray()
        self._searched = 0
        self._in_content = False
        self._paused = False
        self._over = False

    # The steps

    def greet(self) -> bytes:
        """The first line, before the client says anything."""
        return b"220 localhost ESMTP\r\n"

    def hello(self, name: str, extended: bool) -> bytes:
        """EHLO, or HELO; both begin anew."""
        self.forget()
        lines = [b"localhost", *self.extensions] if extended else [b"localhost"]
        return b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1]

    def mail(self, sender: str) -> bytes:
        """MAIL FROM."""
        self.sender = sender
        return b"250 2.1.0 Ok\r\n"

    def rcpt(self, recipient: str) -> bytes:
        """RCPT TO."""
        self.recipients.append(recipient)
        return b"250 2.1.5 Ok\r\n"

    def data(self) -> bytes:
        """DATA; the content follows if the reply is a 354."""
        if not self.recipients:
            return b"554 5.5.1 no valid recipients\r\n"
        return b"354 End with <CR><LF>.<CR><LF>\r\n"

    def content(self, mail: Mail) -> bytes:
        """The final dot: keep the message, and say so."""
        self.keep(mail)
        return b"250 2.0.0 Ok\r\n"

    def keep(self, mail: Mail) -> None:
        """Take responsibility for a message."""

    def other(self, verb: bytes, argument: bytes) -> bytes:
        """Any other command."""
        return b"502 5.5.2 command not known\r\n"

    def hang_up(self) -> None:
        """End the conversation once the replies so far are out."""
        self._over = True

    def pause(self) -> None:
        """Read nothing more until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Take up what has come in since the pause."""
        self._paused = False
        self.data_received(b"")

    def forget(self) -> None:
        """Drop the transaction under way."""
        self.sender = None
        self.recipients = []

    # The stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._write(self.greet())

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True

    def data_received(self, data: bytes) -> None:
        self._incoming += data
        replies = []
        while not (self._over or self._paused) and (reply := self._next()) is not None:
            replies.append(reply)
        if replies:
            self._write(b"".join(replies))

    def _write(self, replies: bytes) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._write_now, replies)
        else:
            self._write_now(replies)

    def _write_now(self, replies: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if replies:
            self.transport.write(replies)
        if self._over:
            self.transport.close()

    def _next(self) -> bytes | None:
        """Take one command or one content from what has come in; None while it is not all there."""
        incoming = self._incoming
        if self._in_content:
            return self._take_content()
        end = incoming.find(b"\n")
        if end < 0:
            if len(incoming) > _LONGEST_COMMAND:
                self.hang_up()
                return b"500 5.5.6 line too long\r\n"
            return None
        line = bytes(incoming[:end]).strip()
        del incoming[: end + 1]
        return self._command(line)

    def _take_content(self) -> bytes | None:
        incoming = self._incoming
        if incoming.startswith(b".\r\n"):
            end, after = 0, 3
        else:
            found = incoming.find(b"\r\n.\r\n", self._searched)
            if found < 0:
                self._searched = max(0, len(incoming) - 4)
                if len(incoming) > _LARGEST_MESSAGE:
                    self.hang_up()
                    return b"552 5.3.4 message too large\r\n"
                return None
            end, after = found + 2, found + 5
        data = bytes(incoming[:end])
        del incoming[:after]
        self._searched = 0
        self._in_content = False
        if b"\r\n.." in data:
            data = data.replace(b"\r\n..", b"\r\n.")
        if data.startswith(b".."):
            data = data[1:]
        mail = Mail(self.sender or "", tuple(self.recipients), data)
        self.forget()
        return self.content(mail)

    def _command(self, line: bytes) -> bytes:
        verb, _, argument = line.partition(b" ")
        match verb.upper():
            case b"MAIL":
                if self.sender is not None:
                    return b"503 5.5.1 nested MAIL\r\n"
                path = _PATH.match(argument)
                return self.mail(path[1].decode("utf-8", "replace")) if path else b"501 5.1.7 bad sender\r\n"
            case b"RCPT":
                if self.sender is None:
                    return b"503 5.5.1 need MAIL first\r\n"
                path = _PATH.match(argument)
                return self.rcpt(path[1].decode("utf-8", "replace")) if path else b"501 5.1.3 bad recipient\r\n"
            case b"DATA":
                reply = self.data()
                self._in_content = reply.startswith(b"354")
                return reply
            case b"RSET":
                self.forget()
                return b"250 2.0.0 Ok\r\n"
            case b"EHLO" | b"HELO":
                return self.hello(argument.decode("latin-1"), verb.upper() == b"EHLO")
            case b"NOOP":
                return b"250 2.0.0 Ok\r\n"
            case b"QUIT":
                self.hang_up()
                return b"221 2.0.0 Bye\r\n"
            case _:
                return self.other(verb.upper(), argument)
