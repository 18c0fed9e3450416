"""Rewrite the golden copies of the shipped emails: `python -m tests.emails.refresh`, then read the diff.

With `--pictures` those too, which takes Chromium and half a minute; then look at them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image

from lifecycle.mail.render import Renderer
from tests.chromium import launch
from tests.emails.pictures import FONTS, PICTURES, VIEWS, difference, font_widths, golden_picture, letters, save, take
from tests.emails.sample import GOLDEN, TEMPLATES, golden_copies


def main() -> None:
    """Write every golden file that differs, remove those of emails that are gone, and say which."""
    parser = argparse.ArgumentParser(prog="python -m tests.emails.refresh", description=__doc__)
    parser.add_argument("--pictures", action="store_true", help="take the pictures anew that would look different")
    renderer = Renderer(TEMPLATES)
    _refresh_copies(renderer)
    if parser.parse_args().pictures:
        _refresh_pictures(renderer)


def _refresh_copies(renderer: Renderer) -> None:
    copies = golden_copies(renderer)
    _remove({path for path in GOLDEN.rglob("*") if path.is_file()} - set(copies))
    for path, content in copies.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
            _say("wrote", path)


def _refresh_pictures(renderer: Renderer) -> None:
    html = letters(renderer)
    _remove(set(PICTURES.rglob("*.png")) - {golden_picture(start, view) for start in html for view in VIEWS})
    with launch() as browser:
        page = browser.new_page(device_scale_factor=1)
        fonts = json.dumps(font_widths(page), indent=1) + "\n"
        are_other = not FONTS.is_file() or FONTS.read_text(encoding="utf-8") != fonts
        for view in VIEWS:
            for start, letter in html.items():
                path, picture = golden_picture(start, view), take(page, letter, view)
                if are_other or not path.is_file() or difference(Image.open(path), picture):
                    save(picture, path)
                    _say("took", path)
    FONTS.write_text(fonts, encoding="utf-8", newline="\n")


def _remove(paths: set[Path]) -> None:
    for path in sorted(paths):
        path.unlink()
        _say("removed", path)


def _say(done: str, path: Path) -> None:
    print(done, path.relative_to(Path(__file__).parent))


if __name__ == "__main__":
    main()
