"""The structure of an MJML source: which tags stand where, and whether each Jinja token may stand where it does."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from lifecycle.errors import TemplateError
from lifecycle.mail import attributes
from lifecycle.mail.links import Link, rank
from lifecycle.mail.mask import VOID_TAGS, Masked, Token, literal
from lifecycle.mail.source import Source

# Children of these are blocks; text between them is lost by MJML, statements between them need mj-raw.
_BLOCK_PARENTS = frozenset({"mj-body", "mj-wrapper", "mj-column", "mj-hero", "mj-social"})
_COLUMN_PARENTS = frozenset({"mj-section", "mj-group"})
# MJML counts the children of these.
_COUNTED = frozenset({"mj-navbar", "mj-accordion", "mj-accordion-element", "mj-carousel"})
_NO_STATEMENTS = _COUNTED | {"mjml", "mj-head", "mj-attributes"}
_STRUCTURE = _BLOCK_PARENTS | _COLUMN_PARENTS | _NO_STATEMENTS
_WITHOUT_COMPONENT = frozenset({"mjml", "mj-all", "mj-class", "mj-selector", "mj-html-attribute"})
_REFUSED = {
    "extends": 'write <mj-include path="…" />',
    "include": 'write <mj-include path="…" />',
    "import": 'put the macros into a partial and <mj-include path="…" /> it',
    "from": 'put the macros into a partial and <mj-include path="…" /> it',
    "block": 'remove it; partials come by <mj-include path="…" />',
    "call": "pass what varies to the macro as arguments, {{ name(…) }}",
    "autoescape": "remove it; HTML is always escaped",
}


_NOT_MAILED = {
    "link": ("an external stylesheet", "write the rules into <mj-style>"),
    "script": ("a script; mail programs do not run any", "remove it"),
    **dict.fromkeys(("applet", "embed", "frame", "iframe", "object"), ("a page in the page", "link to it")),
    "base": ("a <base>, which would lead all links elsewhere", "remove it; links are absolute"),
}

Known = Mapping[str, Mapping[str, str | None]]


@dataclass
class _Element:
    tag: str
    begin: int  # where its tag stands in the masked text
    content: int  # where its content begins


@dataclass
class Outline:
    """What the walk found: `blocks` are words to wrap in mj-raw, `flow` words to hide as HTML comments; `links` are
    those that the email may lead to."""

    title: str = ""
    preview: str = ""
    blocks: set[str] = field(default_factory=set)
    flow: set[str] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)


def outline(source: Source, masked: Masked, known: Known) -> Outline:
    """Walk the masked source; `known` are the MJML tags with their attributes. Raises TemplateError at the place."""
    for token in masked.tokens.values():
        if token.keyword in _REFUSED:
            message = f"{{% {token.keyword} %}} does not work in an email"
            raise TemplateError(source.at(token.start), message, _REFUSED[token.keyword])
    walk = _Walk(source, masked, known)
    walk.feed(masked.text)
    walk.close()
    return walk.finish()


class _Walk(HTMLParser):
    def __init__(self, source: Source, masked: Masked, known: Known) -> None:
        super().__init__(convert_charrefs=False)
        self._source, self._masked, self._known = source, masked, known
        self._elements: list[_Element] = []
        self._open: list[tuple[Token, _Element | None]] = []
        self._seen: dict[str, int] = {}  # tags, and where the first of each begins
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", masked.text))]
        self._outline = Outline()

    # positions and errors

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column

    def _place(self, at: int) -> str:
        return self._source.at(self._masked.origin(at))

    def _error(self, message: str, hint: str, at: int | None = None, code: str = "template") -> TemplateError:
        """The error at an offset of the masked text, or else at the tag or text that is being read."""
        return TemplateError(self._place(self._offset() if at is None else at), message, hint, code)

    def _token_error(self, token: Token, message: str, hint: str, code: str = "template") -> TemplateError:
        return TemplateError(self._source.at(token.start), message, hint, code)

    def _shown(self, token: Token) -> str:
        return self._source.shown(token.start, token.source)

    # tags

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_tag(tag, attrs)
        if tag not in VOID_TAGS:
            begin = self._offset()
            self._elements.append(_Element(tag, begin, begin + len(self.get_starttag_text() or "")))
            self._seen.setdefault(tag, self._offset())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_tag(tag, attrs)
        self._seen.setdefault(tag, self._offset())

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID_TAGS:
            return
        for element in reversed(self._elements):
            if element.tag == tag:
                break
            if element.tag.startswith("mj") or tag.startswith("mj"):
                opened = self._place(element.begin)
                raise self._error(
                    f"</{tag}> while <{element.tag}> is open", f"close <{element.tag}> from {opened} first"
                )
        else:
            raise self._error(f"</{tag}> closes nothing", f"remove it, or open <{tag}> before it")
        while self._elements:
            closed = self._elements.pop()
            if closed is element:
                break
        if tag in ("mj-title", "mj-preview"):
            content = self._masked.text[element.content : self._offset()]
            setattr(self._outline, tag.removeprefix("mj-"), self._line_of_text(tag, content))

    def _line_of_text(self, tag: str, content: str) -> str:
        if re.search(r"</?[a-zA-Z]", content):
            raise self._error(f"<{tag}> holds markup", "write plain text")
        parts = re.split(f"({self._masked.pattern.pattern})", content)
        joined = "".join(part if part in self._masked.tokens else literal(html.unescape(part)) for part in parts)
        return " ".join(joined.split())

    def _check_tag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag.startswith("mj") and tag not in _WITHOUT_COMPONENT and tag not in self._known:
            close = difflib.get_close_matches(tag, self._known, 1)
            raise self._error(
                f"unknown tag <{tag}>", f"did you mean <{close[0]}>?" if close else "see mjml.io for the tags"
            )
        if tag in _NOT_MAILED:
            raise self._error(*_NOT_MAILED[tag])
        if self._elements and self._elements[-1].tag == "mjml" and tag not in ("mj-head", "mj-body"):
            raise self._error(f"<{tag}> directly in <mjml>, which MJML would drop", "put it into <mj-body>")
        parent = self._elements[-1].tag if self._elements else ""
        if parent in _STRUCTURE and not tag.startswith("mj"):
            raise self._error(
                f"<{tag}> directly in <{parent}>, which takes blocks", "put it into <mj-text> or <mj-raw>"
            )
        if tag == "mj-column":
            self._check_column()
        if tag == "mj-font":
            self._check_font(dict(attrs))
        are_defaults = bool(self._elements) and self._elements[-1].tag == "mj-attributes"
        self._check_attributes(tag, are_defaults=are_defaults)
        if tag in ("a", "mj-button") and not are_defaults:
            self._add_link(tag, dict(attrs))

    def _check_parent(self, tag: str) -> None:
        parent = self._elements[-1].tag if self._elements else ""
        if parent == "mjml" and tag not in ("mj-head", "mj-body"):
            raise self._error(f"<{tag}> directly in <mjml>, which MJML would drop", "put it into <mj-body>")
        if parent in _STRUCTURE and not tag.startswith("mj"):
            hint = "put it into <mj-text> or <mj-raw>"
            raise self._error(f"<{tag}> directly in <{parent}>, which takes blocks", hint)

    def _check_attributes(self, tag: str, *, are_defaults: bool) -> None:
        text, start = self.get_starttag_text() or "", self._offset()
        mistakes = [
            *attributes.of_tag(tag, text, start, self._masked),
            *attributes.of_component(tag, text, start, self._known.get(tag, {}), are_defaults=are_defaults),
        ]
        for mistake in mistakes:
            raise self._error(mistake.message, mistake.hint, mistake.at, mistake.code)

    def _check_column(self) -> None:
        section = next((e for e in reversed(self._elements) if e.tag in _COLUMN_PARENTS), None)
        for token, parent in self._open:
            if parent is section and section is not None and token.keyword != "with":
                raise self._token_error(
                    token,
                    f"{{% {token.keyword} %}} around mj-column: widths are computed before it runs",
                    "put it inside the column around its content, around whole sections, "
                    "or around the <tr> of an mj-table",
                )

    def _check_font(self, attrs: dict[str, str | None]) -> None:
        name, href = attrs.get("name"), attrs.get("href")
        if not name or not href or not href.startswith("https://"):
            raise self._error(
                "mj-font needs a name and an https href", 'write <mj-font name="Inter" href="https://…" />'
            )

    def _add_link(self, tag: str, attrs: dict[str, str | None]) -> None:
        file = self._source.origin(self._masked.origin(self._offset())).file
        href = self._masked.replace(attrs.get("href") or "", lambda token: token.source)
        ranked = rank(tag, attrs, href, is_its_own=file == str(self._source.path))
        quoted = attributes.value_of("href", self.get_starttag_text() or "")
        if ranked is not None and quoted is not None:
            self._outline.links.append(Link(self._offset() + quoted, ranked))

    def handle_comment(self, data: str) -> None:
        # Only conditional comments for Outlook are left, and their tags must be as safe as all others.
        for mistake in attributes.of_comment(data, self._offset() + len("<!--"), self._masked):
            raise self._error(mistake.message, mistake.hint, mistake.at, mistake.code)

    # text and tokens

    def handle_data(self, data: str) -> None:
        parent = self._elements[-1] if self._elements else None
        for word in self._masked.words(data):
            self._check_token(word, parent)
        if parent is not None and parent.tag in _STRUCTURE and self._masked.pattern.sub("", data).strip():
            at = self._offset() + len(data) - len(data.lstrip())
            raise self._error(f"text directly in <{parent.tag}>, which MJML would drop", "put it into <mj-text>", at)
        if parent is not None and parent.tag in ("mj-style", "style") and "@import" in data.lower():
            at = self._offset() + data.lower().index("@import")
            raise self._error("@import in a style", "write the rules here; web fonts go into <mj-font>", at)

    def _check_token(self, word: str, parent: _Element | None) -> None:
        """Check a token that stands in text, and note how it is to be hidden."""
        token = self._masked.tokens[word]
        tag = parent.tag if parent else ""
        if tag in ("mj-style", "style"):
            raise self._token_error(
                token,
                "a variable or statement in a style",
                "give the block a css-class and choose it by {% if %}",
                "variable_in_style",
            )
        if tag in _NO_STATEMENTS or not tag:
            hint = f"write it around the whole <{tag}>" if tag in _COUNTED else "put it into the body"
            shown = self._shown(token)
            raise self._token_error(token, f"{shown} cannot stand directly in <{tag or 'the file'}>", hint)
        if token.is_statement:
            self._pair(token, parent)
            if tag in _STRUCTURE:
                self._outline.blocks.add(word)
            elif tag not in ("mj-title", "mj-preview"):
                self._outline.flow.add(word)
        elif tag in _STRUCTURE:
            raise self._token_error(
                token, f"{self._shown(token)} directly in <{tag}>, which takes blocks", "put it into <mj-text>"
            )

    def _pair(self, token: Token, parent: _Element | None) -> None:
        """Hold every statement to the element it began in, or the HTML would not nest."""
        if token.opens:
            self._open.append((token, parent))
        elif token.is_middle or token.closes:
            shown = self._shown(token)
            if not self._open:
                raise self._token_error(token, f"{shown} closes what began elsewhere", "begin it in this tag")
            first, begun_in = self._open[-1]
            if begun_in is not parent:
                raise self._token_error(
                    token,
                    f"{shown} stands in <{parent.tag if parent else ''}>, but {self._shown(first)} of "
                    f"{self._source.at(first.start)} in <{begun_in.tag if begun_in else ''}>",
                    "begin and end a statement inside the same tag",
                )
            if token.closes:
                self._open.pop()

    def finish(self) -> Outline:
        """Return the outline, once the tags that every email needs are known to be there."""
        for element in self._elements:
            if element.tag.startswith("mj"):
                raise self._error(f"<{element.tag}> is never closed", f"write </{element.tag}>", element.begin)
        if "mj-body" not in self._seen:
            raise self._error(
                "no <mj-body>", "wrap the email in <mjml><mj-head>…</mj-head><mj-body>…</mj-body></mjml>", 0
            )
        if not self._outline.title:
            at = self._seen.get("mj-title", 0)
            raise self._error("no subject", "write <mj-title>…</mj-title> into <mj-head>", at, "no_subject")
        if not self._outline.preview:
            at = self._seen.get("mj-preview", 0)
            raise self._error("no preheader", "write <mj-preview>…</mj-preview> into <mj-head>", at, "no_preheader")
        return self._outline
