"""The text part: readable where no HTML is."""

from __future__ import annotations

from pathlib import Path

from lifecycle.mail.render import Renderer
from tests.mail.sources import column, text, write


def text_of(folder: Path, body: str, **data: object) -> str:
    return Renderer(folder).render(write(folder, body, preview="The preheader"), data).text


def test_an_email_reads_as_paragraphs_with_its_links_as_footnotes(tmp_path: Path) -> None:
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
        "Toko Kopi [1]\n"
        "\n"
        "Hello Siti\n"
        "\n"
        "Thank you for your order. It is on its way, and will be there in two days.\n"
        "\n"
        "Read our guide [2], or just reply.\n"
        "\n"
        "Follow your order [3]\n"
        "\n"
        "- One\n"
        "- Two more [4]\n"
        "\n"
        "1. First\n"
        "2. Second\n"
        "\n"
        "halo@x.example\n"
        "Jl. Braga 1\n"
        "Bandung & more\n"
        "\n"
        "[1] https://x.example\n"
        "[2] https://x.example/guide\n"
        "[3] https://x.example/o/1\n"
        "[4] https://x.example/2\n"
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
        "Before\n\nFor you\n\n2      Kopi\n1      Teh\nTotal  $3.00\n\nAfter all.\n"
    )
    assert text_of(tmp_path, body, vip=False, **{**data, "items": []}) == (
        "Before\n\nFor all\n\nTotal  $3.00\n\nAfter.\n"
    )


def test_the_same_url_has_one_number_and_only_what_is_shown_is_counted(tmp_path: Path) -> None:
    body = text(
        '{% if vip %}<p><a href="https://x.example/vip">For you</a></p>{% endif %}'
        '{% for item in items %}<p><a href="https://x.example/{{ item }}">{{ item }}</a></p>{% endfor %}'
        '<p><a href="https://x.example/kopi">Coffee</a> and <a href="mailto:halo@x.example">a word with us</a></p>'
    )

    assert text_of(tmp_path, body, vip=False, items=["teh", "kopi"]) == (
        "teh [1]\n\nkopi [2]\n\nCoffee [2] and a word with us [3]\n\n"
        "[1] https://x.example/teh\n[2] https://x.example/kopi\n[3] mailto:halo@x.example\n"
    )
    assert text_of(tmp_path, body, vip=True, items=[]) == (
        "For you [1]\n\nCoffee [2] and a word with us [3]\n\n"
        "[1] https://x.example/vip\n[2] https://x.example/kopi\n[3] mailto:halo@x.example\n"
    )


def test_a_link_that_is_its_own_label_stays_as_it_is(tmp_path: Path) -> None:
    body = text(
        '<a href="https://x.example/a">https://x.example/a</a><br /><a href="{{ url }}">{{ url }}</a><br />'
        '<a href="tel:+6222123">+6222123</a><br />'
        '<a href="https://x.example/i"><img src="https://x.example/i.png" /></a>'
    )

    assert text_of(tmp_path, body, url="https://x.example/b") == (
        "https://x.example/a\nhttps://x.example/b\n+6222123\nhttps://x.example/i\n"
    )


def test_a_link_around_a_whole_block_has_its_number_behind_the_first_words(tmp_path: Path) -> None:
    body = text('<a href="https://x.example/a"><div>Kopi Gayo <br /></div><div>Rp 80.000</div></a>')

    assert text_of(tmp_path, body) == "Kopi Gayo [1]\n\nRp 80.000\n\n[1] https://x.example/a\n"


def test_tables_of_data_are_lines_and_those_of_layout_paragraphs(tmp_path: Path) -> None:
    rows = (
        "<tr><th>Item</th><th>Pieces</th><th>Price</th></tr>"
        "{% for name, price in items %}<tr><td>{{ name }}</td><td></td><td>{{ price }}<br />each</td></tr>{% endfor %}"
        '<tr><td colspan="3">Sold as it is, in the bag that it came in, and never more than a week old.</td></tr>'
        '<tr><td colspan="2">Total</td><td>3</td></tr>'
    )
    layout = '<table role="presentation"><tr><td>Left</td><td>Right</td></tr></table>'

    assert text_of(
        tmp_path, column(f"<mj-table>{rows}</mj-table>") + text(layout), items=[("Kopi", 2), ("Teh", 1)]
    ) == (
        "Item  Pieces  Price\n"
        "Kopi          2 each\n"
        "Teh           1 each\n"
        "Sold as it is, in the bag that it came in, and never more than a week old.\n"
        "      Total   3\n"
        "\n"
        "Left\n"
        "\n"
        "Right\n"
    )


def test_cells_too_wide_to_be_aligned_follow_each_other(tmp_path: Path) -> None:
    body = column("<mj-table><tr><td>1</td><td>{{ long }}</td></tr><tr><td>2</td><td>short</td></tr></mj-table>")

    assert text_of(tmp_path, body, long="kopi " * 15 + "kopi") == f"1 | {'kopi ' * 14}kopi\nkopi\n2 | short\n"


def test_items_of_lists_hang_and_nest(tmp_path: Path) -> None:
    body = text(
        f"<ul><li>{'kopi ' * 16}<ul><li>{{{{ long }}}}</li></ul></li><li><p>One</p><p>Two</p></li></ul>"
        "<ol><li>First</li><li>Second</li></ol>"
    )

    assert text_of(tmp_path, body, long="teh " * 19 + "teh") == (
        f"- {'kopi ' * 14}kopi\n  kopi\n  - {'teh ' * 17}teh\n    teh teh\n- One\n\n  Two\n\n1. First\n2. Second\n"
    )


def test_lines_are_filled_with_what_the_variables_print(tmp_path: Path) -> None:
    url = "https://x.example/" + "a" * 100
    body = text(f'{{{{ name }}}} {"kopi " * 60}<a href="{url}">here</a> {"teh " * 60} {url} {{{{ name }}}}')

    lines = text_of(tmp_path, body, name="Wolfeschlegelsteinhausen " * 9).splitlines()

    assert [line for line in lines if len(line) > 78] == [url, f"[1] {url}"]
    assert all(len(f"{line} {lines[at + 1].split()[0]}") > 78 for at, line in enumerate(lines[:8]))


def test_the_preheader_and_hidden_things_are_not_repeated(tmp_path: Path) -> None:
    body = text('Seen<span style="display: none">hidden<img src="https://x.example/x.png" alt="pixel"></span>') + (
        "<mj-raw><!--[if mso]><p>Outlook</p><![endif]--><style>.a { color: red }</style></mj-raw>"
    )

    assert text_of(tmp_path, body) == "Seen\n"


def test_what_is_hidden_is_left_out_but_what_it_sets(tmp_path: Path) -> None:
    body = "<mj-raw><div hidden>{% set dear %}Ibu {{ name }}{% endset %}{% set n = 2 %}secret</div></mj-raw>" + text(
        '<p style="visibility: hidden">hidden {{ name }}</p><p>Dear {{ dear }}, {{ n }}</p>'
    )

    assert text_of(tmp_path, body, name="Siti") == "Dear Ibu Siti, 2\n"


def test_a_text_beside_the_email_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("Hi {{ name }},\n{% if vip %}\n  Thank you <3\n{% endif %}\nBye\n")

    assert text_of(tmp_path, text("x"), name="<Siti>", vip=True) == "Hi <Siti>,\n  Thank you <3\nBye\n"
    assert text_of(tmp_path, text("x"), name="<Siti>", vip=False) == "Hi <Siti>,\nBye\n"


def test_text_is_not_escaped(tmp_path: Path) -> None:
    assert text_of(tmp_path, text("{{ name }}"), name="O'Brien & <Sons>") == "O'Brien & <Sons>\n"


def test_a_list_whose_numbers_only_the_data_tell_has_dashes(tmp_path: Path) -> None:
    body = text(
        "<ol>{% for item in items %}\n<li>{{ item }}</li>{% endfor %}</ol>"
        "<ol><li>{% if items %}One{% endif %}</li><li>{{ items[1] }}</li></ol>"
    )

    assert text_of(tmp_path, body, items=["Kopi", "Teh"]) == "- Kopi\n- Teh\n\n1. One\n2. Teh\n"
