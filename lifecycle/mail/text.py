"""The plain text part, derived from the HTML while its Jinja tokens are still masked.

What has to wait for the data, such as the numbers of footnotes, is left to `typeset` by marks in the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import groupby, takewhile

from lifecycle.mail.mask import VOID_TAGS, Masked, Token, literal
from lifecycle.mail.typeset import CELL, DERIVED, HREF, HREF_END, SOFT, columns, fill

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_LISTS = frozenset({"dd", "dl", "dt", "ol", "ul"})
_PARAGRAPHS = frozenset({"address", "article", "blockquote", "div", "footer", "header", "hr", "p", "pre", "section"})
_BLOCKS = _HEADINGS | _LISTS | _PARAGRAPHS | {"table"}
_SILENT = frozenset({"head", "style", "script", "title"})
_HIDDEN = re.compile(r"display:none|visibility:hidden")
_NUMBERED = re.compile(r"<ol\b.*?</ol\b", re.DOTALL | re.IGNORECASE)
_BREAK = "\x06"  # a mark within a paragraph being collected
_MARKS = re.compile("[\x00-\x08]")
_NOTE = re.compile(f"{HREF}[^{HREF_END}]*{HREF_END}")


def plain_text(html: str, masked: Masked) -> str:
    """Return the text part as a Jinja source for the text environment, whose output is for `typeset`."""
    reader = _Reader(masked)
    reader.feed(_without_numbers(html, masked))
    reader.close()
    return reader.finish()


def _without_numbers(html: str, masked: Masked) -> str:
    """The HTML with dashes for the numbers that only the data tell: of lists with statements between their items."""

    def unnumbered(found: re.Match[str]) -> str:
        before_items = re.findall(rf"({masked.pattern.pattern})\s*<li\b", found[0], re.IGNORECASE)
        varies = any(masked.tokens[word].is_statement for word in before_items)
        return f"<ul{found[0][len('<ol') :]}" if varies else found[0]

    return _NUMBERED.sub(unnumbered, html)


@dataclass
class _Link:
    href: str
    start: int  # where its label begins among the parts of the paragraph
    is_noted: bool  # also one that leads nowhere


class _Reader(HTMLParser):
    """Collects paragraphs; statements between them are glued to the next one, so that none leaves a gap."""

    def __init__(self, masked: Masked) -> None:
        super().__init__(convert_charrefs=True)
        self._masked = masked
        self._hidden: list[str] = []  # open tags from the outermost hidden one on
        self._captures = 0  # open `{% set x %}`, whose content is data also where it is hidden
        self._parts: list[str] = []
        self._links: list[_Link] = []
        self._cells: list[bool] = []  # per open table: whether it is one of data
        self._lists: list[int | None] = []
        self._prefix = ""
        self._indents: list[int] = []  # per open list item
        self._written: list[str] = []

    # tags

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if self._hidden or _is_hidden(tag, attributes):
            if tag not in VOID_TAGS:
                self._hidden.append(tag)
            return
        if tag == "table":
            self._cells.append(attributes.get("role") != "presentation")
        if tag in _BLOCKS:
            self._end_block("\n" if tag in ("ul", "ol") and self._lists else "\n\n")
        match tag:
            case "br":
                self._parts.append(" " if self._in_data() else _BREAK)
            case "a":
                href = (attributes.get("href") or "").strip()
                self._links.append(_Link(href, len(self._parts), is_noted=not href or href.startswith("#")))
            case "img":
                self._read(f" {attributes.get('alt') or ''} ")
            case "ul" | "ol":
                self._lists.append(1 if tag == "ol" else None)
            case "li":
                self._start_item()
            case "td" | "th":
                self._start_cell(attributes.get("colspan") or "")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                while self._hidden.pop() != tag:
                    pass
            return
        if tag == "a" and self._links:
            self._end_link(self._links.pop())
        if tag in _BLOCKS:
            self._end_block()
        match tag:
            case "ul" | "ol" if self._lists:
                self._lists.pop()
                if not self._lists:
                    self._written.append("\n")
            case "li":
                self._end_item()
            case "tr":
                self._end_block("\n" if self._in_data() else "\n\n")
            case "table" if self._cells and self._cells.pop():
                self._written.append("\n")

    # text

    def handle_data(self, data: str) -> None:
        self._read(_MARKS.sub("", data))

    def _read(self, data: str) -> None:
        for part in re.split(f"({self._masked.pattern.pattern})", data):
            token = self._masked.tokens.get(part)
            if token and token.is_statement:
                self._read_statement(part, token)
            elif part and (not self._hidden or self._captures):
                self._parts.append(part if token else literal(part))

    def _read_statement(self, word: str, token: Token) -> None:
        # Those of what is hidden too: what comes later may read what they set.
        if token.keyword == "set" and token.opens:
            self._captures += 1
        elif token.keyword == "endset":
            self._captures -= 1
        self._parts.append(word)

    # list items, cells and links

    def _start_item(self) -> None:
        self._end_block("\n")
        number = self._lists[-1] if self._lists else None
        self._prefix = f"{number}. " if number else "- "
        if number:
            self._lists[-1] = number + 1
        self._indents.append(len(self._prefix))

    def _end_item(self) -> None:
        self._end_block("\n")
        self._prefix = ""
        if self._indents:
            self._indents.pop()

    def _in_data(self) -> bool:
        return bool(self._cells) and self._cells[-1]

    def _start_cell(self, colspan: str) -> None:
        if self._in_data():
            # A wide cell is put into the last of its columns.
            self._parts.append(CELL * (int(colspan) if colspan.isdecimal() else 1))
        else:
            self._end_block()

    def _end_link(self, link: _Link) -> None:
        if link.is_noted:
            return
        label = "".join(self._parts[link.start :])
        words = self._source(" ".join(_MARKS.sub("", label).split()))
        address = re.sub(r"^(?:mailto|tel):", "", link.href)
        if not words:
            self._parts.append(literal(address))
        elif words in (self._source(address), self._source(link.href)):
            return
        elif self._captures:  # printed later and by itself, where no mark of ours would be understood
            self._parts.append(f" ({literal(address)})")
        else:
            self._note(link, label)

    def _note(self, link: _Link, label: str) -> None:
        """Put the mark of a footnote behind the label."""
        kept = label.rstrip(f" \n\t{_BREAK}")
        self._parts[link.start :] = [kept, HREF, literal(link.href), HREF_END, label[len(kept) :]]
        link.is_noted = True

    def _source(self, text: str) -> str:
        return self._masked.replace(text, lambda token: token.source)

    # paragraphs

    def _end_block(self, end: str = "\n\n") -> None:
        for link in self._links:  # one around several paragraphs is noted at the first
            label = "".join(self._parts[link.start :])
            if not link.is_noted and _MARKS.sub("", label).strip():
                self._note(link, label)
            link.start = 0
        begin, stop = self._paragraph()
        if begin < stop:
            prefix, self._prefix = self._prefix, ""
            indent = " " * sum(self._indents)
            text = "".join(self._parts[begin:stop]).strip(f" \n\t{_BREAK}")
            lines = [" ".join(line.split()) for line in re.sub(rf"\s*({CELL})\s*", r"\1", text).split(_BREAK)]
            block = f"\n{indent}".join(lines)
            self._written += [*self._statements(0, begin), f"{indent[len(prefix) :]}{prefix}{block}{end}"]
        self._written += self._statements(stop, len(self._parts))
        self._parts.clear()

    def _paragraph(self) -> tuple[int, int]:
        """Where among the parts the paragraph begins and stops: outside are statements that reach beyond it.

        Those within stay between the words that they are about, with the space around them.
        """
        shown = [at for at, part in enumerate(self._parts) if self._is_shown(part)]
        if not shown:
            return 0, 0
        opened: list[int] = []
        reaching: list[int] = []
        for at, part in enumerate(self._parts):
            token = self._masked.tokens.get(part)
            if token is None or not token.is_statement:
                continue
            if token.opens:
                opened.append(at)
            elif token.closes and opened:
                opened.pop()
            elif (token.closes or token.is_middle) and not opened:
                reaching.append(at)
        reaching += opened
        begin = max((at + 1 for at in reaching if at < shown[0]), default=0)
        return begin, min((at for at in reaching if at > shown[-1]), default=len(self._parts))

    def _is_shown(self, part: str) -> bool:
        token = self._masked.tokens.get(part)
        return not token.is_statement if token else bool(_MARKS.sub("", part).strip())

    def _statements(self, begin: int, stop: int) -> list[str]:
        tokens = self._masked.tokens
        return [part for part in self._parts[begin:stop] if part in tokens and tokens[part].is_statement]

    def finish(self) -> str:
        """Return the whole text with the tokens put back."""
        self._end_block()
        text = re.sub(r"\n{3,}", "\n\n", "".join(self._written)).strip() + "\n"
        lines = [line for rows, group in groupby(text.split("\n"), _is_row) for line in self._set(rows, list(group))]
        return DERIVED + self._masked.replace("\n".join(lines), _untrimmed)

    def _set(self, are_rows: bool, lines: list[str]) -> list[str]:
        """Set what is the same for everybody now, and mark what is not."""
        if are_rows:
            return columns(lines) if not any(_NOTE.search(line) or self._varies(line) for line in lines) else lines
        return [self._softened(line) if self._varies(_NOTE.sub("", line)) else _filled(line) for line in lines]

    def _varies(self, line: str) -> bool:
        return self._masked.pattern.search(line) is not None

    def _softened(self, line: str) -> str:
        """Mark a line, also behind statements that it begins with, any of which may leave out what follows."""
        begin = re.match(rf"(?:{self._masked.pattern.pattern})*", line)
        words = self._masked.words(begin[0] if begin else "")
        statements = list(takewhile(lambda word: self._masked.tokens[word].is_statement, words))
        return SOFT + "".join(f"{word}{SOFT}" for word in statements) + line[sum(map(len, statements)) :]


def _is_row(line: str) -> bool:
    return CELL in line


def _filled(line: str) -> str:
    """Fill a line, with room for two digits in place of each footnote."""
    room = f" [{_BREAK}0]"
    filled = fill(_NOTE.sub(room, line))
    for note in _NOTE.findall(line):
        filled = filled.replace(room, note, 1)
    return filled


def _is_hidden(tag: str, attributes: Mapping[str, str | None]) -> bool:
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return tag in _SILENT or "hidden" in attributes or bool(_HIDDEN.search(style))


def _untrimmed(token: Token) -> str:
    """Return a token's source; statements keep the line breaks around them, which are all meant here."""
    if not token.is_statement:
        return token.source
    source = re.sub(r"^\{%(?![-+])", "{%+", token.source)
    return re.sub(r"(?<![-+])%\}$", "+%}", source)
