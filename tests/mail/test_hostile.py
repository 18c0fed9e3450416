"""Whatever the data are, in any variable of any shipped email: nothing of them becomes markup, style or header."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from email import message_from_bytes
from email.policy import default as default_policy
from html.parser import HTMLParser
from typing import Any

import pytest

from lifecycle import Utm
from lifecycle.errors import RenderError
from lifecycle.mail.mime import Letterhead
from lifecycle.mail.render import LARGEST_PART, Rendered, Renderer
from tests.emails.sample import PEOPLE, SHIPPED, TEMPLATES

SCHEMES = ("https://", "mailto:", "tel:")
_DEEP = 5_000
_ABSENT = object()


def _nested(kind: type) -> Any:
    value: Any = "x"
    for _ in range(_DEEP):
        value = [value] if kind is list else {"a": value, "first_name": value}
    return value


TEXTS = [
    "<script>alert(1)</script>",
    "</title></style></head><script src=//evil.example></script>",
    "\"><img src=x onerror=alert(1)> ' onload='alert(1)",
    "x' style='position:fixed' class=\"a\" y=\"",
    "--><svg onload=alert(1)><!-- <![endif]--> ]]> <!--[if mso]>",
    "red;background:url(javascript:alert(1))}</style>",
    "javascript:alert(1)",
    " JaVa\tScRiPt:alert(1)",
    "\x01javascript&colon;alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "//evil.example",
    "http://evil.example",
    'https://evil.example/" onmouseover="alert(1)',
    "Siti\r\nBcc: all@evil.example\r\n\r\n<html>",
    "Siti\nBcc: all@evil.example",
    "Siti\u2028Bcc: all@evil.example\x85X: y\x0bZ: z",
    "%0d%0aBcc: all@evil.example",
    "=?utf-8?q?=0D=0ABcc:_all=40evil.example?=",
    "\u202e\u202d\u2066gnp.exe\u2069\u200f",
    "{{ 7*7 }}{% for x in range(9) %}x{% endfor %}{# #}{{ utm }}",
    "{{ customer.__class__.__mro__ }}{% endfilter %}{% raw %}",
    "jqx0z jqx1z jqqx2z",
    "\x00\x08\x1b[31m\x7f",
    "\ud800 \udfff",
    "&lt;script&gt;&#60;b&#x3e; &quot;&amp",
    "\x02\x03\x04link0z",
    "=\n.\n..\nFrom me",
    "x" * 2_000,
]
OTHERS: list[Any] = [
    10**5_000,
    -(2**63),
    float("nan"),
    float("inf"),
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("1E+999999"),
    Decimal("-1E-999999"),
    True,
    date.max,
    datetime.min.replace(tzinfo=UTC),
    b"<b>",
    [],
    {},
    ["<b>", None],
    {"__class__": "<b>", "__html__": "<b>", "items": "<i>", "first_name": "<script>"},
]
BENIGN = ["Kopi", "kopi susu", "", None, _ABSENT, True, 2, 2.5, [], {}, "1997-03-20", "https://x.example/kopi"]


class Outline(HTMLParser):
    """All of a page but its words and the values of harmless attributes."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[object] = []
        self.urls: list[str] = []
        self._in_style = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kept = [(name, value) for name, value in attrs if name in ("style", "class", "id", "rel", "http-equiv")]
        self.parts.append((tag, [name for name, _ in attrs], kept))
        self.urls += [value or "" for name, value in attrs if name in ("href", "src", "background", "action")]
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"/{tag}")
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.parts.append(data)

    def handle_comment(self, data: str) -> None:
        self.parts.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.parts.append(("declaration", decl))

    def unknown_decl(self, data: str) -> None:
        self.parts.append(("declaration", data))

    def handle_pi(self, data: str) -> None:
        self.parts.append(("instruction", data))


def letter(rendered: Rendered) -> bytes:
    return Letterhead("Blue Room Records", "hello@blueroom.example").assemble(
        to="siti@example.com",
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        message_id="<a@blueroom.example>",
        date=datetime(2026, 1, 15, tzinfo=UTC),
        list_unsubscribe="https://blueroom.example/u/1",
    )


HEADERS = [
    "MIME-Version",
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Content-Type",
]


def assert_harmless(rendered: Rendered, allowed: list[list[object]], schemes: tuple[str, ...]) -> None:
    """Assert that the email has the structure of a harmless one, and no more than its headers."""
    page = Outline(rendered.html)
    assert page.parts in allowed
    for url in page.urls:
        assert url.lower().startswith(schemes), url
    for part in (rendered.subject, rendered.preheader, rendered.html, rendered.text):
        assert not set(part) & set("\x00\x01\x02\x03\x08\x0b\x1b\x7f\x85\u202a\u202d\u202e\ud800\udfff")
    assert "\n" not in rendered.subject
    message = message_from_bytes(letter(rendered), policy=default_policy)
    assert sorted(message.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert [sorted(part.keys()) for part in message.iter_parts()] == [
        ["Content-Transfer-Encoding", "Content-Type"],
        ["Content-Transfer-Encoding", "Content-Type"],
    ]


@pytest.fixture(name="renderer", scope="module")
def _renderer() -> Renderer:
    return Renderer(TEMPLATES, utm=Utm("newsletter"))


def _with(path: str, value: object) -> dict[str, Any]:
    """The regular's data with another value at a place; without that place if it is _ABSENT."""
    context: Any = copy.deepcopy(PEOPLE["regular"])
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    into: Any = context
    for part in above:
        into = into[part] if isinstance(part, int) else into.setdefault(part, {})
    if value is _ABSENT:
        del into[last]
    else:
        into[last] = value
    return context  # type: ignore[no-any-return]


def _places(renderer: Renderer, name: str) -> Iterator[str]:
    """Every variable that an email reads and that the regular has, and those that hold them."""
    read = {variable for variable in renderer.compiled(name).variables if _has(PEOPLE["regular"], variable)}
    above = {variable.partition(".")[0] for variable in read}
    if "sections" in above:
        read |= {f"sections.0.{key}" for key in PEOPLE["regular"]["sections"][0]}  # type: ignore[index]
    yield from sorted(read | above)


def _has(data: Mapping[str, Any], variable: str) -> bool:
    value: Any = data
    for part in variable.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def _harmless(renderer: Renderer, name: str, place: str) -> list[list[object]]:
    """The structures that the email has for data that nobody means any harm by."""
    found: list[list[object]] = []
    for value in (PEOPLE["regular"][place] if "." not in place else "Kopi", *BENIGN):
        try:
            parts = Outline(renderer.render(name, _with(place, value)).html).parts
        except RenderError:
            continue
        if parts not in found:
            found.append(parts)
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_hostile_data_inject_no_tag_attribute_style_or_header(renderer: Renderer, name: str) -> None:
    for place in _places(renderer, name):
        allowed = _harmless(renderer, name, place)
        # The engine's own links are no data: the settings vouch for them.
        schemes = (*SCHEMES, "http://") if place == "links.unsubscribe" else SCHEMES
        for attack in [*TEXTS, *OTHERS, _nested(list), _nested(dict)]:
            try:
                rendered = renderer.render(name, _with(place, attack))
            except RenderError:
                continue  # it was stopped, which harms nobody
            assert_harmless(rendered, allowed, schemes)


@pytest.mark.parametrize("name", SHIPPED)
def test_ten_megabytes_are_refused_or_left_out_at_once(renderer: Renderer, name: str) -> None:
    for place in _places(renderer, name):
        for unit in ("x", "<", "é ", "\u202e"):
            context = _with(place, unit * (10_000_000 // len(unit.encode())))
            begun = time.process_time()
            try:
                rendered = renderer.render(name, context)
            except RenderError:
                rendered = None
            assert time.process_time() - begun < 0.5, f"{place}: {unit!r}"
            if rendered is not None:
                assert max(len(part.encode()) for part in (rendered.html, rendered.text)) <= LARGEST_PART


def test_a_section_with_a_subject_of_ten_megabytes_is_left_out_of_its_digest(renderer: Renderer) -> None:
    with pytest.raises(RenderError, match="a text of 10,000,000 characters"):
        renderer.summary("post_purchase/thanks", _with("event.order_id", "9" * 10_000_000))
