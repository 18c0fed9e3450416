"""The mail server that letters are handed to: its address, how to reach it, and how to be let in."""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from lifecycle.errors import ConfigurationError
from lifecycle.mail.reply import printable

Security = Literal["none", "starttls", "tls"]


class UnreachableError(Exception):
    """No conversation could be begun; `str()` says why without any secret, `again` whether trying at once may help."""

    def __init__(self, reason: str, code: int | None = None, *, again: bool = False) -> None:
        self.code = code
        self.again = again
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Relay:
    """A parsed SMTP URL; its repr holds no secret."""

    host: str
    port: int
    security: Security
    user: str | None = None
    password: str = field(default="", repr=False)
    verify: bool = True

    @classmethod
    def parse(cls, url: str) -> Relay:
        """Read `smtp://user:pass@host:587?starttls=1` or `smtps://…`; ports default to 25 and 465.

        `verify=0` accepts any certificate, on this machine only. A login over an unencrypted connection to another
        machine must be asked for with `starttls=0`. Raises ConfigurationError, never with the password in it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigurationError("SMTP_URL is not a URL: write smtp://user:pass@host:587?starttls=1") from error
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
            raise ConfigurationError("SMTP_URL must look like smtp://user:pass@host:587?starttls=1 or smtps://host")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(options.keys() - {"starttls", "verify"}):
            raise ConfigurationError(f"SMTP_URL has an option {unknown[0]!r} that is not known: use starttls or verify")
        if wrong := [name for name, value in options.items() if value not in ("0", "1")]:
            raise ConfigurationError(f"SMTP_URL: {wrong[0]} is 0 or 1")
        security: Security = "tls" if parts.scheme == "smtps" else "none"
        if options.get("starttls") == "1":
            if security == "tls":
                raise ConfigurationError("SMTP_URL: smtps:// is encrypted from the first byte, so drop starttls=1")
            security = "starttls"
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not (user + password).isascii() or not (user + password + "x").isprintable():
            raise ConfigurationError("SMTP_URL: user and password must be printable ASCII, percent-encoded")
        relay = cls(
            host=parts.hostname,
            port=port or (465 if security == "tls" else 25),
            security=security,
            user=user or None,
            password=password,
            verify=options.get("verify") != "0",
        )
        if not relay.verify and not relay.is_local:
            raise ConfigurationError("SMTP_URL: verify=0 is for a server on this machine only")
        if relay.user and security == "none" and not relay.is_local and "starttls" not in options:
            raise ConfigurationError("SMTP_URL would send the password unencrypted: add starttls=1 (or say starttls=0)")
        return relay

    @property
    def is_local(self) -> bool:
        """Whether the server is this machine, by its name or address alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self, timeout: float) -> tuple[socket.socket, bool]:
        """Begin a conversation; return the socket, unblocked, and whether the server offers PIPELINING.

        `timeout` in seconds bounds every single wait. Raises UnreachableError.
        """
        smtp: smtplib.SMTP | None = None
        try:
            smtp = self._greet(timeout)
            if self.user:
                smtp.login(self.user, self.password)
            pipelining = smtp.has_extn("pipelining")
            sock = smtp.sock
            assert sock is not None
            if smtp.file is not None:
                smtp.file.close()
            smtp.sock = None
        except smtplib.SMTPAuthenticationError as error:
            raise UnreachableError(f"{self} refused the login: {_said(error)}") from None
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code if 400 <= error.smtp_code < 500 else None
            raise UnreachableError(f"{self} does not want to talk: {_said(error)}", code) from None
        except smtplib.SMTPNotSupportedError as error:
            raise UnreachableError(f"{self} lacks what SMTP_URL asks for: {error}") from None
        except ssl.SSLCertVerificationError as error:
            raise UnreachableError(f"{self} has a certificate that does not hold: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise UnreachableError(
                f"{self} does not speak TLS as expected: {error.reason or 'handshake failed'}"
            ) from None
        except TimeoutError:
            raise UnreachableError(f"{self} did not answer within {timeout:g} s") from None
        except smtplib.SMTPServerDisconnected as error:
            hung = "timed out" in str(error)
            reason = f"did not answer within {timeout:g} s" if hung else "closed the connection before the first letter"
            raise UnreachableError(f"{self} {reason}", again=not hung) from None
        except (OSError, smtplib.SMTPException, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise UnreachableError(
                f"{self} cannot be reached: {reason}", again=isinstance(error, ConnectionError)
            ) from None
        finally:
            if smtp is not None:
                smtp.close()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock, pipelining

    def _greet(self, timeout: float) -> smtplib.SMTP:
        name = socket.gethostname()  # smtplib's own way asks the DNS, which can take seconds
        if self.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, local_hostname=name, timeout=timeout, context=self._context()
            )
        else:
            smtp = smtplib.SMTP(self.host, self.port, local_hostname=name, timeout=timeout)
        try:
            if "." not in name or not name.isascii():
                smtp.local_hostname = _literal(smtp)
            if self.security == "starttls":
                smtp.starttls(context=self._context())
            smtp.ehlo_or_helo_if_needed()
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _literal(smtp: smtplib.SMTP) -> str:
    """This end's address, as EHLO wants it where there is no name (RFC 5321 section 4.1.3)."""
    assert smtp.sock is not None
    address = ipaddress.ip_address(smtp.sock.getsockname()[0].partition("%")[0])
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"


def _said(error: smtplib.SMTPResponseException) -> str:
    said = error.smtp_error
    text = printable(said if isinstance(said, bytes) else str(said).encode())
    return f"{error.smtp_code} {text}".rstrip()
