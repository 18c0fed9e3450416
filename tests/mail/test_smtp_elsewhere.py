"""The same conversations with a server that others wrote, and with this project's own two: the mailbox and the sink."""

from __future__ import annotations

import re
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from benchmarks.sink import Sink
from lifecycle.mail.mailbox import Mailbox
from lifecycle.mail.receiver import Mail
from lifecycle.mail.smtp import SmtpTransport
from lifecycle.mail.transport import Accepted, Letter, Refused
from tests.smtp_servers import Authority

BODY = b"From: a@x.example\r\nMessage-ID: <%d@x>\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n"


def a_batch(count: int) -> list[Letter]:
    return [Letter(i, "a@x.example", f"c{i}@example.com", f"<{i}@x>", BODY % i) for i in range(count)]


class Keeper:
    """An aiosmtpd handler that keeps what comes in, and does not know one recipient."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes]] = []

    async def handle_RCPT(  # aiosmtpd gives the name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("c3@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.kept.append((envelope.rcpt_tos[0], envelope.content))
        return "250 OK"


@pytest.mark.parametrize("lanes", [1, 3])
def test_aiosmtpd_takes_a_login_over_starttls_and_gets_every_letter_unchanged(lanes: int) -> None:
    def let_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"shop", b"sesame"))

    keeper = Keeper()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        keeper,
        hostname="127.0.0.1",
        port=port,
        tls_context=Authority().context,
        require_starttls=True,
        auth_required=True,
        authenticator=let_in,
    )
    controller.start()
    try:
        transport = SmtpTransport(f"smtp://shop:sesame@127.0.0.1:{port}?starttls=1&verify=0", lanes=lanes)
        outcomes = {letter.id: outcome for letter, outcome in transport.deliver(a_batch(12))}
        transport.close()
    finally:
        controller.stop()
    assert outcomes.pop(3) == Refused(550, "5.1.1", "550 5.1.1 no such user")
    assert all(isinstance(outcome, Accepted) for outcome in outcomes.values())
    assert dict(keeper.kept) == {letter.recipient: letter.data for letter in a_batch(12) if letter.id != 3}
    assert len(keeper.kept) == 11


@contextmanager
def a_mailbox(folder: Path, *, expected: int = 0) -> Iterator[str]:
    """A running mailbox process, which must end cleanly on SIGTERM."""
    command = [sys.executable, "-m", "lifecycle.mail.mailbox", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        listening = re.search(r"smtp://127\.0\.0\.1:\d+", process.stdout.readline())
        try:
            assert listening
            yield listening[0]
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (expected, "")


def test_the_mailbox_keeps_each_message_as_a_file_and_goes_quietly(tmp_path: Path) -> None:
    folder = tmp_path / "received"
    for lanes in (1, 2):
        # An open connection does not keep it alive: it ends before the transport is closed.
        with ExitStack() as later, a_mailbox(folder) as url:
            transport = later.enter_context(closing(SmtpTransport(url, lanes=lanes)))
            assert all(isinstance(outcome, Accepted) for _, outcome in transport.deliver(a_batch(5)))
    files = sorted(folder.iterdir())
    assert [file.name[:7] for file in files] == [f"{number:06d}-" for number in range(1, 11)]
    assert files[0].name == "000001-c0@example.com.eml"
    assert [file.read_bytes() for file in files[:5]] == [letter.data for letter in a_batch(5)]
    # Of two lanes either may be first.
    assert {file.read_bytes() for file in files[5:]} == {letter.data for letter in a_batch(5)}


def test_a_mailbox_file_never_leaves_its_folder(tmp_path: Path) -> None:
    path = Mailbox(tmp_path / "box").keep(Mail("a@x", ("../../etc/pass wd\0" + "x" * 300,), b"x"))
    assert path.parent == tmp_path / "box"
    assert path.name.startswith("000001-.._.._etc_pass_wd_xxx")
    assert len(path.name) < 130


def test_a_mailbox_that_cannot_write_asks_to_try_later(tmp_path: Path) -> None:
    folder = tmp_path / "received"
    with a_mailbox(folder) as url:
        folder.rmdir()
        with closing(SmtpTransport(url)) as transport:
            ((_, outcome),) = transport.deliver(a_batch(1))
    assert str(outcome) == "Deferred(reply='451 4.3.0 cannot keep it: No such file or directory', code=451)"


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with a_mailbox(tmp_path / "one") as url:
        command = [sys.executable, "-m", "lifecycle.mail.mailbox", "--folder", str(tmp_path / "two"), "--port"]
        second = subprocess.run([*command, url.rpartition(":")[2]], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert re.fullmatch(r"cannot listen on port \d+: .+\n", second.stderr)


def test_the_sink_counts_and_names_what_it_accepts(tmp_path: Path) -> None:
    log = tmp_path / "ids.txt"
    with Sink(log=log) as sink:
        with closing(SmtpTransport(sink.url, lanes=2)) as transport:
            assert len(list(transport.deliver([*a_batch(50), *a_batch(10)]))) == 60
        stat = sink.stat()
    assert (stat["accepted"], stat["distinct"]) == (60, 50)
    assert sorted(set(log.read_text().split())) == sorted(f"<{i}@x>" for i in range(50))
    assert len(log.read_text().split()) == 60


def test_the_mailbox_speaks_to_smtplib_too(tmp_path: Path) -> None:
    with a_mailbox(tmp_path) as url, smtplib.SMTP("127.0.0.1", int(url.rpartition(":")[2]), "localhost") as client:
        client.sendmail("a@x", ["b@y", "c@y"], BODY % 1)
        assert client.docmd("MAIL FROM:<a@x>")[0] == 250
        assert client.docmd("MAIL FROM:<a@x>")[0] == 503
        assert client.docmd("DATA")[0] == 554
        assert client.docmd("RSET")[0] == 250
        assert client.docmd("RCPT TO:<a@x>")[0] == 503
        assert client.docmd("NONSENSE")[0] == 502
        assert client.docmd("MAIL FROM: nobody")[0] == 501
        assert client.docmd("HELO x")[0] == 250
        assert client.docmd("NOOP")[0] == 250
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == BODY % 1
