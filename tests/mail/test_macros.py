"""Macros print what Jinja prints, in text and around blocks, and mistakes in them are located where they were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.errors import TemplateError
from lifecycle.mail.compile import compile_email
from lifecycle.mail.render import Renderer
from tests.mail.sources import FIRST_BODY_LINE, column, text, write

PRODUCTS = [
    {"name": "Blue & Train", "url": "https://x.example/a", "price": 12},
    {"name": "<Kind>", "url": "https://x.example/b", "price": 9},
]
CARD = """{% macro card(product, label="Have a look, it is new", url=product.url) -%}
<mj-text>{{ product.name | upper }} for {{ price(amount=product.price) }}</mj-text>
<mj-button href="{{ url }}">{{ label }}</mj-button>
{%- endmacro %}
{% macro price(amount) %}<b>{{ amount | money }}</b>{% endmacro %}
{% macro greeting(name, sign="!") %}Hi {{ name }}{{ sign }}{% endmacro %}
"""


def partial(folder: Path, source: str, name: str = "macros") -> str:
    """Write a partial and return the tag that includes it."""
    (folder / "partials").mkdir(exist_ok=True)
    (folder / f"partials/{name}.mjml").write_text(source, encoding="utf-8")
    return f'<mj-include path="partials/{name}" />'


def test_a_macro_of_a_partial_prints_blocks_and_text_wherever_it_is_called(tmp_path: Path) -> None:
    calls = "{% for product in products %}{{ card(product) }}{{ card(product, label='Buy') }}{% endfor %}"
    name = write(
        tmp_path,
        partial(tmp_path, CARD)
        + column(calls)
        + text('<a href="https://x.example/{{ greeting("x", sign="/") }}">x</a>'),
        title='{{ greeting(products[0]["name"]) }}',
        preview="{{ greeting(sign='?', name='you') }}",
    )

    rendered = Renderer(tmp_path).render(name, {"products": PRODUCTS})

    assert rendered.subject == "Hi Blue & Train!"
    assert rendered.preheader == "Hi you?"
    assert rendered.html.count("BLUE &amp; TRAIN for <b>$12.00</b>") == 2
    assert rendered.html.count("&lt;KIND&gt; for <b>$9.00</b>") == 2
    assert rendered.html.count('href="https://x.example/a"') == 2
    assert rendered.html.count("Have a look, it is new") == rendered.html.count("Buy") == 2
    assert "<KIND> for $9.00" in rendered.text


def test_a_macro_may_hold_whole_columns(tmp_path: Path) -> None:
    macro = "{% macro half(a) %}<mj-column><mj-text>{{ a }}</mj-text></mj-column>{% endmacro %}"
    name = write(tmp_path, macro + '<mj-section>{{ half("x") }}{{ half("y") }}</mj-section>')

    html = Renderer(tmp_path).render(name, {}).html

    assert html.count('<div class="mj-column-per-50') == 2


def test_a_partial_with_macros_may_be_included_twice(tmp_path: Path) -> None:
    include = partial(tmp_path, CARD)

    name = write(tmp_path, include + include + text("{{ greeting('you') }}"))

    assert "Hi you!" in Renderer(tmp_path).render(name, {}).html


def test_what_a_macro_reads_is_located_in_the_macro_and_what_is_passed_at_the_call(tmp_path: Path) -> None:
    include = partial(tmp_path, "\n{% macro m(a, b=fallback) %}{{ a }}{{ company.name }}{% endmacro %}")
    name = write(tmp_path, include + "\n" + text("{{ m(customer.first_name) }}"))

    places = compile_email(tmp_path, name).places

    assert places == {
        "company.name": f"{tmp_path}/partials/macros.mjml:2:39",
        "fallback": f"{tmp_path}/partials/macros.mjml:2:17",
        "customer.first_name": f"{tmp_path}/hello.mjml:{FIRST_BODY_LINE + 1}:38",
    }


@pytest.mark.parametrize(
    ("macro", "message", "hint"),
    [
        ("{% macro m() %}<mj-text>{{ a | ¦nofilter }}</mj-text>{% endmacro %}", "unknown filter 'nofilter'", ""),
        ("¦{% macro m() %}<mj-text>", "{% macro m() %} is never closed", "write {% endmacro %}"),
        ("{% macro m() %}¦<mj-section>{% endmacro %}", "macro 'm' leaves <mj-section> open", "itself"),
        ("{% macro m() %}<br>¦</mj-section>{% endmacro %}", "</mj-section> closes what macro 'm'", "itself"),
        ("¦{% macro m() %}{{ caller() }}{% endmacro %}", "'caller' in a macro", "parameters"),
        ("{% macro m() %}{% endmacro %}¦{% macro m() %}{% endmacro %}", "a second macro 'm'", "rename"),
        ("{% if x %}¦{% macro m() %}{% endmacro %}{% endif %}", "a macro inside {% if x %}", "outside"),
        ("{% macro m(a) %}{% endmacro %}" + column("¦{{ m() }}"), "macro 'm' needs 'a'", "pass it"),
        ("{% macro m() %}{% endmacro %}" + column("¦{{ m(1) }}"), "too many arguments", "it takes none"),
        ("{% macro m(a) %}{% endmacro %}" + column("¦{{ m(1, 2) }}"), "too many arguments", "it takes a"),
        ("{% macro m(name) %}{% endmacro %}" + column("¦{{ m(nam=1) }}"), "no parameter 'nam'", "did you mean 'name'"),
        ("{% macro m(a) %}{% endmacro %}" + column("¦{{ m(1, a=2) }}"), "'a' twice", "remove"),
        ("{% macro m(a) %}{% endmacro %}" + column("{{ m(¦*x) }}"), "`*` in a call", "write the arguments out"),
        ("{% macro m() %}{% endmacro %}" + text("{{ ¦m() | upper }}"), "inside an expression", "{% set text %}"),
        ("{% macro m() %}{% endmacro %}" + text("{% if ¦m() %}{% endif %}"), "inside an expression", "{{ m(…) }}"),
        ("{% macro m() %}{% endmacro %}" + text("¦{% call m() %}{% endcall %}"), "{% call %}", "arguments"),
        ("{% macro m() %}<b>¦{{ m() }}</b>{% endmacro %}" + text("{{ m() }}"), "calls itself", "{% for %}"),
        (
            "{% macro m() %}{{ x }}{% endmacro %}{% for x in y %}" + text("¦{{ m() }}") + "{% endfor %}",
            "reads 'x', which is another 'x' here",
            "parameter",
        ),
        (
            "{% macro m() %}{{ x }}{% endmacro %}{% macro n(x) %}¦{{ m() }}{% endmacro %}" + text("{{ n(1) }}"),
            "reads 'x', which is another 'x' here",
            "parameter",
        ),
        ("{% macro m() %}x{% endmacro %}" + "<mj-section>¦{{ m() }}</mj-section>", "text directly in", "<mj-text>"),
        ("{% macro m() %}<p style='color: ¦{{ x }}'></p>{% endmacro %}" + text("{{ m() }}"), "'style'", "two tags"),
    ],
)
def test_a_mistake_in_a_macro_or_a_call_is_located(tmp_path: Path, macro: str, message: str, hint: str) -> None:
    before = macro[: macro.index("¦")]
    include = partial(tmp_path, "\n" + macro.replace("¦", ""))

    with pytest.raises(TemplateError) as caught:
        compile_email(tmp_path, write(tmp_path, include))

    assert caught.value.where == f"{tmp_path}/partials/macros.mjml:2:{len(before) + 1}"
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_macro_has_its_own_loops_and_not_the_one_around_its_call(tmp_path: Path) -> None:
    own = "{% macro m(items) %}{% for i in items %}{{ loop.index }}{% endfor %}{% endmacro %}"
    body = own + text("{% for x in [1, 2] %}{{ m([1, 2, 3]) }} {% endfor %}")
    assert Renderer(tmp_path).render(write(tmp_path, body), {}).text.split() == ["123", "123"]

    around = "{% macro m() %}{{ loop.index }}{% endmacro %}" + text("{% for x in [1, 2] %}{{ m() }}{% endfor %}")
    with pytest.raises(TemplateError, match="reads 'loop', which is another 'loop' here"):
        compile_email(tmp_path, write(tmp_path, around))
