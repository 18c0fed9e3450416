"""The bytes of one multipart/alternative message.

The standard library's `EmailMessage` takes 2 ms a message and turns a long List-Unsubscribe URL into encoded words,
which breaks one-click; this assembler takes a fiftieth of that and keeps the URL whole.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from math import floor

from lifecycle.errors import RenderError

LONGEST_LINE = 998  # octets without CRLF, RFC 5322 §2.1.1
PREFERRED_LINE = 78

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HEADER_NAME = re.compile(r"[!-9;-~]{1,70}")
_ATOM_TEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_LONGEST_URL = LONGEST_LINE - len("List-Unsubscribe: <>")
_URL = re.compile(rf"[!-;=?-~]{{1,{_LONGEST_URL}}}")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
_BODY_CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\r\n")
# References that HTML reads as another character or as none: C1 controls, surrogates, noncharacters.
_NONCHARACTERS = (plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF))
_UNREADABLE = (*range(0x80, 0xA0), *range(0xFDD0, 0xFDF0), *_NONCHARACTERS)
_UNREADABLE_REFERENCE = re.compile(b"&#(?:%s|5[5-7]\\d\\d\\d);" % b"|".join(b"%d" % code for code in _UNREADABLE))


class Letterhead:
    """What all messages of one sender share, encoded once."""

    def __init__(self, sender_name: str, sender_email: str, reply_to: str | None = None) -> None:
        """Raises RenderError when a name or address holds a control character."""
        reply = _address_header("Reply-To", reply_to, None) if reply_to else b""
        self._static = _address_header("From", sender_email, sender_name) + reply + b"MIME-Version: 1.0\r\n"

    def assemble(
        self,
        *,
        to: str,
        to_name: str | None = None,
        subject: str,
        html: str,
        text: str,
        message_id: str,
        date: datetime,
        list_unsubscribe: str | None,
        headers: Mapping[str, str] = {},
    ) -> bytes:
        """Return the message with CRLF line ends, not dot-stuffed; the same arguments always give the same bytes.

        `date` is aware and written in UTC. `list_unsubscribe` is the one-click URL (RFC 8058). Raises RenderError when
        a header holds a control character (header injection) or cannot be written.
        """
        if not _MESSAGE_ID.fullmatch(message_id):
            message_id = f"<{message_id.strip('<>')}>"
            if not _MESSAGE_ID.fullmatch(message_id):
                raise RenderError("Message-ID", "is not of the form <name@domain>")
        text_part = _text_part(text)
        html_part = _html_part(html)
        boundary = _boundary(message_id, text_part, html_part)
        return b"".join(
            (
                self._static,
                _address_header("To", to, to_name),
                b"Subject: ",
                _unstructured("Subject", subject),
                b"\r\nDate: ",
                _date(date),
                b"\r\nMessage-ID: ",
                message_id.encode("ascii"),
                b"\r\n",
                _unsubscribe_headers(list_unsubscribe) if list_unsubscribe else b"",
                b"".join([_extra_header(name, value) for name, value in headers.items()]) if headers else b"",
                b'Content-Type: multipart/alternative; boundary="',
                boundary,
                b'"\r\n\r\n--',
                boundary,
                b"\r\n",
                text_part,
                b"\r\n--",
                boundary,
                b"\r\n",
                html_part,
                b"\r\n--",
                boundary,
                b"--\r\n",
            )
        )


def _date(moment: datetime) -> bytes:
    if moment.tzinfo is None:
        raise ValueError("the date of a message must be aware")
    return _second(floor(moment.timestamp()))


@lru_cache(maxsize=64)  # thousands of letters leave in one second
def _second(timestamp: int) -> bytes:
    moment = _EPOCH + timedelta(seconds=timestamp)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]} {moment.year:04} "
        f"{moment.hour:02}:{moment.minute:02}:{moment.second:02} +0000"
    ).encode("ascii")


def _refuse_controls(name: str, value: str) -> None:
    # isprintable is the quick answer; it also doubts characters that are harmless, hence the second look.
    if not value.isprintable() and _CONTROL.search(value):
        raise RenderError(f"header {name}", "holds a line break or control character, which could forge headers")


def _unstructured(name: str, value: str) -> bytes:
    """Return the value of a header of free text, folded; `name` counts towards the first line."""
    _refuse_controls(name, value)
    if value.isascii() and "=?" not in value and value.split(" ") == value.split():
        if len(name) + 2 + len(value) <= PREFERRED_LINE:
            return value.encode("ascii")
        if max(map(len, value.split(" "))) <= PREFERRED_LINE - len(name) - 3:
            return _fold(value, len(name) + 2)
    return _encoded_words(value, len(name) + 2)


def _fold(value: str, used: int) -> bytes:
    lines: list[str] = []
    line = ""
    for word in value.split(" "):
        if line and used + len(line) + 1 + len(word) > PREFERRED_LINE:
            lines.append(line)
            line, used = word, 1
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return "\r\n ".join(lines).encode("ascii")


def _encoded_words(value: str, used: int) -> bytes:
    """Return the value as RFC 2047 encoded words of at most 75 octets, none split inside a character."""
    words: list[bytes] = []
    chunk = b""
    room = max(3, (76 - used - 12) // 4 * 3)
    for character in value:
        octets = character.encode("utf-8", "replace")
        if len(chunk) + len(octets) > room:
            words.append(chunk)
            chunk, room = b"", 45
        chunk += octets
    words.append(chunk)
    return b"\r\n ".join([b"=?utf-8?b?" + binascii.b2a_base64(word, newline=False) + b"?=" for word in words if word])


def _address_header(header: str, address: str, name: str | None) -> bytes:
    _refuse_controls(header, address)
    if not address.isascii() or len(address) > 320 or " " in address or "<" in address or ">" in address:
        raise RenderError(f"header {header}", "is not an ASCII address without spaces")
    if not name or not (name := name.strip()):
        return f"{header}: {address}\r\n".encode("ascii")
    phrase = _phrase(header, name)
    last_line = len(phrase) - phrase.rfind(b"\n") + (0 if b"\n" in phrase else len(header) + 2)
    gap = b" " if last_line + len(address) + 3 <= PREFERRED_LINE else b"\r\n "
    return b"".join((header.encode("ascii"), b": ", phrase, gap, b"<", address.encode("ascii"), b">\r\n"))


def _phrase(header: str, name: str) -> bytes:
    """Return a display name: as it is, quoted, or as encoded words (RFC 5322 §3.2.5, RFC 2047 §5)."""
    _refuse_controls(header, name)
    room = PREFERRED_LINE - len(header) - 2
    if name.isascii() and "=?" not in name and "  " not in name and len(name) < room:
        if _ATOM_TEXT.fullmatch(name):
            return name.encode("ascii")
        quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if len(quoted) <= room:
            return quoted.encode("ascii")
    return _encoded_words(name, len(header) + 2)


def _unsubscribe_headers(url: str) -> bytes:
    # In one piece even past 78 columns: folded or encoded URLs are what breaks one-click.
    if not _URL.fullmatch(url):
        raise RenderError("header List-Unsubscribe", f"is not a plain ASCII URL of at most {_LONGEST_URL} characters")
    return f"List-Unsubscribe: <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".encode("ascii")


def _extra_header(name: str, value: str) -> bytes:
    if not _HEADER_NAME.fullmatch(name):
        raise RenderError(f"header {name!r}", "is not a header name")
    return b"".join((name.encode("ascii"), b": ", _unstructured(name, value), b"\r\n"))


def _lf(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in body else body


def _crlf(body: bytes) -> bytes:
    return _lf(body).replace(b"\n", b"\r\n")


def _fits_7bit(body: bytes) -> bool:
    if len(body.translate(None, _BODY_CONTROLS)) != len(body):
        return False
    at = 0  # from line end to line end in the longest strides that the limit allows
    while len(body) - at > LONGEST_LINE:
        at = body.rfind(b"\n", at, at + LONGEST_LINE + 1) + 1
        if at == 0:
            return False
    return True


def _html_part(html: str) -> bytes:
    body = html.encode("ascii", "xmlcharrefreplace")
    if _fits_7bit(body) and (html.isascii() or not _UNREADABLE_REFERENCE.search(body)):
        return b'Content-Type: text/html; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n' + _crlf(body)
    return b'Content-Type: text/html; charset="utf-8"\r\n' + _encoded(html)


def _text_part(text: str) -> bytes:
    if text.isascii() and _fits_7bit(body := text.encode("ascii")):
        return b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n' + _crlf(body)
    return b'Content-Type: text/plain; charset="utf-8"\r\n' + _encoded(text)


def _encoded(content: str) -> bytes:
    """Return Content-Transfer-Encoding and body; base64 where quoted-printable would be the longer one."""
    body = _lf(content.encode("utf-8", "replace"))
    if (len(body) - len(content)) * 4 > len(body):
        body = _crlf(body)
        lines = [binascii.b2a_base64(body[at : at + 57], newline=False) for at in range(0, len(body), 57)]
        return b"Content-Transfer-Encoding: base64\r\n\r\n" + b"\r\n".join(lines)
    return b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + _crlf(binascii.b2a_qp(body, istext=True))


def _boundary(message_id: str, text_part: bytes, html_part: bytes) -> bytes:
    seed = message_id.encode("ascii")
    while True:
        boundary = b"=_" + blake2b(seed, digest_size=12).hexdigest().encode("ascii")
        if boundary not in html_part and boundary not in text_part:
            return boundary
        seed = boundary
