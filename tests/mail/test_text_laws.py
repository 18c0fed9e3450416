"""Laws of the text part, on HTML and data that Hypothesis makes up: nothing lost or too long, every link noted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.mail.environment import html_environment, text_environment
from lifecycle.mail.mask import Masked
from lifecycle.mail.text import plain_text
from lifecycle.mail.typeset import typeset

HTML, TEXT = html_environment(), text_environment()
NAMES = ["a", "b", "c"]

word = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
words = st.lists(word, min_size=1, max_size=12).map(" ".join)
address = st.builds("https://x.example/{}".format, word) | st.just("https://{{ host }}.example/a?b=1&amp;c=2")
label = words | st.sampled_from(NAMES).map("{{{{ {} }}}}".format)
link = st.builds('<a href="{}">{}</a>'.format, address, label)
leaf = words | st.sampled_from(NAMES).map("{{{{ {} }}}}".format) | link | st.just("<br>")


def several(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(part, min_size=1, max_size=2).map(" ".join)


def within_statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    some = several(inner)
    return (
        st.builds("{{% if {}_is %}}{}{{% endif %}}".format, st.sampled_from(NAMES), some)
        | st.builds("{{% if {}_is %}}{}{{% else %}}{}{{% endif %}}".format, st.sampled_from(NAMES), some, some)
        | st.builds("{{% for a in {}_all %}}{} {{% endfor %}}".format, st.sampled_from(NAMES), some)
    )


inline = several(
    st.recursive(leaf, lambda inner: within_statements(inner) | several(inner).map("<b>{}</b>".format), max_leaves=4)
)
item = inline.map("<li>{}</li>".format)
row = st.lists(inline.map("<td>{}</td>".format), min_size=1, max_size=3).map(lambda cells: f"<tr>{''.join(cells)}</tr>")
rows = several(row | within_statements(row))
block = (
    inline.map("<p>{}</p>".format)
    | several(item | within_statements(item)).map("<ul>{}</ul>".format)
    | rows.map("<table>{}</table>".format)
    | rows.map('<table role="presentation">{}</table>'.format)
    | inline.map('<p style="display:none">hidden {}</p>'.format)
)
page = several(
    st.recursive(
        block, lambda inner: within_statements(inner) | several(inner).map("<div>{}</div>".format), max_leaves=4
    )
)
data = st.fixed_dictionaries(
    {name: words | st.builds("{}\n{}".format, word, word) for name in NAMES}
    | {"host": word}
    | {f"{name}_is": st.booleans() for name in NAMES}
    | {f"{name}_all": st.lists(word, max_size=3) for name in NAMES}
)


@dataclass
class Shown(HTMLParser):
    """The words and links that a reader of the HTML sees."""

    words: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)  # its URL and the last word of its label
    hidden: bool = False
    href: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden = self.hidden or "style" in dict(attrs)
        self.href = dict(attrs).get("href") or self.href

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self.hidden = False
        if tag == "a" and not self.hidden:
            self.links.append((self.href, self.words[-1]))

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words += data.split()


def source_of(html: str) -> str:
    masked = Masked(html, HTML)
    return plain_text(masked.text, masked)


def both(html: str, context: dict[str, object]) -> tuple[Shown, str, dict[int, str]]:
    """What the HTML shows, the body of the text, and its footnotes."""
    shown = Shown()
    shown.feed(HTML.from_string(html).render(context))
    shown.close()
    text = typeset(TEXT.from_string(source_of(html)).render(context))
    body, notes = text, ""
    if re.search(r"\[\d+\]", text):
        body, _, notes = text.rpartition("\n\n")
    numbered = [line.partition("] ") for line in notes.splitlines()]
    return shown, body, {int(number[1:]): url for number, _, url in numbered}


def statements(source: str) -> list[str]:
    return [f"{{% {words} %}}" for words in re.findall(r"\{%[-+]?\s*(.*?)\s*[-+]?%\}", source)]


@given(page)
def test_no_statement_is_lost_doubled_or_moved(html: str) -> None:
    assert statements(source_of(html)) == statements(html)


@given(page, data)
def test_every_word_that_is_shown_is_in_the_text_in_order(html: str, context: dict[str, object]) -> None:
    shown, body, _ = both(html, context)

    assert [each for each in body.split() if re.fullmatch(r"[a-z]+", each)] == shown.words


@given(page, data)
def test_every_link_that_is_shown_has_one_footnote_and_its_number_stands_behind_it(
    html: str, context: dict[str, object]
) -> None:
    shown, body, notes = both(html, context)

    assert list(notes.values()) == list(dict.fromkeys(url.strip() for url, _ in shown.links))
    assert list(notes) == list(range(1, len(notes) + 1))
    numbered = re.findall(r"([a-z]+)\s*\[(\d+)\]", body)
    assert [(notes[int(number)], last) for last, number in numbered] == [
        (url.strip(), word) for url, word in shown.links
    ]


@given(page, data)
def test_no_line_is_longer_than_78_columns_and_no_mark_is_left(html: str, context: dict[str, object]) -> None:
    one_line = {name: value.replace("\n", " ") if isinstance(value, str) else value for name, value in context.items()}
    _, body, notes = both(html, one_line)

    assert max(map(len, body.split("\n"))) <= 78
    assert not re.search(r"[\x00-\x08]", body + "".join(notes.values()))
