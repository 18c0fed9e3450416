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
from lifecycle.mail.macros import with_macros
from lifecycle.mail.mask import Masked, literal
from lifecycle.mail.render import Renderer
from lifecycle.mail.source import read_source
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

# Called like any output; what is printed comes from the macros at the head of every body below.
MACROS = """{% macro hello(name, sign="!") %}Hi {{ name }}{{ sign }}{% endmacro %}
{% macro card(item, url=links.shop) -%}
<mj-text>{{ item.name }} <b>{{ hello(item.n, sign=".") }}</b></mj-text>
{% if item.n > 1 %}<mj-button href="{{ url }}" title="{{ item.name }}">{{ item.n }}</mj-button>{% endif %}
{%- endmacro %}
"""

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
        "{% raw %}{{ as it is }}{% endraw %}",
        "{{ hello(customer.first_name) }}",
        '{{ hello("you, and \\"you\\"", sign="?") }}',
    ]
)
urls = st.sampled_from(
    [
        "{{ links.shop }}",
        "https://x.example/{{ event.total }}?q={{ customer.vip }}&amp;r=1&s=2",
        "https://x.example/{% if customer.vip %}vip{% else %}all{% endif %}",
        "https://x.example/#top",
    ]
)
words = st.sampled_from(
    ["Hello ", "a &amp; b ", "&nbsp;", "<b>bold</b> ", "<br />", "Größe € ", "\n", "&lt;i&gt; ", "'quoted' ", "&#8211;"]
)


def wrapped(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map(lambda content: f"{{% if customer.vip %}}{content}{{% endif %}}"),
        inner.map(lambda content: f"{{%- if customer.nothing -%}}{content}{{%- else -%}}{content}{{%- endif %}}"),
        inner.map(lambda content: f"{{% for item in event.items %}}{content}{{% endfor %}}"),
        inner.map(lambda content: f"{{% for item in event.none %}}{content}{{% else %}}{content}{{% endfor %}}"),
        inner.map(lambda content: f"{{% with total = event.total %}}{content}{{% endwith %}}"),
    )


def joined(pieces: st.SearchStrategy[str], largest: int = 3) -> st.SearchStrategy[str]:
    return st.lists(pieces, min_size=1, max_size=largest).map("".join)


def tagged(pieces: st.SearchStrategy[str], tag: str, attributes: str = "") -> st.SearchStrategy[str]:
    return pieces.map(lambda content: f"<{tag}{attributes}>{content}</{tag}>")


inline = st.one_of(
    st.just("{% for item in event.items %}{{ item.n }} &times; {{ item.name }}<br />{% endfor %}"),
    outputs,
    words,
    wrapped(joined(outputs | words)),
    st.tuples(urls, outputs).map(lambda pair: f'<a href="{pair[0]}">{pair[1]}</a>'),
    outputs.map(lambda output: f'<span title="{output}" class="a">x</span>'),
    outputs.map(lambda output: f'<p class="a"><img src="https://x.example/a.png" alt="{output}" width="20" /></p>'),
)
rows = outputs.map(lambda output: f'<tr><td class="a">{output}</td><td align="right">&euro;</td></tr>')
blocks = st.one_of(
    tagged(joined(inline), "mj-text"),
    tagged(joined(inline), "mj-text", ' css-class="a" mj-class="lead" padding="4px 8px"'),
    st.tuples(urls, outputs).map(lambda pair: f'<mj-button href="{pair[0]}">{pair[1]}</mj-button>'),
    st.tuples(urls, outputs).map(lambda pair: f'<mj-image alt="{pair[1]}" src="{pair[0]}" />'),
    # Without a variable href: MJML prints that of a social element twice.
    outputs.map(
        lambda output: (
            f'<mj-social><mj-social-element name="x" href="https://x.example/">{output}</mj-social-element></mj-social>'
        )
    ),
    tagged(joined(rows | wrapped(rows)), "mj-table"),
    st.just("{% for item in event.items %}{{ card(item) }}{% endfor %}"),
    st.just('{{- card(event.items[0], url="https://x.example/?a=1&b=2") -}}'),
    st.just("<mj-divider />"),
    st.just('<mj-spacer height="7px" />'),
)
columns = tagged(joined(blocks | wrapped(blocks)), "mj-column")
sections = st.one_of(
    tagged(joined(columns, 2), "mj-section"),
    tagged(columns, "mj-section", ' full-width="full-width" background-color="#eeeeee"'),
    tagged(tagged(joined(columns, 2), "mj-group"), "mj-section"),
)
wrappers = tagged(joined(sections | wrapped(sections), 2), "mj-wrapper")
bodies = joined(sections | wrapped(sections) | wrappers | wrapped(wrappers), 2).map(
    lambda body: MACROS + "{% set brand = customer.first_name %}" + body
)
HEAD = """<mj-attributes><mj-class name="lead" font-size="20px" /></mj-attributes>
<mj-style>.a { color: #112233 } .a td { padding: 3px } @media (max-width: 400px) { .a { color: red } }</mj-style>"""


@pytest.fixture(name="folder", scope="module")
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def tokens(source: str) -> list[str]:
    found = [token.source for token in Masked(source, html_environment()).tokens.values()]
    return [token for token in found if not re.fullmatch(r"\{% (filter _(link|picture)\(\d+\)|endfilter) %\}", token)]


def bare(token: str) -> str:
    """Return a token without its wishes about the white space around it."""
    return re.sub(r"^({.)[-+]|[-+](.})$", r"\1\2", token)


def shape(source: str) -> str:
    """Reduce HTML to what a reader sees: entities resolved, white space and the seams between conditionals gone."""
    source = re.sub(r"<!\[endif\]-->\s*<!--\[if mso \| IE\]>", "", source)
    source = re.sub(r"=('[^']*'|\"[^\"]*\")", lambda value: f'="{value[1][1:-1]}"', source)
    return re.sub(r"\s+", "", html.unescape(html.unescape(source)))


def expanded(folder: Path, name: str) -> str:
    """Return the source of an email's body with its macros written out, which is what is masked."""
    source = with_macros(read_source(folder, name), html_environment()).mjml
    return source[source.index("<mj-body>") :]


@settings(max_examples=30)
@given(body=bodies)
def test_every_token_comes_through_once_and_in_order(folder: Path, body: str) -> None:
    name = write(folder, body, head=HEAD)

    email = compile_email(folder, name)

    assert tokens(email.html) == tokens(expanded(folder, name))
    assert not re.search(r"jqx\d+z", email.html + email.text + email.subject)


@settings(max_examples=30)
@given(body=bodies)
def test_rendering_the_compiled_email_equals_compiling_the_rendered_one(folder: Path, body: str) -> None:
    """The slow way is not defined for all that the fast way allows, which is why these bodies hold none of it:

    columns that data count, since what each is wide is known to the slow way only; attributes that MJML computes with;
    and a link that no email may have, at which the fast way stops.
    """
    # When: the fast way, MJML and premailer once and data after them
    name = write(folder, body, head=HEAD)
    fast = Renderer(folder).render(name, DATA).html

    # Then: it equals the slow way, data first (Jinja alone, its own macros too) and then MJML and premailer
    rendered = literal(html_environment().from_string(body).render(DATA))
    (folder / "slow.mjml").write_text(FRAME.format(title="A subject", preview="A line", head=HEAD, body=rendered))
    slow = Renderer(folder).render("slow", {}).html
    assert shape(fast) == shape(slow)


@settings(max_examples=30)
@given(body=bodies)
def test_what_is_printed_in_the_html_is_printed_in_the_text(folder: Path, body: str) -> None:
    name = write(folder, body)
    email = compile_email(folder, name)

    masked = Masked(expanded(folder, name), html_environment())
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
