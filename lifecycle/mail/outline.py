"""The structure of an MJML source: which tags stand where, and whether each Jinja token may stand where it does."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from lifecycle.errors import TemplateError
from lifecycle.mail.links import Link, rank
from lifecycle.mail.mask import VOID_TAGS, Masked, Token, literal
from lifecycle.mail.source import Source

# Children of these are blocks; text between them is lost by MJML, statements between them need mj-raw.
_BLOCK_PARENTS = frozenset({"mj-body", "mj-wrapper", "mj-column", "mj-hero", "mj-social"})
_COLUMN_PARENTS = frozenset({"mj-section", "mj-group"})
_NO_STATEMENTS = frozenset(
    {"mjml", "mj-head", "mj-attributes", "mj-navbar", "mj-accordion", "mj-accordion-element", "mj-carousel"}
)
_STRUCTURE = _BLOCK_PARENTS | _COLUMN_PARENTS | _NO_STATEMENTS
_WITHOUT_COMPONENT = frozenset({"mjml", "mj-all", "mj-class", "mj-selector", "mj-html-attribute"})
_VARIABLE_ATTRIBUTES = frozenset({"href", "src", "srcset", "alt", "title", "name"})
_CLOSED_BY = {"if": "endif", "for": "endfor", "with": "endwith", "filter": "endfilter", "set": "endset"}
_MIDDLES = frozenset({"elif", "else"})
_REFUSED = {
    "extends": 'write <mj-include path="…" />',
    "include": 'write <mj-include path="…" />',
    "import": "repeat the block, or put it into a partial",
    "from": "repeat the block, or put it into a partial",
    "block": 'remove it; partials come by <mj-include path="…" />',
    "macro": 'put it into a partial and <mj-include path="…" /> it',
    "call": 'put it into a partial and <mj-include path="…" /> it',
    "autoescape": "remove it; HTML is always escaped",
}
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG = re.compile(r"""<(?![/!])(?:"[^"]*"|'[^']*'|[^"'>])*>""")


def _opens(token: Token) -> bool:
    return token.keyword in _CLOSED_BY and not (token.keyword == "set" and "=" in token.source)


@dataclass
class _Element:
    tag: str
    line: int
    start: int  # of its content, in the masked text


@dataclass
class Outline:
    """What the walk found: `blocks` are words to wrap in mj-raw, `flow` words to hide as HTML comments; `links` are
    those that the email may lead to."""

    title: str = ""
    preview: str = ""
    fonts: dict[str, str] = field(default_factory=dict)
    blocks: set[str] = field(default_factory=set)
    flow: set[str] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)


def outline(source: Source, masked: Masked, attributes: Mapping[str, Collection[str]]) -> Outline:
    """Walk the masked source; `attributes` are the known MJML tags with theirs. Raises TemplateError at the line."""
    walk = _Walk(source, masked, attributes)
    walk.feed(masked.text)
    walk.close()
    return walk.finish()


class _Walk(HTMLParser):
    def __init__(self, source: Source, masked: Masked, attributes: Mapping[str, Collection[str]]) -> None:
        super().__init__(convert_charrefs=False)
        self._source, self._masked, self._attributes = source, masked, attributes
        self._elements: list[_Element] = []
        self._open: list[tuple[Token, _Element | None]] = []
        self._seen: set[str] = set()
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", masked.text))]
        self._outline = Outline()

    # positions and errors

    def _offset(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column

    def _error(self, message: str, hint: str, line: int | None = None, code: str = "template") -> TemplateError:
        at = self._masked.line_at(self._offset()) if line is None else line
        return TemplateError(self._source.where(at), message, hint, code)

    # tags

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_tag(tag, attrs)
        if tag not in VOID_TAGS:
            end = self._offset() + len(self.get_starttag_text() or "")
            self._elements.append(_Element(tag, self._masked.line_at(self._offset()), end))
            self._seen.add(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._check_tag(tag, attrs)
        self._seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID_TAGS:
            return
        for element in reversed(self._elements):
            if element.tag == tag:
                break
            if element.tag.startswith("mj") or tag.startswith("mj"):
                opened = self._source.where(element.line)
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
            content = self._masked.text[element.start : self._offset()]
            setattr(self._outline, tag.removeprefix("mj-"), self._line_of_text(tag, content))

    def _line_of_text(self, tag: str, content: str) -> str:
        if re.search(r"</?[a-zA-Z]", content):
            raise self._error(f"<{tag}> holds markup", "write plain text")
        parts = re.split(f"({self._masked.pattern.pattern})", content)
        joined = "".join(part if part in self._masked.tokens else literal(html.unescape(part)) for part in parts)
        return " ".join(joined.split())

    def _check_tag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        in_attributes = bool(self._elements) and self._elements[-1].tag == "mj-attributes"
        if tag.startswith("mj") and tag not in _WITHOUT_COMPONENT and tag not in self._attributes:
            close = difflib.get_close_matches(tag, self._attributes, 1)
            raise self._error(
                f"unknown tag <{tag}>", f"did you mean <{close[0]}>?" if close else "see mjml.io for the tags"
            )
        if tag == "mj-column":
            self._check_column()
        if tag == "link":
            raise self._error("an external stylesheet", "write the rules into <mj-style>")
        if tag == "script":
            raise self._error("a script; mail programs do not run any", "remove it")
        if tag == "mj-font":
            self._add_font(dict(attrs))
        self._check_attributes(tag, attrs, in_attributes)
        if tag in ("a", "mj-button") and not in_attributes:
            self._add_link(tag, dict(attrs))

    def _check_column(self) -> None:
        section = next((e for e in reversed(self._elements) if e.tag in _COLUMN_PARENTS), None)
        for token, parent in self._open:
            if parent is section and section is not None:
                raise self._column_error(token)

    def _column_error(self, token: Token) -> TemplateError:
        return self._error(
            f"{{% {token.keyword} %}} around mj-column: widths are computed before it runs",
            "put it inside the column around its content, around whole sections, or around the <tr> of an mj-table",
            token.line,
        )

    def _add_font(self, attrs: dict[str, str | None]) -> None:
        name, href = attrs.get("name"), attrs.get("href")
        if not name or not href or not href.startswith("https://"):
            raise self._error(
                "mj-font needs a name and an https href", 'write <mj-font name="Inter" href="https://…" />'
            )
        self._outline.fonts[name] = href

    def _add_link(self, tag: str, attrs: dict[str, str | None]) -> None:
        within = self._source.where(self._masked.line_at(self._offset())).rpartition(":")[0]
        href = self._masked.replace(attrs.get("href") or "", lambda token: token.source)
        ranked = rank(tag, attrs, href, is_its_own=within == str(self._source.path))
        quoted = (at for at in _ATTRIBUTE.finditer(self.get_starttag_text() or "") if at[1].lower() == "href")
        if ranked is not None and (found := next(quoted, None)) is not None:
            self._outline.links.append(Link(self._offset() + found.start(2) + 1, ranked))

    def _check_attributes(self, tag: str, attrs: list[tuple[str, str | None]], in_attributes: bool) -> None:
        self._check_quotes(self.get_starttag_text() or "")
        for name, value in attrs:
            for word in self._masked.words(value or ""):
                self._check_attribute_word(tag, name, self._masked.tokens[word])
            self._check_balance_within(value or "")
            if tag in self._attributes and tag != "mj-all" and not in_attributes:
                self._check_known(tag, name)

    def _check_quotes(self, tag: str) -> None:
        in_quotes = sum(len(self._masked.words(value)) for _, value in _ATTRIBUTE.findall(tag))
        if len(self._masked.words(tag)) != in_quotes:
            raise self._error(
                "a variable or statement in a tag, but outside a quoted attribute value",
                'write name="{{ … }}", with quotes',
            )

    def _check_known(self, tag: str, name: str) -> None:
        known = self._attributes[tag]
        if name in known or name in ("mj-class", "css-class") or not known:
            return
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(sorted(known))}"
        raise self._error(f"<{tag}> has no attribute {name!r}", hint)

    def _check_attribute_word(self, tag: str, name: str, token: Token) -> None:
        self._refuse_keyword(token)
        if tag.startswith("mj") and name not in _VARIABLE_ATTRIBUTES:
            raise self._error(
                f"a variable in {name!r} of <{tag}>: the layout is computed before there is data",
                "write two blocks with {% if %} … {% else %} … {% endif %} around them",
                token.line,
            )
        if name == "style" or name.startswith("on"):
            raise self._error(
                f"a variable in {name!r}, where escaping does not protect",
                "use {% if %} around two tags",
                token.line,
                "variable_in_style",
            )

    def _check_balance_within(self, value: str) -> None:
        opened: list[Token] = []
        for token in (self._masked.tokens[word] for word in self._masked.words(value)):
            if _opens(token):
                opened.append(token)
            elif token.keyword in _CLOSED_BY.values() and not (
                opened and _CLOSED_BY[opened.pop().keyword] == token.keyword
            ):
                raise self._error(
                    f"{token.source} closes what began outside this attribute", "begin it inside the quotes", token.line
                )
        if opened:
            raise self._error(
                f"{opened[-1].source} is not closed inside the attribute", "end it before the quote", opened[-1].line
            )

    def handle_comment(self, data: str) -> None:
        # Only conditional comments for Outlook are left, and their tags must be as safe as all others.
        if self._masked.words(data):
            self._check_balance_within(data)
            for tag in _TAG.findall(data):
                self._check_quotes(tag)
                for name, value in _ATTRIBUTE.findall(tag):
                    for word in self._masked.words(value):
                        self._check_attribute_word("", name.lower(), self._masked.tokens[word])

    # text and tokens

    def handle_data(self, data: str) -> None:
        parent = self._elements[-1] if self._elements else None
        for word in self._masked.words(data):
            self._place(self._masked.tokens[word], parent)
        if parent is not None and parent.tag in _STRUCTURE and self._masked.pattern.sub("", data).strip():
            raise self._error(f"text directly in <{parent.tag}>, which MJML would drop", "put it into <mj-text>")
        if parent is not None and parent.tag in ("mj-style", "style") and "@import" in data.lower():
            raise self._error("@import in a style", "write the rules here; web fonts go into <mj-font>")

    def _place(self, token: Token, parent: _Element | None) -> None:
        """Check a token that stands in text, and note how it is to be hidden."""
        self._refuse_keyword(token)
        tag = parent.tag if parent else ""
        if tag in ("mj-style", "style"):
            raise self._error(
                "a variable or statement in a style",
                "give the block a css-class and choose it by {% if %}",
                token.line,
                "variable_in_style",
            )
        if tag in _NO_STATEMENTS or not tag:
            raise self._error(
                f"{token.source} cannot stand directly in <{tag or 'the file'}>", "put it into the body", token.line
            )
        if token.is_statement:
            self._pair(token, parent)
            if tag in _STRUCTURE:
                self._outline.blocks.add(token.word)
            elif tag not in ("mj-title", "mj-preview"):
                self._outline.flow.add(token.word)
        elif tag in _STRUCTURE:
            raise self._error(
                f"{token.source} directly in <{tag}>, which takes blocks", "put it into <mj-text>", token.line
            )

    def _refuse_keyword(self, token: Token) -> None:
        if token.keyword in _REFUSED:
            raise self._error(f"{{% {token.keyword} %}} does not work in an email", _REFUSED[token.keyword], token.line)

    def _pair(self, token: Token, parent: _Element | None) -> None:
        """Hold every statement to the element it began in, or the HTML would not nest."""
        if _opens(token):
            self._open.append((token, parent))
        elif token.keyword in _MIDDLES or token.keyword in _CLOSED_BY.values():
            if not self._open:
                raise self._error(f"{token.source} closes what began elsewhere", "begin it in this tag", token.line)
            first, begun_in = self._open[-1]
            if begun_in is not parent:
                raise self._error(
                    f"{token.source} stands in <{parent.tag if parent else ''}>, but {first.source} of "
                    f"{self._source.where(first.line)} in <{begun_in.tag if begun_in else ''}>",
                    "begin and end a statement inside the same tag",
                    token.line,
                )
            if token.keyword not in _MIDDLES:
                self._open.pop()

    def finish(self) -> Outline:
        """Return the outline, once the tags that every email needs are known to be there."""
        for element in self._elements:
            if element.tag.startswith("mj"):
                raise self._error(f"<{element.tag}> is never closed", f"write </{element.tag}>", element.line)
        if "mj-body" not in self._seen:
            raise self._error(
                "no <mj-body>", "wrap the email in <mjml><mj-head>…</mj-head><mj-body>…</mj-body></mjml>", 1
            )
        if not self._outline.title:
            raise self._error("no subject", "write <mj-title>…</mj-title> into <mj-head>", 1, "no_subject")
        if not self._outline.preview:
            raise self._error("no preheader", "write <mj-preview>…</mj-preview> into <mj-head>", 1, "no_preheader")
        return self._outline
