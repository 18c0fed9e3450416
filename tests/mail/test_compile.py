"""What comes out of an email's source, and what its author is told about mistakes."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from lifecycle.errors import TemplateError
from lifecycle.mail.compile import compile_email
from lifecycle.mail.source import email_names
from tests.mail.sources import FIRST_BODY_LINE, column, text, write


def test_subject_and_preheader_come_from_title_and_preview(tmp_path: Path) -> None:
    title = 'Tea &amp; "cake" for {{ customer.first_name | default("you") }}'
    name = write(tmp_path, text("Hi"), title=title, preview="Only\n  today &#8211; {{ n }}")

    email = compile_email(tmp_path, name)

    assert email.subject == 'Tea & "cake" for {{ customer.first_name | default("you") }}'
    assert email.preheader == "Only today – {{ n }}"
    assert '<title>\nTea &amp; "cake" for {{' in email.html
    assert re.search(r"""aria-label='Tea &amp; "cake" for {{ [^']*'""", email.html)


def test_the_variables_are_those_that_any_part_reads(tmp_path: Path) -> None:
    name = write(
        tmp_path,
        "{% set total = event.total %}"
        + text(
            "{% for item in event.items if item.price > limits.low %}{{ item.name }} {{ loop.index }}{% endfor %}"
            '{{ customer["last_name"].upper() }} {{ total }} {{ event.lines[0].sku }} {{ prices[event.sku] }}'
            '<a href="{{ links.unsubscribe }}">x</a>{% with a = b.c %}{{ a }}{% endwith %}{{ range(3) | length }}'
        ),
        title="Hi {{ customer.first_name | default(fallback) }}",
        preview="{% if vip %}Now{% endif %}",
    )

    email = compile_email(tmp_path, name)

    assert email.variables == {
        "event.total",
        "event.items",
        "limits.low",
        "customer.last_name",
        "event.lines",
        "event.sku",
        "prices",
        "links.unsubscribe",
        "b.c",
        "customer.first_name",
        "fallback",
        "vip",
    }
    assert email.places["customer.first_name"] == f"{tmp_path / 'hello.mjml'}:3:17"
    assert email.places["event.total"] == f"{tmp_path / 'hello.mjml'}:{FIRST_BODY_LINE}:16"


def test_a_name_bound_in_a_loop_is_data_outside_of_it(tmp_path: Path) -> None:
    name = write(tmp_path, text("{% for order in orders %}{{ order.id }}{% endfor %}{{ order.total }}"))

    assert compile_email(tmp_path, name).variables == {"orders", "order.total"}


def test_the_version_follows_the_content(tmp_path: Path) -> None:
    first = compile_email(tmp_path, write(tmp_path, text("One")))
    again = compile_email(tmp_path, write(tmp_path, text("One")))
    other = compile_email(tmp_path, write(tmp_path, text("Two")))

    assert first.version == again.version
    assert first.version != other.version


def test_partials_are_included_from_the_templates_folder_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials/outer.mjml").write_text('<mj-include path="partials/inner.mjml" />')
    (tmp_path / "partials/inner.mjml").write_text(text("Inside {{ company.name }}"))
    name = write(tmp_path, '<mj-include path="partials/outer" /><mj-include path="partials/inner.mjml"></mj-include>')

    email = compile_email(tmp_path, name)

    assert email.html.count("Inside {{ company.name }}") == 2
    assert email.places["company.name"] == f"{tmp_path / 'partials/inner.mjml'}:1:43"


def test_comments_of_the_author_are_not_mailed(tmp_path: Path) -> None:
    body = text("Hi {# note to self: {{ x }} #}there") + '<!-- {{ old }} <mj-include path="gone" /> -->'
    name = write(tmp_path, body + "<mj-raw><!--[if mso]><p>Outlook</p><![endif]--></mj-raw>")

    email = compile_email(tmp_path, name)

    assert "Hi there" in email.html
    assert "<!--[if mso]><p>Outlook</p><![endif]-->" in email.html
    assert not email.variables


def test_styles_are_inlined_and_kept_for_narrow_screens(tmp_path: Path) -> None:
    head = """<mj-style>.red td { color: #ff0000 } .red > p { margin: 0 }
    @media (max-width: 480px) { .red { width: 100% !important } } .dot::before { content: "→" }</mj-style>
    <mj-style inline="inline">.red .blue { color: #0000ff }</mj-style>"""
    body = column('<mj-table css-class="red"><tr><td class="blue">x</td></tr></mj-table>')

    html = compile_email(tmp_path, write(tmp_path, body, head=head)).html

    assert re.search(r'<td class="blue" style="color:#00f"', html)
    assert "width: 100% !important" in html
    assert ".red > p" in html
    assert r'content: "\002192 "' in html
    assert html.startswith("<!DOCTYPE html>")


def test_compiling_never_reaches_for_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the compiler went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    head = '<mj-font name="Lato" href="https://fonts.example/l1" />'
    head += '<mj-font name="Lato" href="https://fonts.example/l2" />'
    head += '<mj-font name="Unused" href="https://fonts.example/unused" />'
    body = column('<mj-text font-family="Lato, Ubuntu">x</mj-text>')

    html = compile_email(tmp_path, write(tmp_path, body, head=head)).html

    assert '<link href="https://fonts.example/l2" rel="stylesheet" type="text/css">' in html
    assert html.count("<link") == 1
    assert "googleapis" not in html
    assert "@import" not in html


def test_quotes_and_ampersands_in_attributes_stay_inside_them(tmp_path: Path) -> None:
    body = column(
        """<mj-image src="https://x.example/a.png?a=1&amp;b=2&c=3" alt="Say &quot;hi&quot; &lt;3" />"""
        """<mj-text font-family='"Helvetica Neue", Arial'>x</mj-text>"""
    )

    html = compile_email(tmp_path, write(tmp_path, body)).html

    assert 'src="https://x.example/a.png?a=1&amp;b=2&amp;c=3"' in html
    assert (
        "alt='Say \"hi\" &lt;3'" in html
        or 'alt="Say &quot;hi&quot; &lt;3"' in html
        or 'alt="Say &quot;hi&quot; <3"' in html
    )
    assert re.search(r"""font-family:(&quot;|")Helvetica Neue(&quot;|"), Arial""", html)


def test_text_that_looks_like_jinja_after_mjml_is_printed_as_it_is(tmp_path: Path) -> None:
    name = write(tmp_path, text("&#123;&#123; 7*7 }} {% raw %}{{ 8*8 }}{% endraw %}"), title="&#123;% x %}")
    from lifecycle.mail.render import Renderer

    rendered = Renderer(tmp_path).render(name, {})

    assert "{{ 7*7 }} {{ 8*8 }}" in rendered.html
    assert "{{ 7*7 }} {{ 8*8 }}" in rendered.text
    assert rendered.subject == "{% x %}"


def mistake(folder: Path, body: str) -> TemplateError:
    """Compile a body with a mistake where the `¦` stands, and return what is said of it, which names that place."""
    before = body[: body.index("¦")]
    with pytest.raises(TemplateError) as caught:
        compile_email(folder, write(folder, body.replace("¦", "")))
    line, column = FIRST_BODY_LINE + before.count("\n"), len(before) - before.rfind("\n")
    assert caught.value.where == f"{folder / 'hello.mjml'}:{line}:{column}"
    return caught.value


SECTION = "<mj-section><mj-column>"
END = "</mj-column></mj-section>"
COLUMN = "<mj-column></mj-column>"


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        (text("a") + "\n ¦<mj-sektion></mj-sektion>", "unknown tag <mj-sektion>", "did you mean <mj-section>"),
        (f"{SECTION}\n<mj-text ¦colour='red'>x</mj-text>{END}", "no attribute 'colour'", "did you mean 'color'"),
        (f"{SECTION}<mj-text ¦padding='10px wide'>x</mj-text>{END}", "padding='10px wide' of <mj-text>", "120px"),
        (column('<mj-image src="https://x.example/a" ¦width="half" />'), "width='half' of <mj-image>", "120px"),
        ("</mj-body>¦<mj-raw position='file-start'>x</mj-raw><mj-body>", "directly in <mjml>", "<mj-body>"),
        (column("<mj-navbar>¦{% if x %}{% endif %}</mj-navbar>"), "directly in <mj-navbar>", "the whole <mj-navbar>"),
        (text("\nHi ¦{{ name"), "{{ is never closed", "write }}"),
        (text("\nHi ¦{% if name"), "{% is never closed", "write %}"),
        (text("Hi {{ name ¦name }}"), "Jinja: expected token 'end of print statement'", "mend"),
        (text("\n{{ a }} {{ name ¦! }}"), "Jinja: unexpected char '!'", "mend"),
        (text("{{ (name¦} }}"), "Jinja: unexpected '}', expected ')'", "mend"),
        (text("{% if x %}{% ¦endfor %}"), "Jinja: Encountered unknown tag 'endfor'", "mend"),
        (text("\n\n{{ name | ¦mony }}"), "unknown filter 'mony'", "did you mean 'money'"),
        (text("{{ name | ¦safe }}"), "unknown filter 'safe'", ""),
        (text("{{ url | ¦_link(7) }}"), "unknown filter '_link'", "known are abs"),
        (text("{% if name is ¦evn %}{% endif %}"), "unknown test 'evn'", "even"),
        (text("\n¦{% if a %}{% for b in c %}\n{% endfor %}"), "{% if a %} is never closed", "write {% endif %}"),
        (f"<mj-section>\n¦{{% for x in y %}}{COLUMN}{{% endfor %}}</mj-section>", "around mj-column", "the column"),
        (f"<mj-section>\n¦{{% if x %}}{COLUMN}{{% endif %}}</mj-section>", "around mj-column", "whole sections"),
        (f"{{% if x %}}\n<mj-section>¦{{% endif %}}{COLUMN}</mj-section>", "stands in <mj-section>", "same tag"),
        (text("<b>{% if x %}</b>\n¦{% endif %}"), "{% endif %} stands in <mj-text>", "same tag"),
        (f"{SECTION}\n  ¦<b>Hello</b>{END}", "<b> directly in <mj-column>, which takes blocks", "<mj-text>"),
        ("{% set x %}¦<b>Hello</b>{% endset %}", "<b> directly in <mj-body>", "<mj-raw>"),
        (f"{SECTION}\n  ¦Hello{END}", "text directly in <mj-column>", "<mj-text>"),
        (f"{SECTION}\n¦{{{{ name }}}}{END}", "directly in <mj-column>", "<mj-text>"),
        (text('\n<a href=¦{{ url }}>x</a>'), "outside a quoted attribute", "quotes"),
        (text('<a title=a"href="¦{{ url }}">x</a>'), "outside a quoted attribute", "quotes"),
        (text('<p\n¦{% if x %}class="a"{% endif %}>x</p>'), "outside a quoted attribute", "quotes"),
        (text('<a href="¦{% if x %}a">x</a><a href="{% endif %}">y</a>'), "not closed inside", "before the quote"),
        (f'{SECTION}\n<mj-text color="¦{{{{ colour }}}}">x</mj-text>{END}', "'color' of <mj-text>", "two blocks"),
        (column('<mj-image src="https://x.example" width="¦{{ n }}px" />'), "'width' of <mj-image>", "two blocks"),
        (column('<mj-social><mj-social-element name="¦{{ n }}" /></mj-social>'), "'name' of <mj-social-", "two blocks"),
        (text('<p style="color: ¦{{ colour }}">x</p>'), "'style'", "two tags"),
        (text('<p onclick="¦{{ code }}">x</p>'), "'onclick'", ""),
        ('<mj-raw>\n<style>p { color: ¦{{ c }} }</style></mj-raw>', "in a style", "css-class"),
        ('<mj-raw>\n¦<link rel="stylesheet" href="https://x.example"></mj-raw>', "external stylesheet", "<mj-style>"),
        ("<mj-raw>¦<script>alert(1)</script></mj-raw>", "script", "remove"),
        (text("¦{% include 'x.html' %}"), "include", "mj-include"),
        (text("¦{% from 'x.html' import m %}"), "from", "partial"),
        (text("¦{% block a %}{% endblock %}"), "block", "mj-include"),
        (text("¦{% autoescape false %}{{ x }}{% endautoescape %}"), "autoescape", "always escaped"),
        ("\n<mj-section><mj-text>¦</mj-section>", "</mj-section> while <mj-text> is open", "close <mj-text>"),
        ("<mj-raw><!--[if mso]><v:rect fill=¦{{ x }}><![endif]--></mj-raw>", "outside a quoted attribute", "quotes"),
        ('<mj-raw><!--[if mso]><p style="¦{{ x }}"><![endif]--></mj-raw>', "'style'", "two tags"),
        ("<mj-raw><!--[if mso]><style>p { color: ¦{{ x }} }</style><![endif]--></mj-raw>", "in a style", ""),
        ("<mj-raw><!--[if mso]><SCRIPT>¦{{ x }}<![endif]--></mj-raw>", "in a script", ""),
        ('<mj-raw>¦<iframe srcdoc="{{ x }}"></iframe></mj-raw>', "a page in the page", "link"),
        ('<mj-raw>¦<base href="{{ x }}"></mj-raw>', "<base>", "remove"),
        ("<mj-raw>{% if x %}<!--[if mso]>¦{% endif %}<![endif]--></mj-raw>", "closes what began", ""),
        ("{% set x %}" + text("a\n¦{% endset %}"), "{% endset %} stands in <mj-text>", "same tag"),
        ("\n¦</mj-wrapper>", "while <mj-body> is open|closes nothing", ""),
        ('\n ¦<mj-include path="../secret.mjml" />', "leaves the templates folder", "without '..'"),
        ('\n¦<mj-include path="/etc/passwd" />', "leaves the templates folder", ""),
        ('\n¦<mj-include path="partials/header.mjml" />', "finds no file", ""),
        ('\n¦<mj-include path="hello" />', "in a circle: hello.mjml → hello.mjml", "remove"),
        ("\n¦<mj-include />", "without a path", "path="),
    ],
)  # fmt: skip
def test_a_mistake_is_located_and_comes_with_its_remedy(tmp_path: Path, body: str, message: str, hint: str) -> None:
    caught = mistake(tmp_path, body)

    assert re.search(re.sub(r"([{}()])", r"\\\1", message), caught.message)
    assert hint in caught.hint


@pytest.mark.parametrize(
    ("head", "title", "preview", "message"),
    [
        ("", "", "A line", "no subject"),
        ("", "A subject", " ", "no preheader"),
        ("", "A <b>subject</b>", "A line", "holds markup"),
        ("<mj-style>.a { color: {{ c }} }</mj-style>", "A", "B", "in a style"),
        ("<mj-style>@import url(https://x.example/a.css);</mj-style>", "A", "B", "@import"),
        ('<mj-font name="X" href="http://x.example" />', "A", "B", "https"),
        ("{% if x %}{% endif %}", "A", "B", "cannot stand directly in <mj-head>"),
        ("{{ x }}", "A", "B", "cannot stand directly in <mj-head>"),
    ],
)
def test_a_mistake_in_the_head_is_told(tmp_path: Path, head: str, title: str, preview: str, message: str) -> None:
    name = write(tmp_path, text("x"), head=head, title=title, preview=preview)

    with pytest.raises(TemplateError, match=message) as caught:
        compile_email(tmp_path, name)
    assert re.fullmatch(r".*hello\.mjml:\d+:\d+", caught.value.where)


def test_a_mistake_in_a_partial_is_located_there(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials/footer.mjml").write_text(text("\n\n{{ x | nofilter }}"))
    name = write(tmp_path, text("a") + '\n<mj-include path="partials/footer.mjml" />')

    with pytest.raises(TemplateError) as caught:
        compile_email(tmp_path, name)
    assert caught.value.where == f"{tmp_path / 'partials/footer.mjml'}:3:8"


def test_a_mistake_after_a_partial_keeps_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials/footer.mjml").write_text("\n".join(["", *[text("x")] * 9, ""]))
    name = write(tmp_path, '<mj-include path="partials/footer.mjml" />\n' + text("{{ x | nofilter }}"))

    with pytest.raises(TemplateError) as caught:
        compile_email(tmp_path, name)
    assert caught.value.where == f"{tmp_path / 'hello.mjml'}:{FIRST_BODY_LINE + 1}:40"


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "emails"
    folder.mkdir()
    (tmp_path / "secret.mjml").write_text("secret")
    (folder / "link.mjml").symlink_to(tmp_path / "secret.mjml")

    with pytest.raises(TemplateError, match="out of the templates folder"):
        compile_email(folder, write(folder, '<mj-include path="link" />'))


@pytest.mark.parametrize("name", ["helo", "../hello", "/hello", "", "hello.mjml"])
def test_an_unknown_email_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, text("x"))

    with pytest.raises(TemplateError, match="there is no email"):
        compile_email(tmp_path, name)


def test_what_editors_and_systems_leave_beside_an_email_is_none(tmp_path: Path) -> None:
    write(tmp_path, text("x"))
    (tmp_path / ".#hello.mjml").symlink_to("somebody@a-machine.1234:5678")
    (tmp_path / "lost.mjml").symlink_to("nowhere")
    (tmp_path / "._hello.mjml").write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "folder.mjml").mkdir()

    assert email_names(tmp_path) == ["hello"]


def test_a_file_with_nothing_in_it_is_refused_at_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "hello.mjml").write_text("<!-- later -->")

    with pytest.raises(TemplateError, match="there is nothing in it") as caught:
        compile_email(tmp_path, "hello")

    assert caught.value.where == f"{tmp_path / 'hello.mjml'}:1:1"


def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "hello.mjml").write_bytes(b"<mjml>\xff</mjml>")

    with pytest.raises(TemplateError, match="not UTF-8"):
        compile_email(tmp_path, "hello")


def test_a_mistake_in_the_text_beside_it_is_located_there(tmp_path: Path) -> None:
    name = write(tmp_path, text("x"))
    (tmp_path / "hello.txt").write_text("Hello\n{{ x | nofilter }}\n")

    with pytest.raises(TemplateError) as caught:
        compile_email(tmp_path, name)
    assert caught.value.where == f"{tmp_path / 'hello.txt'}:2:8"


def test_what_the_author_says_of_a_language_stays(tmp_path: Path) -> None:
    name = write(tmp_path, text('<div lang="fr">Bonjour</div><div lang="{{ customer.locale }}">x</div>'))

    html = compile_email(tmp_path, name).html

    assert '<div lang="fr">' in html
    assert '<div lang="{{ customer.locale }}">' in html
    assert '<html lang="en"' in html


def test_a_preheader_that_reads_what_the_subject_sets_is_refused(tmp_path: Path) -> None:
    title = "{% set name = customer.name %}{{ name }}"
    compile_email(tmp_path, write(tmp_path, text("{{ name }}"), title=title, preview="{{ customer.name }}"))

    with pytest.raises(TemplateError, match="'name' is set in <mj-title> only") as caught:
        compile_email(tmp_path, write(tmp_path, text("x"), title=title, preview="Hi {{ name }}"))
    assert caught.value.where == f"{tmp_path / 'hello.mjml'}:4:16"
