"""Writes lifecycle/lint/caniemail.json: of caniemail's tables, what major mail programs do not support.

npm pack caniemail && tar xzf caniemail-*.tgz package/data/caniemail.json
python scripts/refresh_caniemail.py package/data/caniemail.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "lifecycle" / "lint" / "caniemail.json"
SOURCE = "caniemail.com, through the npm package caniemail"
LICENSE = """\
MIT License. Copyright (c) 2019 HTeuMeuLeu (Rémi Parmentier). Permission is hereby granted, free of charge, to any \
person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the \
Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, \
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is \
furnished to do so, subject to the following conditions: The above copyright notice and this permission notice \
shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT \
WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS \
FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY \
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN \
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""

PROGRAMS = {
    "Apple Mail": ("apple-mail", {"macos": "macOS", "ios": "iOS"}),
    "Gmail": ("gmail", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "Outlook for Windows": ("outlook", {"windows": "2007–2019"}),
    "Outlook": ("outlook", {"outlook-com": "web", "macos": "macOS", "ios": "iOS", "android": "Android"}),
    "Yahoo Mail": ("yahoo", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "Samsung Email": ("samsung-email", {"android": "Android"}),
}
"""The programs that count, as caniemail calls them and their platforms."""

# Titles that name plainly neither a property nor anything else.
_MARKS = {
    "css-block-inline-size": ["block-size", "inline-size"],
    "css-border-inline-block": ["border-block", "border-inline"],
    "css-border-inline-block-individual": [
        f"border-{way}-{end}" for way in ("block", "inline") for end in ("start", "end")
    ],
    "css-border-inline-block-longhand": [
        f"border-{way}-{what}" for way in ("block", "inline") for what in ("color", "style", "width")
    ],
    "css-border-radius-logical": [f"border-{a}-{b}-radius" for a in ("start", "end") for b in ("start", "end")],
    "css-color-scheme": ["color-scheme"],
    "css-column-layout-properties": ["column-fill", "column-rule", "column-span", "column-width", "columns"],
    "css-gap": ["column-gap", "gap", "row-gap"],
    "css-grid-template": ["grid-template", "grid-template-areas", "grid-template-columns", "grid-template-rows"],
    "css-inert-attribute": [],
    "css-intrinsic-size": [":fit-content", ":max-content", ":min-content"],
    "css-left-right-top-bottom": ["bottom", "left", "right", "top"],
    "css-margin-block-start-end": ["margin-block-end", "margin-block-start"],
    "css-margin-inline-block": ["margin-block", "margin-inline"],
    "css-margin-inline-start-end": ["margin-inline-end", "margin-inline-start"],
    "css-modern-color": ["lab()", "lch()", "oklab()", "oklch()"],
    "css-padding-block-start-end": ["padding-block-end", "padding-block-start"],
    "css-padding-inline-block": ["padding-block", "padding-inline"],
    "css-padding-inline-start-end": ["padding-inline-end", "padding-inline-start"],
    "css-unit-calc": ["calc()"],
    "css-unit-initial": [":initial"],
    "css-variables": ["var()"],
}
# Where a title is so, its groups make the mark: a property `gap`, a pair `display:flex`, a value `:initial`, a
# function `calc()`, an at-rule `@media`, a unit `0vw`, an element `<svg>`, an image `.webp`.
_TITLES = (
    (r"([a-z-]+)(?: shorthand| property)?", "{}"),
    (r"([a-z-]+):\s*([a-z-]+)", "{}:{}"),
    (r"([a-z-]+)\(\)", "{}()"),
    (r"@([a-z-]+)", "@{}"),
    (r"([a-z]+) unit", "0{}"),
    (r"(?:Embedded )?<(\w+)>(?: element| image)?", "<{}>"),
    (r"(\w+) image format", ".{}"),
)


def condensed(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of caniemail's file."""
    features = (_feature(each) for each in data["data"])
    kept = {each["slug"]: feature for each, feature in zip(data["data"], features, strict=True) if feature}
    return {
        "source": SOURCE,
        "date": data["last_update_date"].partition(" ")[0],
        "license": LICENSE,
        "programs": list(PROGRAMS),
        "features": dict(sorted(kept.items())),
    }


def _feature(each: Mapping[str, Any]) -> dict[str, Any] | None:
    """How to know the feature again, and who lacks it; None where nobody that counts does."""
    lacking = [name for name in (_lacking(each["stats"], program) for program in PROGRAMS) if name]
    marks = _marks(each["slug"], each["title"].strip())
    return {"marks": marks, "lacking": lacking} if lacking and marks else None


def _lacking(stats: Mapping[str, Mapping[str, Mapping[str, str]]], program: str) -> str:
    """The program, with the platforms if only some lack it, by the newest test of each; "" if none does."""
    family, platforms = PROGRAMS[program]
    tested = {
        name: [*stats[family][key].values()][-1] for key, name in platforms.items() if stats.get(family, {}).get(key)
    }
    without = [name for name, result in tested.items() if result.startswith("n")]
    if not without:
        return ""
    return program if len(without) == len(tested) else f"{program} ({', '.join(without)})"


def _marks(slug: str, title: str) -> list[str]:
    """By what in a source the feature is known; none for selectors, which premailer resolves, and for attributes."""
    if slug in _MARKS:
        return _MARKS[slug]
    if slug.startswith(("css-pseudo", "css-selector", "html-html")):
        return []
    matches = ((re.fullmatch(pattern, title), mark) for pattern, mark in _TITLES)
    return [mark.format(*found.groups()).lower() for found, mark in matches if found]


def main() -> int:
    """Read caniemail's file, write ours."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    made = condensed(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    # One feature per line, so that a refresh shows what changed.
    features = made.pop("features")
    head = json.dumps(made, ensure_ascii=False, indent=1).removesuffix("\n}")
    lines = ",\n".join(f'  "{slug}": {json.dumps(feature, ensure_ascii=False)}' for slug, feature in features.items())
    DATA.write_text(f'{head},\n "features": {{\n{lines}\n }}\n}}\n', encoding="utf-8")
    print(f"{len(features)} features, as of {made['date']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
