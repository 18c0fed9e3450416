"""Every component of MJML that is drawn at all compiles, with its defaults and with Jinja where that makes sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.mail.compile import compile_email
from lifecycle.mail.drawing import attributes_of_tags
from lifecycle.mail.render import Renderer
from tests.mail.sources import column, text, write

# Where each component stands: in the head, in the body, in a section, in a column, or in another component.
IN_HEAD = {
    "mj-attributes": "<mj-attributes><mj-all color='#111' /><mj-class name='a' color='#222' /></mj-attributes>",
    "mj-breakpoint": '<mj-breakpoint width="320px" />',
    "mj-font": '<mj-font name="Lato" href="https://fonts.example/lato" />',
    "mj-html-attributes": (
        '<mj-html-attributes><mj-selector path=".a td"><mj-html-attribute name="data-a">1</mj-html-attribute>'
        "</mj-selector></mj-html-attributes>"
    ),
    "mj-style": "<mj-style>.a { color: #111 }</mj-style>",
    "mj-raw": "<mj-raw><meta name='a' content='b'></mj-raw>",
}
IN_BODY = {
    "mj-hero": "<mj-hero><mj-text>Shown</mj-text></mj-hero>",
    "mj-raw": "<mj-raw><p>Shown</p></mj-raw>",
    "mj-section": f"{text('Shown')}",
    "mj-wrapper": f"<mj-wrapper>{text('Shown')}</mj-wrapper>",
    "mj-column": column("<mj-text>Shown</mj-text>"),
    "mj-group": "<mj-section><mj-group><mj-column><mj-text>Shown</mj-text></mj-column></mj-group></mj-section>",
}
_QUESTION = "<mj-accordion-element><mj-accordion-title>Shown</mj-accordion-title>{}</mj-accordion-element>"
IN_COLUMN = {
    "mj-accordion": f"<mj-accordion>{_QUESTION.format('')}</mj-accordion>",
    "mj-accordion-element": f"<mj-accordion>{_QUESTION.format('')}</mj-accordion>",
    "mj-accordion-title": f"<mj-accordion>{_QUESTION.format('')}</mj-accordion>",
    "mj-accordion-text": f"<mj-accordion>{_QUESTION.format('<mj-accordion-text>A</mj-accordion-text>')}</mj-accordion>",
    "mj-button": "<mj-button>Shown</mj-button>",
    "mj-carousel": '<mj-carousel><mj-carousel-image src="https://x.example/Shown" /></mj-carousel>',
    "mj-carousel-image": '<mj-carousel><mj-carousel-image src="https://x.example/Shown" /></mj-carousel>',
    "mj-divider": "<mj-divider /><mj-text>Shown</mj-text>",
    "mj-image": '<mj-image src="https://x.example/Shown" />',
    "mj-navbar": '<mj-navbar><mj-navbar-link href="https://x.example/a">Shown</mj-navbar-link></mj-navbar>',
    "mj-navbar-link": '<mj-navbar hamburger="hamburger"><mj-navbar-link>Shown</mj-navbar-link></mj-navbar>',
    "mj-social": '<mj-social><mj-social-element name="x" href="https://x.example">Shown</mj-social-element></mj-social>',
    "mj-social-element": "<mj-social><mj-social-element>Shown</mj-social-element></mj-social>",
    "mj-spacer": "<mj-spacer /><mj-text>Shown</mj-text>",
    "mj-table": "<mj-table><tr><td>Shown</td></tr></mj-table>",
    "mj-text": "<mj-text>Shown</mj-text>",
}
IN_THE_FRAME = frozenset({"mj-body", "mj-head", "mj-title", "mj-preview"})  # of every email that a test writes


def test_no_component_is_forgotten_here() -> None:
    assert {*IN_HEAD, *IN_BODY, *IN_COLUMN, *IN_THE_FRAME} == set(attributes_of_tags())


@pytest.mark.parametrize("tag", IN_HEAD)
def test_each_component_of_the_head_compiles(tmp_path: Path, tag: str) -> None:
    body = column('<mj-text css-class="a" font-family="Lato">Shown</mj-text>')

    assert "Shown" in compile_email(tmp_path, write(tmp_path, body, head=IN_HEAD[tag])).html


@pytest.mark.parametrize("body", [*IN_BODY.values(), *map(column, IN_COLUMN.values())])
def test_each_component_of_the_body_compiles_with_its_defaults(tmp_path: Path, body: str) -> None:
    assert "Shown" in compile_email(tmp_path, write(tmp_path, body)).html


@pytest.mark.parametrize("body", [*IN_BODY.values(), *map(column, IN_COLUMN.values())])
def test_each_component_of_the_body_prints_variables_and_stands_in_a_loop(tmp_path: Path, body: str) -> None:
    body = body.replace("Shown", "{{ word }}")
    name = write(tmp_path, f"{{% for word in words %}}{body}{{% endfor %}}")

    html = Renderer(tmp_path).render(name, {"words": ["First", "Second"]}).html

    assert html.index("First") < html.index("Second")


def test_a_class_a_default_and_a_selector_may_be_given_twice_and_the_later_wins(tmp_path: Path) -> None:
    selector = '<mj-selector path=".a"><mj-html-attribute name="data-{}">1</mj-html-attribute></mj-selector>'
    head = f"""<mj-attributes>
    <mj-class name="big" font-size="30px" color="#111111" /><mj-class name="big" font-size="40px" />
    <mj-text line-height="31px" /><mj-text line-height="41px" />
    </mj-attributes><mj-html-attributes>{selector.format("one")}{selector.format("two")}</mj-html-attributes>"""

    html = compile_email(
        tmp_path, write(tmp_path, column('<mj-text mj-class="big" css-class="a">x</mj-text>'), head=head)
    ).html

    assert "font-size:40px" in html
    assert "color:#111111" in html
    assert "line-height:41px" in html
    assert 'data-one="1"' in html
    assert 'data-two="1"' in html


def test_a_class_may_say_what_it_means_for_the_blocks_within(tmp_path: Path) -> None:
    head = '<mj-attributes><mj-class name="dark"><mj-text color="#222222" /></mj-class></mj-attributes>'
    body = '<mj-section><mj-column mj-class="dark"><mj-text>x</mj-text></mj-column></mj-section>'

    assert "color:#222222" in compile_email(tmp_path, write(tmp_path, body, head=head)).html


def test_the_same_source_compiles_to_the_same_bytes(tmp_path: Path) -> None:
    name = write(tmp_path, column(IN_COLUMN["mj-carousel"] + IN_COLUMN["mj-navbar-link"]))

    assert compile_email(tmp_path, name) == compile_email(tmp_path, name)


@pytest.mark.parametrize(
    "block",
    [
        '<mj-button href="{}" title="{}" name="{}" rel="{}">x</mj-button>',
        '<mj-image src="{}" href="{}" alt="{}" title="{}" />',
        '<mj-carousel><mj-carousel-image src="{}" href="{}" alt="{}" thumbnails-src="{}" /></mj-carousel>',
        '<mj-social><mj-social-element href="{}" src="{}" alt="{}" title="{}">x</mj-social-element></mj-social>',
        '<mj-navbar base-url="{}"><mj-navbar-link href="{}" rel="{}" name="{}">x</mj-navbar-link></mj-navbar>',
        (
            '<mj-accordion icon-wrapped-url="{}" icon-wrapped-alt="{}" icon-unwrapped-url="{}" icon-unwrapped-alt="{}">'
            "<mj-accordion-element><mj-accordion-title>x</mj-accordion-title></mj-accordion-element></mj-accordion>"
        ),
    ],
)
def test_an_attribute_that_is_printed_as_it_is_may_hold_a_variable(tmp_path: Path, block: str) -> None:
    body = column(block.format(*(f"{{{{ {name} }}}}" for name in "abcd")))

    html = compile_email(tmp_path, write(tmp_path, body)).html

    assert all(f"{{{{ {name} }}}}" in html for name in "abcd")
