"""SMTP servers that misbehave on demand, each in a thread of the test, and remember every message they accepted.

    with SmtpServer(at={"rcpt": [b"550 5.1.1 no such user"]}) as server:
        transport = SmtpTransport(server.url)

`at` names a step (connect, ehlo, starttls, auth, mail, rcpt, data, arriving, content) and what happens there: an action
for every time, or a list of actions, one for each time, then the ordinary reply. "arriving" is a content of which
only a part is there; a reply to it is a premature one. An action is a reply to give, which
refuses what was asked unless it is a 2xx or 3xx, or one of the words below. `behave` is asked instead, if given.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from types import TracebackType
from typing import Self

import trustme

from lifecycle.mail.receiver import Mail, Receiver


class Mischief(Enum):
    """What a server may do instead of replying."""

    HANG = auto()  # take what was asked, and never answer
    DROP = auto()  # close without taking or answering
    KEEP_AND_DROP = auto()  # take the message, and close without an answer
    KEEP_AND_HANG = auto()  # take the message, and never answer


HANG, DROP, KEEP_AND_DROP, KEEP_AND_HANG = Mischief
Action = bytes | Mischief | None  # None: behave
Behaviour = Callable[[str, str], Action]


def by_step(at: Mapping[str, Action | Sequence[Action]]) -> Behaviour:
    """The behaviour that a table of steps describes."""
    turns = {step: deque(what) for step, what in at.items() if isinstance(what, list | tuple)}

    def behave(step: str, argument: str) -> Action:
        if step in turns:
            return turns[step].popleft() if turns[step] else None
        what = at.get(step)
        assert what is None or isinstance(what, bytes | Mischief)
        return what

    return behave


class Authority:
    """A certificate authority of the test's own, and a certificate for 127.0.0.1 and localhost signed by it."""

    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("localhost", "127.0.0.1").configure_cert(self.context)


class SmtpServer:
    """One server for the length of a with block; the attributes may be read at any time."""

    def __init__(
        self,
        at: Mapping[str, Action | Sequence[Action]] | None = None,
        *,
        behave: Behaviour | None = None,
        pipelining: bool = True,
        authority: Authority | None = None,
        tls_from_the_start: bool = False,
        login: tuple[str, str] | None = None,
        data_without_recipient: bool = False,
        delay: float = 0.0,
    ) -> None:
        self.behave = behave or by_step(at or {})
        self.pipelining = pipelining
        self.authority = authority
        self.login = login
        self.data_without_recipient = data_without_recipient
        self.delay = delay
        self.received: list[Mail] = []
        self.connections = 0
        self.commands: list[str] = []  # the verbs, in the order of arrival, over all connections
        self.client_names: list[str] = []  # what was said in EHLO
        self.behind_content: list[bytes] = []  # the verb that came in one piece with each content
        self.in_content: Callable[[Mail], None] | None = None  # called when a content is complete, before any action
        self.port = 0
        self._at_once = authority.context if authority and tls_from_the_start else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._open: set[_Scripted] = set()
        self._started = threading.Event()

    @property
    def url(self) -> str:
        """The plain URL; a test adds its own user and options."""
        return f"{'smtps' if self._at_once else 'smtp'}://127.0.0.1:{self.port}"

    def url_of(self, user: str, password: str, options: str = "") -> str:
        """The URL with a login and options such as `?starttls=1`."""
        return self.url.replace("://", f"://{user}:{password}@") + options

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def drop_connections(self) -> None:
        """Close every connection, as a server does with idle ones, and return when that is done."""

        async def drop() -> None:
            for one in list(self._open):
                if one.transport:
                    one.transport.close()
            while self._open:
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(10)

    def _run(self) -> None:
        loop = self._loop
        server = loop.run_until_complete(loop.create_server(lambda: _Scripted(self), "127.0.0.1", ssl=self._at_once))
        listening = server.sockets[0]
        # Left to itself the kernel may take in tens of megabytes for a server that reads no more.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port = listening.getsockname()[1]
        self._started.set()
        loop.run_forever()
        server.close()
        for one in list(self._open):
            if one.transport:
                one.transport.abort()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class _Scripted(Receiver):
    """A conversation that follows its server's script."""

    def __init__(self, server: SmtpServer) -> None:
        super().__init__()
        self._server = server
        self._secure = server._at_once is not None
        self._let_in = server.login is None
        self._upgrading: asyncio.Task[None] | None = None
        self.delay = server.delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server._open.add(self)
        self._server.connections += 1
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.discard(self)
        super().connection_lost(exc)

    def _act(self, step: str, argument: str = "") -> bytes | None:
        """The scripted reply of this step; None for the ordinary one."""
        if step != "content":
            self._server.commands.append(step)
        action = self._server.behave(step, argument)
        if action is None or isinstance(action, bytes):
            if action and action.startswith(b"421"):
                self.hang_up()
            return action if action is None else action.removesuffix(b"\r\n") + b"\r\n"
        if action in (DROP, KEEP_AND_DROP):
            self.hang_up()
        else:
            self.pause()
        return b""

    def greet(self) -> bytes:
        reply = self._act("connect")
        if reply is not None and not reply.startswith(b"2") and reply:
            self.hang_up()
        return super().greet() if reply is None else reply

    def hello(self, name: str, extended: bool) -> bytes:
        self._server.client_names.append(name)
        reply = self._act("ehlo")
        server = self._server
        offered = [b"PIPELINING"] if server.pipelining else []
        if server.authority and not self._secure:
            offered.append(b"STARTTLS")
        if server.login and (self._secure or not server.authority):
            offered.append(b"AUTH PLAIN")
        self.extensions = tuple(offered)
        return super().hello(name, extended) if reply is None else reply

    def mail(self, sender: str) -> bytes:
        reply = self._act("mail", sender)
        if reply is None and not self._let_in:
            reply = b"530 5.7.0 Authentication required\r\n"
        return super().mail(sender) if reply is None else reply

    def rcpt(self, recipient: str) -> bytes:
        reply = self._act("rcpt", recipient)
        return super().rcpt(recipient) if reply is None else reply

    def data(self) -> bytes:
        reply = self._act("data")
        if reply is None and self._server.data_without_recipient:
            return b"354 go ahead\r\n"
        return super().data() if reply is None else reply

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_content and self._incoming:
            reply = self._act("arriving")
            if reply is not None:
                self.pause()
                self._write(reply)

    def content(self, mail: Mail) -> bytes:
        if not mail.recipients:
            self._server.commands.append("lone dot")
            return b"554 5.5.1 no valid recipients\r\n"
        self._server.behind_content.append(bytes(self._incoming[:4]))
        if self._server.in_content:
            self._server.in_content(mail)
        action = self._server.behave("content", mail.recipients[0])
        if action in (None, KEEP_AND_DROP, KEEP_AND_HANG) or (isinstance(action, bytes) and action.startswith(b"2")):
            self._server.received.append(mail)
        match action:
            case None:
                return b"250 2.0.0 Ok\r\n"
            case bytes():
                if action.startswith(b"421"):
                    self.hang_up()
                return action.removesuffix(b"\r\n") + b"\r\n"
            case _ if action in (DROP, KEEP_AND_DROP):
                self.hang_up()
            case _:
                self.pause()
        return b""

    def other(self, verb: bytes, argument: bytes) -> bytes:
        if verb == b"STARTTLS" and self._server.authority and not self._secure:
            reply = self._act("starttls")
            if reply is not None:
                return reply
            self.pause()
            self._upgrading = self._server._loop.create_task(self._upgrade())
            return b"220 2.0.0 Ready to start TLS\r\n"
        if verb == b"AUTH" and self._server.login:
            return self._auth(argument)
        return super().other(verb, argument)

    def _auth(self, argument: bytes) -> bytes:
        reply = self._act("auth")
        if reply is not None:
            return reply
        _, user, password = base64.b64decode(argument.removeprefix(b"PLAIN ")).decode().split("\0")
        self._let_in = (user, password) == self._server.login
        return b"235 2.7.0 welcome\r\n" if self._let_in else b"535 5.7.8 bad credentials\r\n"

    async def _upgrade(self) -> None:
        assert self.transport is not None
        assert self._server.authority is not None
        self._incoming.clear()
        try:
            secured = await self._server._loop.start_tls(
                self.transport, self, self._server.authority.context, server_side=True
            )
        except OSError:  # the client did not like the certificate
            self._server._open.discard(self)
            return
        assert isinstance(secured, asyncio.Transport)
        self.transport = secured
        self._secure = True
        self.forget()
        self.resume()
