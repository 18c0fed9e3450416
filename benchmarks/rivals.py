"""What delivering is measured against: a bare smtplib loop, a pipelined blast, and the usual way."""

from __future__ import annotations

import smtplib
import socket
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session, col, select

from benchmarks import seed
from benchmarks.courier import LINKS
from lifecycle import clock
from lifecycle.flow.mailer import Envelope, Mailer
from lifecycle.journey.project import Project
from lifecycle.mail.environment import html_environment, text_environment
from lifecycle.mail.lane import stuffed
from lifecycle.mail.render import Renderer
from lifecycle.mail.transport import Letter
from lifecycle.store.database import Database
from lifecycle.store.tables import Customer, Enrollment, Message


def ready_made(project: Project, cache: Path, count: int = 200) -> list[Letter]:
    """Letters as they are delivered, all that can be made beforehand made."""
    mailer = Mailer(project.policy.sender, Renderer(seed.EMAILS, cache), LINKS, Nowhere())
    now = clock.now()
    letters = []
    for n in range(count):
        envelope = Envelope(n, f"customer-{n}", f"siti.{n}@example.com", f"<ready-{n}@{seed.DOMAIN}>", "orders", True)
        event = {"order_id": f"A{n}", "total": 12.5 + n % 90, "quantity": 1 + n % 4}
        content = mailer.render("thanks", envelope, {"first_name": f"Siti {n}"}, event, now)
        letters.append(mailer.letter(envelope, content, now))
    return letters


class Nowhere:
    """A transport for who only makes letters."""

    lanes = 1

    def deliver(self, letters: Any) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        pass


def bare_smtplib(url: str, letters: Sequence[Letter], count: int) -> float:
    """Seconds for `count` ready-made letters with smtplib's sendmail over one connection."""
    with smtplib.SMTP(*_place(url), local_hostname="localhost") as smtp:
        smtp.ehlo()
        start = time.perf_counter()
        for n in range(count):
            letter = letters[n % len(letters)]
            smtp.sendmail(letter.sender, [letter.recipient], letter.data)
        return time.perf_counter() - start


def pipelined_smtplib(url: str, letters: Sequence[Letter], count: int) -> float:
    """Seconds for `count` ready-made letters over one connection with PIPELINING: one write each, the content and
    behind it the next envelope, and smtplib's getreply for the four replies."""
    wires, envelopes = _pipelined(letters)
    with closing(smtplib.SMTP(*_place(url), local_hostname="localhost")) as smtp:  # amid an envelope: no QUIT
        smtp.ehlo()
        start = time.perf_counter()
        smtp.send(envelopes[0])
        _envelope_taken(smtp)
        for n in range(count):
            smtp.send(wires[n % len(wires)])
            assert smtp.getreply()[0] == 250
            _envelope_taken(smtp)
        return time.perf_counter() - start


def _envelope_taken(smtp: smtplib.SMTP) -> None:
    assert [smtp.getreply()[0] for _ in range(3)] == [250, 250, 354]


def unread_blast(url: str, letters: Sequence[Letter], count: int) -> float:
    """The same with nothing but a socket, no reply looked at: as fast as one connection goes at all."""
    wires, envelopes = _pipelined(letters)
    with socket.create_connection(_place(url)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(4096)
        connection.sendall(b"EHLO localhost\r\n")
        connection.recv(4096)
        start = time.perf_counter()
        connection.sendall(envelopes[0])
        for n in range(count):
            while b"354" not in connection.recv(4096):
                pass
            connection.sendall(wires[n % len(wires)])
        connection.recv(4096)
        return time.perf_counter() - start


def _pipelined(letters: Sequence[Letter]) -> tuple[list[bytes], list[bytes]]:
    """What is written for each letter, and the envelopes of which the first goes ahead."""
    envelopes = [f"MAIL FROM:<{one.sender}>\r\nRCPT TO:<{one.recipient}>\r\nDATA\r\n".encode() for one in letters]
    following = [*envelopes[1:], envelopes[0]]
    return [stuffed(one.data) + after for one, after in zip(letters, following, strict=True)], envelopes


class UsualWay:
    """How it is usually written, and not badly: stdlib EmailMessage, smtplib on a kept connection, the ORM, one
    transaction per step, templates compiled once, the same policy, the same records."""

    def __init__(self, db: Database, project: Project, url: str, cache: Path) -> None:
        self._session = sessionmaker(db.engine, class_=Session, expire_on_commit=False)
        self._policy = project.policy
        self._smtp = smtplib.SMTP(*_place(url), local_hostname="localhost")
        email = Renderer(seed.EMAILS, cache).compiled(seed.STEP)
        self._subject = text_environment().from_string(email.subject)
        self._html = html_environment().from_string(email.html)
        self._text = text_environment().from_string(email.text)

    def deliver(self, ids: Sequence[int]) -> float:
        """Seconds for these messages, from `pending` to recorded `sent`."""
        seconds = 0.0
        for id_ in ids:
            start = time.perf_counter()
            if self._may_send(id_):
                self._record(id_, self._send(id_))
            seconds += time.perf_counter() - start
        for id_ in ids:
            self._move_on(id_)
        return seconds

    def close(self) -> None:
        """Say goodbye."""
        self._smtp.quit()

    def _may_send(self, id_: int) -> bool:
        now = clock.now()
        with self._session.begin() as session:
            message = session.exec(select(Message).where(Message.id == id_, Message.state == "pending")).one()
            customer = session.exec(select(Customer).where(Customer.id == message.customer_id).with_for_update()).one()
            hour = now.astimezone(ZoneInfo(customer.timezone or self._policy.timezone)).hour
            if not customer.email or not customer.consents.get(message.topic, {}).get("granted") or not 8 <= hour < 21:
                return False
            for cap in self._policy.caps:
                counted = select(func.count()).where(
                    col(Message.customer_id) == customer.id, col(Message.counted_at) > now - cap.span
                )
                if cap.topic:
                    counted = counted.where(col(Message.topic) == cap.topic)
                if session.exec(counted).one() >= cap.limit:
                    return False
            message.state, message.counted_at, message.email = "sending", now, customer.email
            message.attempts += 1
        return True

    def _send(self, id_: int) -> str:
        with self._session() as session:
            message = session.exec(select(Message).where(Message.id == id_)).one()
            customer = session.exec(select(Customer).where(Customer.id == message.customer_id)).one()
            enrollment = session.exec(select(Enrollment).where(Enrollment.id == message.enrollment_id)).one()
        sender = self._policy.sender
        unsubscribe = LINKS.url(customer.id, message.topic)
        context = {
            "customer": {"first_name": customer.first_name, "email": customer.email, **customer.traits},
            "event": enrollment.trigger,
            "company": {"name": sender.name, "email": sender.email, "postal_address": sender.postal_address},
            "links": {"unsubscribe": unsubscribe},
        }
        email = EmailMessage()
        subject = self._subject.render(context)
        email["From"], email["To"] = formataddr((sender.name, sender.email)), customer.email
        email["Subject"], email["Message-ID"] = subject, message.message_id
        email["Date"] = format_datetime(datetime.now(UTC))
        email["List-Unsubscribe"] = f"<{unsubscribe}>"
        email["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        email.set_content(self._text.render(context))
        email.add_alternative(self._html.render(context), subtype="html")
        self._smtp.send_message(email)
        return subject

    def _record(self, id_: int, subject: str) -> None:
        with self._session.begin() as session:
            message = session.exec(select(Message).where(Message.id == id_)).one()
            message.state, message.sent_at, message.subject, message.wake_at = "sent", clock.now(), subject, None

    def _move_on(self, id_: int) -> None:
        with self._session.begin() as session:
            message = session.exec(select(Message).where(Message.id == id_)).one()
            enrollment = session.exec(select(Enrollment).where(Enrollment.id == message.enrollment_id)).one()
            enrollment.step, enrollment.awaiting = "review", "review.posted"


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 25)
