"""What was compiled, kept on disk: one file per email with all its editions, behind its own digest.

It holds Jinja's code beside its sources: compiling those again would take ten times as long as reading it. So, like
Python's own `__pycache__`, the folder must be one that only its owner can write to.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType
from typing import Any

from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.messages import Message

_LIBRARIES = ("mjml", "premailer", "jinja2", "markupsafe", "lxml", "cssutils", "cssselect", "babel")
PARTS = ("subject", "preheader", "html", "text", "link")


@dataclass(frozen=True, slots=True)
class Edition:
    """An email in one locale, with the code of each of its PARTS."""

    email: CompiledEmail
    codes: Mapping[str, CodeType]


class Cache:
    """A folder of compiled emails, shared between processes; without a folder it keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, state: Callable[[], bytes], make: Callable[[], dict[str, Edition]]) -> dict[str, Edition]:
        """The editions of what is in that state, by locale, made where they are not there.

        They are kept only if the state is still the same when they are made: a file may be saved meanwhile.
        """
        if self._folder is None:
            return make()
        before = state()
        digest = blake2b(_compiler() + before, digest_size=16).hexdigest()
        path = self._folder / f"{digest}.compiled"
        editions = _read(path)
        if editions is None:
            editions = make()
            if state() == before:
                _write(path, editions)
        return editions


@cache
def _compiler() -> bytes:
    """What identifies the compiler: all sources beside this one, the libraries that shape what they make, and Python's
    bytecode."""
    sources = blake2b(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).digest()
    libraries = " ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return b"\0".join((sources, libraries.encode(), MAGIC_NUMBER))


def _read(path: Path) -> dict[str, Edition] | None:
    """The cached editions, or None when the file is missing, cut short or altered."""
    try:
        checksum, _, payload = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if checksum != _checksum(payload):
        return None
    return {locale: _edition(*kept) for locale, kept in marshal.loads(payload).items()}  # noqa: S302 - see above


def _edition(fields: dict[str, Any], codes: dict[str, CodeType]) -> Edition:
    untranslated = tuple(Message(**message) for message in fields["untranslated"])
    return Edition(CompiledEmail(**{**fields, "untranslated": untranslated}), codes)


def _write(path: Path, editions: Mapping[str, Edition]) -> None:
    kept = {locale: (asdict(edition.email), dict(edition.codes)) for locale, edition in editions.items()}
    payload = marshal.dumps(kept)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(_checksum(payload) + b"\n" + payload)
        unfinished.replace(path)
    except OSError:
        # A cache that cannot be written costs time at the next start and nothing else.
        with suppress(OSError):
            unfinished.unlink()


def _checksum(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=16).hexdigest().encode("ascii")
