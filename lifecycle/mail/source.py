"""An email's source text with its includes in place, knowing of each character where it came from."""

from __future__ import annotations

import difflib
import re
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lifecycle.errors import TemplateError
from lifecycle.mail.locales import variant_of

_SCAN = re.compile(
    r"(?P<keep>\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}|\{\{.*?\}\}|\{%.*?%\})"
    r"|(?P<comment>\{#.*?#\}|<!--(?!\[if|<!\[endif).*?-->)"
    r"|(?P<include><mj-include\b[^>]*>(?:\s*</mj-include\s*>)?)",
    re.DOTALL | re.IGNORECASE,
)
_PATH = re.compile(r"""\bpath\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)


class Origin(NamedTuple):
    """Where the text from `start` on comes from: it stands there as it does here, or `stands_for` what is there."""

    start: int
    file: str
    line: int
    column: int
    stands_for: str = ""


@dataclass(frozen=True)
class Source:
    """The MJML of one email after includes; `origins` say, in order, where its pieces come from."""

    name: str
    path: Path
    mjml: str
    origins: tuple[Origin, ...]
    text: str | None

    def origin(self, offset: int) -> Origin:
        """Return the file, line and column, from 1 on, of a character of `mjml`."""
        at = bisect_right(self.origins, offset, key=lambda origin: origin.start) - 1
        origin = self.origins[max(at, 0)]
        if origin.stands_for:
            return origin._replace(start=offset)
        before = self.mjml[origin.start : offset]
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else origin.column + len(before)
        return Origin(offset, origin.file, origin.line + lines, column)

    def shown(self, offset: int, text: str) -> str:
        """Return what the author wrote where `mjml` has this text."""
        at = bisect_right(self.origins, offset, key=lambda origin: origin.start) - 1
        return self.origins[max(at, 0)].stands_for or text

    def at(self, offset: int) -> str:
        """Return "file:line:column" of a character of `mjml`."""
        origin = self.origin(offset)
        return f"{origin.file}:{origin.line}:{origin.column}"

    def where(self, line: int, column: int | None = None) -> str:
        """Return "file:line:column" of a place in `mjml`; without a column, that of the line's first word."""
        start = 0
        for _ in range(line - 1):
            start = self.mjml.find("\n", start) + 1
        if column is None:
            rest = self.mjml[start:]
            column = len(rest) - len(rest.lstrip(" \t")) + 1
        return self.at(start + column - 1)


def place(file: str, text: str, offset: int) -> str:
    """Return "file:line:column" of a character of a file's text."""
    return Source(file, Path(file), text, (Origin(0, file, 1, 1),), None).at(offset)


class Pieces:
    """Text put together from several places."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._origins: list[Origin] = []
        self._length = 0

    def add(self, text: str, origin: Origin) -> None:
        """Append a text that comes from there, whatever `origin.start` says."""
        if text:
            self._parts.append(text)
            self._origins.append(origin._replace(start=self._length))
            self._length += len(text)

    def copy(self, source: Source, start: int, end: int) -> None:
        """Append a part of a source with all its origins."""
        ends = [origin.start for origin in source.origins if start < origin.start < end] + [end]
        for stop in ends:
            self.add(source.mjml[start:stop], source.origin(start))
            start = stop

    def join(self) -> tuple[str, tuple[Origin, ...]]:
        """Return the text and its origins."""
        return "".join(self._parts), tuple(self._origins) or (Origin(0, "", 1, 1),)


def read_source(folder: Path, name: str) -> Source:
    """Read `folder/name.mjml`, its includes and the text beside it; raises TemplateError that says what is wrong."""
    path = folder / f"{name}.mjml"
    if not _inside(name) or not path.is_file():
        close = difflib.get_close_matches(name, email_names(folder), 1)
        raise TemplateError(str(path), f"there is no email {name!r}", f"did you mean {close[0]!r}?" if close else "")
    pieces = Pieces()
    _expand(folder, path, (), pieces)
    text_path = path.with_suffix(".txt")
    text = read_text(text_path) if text_path.is_file() else None
    mjml, origins = pieces.join()
    if not mjml:
        raise TemplateError(f"{path}:1:1", "there is nothing in it", "begin with <mjml><mj-head>")
    return Source(name, path, mjml, origins, text)


def email_names(folder: Path) -> list[str]:
    """Return the names of all emails in the folder, sorted; `partials/` holds none, nor are variants emails.

    Nor is what editors and systems leave beside a file: `.#welcome.mjml` (a link to nowhere), `._welcome.mjml`.
    """
    files = (path for path in folder.rglob("[!.]*.mjml") if path.is_file())
    paths = (path.relative_to(folder) for path in files if variant_of(path) is None)
    return sorted(path.with_suffix("").as_posix() for path in paths if "partials" not in path.parts[:-1])


def _inside(name: str) -> bool:
    pure = PurePosixPath(name)
    return bool(name) and not pure.is_absolute() and ".." not in pure.parts and "\\" not in name and ":" not in name


def read_text(path: Path) -> str:
    """Return what a file says; raises TemplateError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(str(path), "the file is not UTF-8", "save it as UTF-8") from error


def _expand(folder: Path, path: Path, within: tuple[Path, ...], pieces: Pieces) -> None:
    """Append the file's text to `pieces`, without its comments and with its includes in place."""
    text, at = read_text(path), 0
    own = Source(str(path), path, text, (Origin(0, str(path), 1, 1),), None)
    for match in _SCAN.finditer(text):
        if match["keep"]:
            continue
        pieces.copy(own, at, match.start())
        at = match.end()
        if match["include"]:
            target = _included(folder, match[0], own.at(match.start()), (*within, path))
            _expand(folder, target, (*within, path), pieces)
    pieces.copy(own, at, len(text))


def _included(folder: Path, tag: str, where: str, within: tuple[Path, ...]) -> Path:
    found = _PATH.search(tag)
    target = (found[1] or found[2] or "") if found else ""
    if not target:
        raise TemplateError(where, "mj-include without a path", 'write <mj-include path="partials/header.mjml" />')
    if not _inside(target):
        raise TemplateError(
            where,
            f"mj-include leaves the templates folder: {target!r}",
            f"give the path from {folder} on, without '..'",
        )
    path = folder / (target if target.endswith(".mjml") else f"{target}.mjml")
    if not path.is_file():
        known = [partial.relative_to(folder).as_posix() for partial in folder.rglob("*.mjml")]
        close = difflib.get_close_matches(target, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"paths start at {folder}"
        raise TemplateError(where, f"mj-include finds no file {target!r}", hint)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise TemplateError(
            where, f"mj-include follows a link out of the templates folder: {target!r}", "copy the file"
        )
    if path in within:
        chain = " → ".join(step.relative_to(folder).as_posix() for step in (*within, path))
        raise TemplateError(where, f"mj-include goes in a circle: {chain}", "remove one of these includes")
    return path
