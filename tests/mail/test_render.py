"""One email for one customer: hostile data, missing data, and the cache."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import RenderError, TemplateError
from lifecycle.mail import editions
from lifecycle.mail.render import Rendered, Renderer
from tests.mail.sources import column, text, write

BODY = text(
    '<p title="{{ customer.first_name }}">Hello {{ customer.first_name }}</p>'
    "<a href=\"{{ customer.website }}\">site</a> <a href='{{ customer.website }}'>again</a>"
) + column('<mj-button href="{{ customer.website }}">Go</mj-button><mj-image src="{{ customer.website }}" alt="" />')


@pytest.fixture(name="hello")
def _hello(tmp_path: Path) -> Renderer:
    write(tmp_path, BODY, title="For {{ customer.first_name }}", preview="Hi {{ customer.first_name }}")
    return Renderer(tmp_path)


def render(renderer: Renderer, first_name: object, website: object = "https://x.example") -> Rendered:
    return renderer.render("hello", {"customer": {"first_name": first_name, "website": website}})


@pytest.mark.parametrize(
    "name",
    [
        "{{ 7*7 }}",
        "{% for x in y %}",
        "<script>alert(1)</script>",
        "\" onload='alert(1)",
        "مرحبا بالعالم",
        "👩‍👩‍👧‍👦 🇮🇩",
        "x" * 10_000,
        "&amp; &#60;b&#62;",
        "jqx0z jqx1z",
        "O'Brien & Sons",
    ],
)
def test_data_is_printed_as_it_is_and_never_understood(hello: Renderer, name: str) -> None:
    rendered = render(hello, name)

    assert f'<p title="{html.escape(name).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")}">' in rendered.html
    assert f"Hello {name}" in " ".join(rendered.text.split())
    assert rendered.subject == f"For {name}"
    assert rendered.preheader == f"Hi {name}"
    assert "49" not in rendered.subject
    assert "<script" not in rendered.html


@pytest.fixture(name="shared", scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """Return the renderer of `hello`, made once for many examples."""
    folder = tmp_path_factory.mktemp("emails")
    write(folder, BODY, title="For {{ customer.first_name }}", preview="Hi {{ customer.first_name }}")
    return Renderer(folder)


@given(name=st.text())
def test_a_subject_is_one_line_of_printable_text_whatever_the_name(shared: Renderer, name: str) -> None:
    subject = render(shared, name).subject

    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]", subject)
    assert subject.startswith("For")
    subject.encode()


@given(name=st.text())
def test_no_part_holds_a_character_that_no_mail_may_hold(shared: Renderer, name: str) -> None:
    rendered = render(shared, name)

    for part in (rendered.html, rendered.text):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", part)


def test_a_missing_variable_is_named_with_its_template_and_place(hello: Renderer, tmp_path: Path) -> None:
    with pytest.raises(RenderError) as caught:
        hello.render("hello", {"customer": {"website": "x"}})

    assert caught.value.template == "hello"
    assert "customer.first_name is missing" in caught.value.message
    assert f"{tmp_path / 'hello.mjml'}:3" in caught.value.message
    assert 'customer.first_name | default("…")' in caught.value.message


def test_a_missing_root_is_named(hello: Renderer) -> None:
    with pytest.raises(RenderError, match=r"customer\.\w+ is missing"):
        hello.render("hello", {})


def test_a_value_of_none_is_missing_in_print_and_false_in_conditions(hello: Renderer, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"customer\.first_name is missing"):
        render(hello, None)

    body = '{% if customer.first_name %}A{% else %}B{% endif %}{{ customer.first_name | default("you") }}'
    write(tmp_path, text(f"{body} {{{{ customer.first_name is none }}}} {{{{ customer.last_name | default('-') }}}}"))
    rendered = Renderer(tmp_path).render("hello", {"customer": {"first_name": None}})
    assert "Byou True -" in rendered.html


def test_a_default_serves_a_customer_who_lacks_the_branch_above(tmp_path: Path) -> None:
    write(tmp_path, text('[{{ customer.address.city | default("home") }}]'))
    renderer = Renderer(tmp_path)

    customers: list[dict[str, object]] = [{}, {"address": None}, {"address": {}}]
    for customer in customers:
        assert "[home]" in renderer.render("hello", {"customer": customer}).html
    with pytest.raises(RenderError, match=r"customer\.address\.city is missing"):
        renderer.render("hello", {})


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "update"])
def test_a_property_named_like_a_method_of_dict_is_the_property(tmp_path: Path, name: str) -> None:
    write(tmp_path, text(f"[{{{{ event.{name} }}}}]"))

    assert "[7]" in Renderer(tmp_path).render("hello", {"event": {name: 7}}).html
    with pytest.raises(RenderError, match=rf"event\.{name} is missing"):
        Renderer(tmp_path).render("hello", {"event": {}})


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("{{ 1 / zero }}", "ZeroDivisionError"),
        ("{{ word | money }}", "money expects a number"),
        ("{{ 'NaN' | money }}", "money expects a number, not 'NaN'"),
        ("{{ word | date }}", "date expects a date like 1997-03-20"),
        ("{{ word.__class__.__mro__ }}", "__class__|unsafe|missing"),
        ("{{ items.append(1) }}", "SecurityError|not safely callable"),
        ("{{ range(10 ** 9) | list }}", "OverflowError|range"),
        ("{{ nested | string }}", "nested too deeply"),
        ("{{ nested }}", "a list is printed where text is expected"),
        ("{{ word + zero }}", "TypeError"),
        ("{{ 'x' * 1_000_001 }}", "a text of 1,000,001 characters"),
        ("{{ 'x' * 500_001 }}{{ 'x' * 500_000 }}", "larger than 1,000,000 bytes"),
        ("{{ 'é' * 500_001 }}", "larger than 1,000,000 bytes"),
    ],
)
def test_whatever_fails_while_rendering_is_a_render_error(tmp_path: Path, expression: str, reason: str) -> None:
    write(tmp_path, text(expression))
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]

    with pytest.raises(RenderError, match=reason) as caught:
        Renderer(tmp_path).render("hello", {"zero": 0, "word": "kopi", "items": [], "nested": nested})
    assert caught.value.template == "hello"
    while nested:  # taken apart by hand: the interpreter would recurse as deeply to free it
        nested = nested.pop()  # type: ignore[assignment]


class Counted(dict[str, object]):
    """Data that count how often they are looked at."""

    looks = 0

    def get(self, key: str, default: object = None) -> object:
        self.looks += 1
        return super().get(key, default)


def test_a_template_that_goes_on_and_on_is_stopped_soon(tmp_path: Path) -> None:
    """Not when it has printed its thirty million characters and somebody counts them."""
    loop = "{% for a in range(1000) %}{% for b in range(1000) %}{{ customer.word }}{% endfor %}{% endfor %}"
    write(tmp_path, text(loop))
    customer = Counted(word="some thirty characters and more")

    with pytest.raises(RenderError, match="larger than 1,000,000 bytes"):
        Renderer(tmp_path).render("hello", {"customer": customer})
    assert customer.looks < 100_000


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("{{ 29.325 | money }}", "$29.33"),
        ("{{ '1234567.5' | money }}", "$1,234,567.50"),
        ("{{ -5 | money('EUR') }}", "-€5.00"),
        ("{{ 125000 | money('IDR') }}", "IDR 125,000"),
        ("{{ 3 | money('CHF') }}", "CHF 3.00"),
        ("{{ '1997-03-20' | date }}", "March 20, 1997"),
        ("{{ '1997-03-20T09:00:00Z' | date('%d.%m.%y') }}", "20.03.97"),
        ("{{ '  ' | default('you') }}", "you"),
        ("{{ 0 | default('none', true) }}", "none"),
        ("{{ 0 | default('none') }}", "0"),
        ("{{ 'a b&c' | urlencode }}", "a%20b%26c"),
    ],
)
def test_the_filters_print_for_people(tmp_path: Path, expression: str, printed: str) -> None:
    write(tmp_path, text(f"[{expression}]"))

    assert f"[{printed}]" in Renderer(tmp_path).render("hello", {}).html


def test_names_lists_emails_and_no_partials(tmp_path: Path) -> None:
    for path in ("b/two.mjml", "a.mjml", "partials/head.mjml", "b/partials/x.mjml", "b/two.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")

    assert Renderer(tmp_path).names() == ["a", "b/two"]


def _refuse(*_: object) -> None:
    raise AssertionError("compiled again")


def test_what_was_compiled_once_is_taken_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, BODY)
    first = Renderer(tmp_path, tmp_path / "cache").compiled("hello")

    monkeypatch.setattr(editions, "compile_editions", _refuse)

    assert Renderer(tmp_path, tmp_path / "cache").compiled("hello") == first


@pytest.mark.parametrize("change", ["source", "partial", "text"])
def test_a_change_of_any_source_passes_the_cache_by(tmp_path: Path, change: str) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials/foot.mjml").write_text(text("Old foot"))
    (tmp_path / "hello.txt").write_text("Old text\n")
    write(tmp_path, text("Old body") + '<mj-include path="partials/foot" />')
    Renderer(tmp_path, tmp_path / "cache").compiled("hello")

    path = {"source": "hello.mjml", "partial": "partials/foot.mjml", "text": "hello.txt"}[change]
    (tmp_path / path).write_text((tmp_path / path).read_text().replace("Old", "New"))

    email = Renderer(tmp_path, tmp_path / "cache").compiled("hello")
    assert "New" in email.html + email.text


def test_a_file_that_is_saved_while_it_is_compiled_is_not_kept_as_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a compiler during whose work the author saves
    name = write(tmp_path, text("Old"))
    compile_editions = editions.compile_editions

    def slow(*arguments: object) -> object:
        write(tmp_path, text("New"))
        return compile_editions(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(editions, "compile_editions", slow)
    Renderer(tmp_path, tmp_path / "cache").compiled(name)

    # When: the author takes it back
    monkeypatch.undo()
    write(tmp_path, text("Old"))

    # Then: so does the email
    assert "Old" in Renderer(tmp_path, tmp_path / "cache").compiled(name).html


def test_a_broken_email_is_compiled_once_and_refused_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = Renderer(tmp_path)
    name = write(tmp_path, text("{% if %}"))
    with pytest.raises(TemplateError) as first:
        renderer.render(name, {})

    monkeypatch.setattr(editions, "compile_editions", _refuse)

    with pytest.raises(TemplateError, match=re.escape(str(first.value))):
        renderer.render(name, {})


@pytest.mark.parametrize("damage", [b"", b"{}", b"\x00\xff" * 100, None])
def test_a_damaged_cache_file_is_ignored_and_replaced(tmp_path: Path, damage: bytes | None) -> None:
    write(tmp_path, BODY)
    first = Renderer(tmp_path, tmp_path / "cache").compiled("hello")
    [path] = (tmp_path / "cache").iterdir()
    good = path.read_bytes()
    path.write_bytes(good[:-10] if damage is None else damage)

    assert Renderer(tmp_path, tmp_path / "cache").compiled("hello") == first
    assert path.read_bytes() == good


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    write(tmp_path, BODY)
    (tmp_path / "cache").write_text("a file where the folder should be")

    assert Renderer(tmp_path, tmp_path / "cache").compiled("hello").subject == "A subject"


def test_rendering_from_the_cache_loads_no_compiler(tmp_path: Path) -> None:
    write(tmp_path, text("Hello"))
    Renderer(tmp_path, tmp_path / "cache").compiled("hello")
    program = f"""
import sys
from pathlib import Path
from lifecycle.mail.render import Renderer
print(Renderer(Path({str(tmp_path)!r}), Path({str(tmp_path / "cache")!r})).render("hello", {{}}).subject)
print([name for name in ("mjml", "premailer", "lxml", "bs4", "cssutils") if name in sys.modules])
"""

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert output.splitlines() == ["A subject", "[]"]
