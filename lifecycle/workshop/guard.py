"""Who may ask the gallery, and what browsers may do with its answers."""

from __future__ import annotations

import hmac
import re
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PICTURE_POLICY = (
    "default-src 'none'; img-src https: data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-same-origin"
)
"""For emails: no script runs, no form is sent, nothing but pictures is fetched, and the page around is out of reach.

Without `allow-scripts`, `allow-same-origin` gives the email nothing: it lets the page ask how tall the letter is.
"""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^][:@/]+)(?::\d*)?")
_ALWAYS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Lets through only what reads, from this machine or with the token, under a name that the gallery goes by.

    `token` is None where only this machine can ask. The Host header is looked at because a foreign page whose name
    leads to 127.0.0.1 (DNS rebinding) would otherwise be able to read customers' data.
    """

    def __init__(self, app: ASGIApp, *, names: Iterable[str] = (), token: str | None = None, port: int = 0) -> None:
        self._app = app
        self._names = LOOPBACK | {name.lower() for name in names}
        self._token = token
        self._cookie = f"lifecycle-gallery-{port}"  # browsers do not tell ports of a host apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._refusal(scope, Headers(scope=scope)) or self._app

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """The answer to what is not let through."""
        if not self._goes_by(headers.get("host", ""), scope):
            return _refuse(421, "this name is not one of the gallery's; use the address that it printed at its start")
        if scope["method"] not in ("GET", "HEAD"):
            return _refuse(405, "the gallery only shows; it takes GET", Allow="GET, HEAD")
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-dest") != "document":
            return _refuse(403, "other sites may link to the gallery, not load from it")
        return None if self._token is None else self._checked(scope, headers, self._token)

    def _goes_by(self, host: str, scope: Scope) -> bool:
        """Whether the Host header names this machine, or the address that the connection came to."""
        found = _HOST.fullmatch(host.lower())
        if found is None:
            return False
        name = found[1].strip("[]")
        return name in self._names or (scope.get("server") is not None and name == scope["server"][0])

    def _checked(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        """Who brings the token in the address gets it as a cookie, and the address without it."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        brought = [value for name, value in query if name == "token"]
        if any(_same(value, token) for value in brought):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            path = f"/{quote(scope['path'].lstrip('/'))}"  # two slashes would lead to another site
            response = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
            response.set_cookie(self._cookie, token, httponly=True, samesite="strict", path="/")
            return response
        if _same(_cookie(headers.get("cookie", ""), self._cookie), token):
            return None
        return _refuse(401, "open the gallery with the address, token included, that it printed at its start")


def names_of(host: str) -> frozenset[str]:
    """The names under which a gallery is reached that listens on `host`; on all interfaces, that of the machine too."""
    return frozenset({socket.gethostname()} if host in ("0.0.0.0", "::") else {host})  # noqa: S104


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _cookie(header: str, name: str) -> str:
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _refuse(status: int, why: str, **headers: str) -> Response:
    return PlainTextResponse(f"{why}\n", status, headers)
