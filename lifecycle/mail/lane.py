"""One SMTP connection and the conversation on it, driven by whoever polls its socket."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import ssl
from collections import deque
from enum import Enum, auto
from time import monotonic

from lifecycle.mail.reply import GibberishError, Reply, take_reply, usual_reply
from lifecycle.mail.transport import Deferred, Letter, Outcome, Refused, Unknown

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_PATH = re.compile(r"[!-;=?-~]{1,320}")  # printable ASCII without blanks and angle brackets
_DOT = re.compile(rb"\n\.")
_GULP = 16384
_RECENT = 1.0  # seconds within which a silent connection is taken to be still there


class Step(Enum):
    """What a reply that is still to come will answer."""

    CONTENT = auto()
    RESET = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    NOTHING = auto()  # a lone dot: the way out of DATA without a recipient


_ROUND_TRIP = deque((Step.CONTENT, Step.MAIL, Step.RCPT, Step.DATA))


class LostError(Exception):
    """The connection is of no more use; `str()` says why."""


class Ticket:
    """A letter on its way: `place` counts in the order of pulling, `tries` the connections lost under it."""

    __slots__ = ("letter", "place", "pulled", "tries")

    def __init__(self, letter: Letter, place: int) -> None:
        self.letter = letter
        self.place = place
        self.pulled = monotonic()
        self.tries = 0


def unfit(letter: Letter) -> Refused | None:
    """Refuse a letter whose addresses cannot stand in an SMTP command (RFC 5321 section 4.1.2)."""
    if not _PATH.fullmatch(letter.recipient):
        if letter.recipient.isascii():
            return Refused(501, "5.1.3", "501 5.1.3 the recipient is not an address that SMTP can carry")
        return Refused(553, "5.6.7", "553 5.6.7 the recipient's address is not ASCII")
    if letter.sender and not _PATH.fullmatch(letter.sender):
        return Refused(501, "5.1.7", "501 5.1.7 the sender is not an address that SMTP can carry")
    return None


def stuffed(data: bytes) -> bytes:
    """The content as it goes over the wire: leading dots doubled, ended by a lone dot (RFC 5321 section 4.5.2).

    Dots after a bare LF are doubled too, so that no lenient server can be made to see an end in the middle.
    """
    if _DOT.search(data):  # a third of the time that `in` takes
        data = data.replace(b"\n.", b"\n..")
    if data.startswith(b"."):
        data = b"." + data
    return data + (b".\r\n" if data.endswith(b"\r\n") else b"\r\n.\r\n")


class Lane:
    """A connection, the letter whose content is out, and the next one whose envelope is out.

    Never blocks. Outcomes gather in `known`. After Lost the owner asks `end` what became of its letters.
    """

    __slots__ = (
        "_commands",
        "_dot_in",
        "_incoming",
        "_over_tls",
        "_refused",
        "_reset",
        "_steps",
        "_unsent",
        "_untouched",
        "content",
        "dismissed",
        "envelope",
        "known",
        "opened",
        "pipelining",
        "ready",
        "served",
        "since",
        "sock",
        "watched",
    )

    def __init__(self, sock: socket.socket, pipelining: bool) -> None:
        self.sock = sock
        self.pipelining = pipelining
        self.known: list[tuple[Ticket, Outcome]] = []
        self.content: Ticket | None = None
        self.envelope: Ticket | None = None
        self.ready = False  # the server has said 354 for the envelope
        self.served = 0  # letters that were answered on this connection, whatever the answer
        self.dismissed = False  # the server has said 421
        self.watched = selectors.EVENT_READ
        self.opened = self.since = monotonic()  # `since`: of the last reply or the last progress in sending
        self._steps: deque[Step] = deque()
        self._commands: deque[tuple[Step, bytes]] = deque()  # not yet sent, where each must wait for a reply
        self._incoming = b""
        self._over_tls = isinstance(sock, ssl.SSLSocket)
        self._unsent = b""
        self._dot_in = 0  # so many bytes of `_unsent` belong to content; 0 once the final dot is out
        self._untouched = True  # not a byte of the content has left
        self._refused = False
        self._reset = False

    @property
    def idle(self) -> bool:
        """Nothing is asked and nothing is owed."""
        return not self._steps and self.envelope is None and not self._unsent

    @property
    def waiting(self) -> bool:
        """A reply, or room to send, is awaited."""
        return bool(self._steps) or bool(self._unsent)

    @property
    def wants_to_send(self) -> bool:
        """There are bytes that the socket did not take yet."""
        return bool(self._unsent)

    def begin(self, ticket: Ticket) -> None:
        """Offer the envelope of a letter on an idle lane."""
        if self.pipelining:
            self._send(self._group(ticket))
            return
        self.envelope = ticket
        self._refused = False
        if self._reset:
            self._commands.append((Step.RESET, b"RSET\r\n"))
            self._reset = False
        letter = ticket.letter
        self._commands.append((Step.MAIL, b"MAIL FROM:<%s>\r\n" % letter.sender.encode("ascii")))
        self._commands.append((Step.RCPT, b"RCPT TO:<%s>\r\n" % letter.recipient.encode("ascii")))
        self._commands.append((Step.DATA, b"DATA\r\n"))
        self._next_command()

    def proceed(self, following: Ticket | None) -> None:
        """Send the content that the server is ready for, and behind it the next envelope (RFC 2920 section 3.1)."""
        assert self.ready
        assert self.envelope is not None
        self.content = self.envelope
        self.envelope = None
        self.ready = False
        self._steps.append(Step.CONTENT)
        wire = stuffed(self.content.letter.data)
        self._dot_in = len(wire)
        self._untouched = True
        self._send(wire if following is None else wire + self._group(following))

    def withdraw(self) -> Ticket | None:
        """Give up the letter whose content would be next, if it is not wanted any more."""
        ticket = self.envelope
        if ticket is None or ticket.letter.wanted():
            return None
        self.envelope = None
        self.ready = False
        return ticket

    def still_there(self) -> bool:
        """Whether a connection that was silent for long is of use; any word from the server then is a goodbye."""
        if monotonic() - self.since < _RECENT:
            return True
        try:
            self.sock.recv(1)
        except _WOULD_BLOCK:
            return True
        except OSError:
            return False
        return False

    def exchange(self) -> None:
        """Take what the server said, then send what waits; raises Lost."""
        try:
            while True:
                try:
                    received = self.sock.recv(_GULP)
                except _WOULD_BLOCK:
                    break
                if not received:
                    self._digest()
                    raise LostError("the server closed the connection")
                self._incoming += received
                if len(received) < _GULP and not self._over_tls:
                    break
        except OSError as error:
            self._digest()
            raise LostError(f"the connection broke: {error.strerror or type(error).__name__}") from None
        self._digest()
        if self._unsent:
            self._send(b"")

    def end(self, reason: str) -> list[Ticket]:
        """Close, settle what is out, and return the letters of whose content nothing has left."""
        self.sock.close()
        left = [self.content, self.envelope] if self._untouched else [self.envelope]
        if self.content is not None and not self._untouched:
            lost = f"{reason}, before the final dot" if self._dot_in else f"{reason}, after the final dot"
            self.known.append((self.content, Deferred(lost) if self._dot_in else Unknown(lost)))
        self.content = self.envelope = None
        return [ticket for ticket in left if ticket is not None]

    def quit(self) -> None:
        """Say goodbye without waiting for the answer, and close."""
        with contextlib.suppress(OSError):
            self.sock.send(b"QUIT\r\n")
        self.sock.close()

    def _group(self, ticket: Ticket) -> bytes:
        self.envelope = ticket
        self._refused = False
        letter = ticket.letter
        group = f"MAIL FROM:<{letter.sender}>\r\nRCPT TO:<{letter.recipient}>\r\nDATA\r\n".encode("ascii")
        if self._reset:
            self._reset = False
            self._steps.append(Step.RESET)
            group = b"RSET\r\n" + group
        self._steps.extend((Step.MAIL, Step.RCPT, Step.DATA))
        return group

    def _next_command(self) -> None:
        if self._commands:
            step, command = self._commands.popleft()
            self._steps.append(step)
            self._send(command)

    def _send(self, wire: bytes) -> None:
        if self._unsent:
            wire = self._unsent + wire
        try:
            sent = self.sock.send(wire)
        except _WOULD_BLOCK:
            sent = 0
        except OSError as error:
            self._unsent = wire
            raise LostError(f"the connection broke: {error.strerror or type(error).__name__}") from None
        if sent:
            self.since = monotonic()
            self._dot_in = max(0, self._dot_in - sent)
            self._untouched = False
        self._unsent = wire[sent:]

    def _digest(self) -> None:
        """Read the replies that are there, each as the answer to the step it belongs to."""
        if self._steps == _ROUND_TRIP and (usual := usual_reply(self._incoming)) is not None:
            self._steps.clear()
            self._content_answered(usual)
            self.ready = True
            self.since = monotonic()
            self._incoming = b""
            return
        at = 0
        try:
            while (taken := take_reply(self._incoming, at)) is not None:
                reply, at = taken
                if not self._steps:
                    raise LostError(f"the server is out of step: {reply}")
                self._answer(self._steps.popleft(), reply)
                if reply.code == 421:
                    self.dismissed = True
                    raise LostError(f"the server said goodbye: {reply}")
                if self._commands and not self._steps:
                    self._next_command()
        except GibberishError as error:
            raise LostError(f"the server does not speak SMTP: {error}") from None
        if at:
            self.since = monotonic()
            self._incoming = self._incoming[at:]

    def _answer(self, step: Step, reply: Reply) -> None:
        match step:
            case Step.CONTENT:
                self._content_answered(reply)
            case Step.MAIL | Step.RCPT:
                if self._refused:
                    return
                if 400 <= reply.code < 600:
                    self._refuse(step, reply)
                elif reply.code >= 300:
                    raise LostError(f"the server is out of step: {reply}")
            case Step.DATA:
                self._data_answered(reply)
            case Step.RESET | Step.NOTHING:
                if step is Step.RESET and reply.code >= 300:
                    raise LostError(f"the server does not take RSET: {reply}")

    def _content_answered(self, reply: Reply) -> None:
        assert self.content is not None
        outcome = reply.to_content()
        early = self._dot_in > 0
        if early and 200 <= reply.code < 300:
            outcome = Unknown(f"out of step: {reply}")
        self.known.append((self.content, outcome))
        self.content = None
        if early or isinstance(outcome, Unknown):
            raise LostError(f"the server is out of step: {reply}")
        if reply.code != 421:
            self.served += 1

    def _data_answered(self, reply: Reply) -> None:
        if 300 <= reply.code < 400:
            if not self._refused:
                self.ready = True
            elif self._reset:
                # RFC 2920 section 3.1: DATA taken without a valid recipient is left by a lone dot.
                self._steps.append(Step.NOTHING)
                self._send(b".\r\n")
            else:
                raise LostError("the server took DATA without MAIL")
        elif reply.code < 300:
            raise LostError(f"the server is out of step: {reply}")
        elif not self._refused:
            self._refuse(Step.DATA, reply)

    def _refuse(self, step: Step, reply: Reply) -> None:
        """Settle the envelope's letter by the first refusal, and remember what must be undone before the next."""
        if reply.code != 421:
            self.served += 1
        elif self.served:
            return  # the connection's end, not the letter's: it goes out on a fresh one
        assert self.envelope is not None
        self.known.append((self.envelope, reply.refusal()))
        self.envelope = None
        self._refused = True
        self._reset = step is not Step.MAIL
        self._commands.clear()
