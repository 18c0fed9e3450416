"""The message's bytes, read back with the standard library's parser."""

from __future__ import annotations

import base64
import html as html_module
import re
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parseaddr
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from lifecycle.errors import RenderError
from lifecycle.mail.mime import Letterhead

LETTERHEAD = Letterhead("Toko Kopi", "halo@tokokopi.example", "reply@tokokopi.example")
NOON = datetime(1997, 3, 20, 12, 0, 5, tzinfo=UTC)

# What a renderer hands over: no lone surrogates, no control characters.
unicode_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
bodies = st.text(st.characters(exclude_categories=["Cs"]), max_size=1500) | st.text(
    st.sampled_from("ab =.-_\n\r\té€漢😀\x00<&#1;"), max_size=1500
)


def assemble(**changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "to": "siti@example.com",
        "subject": "Hello",
        "html": "<p>Hello</p>",
        "text": "Hello",
        "message_id": "<7.a@tokokopi.example>",
        "date": NOON,
        "list_unsubscribe": None,
    }
    return LETTERHEAD.assemble(**{**arguments, **changes})


def parse(data: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(data)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert not part.defects
    return message


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.iter_parts()
    assert [text.get_content_type(), html.get_content_type()] == ["text/plain", "text/html"]
    contents = [part.get_payload(decode=True).decode("utf-8").replace("\r\n", "\n") for part in (text, html)]  # type: ignore[union-attr]
    return contents[0], contents[1]


def newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def test_a_plain_message_reads_as_one_would_write_it() -> None:
    data = assemble(to_name="Siti", list_unsubscribe="https://tokokopi.example/u/abc", headers={"X-Journey": "welcome"})

    head, _, body = data.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"From: Toko Kopi <halo@tokokopi.example>",
        b"Reply-To: reply@tokokopi.example",
        b"MIME-Version: 1.0",
        b"To: Siti <siti@example.com>",
        b"Subject: Hello",
        b"Date: Thu, 20 Mar 1997 12:00:05 +0000",
        b"Message-ID: <7.a@tokokopi.example>",
        b"List-Unsubscribe: <https://tokokopi.example/u/abc>",
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        b"X-Journey: welcome",
        re.findall(rb"Content-Type: multipart/alternative; boundary=\"=_[0-9a-f]{24}\"", head)[0],
    ]
    assert body.endswith(b"--\r\n")


@given(unicode_text, unicode_text)
@example("=?utf-8?b?SGk=?=", "a=?b")
@example("word " * 40, 'Siti, of "Bandung" \\ (Java)')
@example("x" * 300, "n" * 300)
@example("漢字😀" * 60, "é" * 90)
def test_any_subject_and_name_come_back_from_the_wire(subject: str, name: str) -> None:
    subject, name = " ".join(subject.split()), " ".join(name.split())
    data = assemble(subject=subject, to_name=name)

    message = parse(data)
    assert str(message["Subject"]) == subject
    # policy.default leaves spaces between the encoded words of a name, the older way does not.
    phrase, address = parseaddr(str(BytesParser(policy=policy.compat32).parsebytes(data)["To"]))
    assert address == "siti@example.com"
    assert str(make_header(decode_header(phrase))) == name
    assert [address.addr_spec for address in message["To"].addresses] == ["siti@example.com"]
    head = data.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    for line in head.split(b"\r\n"):
        assert len(line) <= 998
        for word in re.findall(rb"=\?utf-8\?b\?([^?]*)\?=", line):
            assert len(word) + 12 <= 75
    words = re.findall(rb"=\?utf-8\?b\?([^?]*)\?=", head)
    for word in words:
        base64.b64decode(word).decode("utf-8")  # no word ends inside a character


@given(bodies, bodies)
@example("x" * 5000, "y" * 5000)
@example("é" * 5000, "é" * 5000)
@example("漢" * 999, "\n".join(["漢字"] * 50))
@example("trailing \nspace\t\n.\n..\nFrom here\n", "trailing \n.\n")
@example("a\x85b\x9f&#133;\ufffe\U0001ffff", "a\u2028b\x0c\x1c")
@example("x" * 998 + "\n" + "y" * 998, "x" * 999)
def test_any_body_comes_back_from_the_wire(html: str, text: str) -> None:
    data = assemble(html=html, text=text)

    received_text, received_html = parts(parse(data))
    assert received_text == newlines(text)
    assert html_module.unescape(received_html) == html_module.unescape(newlines(html))
    for line in data.split(b"\r\n"):
        assert len(line) <= 998
        assert b"\n" not in line
        assert b"\r" not in line
        assert b"\x00" not in line
    assert data.isascii()


@given(st.text(st.characters(max_codepoint=126, exclude_categories=["Cc"]), max_size=900))
def test_an_ascii_body_goes_out_letter_by_letter(html: str) -> None:
    assert parts(parse(assemble(html=html)))[1] == html
    assert html.encode() in assemble(html=html)


def test_a_long_unsubscribe_url_stays_in_one_piece() -> None:
    url = "https://tokokopi.example/u/" + "x" * 300

    data = assemble(list_unsubscribe=url)

    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in data
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in data


def test_a_message_without_an_unsubscribe_url_says_nothing_of_it() -> None:
    assert b"List-Unsubscribe" not in assemble()


@pytest.mark.parametrize("character", ["\r", "\n", "\r\n", "\0", "\x1b", "\x7f", "\x85", "\u2028"])
@pytest.mark.parametrize("field", ["subject", "to", "to_name", "message_id", "list_unsubscribe", "headers"])
def test_a_control_character_in_a_header_is_refused(field: str, character: str) -> None:
    value: object = f"siti@example.com{character}Bcc: all@example.com"

    with pytest.raises(RenderError):
        assemble(**{field: {"X-Journey": value} if field == "headers" else value})


def test_a_control_character_in_the_senders_name_is_refused() -> None:
    with pytest.raises(RenderError, match="From"):
        Letterhead("Toko\r\nBcc: all@example.com", "halo@tokokopi.example")


@pytest.mark.parametrize("name", ["X Journey", "X:Journey", "", "X\r\nBcc", "Jöurney"])
def test_a_header_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(RenderError, match="not a header name"):
        assemble(headers={name: "x"})


def test_the_boundary_never_occurs_in_a_body() -> None:
    first = assemble()
    boundary = re.findall(rb'boundary="([^"]+)"', first)[0]

    second = assemble(text=f"--{boundary.decode()}--\n", html=f"<p>--{boundary.decode()}</p>")

    text, html = parts(parse(second))
    assert text == f"--{boundary.decode()}--\n"
    assert boundary.decode() in html


def test_the_same_message_gives_the_same_bytes_and_another_id_another_boundary() -> None:
    boundary = re.compile(rb'boundary="([^"]+)"')

    assert assemble() == assemble()
    assert boundary.findall(assemble()) != boundary.findall(assemble(message_id="<8.a@tokokopi.example>"))


def test_a_message_id_may_come_without_its_brackets() -> None:
    assert assemble(message_id="7.a@tokokopi.example") == assemble()


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
@example(datetime(1969, 12, 31, 23, 59, 59, 500_000), 0)  # noqa: DTZ001
def test_the_date_is_the_moment_in_utc(local: datetime, minutes: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))

    message = parse(assemble(date=moment))

    assert message["Date"].datetime == moment.replace(microsecond=0)
    assert str(message["Date"]).endswith("+0000")


def test_a_date_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        assemble(date=datetime(1997, 3, 20))  # noqa: DTZ001


@given(unicode_text, st.integers(30, 400))
def test_headers_of_free_text_keep_to_78_columns(letters: str, length: int) -> None:
    assume(letters.strip())
    subject = " ".join((letters * length)[:length].split())
    assume(max(map(len, subject.split()), default=0) < 60)

    for line in assemble(subject=subject).partition(b"\r\n\r\n")[0].split(b"\r\n"):
        assert len(line) <= 78
