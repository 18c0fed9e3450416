"""Letters as `.eml` files in a folder, for demos, replays and tests."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from lifecycle.mail.transport import Accepted, Deferred, Letter, Outcome

_UNSAFE = re.compile(r"[^A-Za-z0-9._@-]+")


class FileTransport:
    """Writes each letter as `<message id>.eml`; sending the same message again replaces its file."""

    lanes = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def deliver(self, letters: Iterable[Letter]) -> Iterator[tuple[Letter, Outcome]]:
        """Write one letter at a time and say what became of it; a folder that cannot be written defers the letter."""
        for letter in letters:
            yield letter, self._write(letter)

    def close(self) -> None:
        """Nothing is kept open."""

    def _write(self, letter: Letter) -> Outcome:
        path = self._folder / file_name(letter.message_id)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            unfinished.write_bytes(letter.data)
            unfinished.replace(path)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink()
            return Deferred(f"cannot write {path}: {error.strerror or error}")
        return Accepted(f"written to {path.name}")


def file_name(message_id: str) -> str:
    """Return the file name of a message; ids that differ only in characters unfit for a name stay apart."""
    plain = message_id.strip("<>")
    name = _UNSAFE.sub("_", plain).strip(".")[:120]
    if name != plain:
        name += "-" + hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=6).hexdigest()
    return name + ".eml"
