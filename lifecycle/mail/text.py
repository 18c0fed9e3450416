"""The plain text part, derived from the HTML while its Jinja tokens are still masked."""

from __future__ import annotations

import re
import textwrap
from html.parser import HTMLParser

from lifecycle.mail.mask import VOID_TAGS, Masked, Token, literal

COLUMNS = 78

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_LISTS = frozenset({"dd", "dl", "dt", "ol", "ul"})
_PARAGRAPHS = frozenset({"address", "article", "blockquote", "div", "footer", "header", "hr", "p", "pre", "section"})
_BLOCKS = _HEADINGS | _LISTS | _PARAGRAPHS | {"table"}
_SILENT = frozenset({"head", "style", "script", "title"})
# Marks inside a paragraph being collected; no mail holds these characters.
_BREAK, _CELL, _LABEL, _HREF, _END = "\x00", "\x01", "\x02", "\x03", "\x04"
_MARKS = re.compile("[\x00-\x04]")
_LINK = re.compile(f"{_LABEL}([^{_LABEL}{_HREF}]*){_HREF}([^{_END}]*){_END}")


def plain_text(html: str, masked: Masked) -> str:
    """Return the text part as a Jinja source for the text environment: paragraphs of at most 78 columns."""
    reader = _Reader(masked)
    reader.feed(html)
    reader.close()
    return reader.finish()


class _Reader(HTMLParser):
    """Collects paragraphs; statements between them are glued to the next one, so that none leaves a gap."""

    def __init__(self, masked: Masked) -> None:
        super().__init__(convert_charrefs=True)
        self._masked = masked
        self._hidden: list[str] = []  # open tags from the outermost hidden one on
        self._parts: list[str] = []
        self._links: list[tuple[str, int]] = []  # href and where its label starts in _parts
        self._cells: list[bool] = []  # per open table: whether it is one of data
        self._lists: list[int | None] = []
        self._prefix = ""
        self._written: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if self._hidden or tag in _SILENT or "display:none" in (attributes.get("style") or "").replace(" ", ""):
            if tag not in VOID_TAGS:
                self._hidden.append(tag)
            return
        if tag == "table":
            self._cells.append(attributes.get("role") != "presentation")
        if tag in _BLOCKS:
            self._end_block()
        match tag:
            case "br":
                self._parts.append(_BREAK)
            case "a":
                self._links.append((attributes.get("href") or "", len(self._parts)))
            case "img":
                self._parts.append(attributes.get("alt") or "")
            case "ul" | "ol":
                self._lists.append(1 if tag == "ol" else None)
            case "li":
                self._start_item()
            case "tr" | "td" | "th":
                self._start_cell(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        if tag == "a" and self._links:
            self._end_link(*self._links.pop())
        if tag in _BLOCKS:
            self._end_block()
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
            if not self._lists:
                self._gap()
        if tag in ("li", "tr"):
            data_row = tag == "tr" and bool(self._cells) and self._cells[-1]
            self._end_block("\n" if tag == "li" or data_row else "\n\n")
        if tag == "table" and self._cells and self._cells.pop():
            self._gap()

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        for part in re.split(f"({self._masked.pattern.pattern})", _MARKS.sub("", data)):
            token = self._masked.tokens.get(part)
            if token and token.is_statement and not self._has_text():
                self._written.append(part)
            elif part:
                self._parts.append(part if token else literal(part))

    def _has_text(self) -> bool:
        return bool(_MARKS.sub("", "".join(self._parts)).strip())

    def _start_item(self) -> None:
        self._end_block("\n")
        number = self._lists[-1] if self._lists else None
        self._prefix = f"{number}. " if number else "- "
        if number:
            self._lists[-1] = number + 1

    def _start_cell(self, tag: str) -> None:
        if not (self._cells and self._cells[-1]):
            self._end_block()
        elif tag != "tr" and self._has_text():
            self._parts.append(_CELL)

    def _end_link(self, href: str, start: int) -> None:
        label = " ".join("".join(self._parts[start:]).split())
        address = href.removeprefix("mailto:").removeprefix("tel:")
        if not href or href.startswith("#") or address == label:
            return
        if label:
            # Alone in its paragraph it becomes "label: URL", which only the paragraph's end can tell.
            self._parts[start:] = [f"{_LABEL}{label}{_HREF}{address}{_END}"]
        else:
            self._parts[start:] = [address]

    def _end_block(self, end: str = "\n\n") -> None:
        lines = [_place_link(line) for line in "".join(self._parts).split(_BREAK)]
        prefix, self._prefix = self._prefix, ""
        self._parts.clear()
        self._links = [(href, 0) for href, _ in self._links]
        filled = [_fill(line, prefix if at == 0 else " " * len(prefix)) for at, line in enumerate(lines)]
        block = "\n".join(filled).strip("\n")
        if block.strip():
            self._written.append(block + end)

    def _gap(self) -> None:
        self._written.append("\n")

    def finish(self) -> str:
        """Return the whole text with the tokens put back."""
        self._end_block()
        text = re.sub(r"\n{3,}", "\n\n", "".join(self._written)).strip() + "\n"
        return self._masked.replace(text, _untrimmed)


def _place_link(line: str) -> str:
    alone = _LINK.fullmatch(line.strip())
    return f"{alone[1]}: {alone[2]}" if alone else _LINK.sub(r"\1 (\2)", line)


def _fill(line: str, prefix: str) -> str:
    cells = [" ".join(cell.split()) for cell in line.split(_CELL)]
    filled = textwrap.fill(
        f" {_CELL} ".join(cells) if len(cells) > 1 else cells[0],
        COLUMNS,
        initial_indent=prefix,
        subsequent_indent=" " * len(prefix),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(f" {_CELL} ", "  ").replace(_CELL, "")


def _untrimmed(token: Token) -> str:
    """Return a token's source; statements keep the line breaks around them, which are all meant here."""
    if not token.is_statement:
        return token.source
    source = re.sub(r"^\{%(?![-+])", "{%+", token.source)
    return re.sub(r"(?<![-+])%\}$", "+%}", source)
