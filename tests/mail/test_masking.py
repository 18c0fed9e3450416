"""The law of the compiler: every Jinja token comes through, once and in its place, and data takes no other way."""

from __future__ import annotations

import html
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.mail.compile import compile_email
from lifecycle.mail.environment import html_environment
from lifecycle.mail.mask import Masked
from lifecycle.mail.render import Renderer
from tests.mail.sources import FRAME, write

DATA: dict[str, object] = {
    "customer": {"first_name": "O'Brien & <Söhne>", "vip": True, "nothing": None},
    "event": {
        "total": "29.33",
        "items": [{"name": 'Kopi "Toraja"', "n": 2}, {"name": "Teh > Chai", "n": 1}],
        "none": [],
    },
    "links": {"shop": "https://x.example/?a=1&b=2"},
}

outputs = st.sampled_from(
    [
        "{{ customer.first_name }}",
        "{{customer.first_name|upper}}",
        '{{ customer.nothing | default("a > b") }}',
        "{{ event.total | money }}",
        '{{ "x" if customer.vip and 1 < 2 else "y" }}',
        '{{ {"a": "}"}["a"] }}',
        "{{ event.items[0].name }}",
        "{{\n  event.items | length\n}}",
    ]
)
urls = st.sampled_from(
    ["{{ links.shop }}", "https://x.example/{{ event.total }}?q={{ customer.vip }}", "https://x.example/#top"]
)
words = st.sampled_from(
    ["Hello ", "a &amp; b ", "&nbsp;", "<b>bold</b> ", "<br />", "Größe € ", "\n", "&lt;i&gt; ", "'quoted' "]
)


def wrapped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(lambda content: f"{{% if customer.vip %}}{content}{{% endif %}}"),
        inner.map(lambda content: f"{{%- if customer.nothing -%}}{content}{{%- else -%}}{content}{{%- endif %}}"),
        inner.map(lambda content: f"{{% for item in event.items %}}{content}{{% endfor %}}"),
        inner.map(lambda content: f"{{% for item in event.none %}}{content}{{% else %}}{content}{{% endfor %}}"),
    )


def joined(pieces: st.SearchStrategy[str], largest: int = 3) -> st.SearchStrategy[str]:
    return st.lists(pieces, min_size=1, max_size=largest).map("".join)


def tagged(pieces: st.SearchStrategy[str], tag: str) -> st.SearchStrategy[str]:
    return pieces.map(lambda content: f"<{tag}>{content}</{tag}>")


inline = st.one_of(
    st.just("{% for item in event.items %}{{ item.n }} &times; {{ item.name }}<br />{% endfor %}"),
    outputs,
    words,
    wrapped(joined(outputs | words)),
    st.tuples(urls, outputs).map(lambda pair: f'<a href="{pair[0]}">{pair[1]}</a>'),
    outputs.map(lambda output: f'<span title="{output}" class="a">x</span>'),
)
rows = outputs.map(lambda output: f"<tr><td>{output}</td></tr>")
blocks = st.one_of(
    tagged(joined(inline), "mj-text"),
    st.tuples(urls, outputs).map(lambda pair: f'<mj-button href="{pair[0]}">{pair[1]}</mj-button>'),
    st.tuples(urls, outputs).map(lambda pair: f'<mj-image alt="{pair[1]}" src="{pair[0]}" />'),
    tagged(joined(rows | wrapped(rows)), "mj-table"),
    st.just("<mj-divider />"),
)
sections = tagged(tagged(joined(blocks | wrapped(blocks)), "mj-column"), "mj-section")
wrappers = tagged(joined(sections | wrapped(sections), 2), "mj-wrapper")
bodies = joined(sections | wrapped(sections) | wrappers | wrapped(wrappers), 2).map(
    lambda body: "{% set brand = customer.first_name %}" + body
)


@pytest.fixture(name="folder", scope="module")
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def tokens(source: str) -> list[str]:
    found = [token.source for token in Masked(source, html_environment()).tokens.values()]
    return [token for token in found if not re.fullmatch(r"\{% (filter (link|picture)\(\d+\)|endfilter) %\}", token)]


def bare(token: str) -> str:
    """Return a token without its wishes about the white space around it."""
    return re.sub(r"^({.)[-+]|[-+](.})$", r"\1\2", token)


def shape(source: str) -> str:
    """Reduce HTML to what a reader sees: entities resolved, white space and the seams between conditionals gone."""
    source = re.sub(r"<!\[endif\]-->\s*<!--\[if mso \| IE\]>", "", source)
    source = re.sub(r"=('[^']*'|\"[^\"]*\")", lambda value: f'="{value[1][1:-1]}"', source)
    return re.sub(r"\s+", "", html.unescape(html.unescape(source)))


@settings(max_examples=30)
@given(body=bodies)
def test_every_token_comes_through_once_and_in_order(folder: Path, body: str) -> None:
    email = compile_email(folder, write(folder, body))

    assert tokens(email.html) == tokens(body)
    assert not re.search(r"jqx\d+z", email.html + email.text + email.subject)


@settings(max_examples=30)
@given(body=bodies)
def test_rendering_the_compiled_email_equals_compiling_the_rendered_one(folder: Path, body: str) -> None:
    # When: the fast way, MJML and premailer once and data after them
    name = write(folder, body)
    fast = Renderer(folder).render(name, DATA).html

    # Then: it equals the slow way, data first and then MJML and premailer for this one customer
    rendered = html_environment().from_string(body).render(DATA)
    (folder / "slow.mjml").write_text(FRAME.format(title="A subject", preview="A line", head="", body=rendered))
    slow = compile_email(folder, "slow").html
    assert shape(fast) == shape(slow)


@settings(max_examples=30)
@given(body=bodies)
def test_what_is_printed_in_the_html_is_printed_in_the_text(folder: Path, body: str) -> None:
    email = compile_email(folder, write(folder, body))

    masked = Masked(body, html_environment())
    read = masked.replace(re.sub(r' (?:src|title)="[^"]*"', "", masked.text), lambda token: token.source)
    assert Counter(map(bare, tokens(email.text))) == Counter(map(bare, tokens(read)))
    Renderer(folder).render("hello", DATA)


def test_a_word_that_the_author_wrote_is_never_taken_for_a_mask() -> None:
    source = "jqx0z jqqx1z {{ a }} jqx0z"

    masked = Masked(source, html_environment())

    assert masked.replace(masked.text, lambda token: token.source) == source


@given(
    st.lists(
        st.sampled_from(
            [
                "{{ a }}",
                "{% if a %}",
                "{% endif %}",
                "{{- a -}}",
                " x\n",
                "{# no #}",
                "{% raw %}{{ b }}{% endraw %}",
                "jqx1z",
                "ü",
            ]
        )
    )
)
def test_masking_and_unmasking_changes_nothing_but_comments(pieces: list[str]) -> None:
    source = "".join(pieces)
    masked = Masked(source, html_environment())

    restored = masked.replace(masked.text, lambda token: token.source)

    without_comments = source.replace("{# no #}", "")
    assert re.sub(r"\s+", "", restored) == re.sub(r"\s+", "", without_comments)
    for offset, letter in enumerate(masked.text):
        if letter == "ü":
            assert source[masked.origin(offset)] == "ü"
