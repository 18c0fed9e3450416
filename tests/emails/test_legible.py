"""Can everybody read the shipped emails: contrast (WCAG 2.2, 1.4.3, level AA) and size of all that is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest

from lifecycle.mail.render import Renderer
from tests.emails.night import in_the_dark
from tests.emails.sample import LOCALES, PEOPLE, SHIPPED, TEMPLATES, WHY

_VOID = {"br", "hr", "img", "input", "link", "meta"}


@dataclass(frozen=True)
class Look:
    """How text looks at one place; the defaults are those of browsers."""

    tag: str = ""
    color: str = "#000000"
    background: str = "#ffffff"
    size: float = 16.0
    bold: bool = False
    hidden: bool = False

    @property
    def contrast(self) -> float:
        """The ratio of WCAG 2.2, from 1 to 21."""
        lighter, darker = sorted((_luminance(self.color), _luminance(self.background)), reverse=True)
        return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class Eyes(HTMLParser):
    """Collects what is shown with how it looks, following inline styles down the tree."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, Look]] = []
        self._looks = [Look()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self._looks.append(_styled(replace(self._looks[-1], tag=tag), dict(attrs).get("style") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            self._looks.pop()

    def handle_data(self, data: str) -> None:
        look = self._looks[-1]
        if data.strip() and not look.hidden:
            self.seen.append((data.strip(), look))


def _styled(look: Look, style: str) -> Look:
    if look.tag in ("head", "style"):
        return replace(look, hidden=True)
    if look.tag == "strong":
        look = replace(look, bold=True)
    for rule in style.split(";"):
        name, _, value = (part.strip() for part in rule.partition(":"))
        match name:
            case "color":
                look = replace(look, color=value.lower())
            case "background-color" | "background" if value.startswith("#"):
                look = replace(look, background=value.split()[0].lower())
            case "font-size" if value.endswith("px"):
                look = replace(look, size=float(value[:-2]))
            case "font-weight":
                look = replace(look, bold=value in ("600", "700", "800", "bold"))
            case "display" if value == "none":
                look = replace(look, hidden=True)
    return look


def seen(html: str) -> list[tuple[str, Look]]:
    eyes = Eyes()
    eyes.feed(html)
    eyes.close()
    return eyes.seen


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(TEMPLATES)


@pytest.mark.parametrize(
    ("color", "background", "ratio"),
    [("#000000", "#ffffff", 21.0), ("#777", "#ffffff", 4.48), ("#ffffff", "#ff7a59", 2.57)],
)
def test_contrast_is_measured_as_wcag_does(color: str, background: str, ratio: float) -> None:
    assert Look(color=color, background=background).contrast == pytest.approx(ratio, abs=0.01)


def test_what_is_dark_is_seen_by_the_rules_of_the_cascade() -> None:
    html = """<html><head><style>
      p { color: #111111 }
      @media (prefers-color-scheme: dark) {
        .sky p { color: #EEEEEE !important; }
        .sky, p { background-color: #000000 !important; color: #DDDDDD !important; }
      }
    </style></head><body><div class="sky"><p style="color:#111111">one</p></div><i>two</i></body></html>"""

    (one, first), (two, second) = seen(in_the_dark(html))

    assert (one, first.color, first.background) == ("one", "#eeeeee", "#000000")
    assert (two, second.color, second.background) == ("two", "#000000", "#ffffff")


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("person", list(PEOPLE))
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_ground(
    renderer: Renderer, name: str, person: str, locale: str, scheme: str
) -> None:
    html = renderer.render(name, PEOPLE[person], locale).html
    shown = seen(in_the_dark(html) if scheme == "dark" else html)
    assert len(shown) > 10
    for words, look in shown:
        assert look.contrast >= 4.5, f"{words!r}: {look.contrast:.2f}, {look}"


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("locale", LOCALES)
def test_all_text_is_large_enough_for_a_phone(renderer: Renderer, name: str, locale: str) -> None:
    """16 px or more in the letter; 14 px or more in the footer and in labels of a word or two."""
    shown = seen(renderer.render(name, PEOPLE["regular"], locale).html)
    footer = next(at for at, (words, _) in enumerate(shown) if words.startswith(WHY[locale]))
    for at, (words, look) in enumerate(shown):
        is_label = len(words.split()) <= 2 and re.search(r"\d", words)
        assert look.size >= (14 if at >= footer or is_label else 16), f"{words!r}: {look.size} px"
