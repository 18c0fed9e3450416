"""What lint says of missing words is what happens to the people who lack them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from lifecycle.lint.expressions import Word
from lifecycle.lint.fallback import lacking
from lifecycle.mail.environment import html_environment
from lifecycle.mail.syntax import parse

ENVIRONMENT = html_environment()
OPTIONAL = ("a", "b")


def found(source: str) -> list[tuple[str, int]]:
    """(name, offset) of each use without a fallback; "" is an inline if without else."""
    tree = parse(source, ENVIRONMENT, str)
    return [(lack.word[1] if lack.word else "", lack.at) for lack in lacking(tree, ENVIRONMENT, _optional)]


def _optional(word: Word) -> bool:
    return word[0] == "c" and word[1] in OPTIONAL


SAFE = [
    "{{ c.sure }} {{ event.a }}",
    '{{ c.a | default("x") }} {{ c["a"] | d }} {{ c.a.b.x | default(1) }}',
    "{{ c.a | default(c.b) | default(1) }}",
    "{{ c.a | default('x') | upper ~ '!' }}",
    "{% if c.a is defined %}{{ c.a }}{% endif %}",
    "{% if c.a is not defined %}x{% else %}{{ c.a }}{% endif %}",
    "{% if c.a is undefined or c.b is undefined %}x{% elif c.a > c.b %}{{ c.b }}{% endif %}",
    "{% if c.a is defined and c.a %}{{ c.a | upper }}{% endif %}",
    "{% if c.a | default('', true) %}{{ c.a.x.y }}{% endif %}",
    "{% if c.a | default('') | trim | length > 2 %}{{ c.a }}{% endif %}",
    "{% if not c.a | default(false) %}x{% else %}{{ c.a }}{% endif %}",
    "{% if (c.a | default(0)) >= 10 %}{{ c.a }}{% endif %}",
    "{% if c.a | default('x') == 'x' %}{% else %}{{ c.a }}{% endif %}",
    "{% if c.a is string %}{{ c.a }}{% endif %} {{ c.a is none }}",
    "{{ c.a ~ ', a' if c.a | default('', true) else 'A' }}",
    "{{ (c.a if c.a is defined) | default('x') }}",
    "{% set name = c.a | default('') %}{% if name %}{{ c.a }}{% endif %}{{ name }}",
    "{% set name = c.a %}{{ name | default('x') }}{% if name is defined %}{{ name }} {{ c.a }}{% endif %}",
    "{% with name = c.a, other = 1 %}{{ name | default('x') }}{{ other }}{% endwith %}",
    "{% if c.a is defined %}{% set n = c.a %}{% else %}{% set n = 'x' %}{% endif %}{{ n }}",
    "{% for x in c.a | default([]) %}{{ x.name }} {{ loop.index }}{% endfor %}",
    "{% for c in event.all %}{{ c.a }}{% endfor %}",
    "{% for x in event.all if c.a is defined %}{{ c.a }}{% endfor %}",
    "{% if c.a is defined %}{% for x in [1] %}{% if x %}{{ c.a }}{% endif %}{% endfor %}{% endif %}",
    "{% set block %}{{ c.a | default('x') }}{% endset %}{{ block }}",
    "{% filter upper %}{{ c.a | default('x') }}{% endfilter %}",
]
# ¦ stands before each use that is told of.
LACKING = [
    "{{ ¦c.a }}",
    "{{ ¦c['a'] }}\n{{ ¦c.a.x }}",
    "{{ c.a | default('x') }} {{ ¦c.a }}",
    "{{ ¦c.a | upper | default('x') }}",
    "{{ ¦c.a.upper() | default('x') }}",
    "{{ c.a | default(¦c.b) }}",
    "{{ 'x' | default(¦c.b, ¦c.a) }}",
    "{% if ¦c.a %}{{ c.a }}{% endif %}",
    "{% if c.a is none %}x{% else %}{{ ¦c.a }}{% endif %}",
    "{% if c.a is defined or c.b is defined %}{{ ¦c.a }}{% endif %}",
    "{% if c.a is defined %}{% endif %}{{ ¦c.a }}",
    "{% if c.a | default('x') %}{{ ¦c.a }}{% endif %}",
    "{% if c.a | default('') == now %}{{ ¦c.a }}{% endif %}",
    "{{ ¦c.b if c.a is defined else ¦c.a }}",
    "{{ ¦'x' if c.a is defined }}",
    "{% set n = ¦c.a %}\n{{ c.a | d }}{{ n }}",
    "{% if c.b is defined %}{% set n = ¦c.a %}{% else %}{% set n = 1 %}{% endif %}{{ n }}",
    "{% for x in ¦c.a %}{{ x }}{% endfor %}",
    "{% for x in [1] if ¦c.a %}{{ ¦c.b }}{% endfor %}",
    "{% set n %}{{ ¦c.a }}{% endset %}",
    "{% with n = ¦c.a %}{{ n }}{% endwith %}",
    "{% filter replace('x', ¦c.a) %}{{ ¦c.b }}{% endfilter %}",
    "{% macro m(x=c.a) %}{{ ¦c.b }}{% endmacro %}",
    "{{ event[¦c.a] }} {{ [¦c.b] }}",
    "{{ ¦c.a > 1 }} {{ ¦c.b in [1] }}",
]


@pytest.mark.parametrize("source", SAFE)
def test_what_has_a_fallback_or_a_guard_is_let_be(source: str) -> None:
    assert found(source) == []


@pytest.mark.parametrize("marked", LACKING)
def test_what_has_none_is_told_with_its_place(marked: str) -> None:
    pieces = marked.split("¦")
    told = [sum(map(len, pieces[:number])) for number in range(1, len(pieces))]

    assert [at for _, at in found("".join(pieces))] == told


# The law: no message fails for want of a word where lint is silent.

CONSTANTS = st.sampled_from(["''", "'x'", "0", "3", "false", "true", "none"])
VALUES = ("lacking", None, "", "x")


def expressions(words: list[str], joints: list[str]) -> st.SearchStrategy[str]:
    """Expressions over words that fail for no other reason than that one is missing."""
    named = st.sampled_from(words)

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("({} | default({}))".format, inner, CONSTANTS | inner),
            st.builds("({} | default({}, true))".format, inner, CONSTANTS),
            st.builds("({} is {})".format, named, st.sampled_from(["defined", "undefined", "none", "string", "true"])),
            st.builds("(not {})".format, inner),
            st.builds("({} {} {})".format, inner, st.sampled_from(joints), inner),
            st.builds("({} if {} else {})".format, inner, inner, inner),
            st.builds("({} | {})".format, inner, st.sampled_from(["string", "trim", "upper"])),
        )

    return st.recursive(named | CONSTANTS, deeper, max_leaves=5)


EXPRESSIONS = expressions(["c.a", "c.b"], ["and", "or", "==", "!=", "~"])


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    ways = "{{% if {} %}}{}{{% elif {} %}}{}{{% else %}}{}{{% endif %}}"
    return st.one_of(
        st.builds(ways.format, EXPRESSIONS, inner, EXPRESSIONS, inner, inner),
        st.builds("{{% if {} %}}{}{{% endif %}}".format, EXPRESSIONS, inner),
        st.builds("{{% set n = {} %}}{}{{{{ n | default(1) }}}}".format, EXPRESSIONS, inner),
        st.builds("{{% set n = {} %}}{{% if n | default(0) %}}{}{{% endif %}}".format, EXPRESSIONS, inner),
        st.builds("{{% set n = {} %}}{{% if n is defined %}}{}{{% endif %}}".format, EXPRESSIONS, inner),
        st.builds("{{% set n = {} %}}{{{{ n }}}}{}".format, EXPRESSIONS, inner),
        st.builds("{{% for a in [1] if {} %}}{}{{% endfor %}}".format, EXPRESSIONS, inner),
        st.builds("{}{}".format, inner, inner),
    )


TEMPLATES = st.recursive(st.builds("{{{{ {} }}}}".format, EXPRESSIONS), _nested, max_leaves=4)


def failing(source: str) -> list[dict[str, object]]:
    """Those of all customers that there may be for whom the template fails."""
    template = ENVIRONMENT.from_string(source)
    fail = []
    for values in product(VALUES, repeat=len(OPTIONAL)):
        customer = {name: value for name, value in zip(OPTIONAL, values, strict=True) if value != "lacking"}
        try:
            template.render(c=customer)
        except UndefinedError:
            fail.append(dict[str, object](customer))
    return fail


@given(TEMPLATES)
def test_where_lint_is_silent_nobody_fails_for_want_of_a_word(source: str) -> None:
    if not found(source):
        assert failing(source) == []


@given(expressions(["c.a"], ["==", "!=", "~"]))
def test_a_guard_of_one_word_is_understood_to_the_letter(guard: str) -> None:
    if "c.a" in guard and not found(f"{{% if {guard} %}}{{% endif %}}"):
        source = f"{{% if {guard} %}}{{{{ c.a }}}}{{% endif %}}"
        assert bool(found(source)) == bool(failing(source))
