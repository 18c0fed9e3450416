"""All settings, from the environment (and `.env` where there is one); nothing else reads `os.environ`.

Nothing set is a complete development set-up: SQLite, a Redis-compatible server from a wheel, mail into files,
all below `./.lifecycle/`.
"""

from __future__ import annotations

import os
import re
import secrets
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AliasChoices, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from lifecycle.clock import Clock
from lifecycle.clock import parse as parse_clock
from lifecycle.errors import ConfigurationError

_DATABASES = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_PLAIN = ("DATABASE_URL", "REDIS_URL", "SMTP_URL")
SHORTEST_LEASE = timedelta(seconds=60)
"""In production; mail servers take seconds to answer, and a lease leaves them an eighth of itself."""
_WORDS = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """One value per setting; the name in capitals with `LIFECYCLE_` before it is its environment variable.

    Make one with `Settings.load()`, which turns mistakes into one clear line.
    """

    model_config = SettingsConfigDict(
        env_prefix="LIFECYCLE_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    env: Literal["development", "test", "production"] = Field(
        default="development",
        description="`production` demands a secret and lets mail go to anybody; elsewhere a relay that is not on this "
        "machine gets only recipients that match LIFECYCLE_ALLOW_RECIPIENTS.",
    )
    home: Path = Field(
        default=Path(".lifecycle"),
        description="Folder of the defaults: the SQLite file, the embedded server's data, the outbox, the secret.",
    )
    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("LIFECYCLE_DATABASE_URL", "DATABASE_URL"),
        description="`postgresql://user:password@host/name` or `sqlite:///path`; empty: the file lifecycle.db in home.",
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("LIFECYCLE_REDIS_URL", "REDIS_URL"),
        description="`redis://`, `rediss://` or `unix://`; empty: an embedded Valkey is started on demand.",
    )
    smtp_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("LIFECYCLE_SMTP_URL", "SMTP_URL"),
        description="`smtp://user:password@host:587?starttls=1` or `smtps://…`; empty: `.eml` files in home/outbox.",
    )
    stream: str = Field(
        default="lifecycle:events", min_length=1, description="Key of the Redis stream that apps emit onto."
    )
    group: str = Field(
        default="lifecycle", min_length=1, description="Name of the consumer group that reads the stream."
    )
    base_url: str = Field(
        default="http://localhost:8000",
        description="Where the links in emails lead to, without a slash at the end; https in production.",
    )
    secret: str = Field(
        default="",
        repr=False,
        description="Signs the links in emails, at least 32 characters. Empty: in development one is made and kept in "
        "home/secret; production demands it. Changing it breaks the links in mail that has been sent.",
    )
    journeys: Path = Field(
        default=Path("journeys"), description="Folder of the journeys, the vocabulary and the policy."
    )
    templates: Path = Field(default=Path("templates/email"), description="Folder of the emails, as MJML files.")
    allow_recipients: _WORDS = Field(
        default=(),
        description="Globs, separated by commas, of the addresses that a relay elsewhere may get outside production, "
        "for example `*@example.com`.",
    )
    lanes: int = Field(default=4, ge=1, le=64, description="SMTP connections per worker process.")
    consume_batch: int = Field(
        default=1_500, ge=1, le=10_000, description="Events that are taken in one transaction, at most."
    )
    hint_batch: int = Field(
        default=500,
        ge=1,
        le=5_000,
        description="Ids that one broker message carries, at most; a worker claims them in one transaction.",
    )
    lease: timedelta = Field(
        default=timedelta(minutes=5),
        description="How long a worker may hold what it claimed before others take it over, in seconds; at least 60 in "
        "production. No single wait for the mail server is longer than an eighth of it.",
    )
    max_lateness: timedelta = Field(
        default=timedelta(hours=72),
        description="An event older than this, in seconds, updates facts and goals but starts no journey.",
    )
    clock: str = Field(
        default="real", description="`real`, or a scaled clock: `1997-03-20T05:00:00Z@1760000000.0x1200` (for demos)."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="`json` lines, readable `text`, or `auto`: json in production, else text."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Read the environment; what is `given` goes before it.

        Raises ConfigurationError, one line that names the variable, what is wrong and the remedy.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None
        except SettingsError as error:
            raise ConfigurationError(f"{error}; correct the environment or .env") from None

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url:
            return url
        scheme, colon, rest = url.partition(":")
        known = _DATABASES.get(scheme.partition("+")[0])
        if not colon or known is None:
            raise ValueError("use postgresql://user:password@host/name or sqlite:///path/to/file")
        if known == "sqlite" and not rest.startswith("///"):
            raise ValueError("an SQLite URL has three slashes (sqlite:///path/to/file), four for an absolute path")
        return f"{known}:{rest}"

    @field_validator("redis_url", "smtp_url", mode="before")
    @classmethod
    def _empty_is_none(cls, url: str | None) -> str | None:
        return url or None

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, url: str | None) -> str | None:
        return _checked(
            url, ("redis", "rediss", "unix"), "use redis://host:6379/0, rediss://… or unix:///path/to/socket"
        )

    @field_validator("smtp_url")
    @classmethod
    def _known_smtp(cls, url: str | None) -> str | None:
        return _checked(url, ("smtp", "smtps"), "use smtp://user:password@host:587?starttls=1 or smtps://…")

    @field_validator("base_url")
    @classmethod
    def _plain_base(cls, url: str) -> str:
        return (_checked(url, ("http", "https"), "use https://links.example.com, without a path") or "").rstrip("/")

    @field_validator("allow_recipients", mode="before")
    @classmethod
    def _split_at_commas(cls, globs: str | tuple[str, ...]) -> tuple[str, ...]:
        words = re.split(r"[,\s]+", globs) if isinstance(globs, str) else globs
        return tuple(word.lower() for word in words if word)

    @field_validator("lease", "max_lateness", mode="before")
    @classmethod
    def _seconds(cls, span: str | float | timedelta) -> timedelta:
        try:
            span = span if isinstance(span, timedelta) else timedelta(seconds=float(span))
        except (ValueError, OverflowError):
            raise ValueError(f"{span!r} is not a number of seconds, for example 300") from None
        if span < timedelta(seconds=1):
            raise ValueError("give at least 1 second")
        return span

    @field_validator("clock")
    @classmethod
    def _readable_clock(cls, text: str) -> str:
        try:
            parse_clock(text)
        except ConfigurationError as error:
            raise ValueError(str(error).partition("=")[2]) from None
        return text

    @model_validator(mode="after")
    def _fit_for_production(self) -> Self:
        if self.secret and len(self.secret) < 32:
            raise ValueError(
                "LIFECYCLE_SECRET is shorter than 32 characters; make one with: "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        if self.env == "production":
            if not self.secret:
                raise ValueError(
                    "LIFECYCLE_SECRET is not set, and production signs links with it; make one with: "
                    "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
                )
            if not self.base_url.startswith("https://"):
                raise ValueError(
                    f"LIFECYCLE_BASE_URL is {self.base_url}, and unsubscribing with one click needs https (RFC 8058); "
                    "set it to where the links in emails shall lead, for example https://mail.example.com"
                )
            if self.clock not in ("", "real"):
                raise ValueError("LIFECYCLE_CLOCK is for demos; unset it in production")
            if self.lease < SHORTEST_LEASE:
                raise ValueError(
                    f"LIFECYCLE_LEASE is {self.lease.total_seconds():g}, and no wait for a mail server is longer than "
                    f"an eighth of it; give at least {SHORTEST_LEASE.total_seconds():g} in production"
                )
        return self

    @property
    def database(self) -> str:
        """The database's URL as SQLAlchemy wants it, the default in `home` included."""
        return self.database_url or f"sqlite:///{self.home.absolute() / 'lifecycle.db'}"

    @property
    def has_database(self) -> bool:
        """False where the database is a file that nobody has made yet; looking does not make it."""
        if not self.database.startswith("sqlite"):
            return True
        return Path(self.database.partition("///")[2].partition("?")[0]).exists()

    @property
    def outbox(self) -> Path:
        """Where mail is written when there is no relay."""
        return self.home / "outbox"

    @property
    def logs_as_json(self) -> bool:
        """Whether log lines are JSON."""
        return self.log_format == "json" or (self.log_format == "auto" and self.env == "production")

    def make_clock(self) -> Clock:
        """The clock that LIFECYCLE_CLOCK describes, for `clock.use`."""
        return parse_clock(self.clock)

    def signing_secret(self) -> str:
        """The secret; outside production one is made on first use and kept in `home`, readable by its owner only."""
        return self.secret or _kept_secret(self.home / "secret")

    def environment(self) -> dict[str, str]:
        """The variables with which a child process gets the same settings; for `up` and the demo."""
        own = {f"LIFECYCLE_{name.upper()}": _as_text(value) for name, value in self}
        return os.environ | own

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            yield name, redacted(value) if name and name.endswith("_url") and isinstance(value, str) else value


def redacted(url: str) -> str:
    """The URL with its password, in any place where one may stand, replaced by `***`; for logs and messages."""
    if url.startswith("sqlite"):
        return url  # a path, whose slashes count
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return "***"
    if password is not None:
        user, host = parts.username or "", parts.netloc.rpartition("@")[2]
        parts = parts._replace(netloc=f"{user}:***@{host}")
    query = re.sub(r"(?i)((?:^|&)[^=&]*(?:password|secret|token)[^=&]*=)[^&]*", r"\1***", parts.query)
    return parts._replace(query=query).geturl()


def is_local(url: str) -> bool:
    """Whether a server's URL leads to this machine."""
    host = urlsplit(url).hostname or "localhost"
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host) is not None


def _checked(url: str | None, schemes: tuple[str, ...], remedy: str) -> str | None:
    if url is None:
        return None
    try:
        parts: SplitResult = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{error}; {remedy}") from None
    if parts.scheme not in schemes or not (parts.hostname or parts.scheme == "unix"):
        raise ValueError(remedy)
    return url


def _kept_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    made = secrets.token_urlsafe(32)
    # Written aside and linked: of several processes that start at once, one wins and all read the same.
    draft = path.with_name(f"secret.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(made)
    try:
        os.link(draft, path)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    finally:
        draft.unlink()
    return made


def _as_text(value: object) -> str:
    match value:
        case None:
            return ""
        case tuple():
            return ",".join(value)
        case timedelta():
            return f"{value.total_seconds():g}"
        case _:
            return str(value)


def _explain(error: ValidationError) -> str:
    """The first mistake in one line; how many more there are."""
    first, *more = error.errors(include_url=False, include_input=False)
    message = first["msg"].removeprefix("Value error, ")
    if first["loc"]:
        name = str(first["loc"][0]).upper().removeprefix("LIFECYCLE_")
        variable = f"LIFECYCLE_{name}"
        if name in _PLAIN and variable not in os.environ:
            variable = name
        message = f"{variable} is wrong: {message[:1].lower()}{message[1:]}"
    return message + (f" (and {len(more)} more)" if more else "")
