"""The text part: readable where no HTML is."""

from __future__ import annotations

from pathlib import Path

from lifecycle.mail.render import Renderer
from tests.mail.sources import column, text, write


def text_of(folder: Path, body: str, **data: object) -> str:
    return Renderer(folder).render(write(folder, body, preview="The preheader"), data).text


def test_an_email_reads_as_paragraphs_with_its_links_beside_the_words(tmp_path: Path) -> None:
    body = (
        column('<mj-image src="https://x.example/logo.png" alt="Toko Kopi" href="https://x.example" />')
        + text(
            "<h1>Hello {{ name }}</h1><p>Thank you for your order. It is on its way, and will be there in two days.</p>"
        )
        + text('Read <a href="https://x.example/guide">our guide</a>, or <b>just</b> reply.')
        + column('<mj-button href="{{ url }}">Follow your order</mj-button><mj-divider /><mj-spacer />')
        + text(
            '<ul><li>One</li><li>Two <a href="https://x.example/2">more</a></li></ul><ol><li>First</li><li>Second</li></ol>'
        )
        + text('<a href="mailto:halo@x.example">halo@x.example</a><br />Jl. Braga 1<br />Bandung &amp; more')
    )

    assert text_of(tmp_path, body, name="Siti", url="https://x.example/o/1") == (
        "Toko Kopi: https://x.example\n"
        "\n"
        "Hello Siti\n"
        "\n"
        "Thank you for your order. It is on its way, and will be there in two days.\n"
        "\n"
        "Read our guide (https://x.example/guide), or just reply.\n"
        "\n"
        "Follow your order: https://x.example/o/1\n"
        "\n"
        "- One\n"
        "- Two more (https://x.example/2)\n"
        "\n"
        "1. First\n"
        "2. Second\n"
        "\n"
        "halo@x.example\n"
        "Jl. Braga 1\n"
        "Bandung & more\n"
    )


def test_statements_leave_no_holes(tmp_path: Path) -> None:
    body = (
        text("<p>Before</p>")
        + "{% if vip %}"
        + text("<p>For you</p>")
        + "{% else %}"
        + text("<p>For all</p>")
        + "{% endif %}"
        + column(
            "<mj-table>{% for item in items %}<tr><td>{{ item.n }}</td><td>{{ item.name }}</td></tr>{% endfor %}"
            "<tr><td>Total</td><td>{{ total | money }}</td></tr></mj-table>"
        )
        + text("After{% if vip %} all{% endif %}.")
    )
    data = {"items": [{"n": 2, "name": "Kopi"}, {"n": 1, "name": "Teh"}], "total": 3}

    assert text_of(tmp_path, body, vip=True, **data) == (
        "Before\n\nFor you\n\n2  Kopi\n1  Teh\nTotal  $3.00\n\nAfter all.\n"
    )
    assert text_of(tmp_path, body, vip=False, **{**data, "items": []}) == (
        "Before\n\nFor all\n\nTotal  $3.00\n\nAfter.\n"
    )


def test_lines_keep_to_78_columns_and_urls_stay_whole(tmp_path: Path) -> None:
    url = "https://x.example/" + "a" * 100

    lines = text_of(tmp_path, text(f'{"kopi " * 60}<a href="{url}">here</a> {"teh " * 60}')).splitlines()

    assert all(len(line) <= 78 for line in lines if url not in line)
    assert any(url in line for line in lines)


def test_the_preheader_and_hidden_things_are_not_repeated(tmp_path: Path) -> None:
    body = text('Seen<span style="display: none">hidden<img src="https://x.example/x.png" alt="pixel"></span>') + (
        "<mj-raw><!--[if mso]><p>Outlook</p><![endif]--><style>.a { color: red }</style></mj-raw>"
    )

    assert text_of(tmp_path, body) == "Seen\n"


def test_a_text_beside_the_email_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("Hi {{ name }},\n{% if vip %}\n  Thank you <3\n{% endif %}\nBye\n")

    assert text_of(tmp_path, text("x"), name="<Siti>", vip=True) == "Hi <Siti>,\n  Thank you <3\nBye\n"
    assert text_of(tmp_path, text("x"), name="<Siti>", vip=False) == "Hi <Siti>,\nBye\n"


def test_text_is_not_escaped(tmp_path: Path) -> None:
    assert text_of(tmp_path, text("{{ name }}"), name="O'Brien & <Sons>") == "O'Brien & <Sons>\n"
