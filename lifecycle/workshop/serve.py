"""Serves the gallery until somebody ends it, to this machine, or with a token to others."""

from __future__ import annotations

import errno
import ipaddress
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import uvicorn

from lifecycle.errors import LifecycleError
from lifecycle.settings import Settings

from .gallery import gallery
from .guard import Guard, names_of
from .live import LiveWorkshop
from .look import Workshop
from .people import find

HOST, PORT = "127.0.0.1", 8026
_PARTING = 1  # seconds for answers that are on their way when it ends


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gallery listens; `token` is None where only this machine gets there."""

    socket: socket.socket
    host: str
    port: int
    token: str | None

    @property
    def url(self) -> str:
        """What to open; with the token, where there is one."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/" + (f"?token={self.token}" if self.token else "")


def listen(host: str = HOST, port: int = PORT) -> Address:
    """Takes the port. Raises LifecycleError where it is taken, or the host is none of this machine's."""
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise LifecycleError(f"--host {host}: {error.strerror or error}") from None
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} on {host} is taken, perhaps by another gallery; take another: --port {port + 1}"
            raise LifecycleError(message) from None
        raise LifecycleError(
            f"cannot listen on {host}, port {port}: {error.strerror}; leave --host away, or say 0.0.0.0 for everybody"
        ) from None
    own = listening.getsockname()
    is_own = ipaddress.ip_address(own[0]).is_loopback
    return Address(listening, host, own[1], None if is_own else secrets.token_urlsafe(24))


class Serving(uvicorn.Server):
    """The gallery at an address; `run()` it. It ends with SIGINT, SIGTERM, or when `should_exit` is set."""

    def __init__(self, settings: Settings, address: Address, ready: Callable[[], None] = lambda: None) -> None:
        self._address = address
        self._ready = ready
        folders = (settings.templates, settings.journeys)
        self.live = LiveWorkshop(partial(_opened, settings), folders)
        guarded = Guard(
            gallery(self.live, partial(find, settings)),
            names=names_of(address.host),
            token=address.token,
            port=address.port,
        )
        super().__init__(
            uvicorn.Config(
                guarded,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_PARTING,
            )
        )

    def listen(self) -> None:
        """Serves until the end; the address is free again after it."""
        try:
            self.run([self._address.socket])
        finally:
            self._address.socket.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; then tells that the gallery can be opened."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which waits for all answers; those that tell of changes have no end of their own."""
        await self.live.end()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: object) -> None:
        """Ends without the signal being raised once more, as uvicorn would: ending is what is wanted."""
        self.should_exit = True


def _opened(settings: Settings) -> Workshop:
    workshop = Workshop(settings)
    workshop.entries()  # reads the journeys, so that a mistake in them is told now
    return workshop
