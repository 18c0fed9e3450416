"""Files of events, a JSON object per line, packed or not."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from lifecycle.errors import InvalidFile

_GZIP = b"\x1f\x8b"


@contextmanager
def lines_of(file: str | Path) -> Iterator[BinaryIO]:
    """The lines of a file, unpacked if it is packed; of standard input for "-".

    Raises InvalidFile where a packed file is cut short or damaged.
    """
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as plain:
        packed = plain.read(2) == _GZIP
        plain.seek(0)
        if not packed:
            yield plain
            return
        with gzip.open(plain) as lines:
            try:
                yield cast(BinaryIO, lines)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise InvalidFile(f"{file} is cut short or damaged: {error}") from error
