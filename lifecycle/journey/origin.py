"""Where in the marketer's files something was written, for messages that name the line."""

from __future__ import annotations

import os
import sys
import typing
from pathlib import Path

_NOT_THEIRS = (
    f"{Path(__file__).resolve().parent.parent}{os.sep}",  # this package
    typing.__file__,  # Attribute[str]() is called from there
    "<",  # the __init__ of dataclasses lives in "<string>"
)


def here() -> str:
    """The "file:line" of the nearest caller outside this package, relative to the working directory if below it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THEIRS):
        frame = frame.f_back
    return f"{shown(Path(frame.f_code.co_filename))}:{frame.f_lineno}"


def is_text(value: object) -> bool:
    """Whether it is a text that can be stored, with something in it and no blanks around."""
    return isinstance(value, str) and value.strip() == value != "" and is_storable(value)


def is_priority(value: object) -> bool:
    """Whether it is a whole number that databases can hold as a priority."""
    return type(value) is int and abs(value) < 2**31


def is_storable(text: str) -> bool:
    """Whether databases and JSON can hold it: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def shown(file: Path) -> Path:
    """The file as messages name it: relative to the working directory if below it."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
