"""An email's source text with its includes in place, knowing of each line where it came from."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lifecycle.errors import TemplateError
from lifecycle.mail.locales import variant_of

_SCAN = re.compile(
    r"(?P<keep>\{%[-+]?\s*raw\s*[-+]?%\}.*?\{%[-+]?\s*endraw\s*[-+]?%\}|\{\{.*?\}\}|\{%.*?%\})"
    r"|(?P<comment>\{#.*?#\}|<!--(?!\[if|<!\[endif).*?-->)"
    r"|(?P<include><mj-include\b[^>]*>(?:\s*</mj-include\s*>)?)",
    re.DOTALL | re.IGNORECASE,
)
_PATH = re.compile(r"""\bpath\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """The MJML of one email after includes; `origins[n]` is (file, line) of its line n + 1."""

    name: str
    path: Path
    mjml: str
    origins: tuple[tuple[str, int], ...]
    text: str | None

    def where(self, line: int) -> str:
        """Return "file:line" of a line of the expanded source, the first being 1."""
        file, number = self.origins[max(0, min(line, len(self.origins)) - 1)]
        return f"{file}:{number}"


def read_source(folder: Path, name: str) -> Source:
    """Read `folder/name.mjml`, its includes and the text beside it; raises TemplateError that says what is wrong."""
    path = folder / f"{name}.mjml"
    if not _inside(name) or not path.is_file():
        close = difflib.get_close_matches(name, email_names(folder), 1)
        raise TemplateError(str(path), f"there is no email {name!r}", f"did you mean {close[0]!r}?" if close else "")
    pieces: list[tuple[str, str, int]] = []
    _expand(folder, path, (), pieces)
    text_path = path.with_suffix(".txt")
    text = read_text(text_path) if text_path.is_file() else None
    mjml = "".join(piece for piece, _, _ in pieces)
    return Source(name, path, mjml, _origins(pieces), text)


def email_names(folder: Path) -> list[str]:
    """Return the names of all emails in the folder, sorted; `partials/` holds none, nor are variants emails."""
    paths = (path.relative_to(folder) for path in folder.rglob("*.mjml") if variant_of(path) is None)
    return sorted(path.with_suffix("").as_posix() for path in paths if "partials" not in path.parts[:-1])


def _inside(name: str) -> bool:
    pure = PurePosixPath(name)
    return bool(name) and not pure.is_absolute() and ".." not in pure.parts and "\\" not in name and ":" not in name


def read_text(path: Path) -> str:
    """Return what a file says, lines ending in LF; raises TemplateError where it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise TemplateError(str(path), "the file is not UTF-8", "save it as UTF-8") from error


def _expand(folder: Path, path: Path, within: tuple[Path, ...], pieces: list[tuple[str, str, int]]) -> None:
    """Append the file's text to `pieces` as (text, file, line), comments blanked and includes in place."""
    text, file, at = read_text(path), str(path), 0
    for match in _SCAN.finditer(text):
        if match["keep"]:
            continue
        line = text.count("\n", 0, match.start()) + 1
        pieces.append((text[at : match.start()], file, text.count("\n", 0, at) + 1))
        at = match.end()
        if match["comment"]:
            pieces.append(("\n" * match[0].count("\n"), file, line))
            continue
        pieces.append(("\n", file, line))
        _expand(folder, _included(folder, match[0], f"{file}:{line}", (*within, path)), (*within, path), pieces)
        pieces.append(("\n", file, line))
    pieces.append((text[at:], file, text.count("\n", 0, at) + 1))


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


def _origins(pieces: list[tuple[str, str, int]]) -> tuple[tuple[str, int], ...]:
    origins: list[tuple[str, int]] = []
    at_line_start = True
    for text, file, line in pieces:
        for offset, part in enumerate(text.splitlines(keepends=True)):
            if at_line_start:
                origins.append((file, line + offset))
            at_line_start = part.endswith("\n")
    return tuple(origins) or (("", 1),)
