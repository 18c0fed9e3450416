"""An SMTP server's replies: cut from the stream, bounded, and read as outcomes."""

from __future__ import annotations

import re
from typing import NamedTuple

from lifecycle.mail.transport import Accepted, Deferred, Outcome, Refused, Unknown

LONGEST_LINE = 4096  # RFC 5321 says 512; real servers say more
LONGEST_REPLY = 65536
KEPT = 500  # characters of a reply that are worth storing

_ONE_LINE = re.compile(rb"([2-5]\d\d) ([^\r\n]{0,1000})\r\n")
_USUAL = re.compile(rb"(2\d\d) ([^\r\n]{0,1000})\r\n(?:2\d\d [^\r\n]{0,1000}\r\n){2}3\d\d [^\r\n]{0,1000}\r\n")
_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_NEEDS_A_LOGIN = frozenset({530, 534, 535, 538})  # RFC 4954: about this client's set-up, not about the letter


class GibberishError(Exception):
    """The server said something that is not an SMTP reply."""


class Reply(NamedTuple):
    """One reply: its code, and its lines without codes and line ends."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def enhanced(self) -> str | None:
        """The RFC 3463 status code, such as "5.1.1", if there is one of the reply's own class."""
        for line in self.lines:
            if found := _ENHANCED.match(line):
                code = found[1].decode("ascii")
                return code if code[0] == str(self.code)[0] else None
        return None

    def __str__(self) -> str:
        """The reply as one printable line; bytes that are not UTF-8 are read as Latin-1."""
        return f"{self.code} {printable(b' '.join(self.lines))}".rstrip()

    def to_content(self) -> Outcome:
        """What this reply to the final dot means for the letter."""
        if 200 <= self.code < 300:
            return Accepted(str(self))
        if 400 <= self.code < 600:
            return self.refusal()
        return Unknown(f"out of step: {self}")

    def refusal(self) -> Deferred | Refused:
        """What this 4xx or 5xx means for the letter."""
        if self.code < 500:
            return Deferred(str(self), self.code)
        if self.code in _NEEDS_A_LOGIN:
            return Deferred(f"the server wants a login that it does not have: {self}", None)
        return Refused(self.code, self.enhanced, str(self))


def printable(text: bytes) -> str:
    """Bytes from a server as one short line without control characters."""
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    return (decoded if decoded.isprintable() else _CONTROL.sub(" ", decoded))[:KEPT].strip()


def usual_reply(said: bytes) -> Reply | None:
    """The first of four replies, if `said` is just these: a letter taken, the next sender and recipient too, go ahead.

    One look for what nearly every round trip brings costs a quarter of cutting it reply by reply.
    """
    usual = _USUAL.fullmatch(said)
    return None if usual is None else Reply(int(usual[1]), (usual[2],))


def take_reply(said: bytes, start: int) -> tuple[Reply, int] | None:
    """Read the whole reply that begins at `start`, and where it ends; None while it is not all there.

    Raises GibberishError for what is no reply, and for lines or replies without end.
    """
    if (one := _ONE_LINE.match(said, start)) is not None:
        return Reply(int(one[1]), (one[2],)), one.end()
    lines: list[bytes] = []
    begin = start
    while (end := said.find(b"\n", begin)) >= 0:
        if end - begin > LONGEST_LINE or end - start > LONGEST_REPLY:
            raise GibberishError("a reply without end")
        line = said[begin:end].rstrip(b"\r")
        begin = end + 1
        if (read := _LINE.fullmatch(line)) is None:
            raise GibberishError(printable(line[:80]))
        lines.append(read[3] or b"")
        if read[2] != b"-":
            return Reply(int(read[1]), tuple(lines)), begin
    if len(said) - begin > LONGEST_LINE or len(said) - start > LONGEST_REPLY:
        raise GibberishError("a reply without end")
    return None
