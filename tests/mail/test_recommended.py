"""What `recommended(n)` is in a template."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from jinja2 import Environment
from jinja2.exceptions import SecurityError

from lifecycle.mail.environment import html_environment, text_environment
from lifecycle.mail.recommended import Recommended

THREE = Recommended([{"id": id, "name": f"Mug {id}"} for id in "abc"])


def shown(template: str, recommended: Recommended = THREE) -> str:
    return text_environment().from_string(template).render(recommended=recommended)


def test_a_template_gets_as_many_as_it_asks_for_or_there_are() -> None:
    assert shown("{% for p in recommended(2) %}{{ p.id }}{% endfor %}") == "ab"
    assert shown("{{ recommended(9) | length }}{{ recommended(0) | length }}") == "30"
    assert shown("{% if recommended(1) %}yes{% else %}no{% endif %}", Recommended([])) == "no"
    assert shown("{{ recommended(3)[2].name }}") == "Mug c"


@pytest.mark.parametrize("template", ["{{ recommended('3') }}", "{{ recommended(-1) }}", "{{ recommended(true) }}"])
def test_how_many_is_a_number(template: str) -> None:
    with pytest.raises(TypeError, match=r"say how many, as in recommended\(3\)"):
        shown(template)


@pytest.mark.parametrize(
    "template",
    ["{% for p in recommended %}{{ p.id }}{% endfor %}", "{{ recommended }}", "{{ recommended ~ '!' }}"],
)
@pytest.mark.parametrize("environment", [text_environment(), html_environment()])
def test_whoever_forgets_to_say_how_many_is_told(template: str, environment: Environment) -> None:
    with pytest.raises(TypeError, match=r"say how many products are wanted, as in recommended\(3\)"):
        environment.from_string(template).render(recommended=THREE)


def test_a_template_reaches_nothing_behind_it() -> None:
    with pytest.raises(SecurityError):
        shown("{{ recommended._products }}")


@pytest.mark.parametrize("method", ["now()", "today()", "utcnow()", "fromtimestamp(0)"])
def test_the_moment_of_an_order_tells_no_other_moment(method: str) -> None:
    orders = [{"at": datetime(2026, 3, 4, 12, tzinfo=UTC)}]
    with pytest.raises(SecurityError):
        text_environment().from_string(f"{{{{ orders[0].at.{method} }}}}").render(orders=orders)
    assert text_environment().from_string("{{ orders[0].at.date() }}").render(orders=orders) == "2026-03-04"
