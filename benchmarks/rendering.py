"""What emails cost before they are sent: rendering one, beside Jinja alone on the same sources, and compiling all."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import Environment, StrictUndefined

from lifecycle.mail.environment import Sandbox, html_environment, text_environment
from lifecycle.mail.render import Renderer
from lifecycle.mail.speech import Speech
from tests.emails.sample import PEOPLE, SHIPPED

from .bars import Line, median, ratios
from .bench import ROOT, Bench

_TEMPLATES = ROOT / "templates" / "email"
_SOMEBODY = PEOPLE["regular"]
_COMPILING = """
import json, sys, time
from pathlib import Path
from lifecycle.mail.render import Renderer
began = time.perf_counter()
renderer = Renderer(Path(sys.argv[1]), Path(sys.argv[2]))
editions = [renderer.compiled(name, locale) for name in renderer.names() for locale in renderer.locales(name)]
print(json.dumps([len(editions), time.perf_counter() - began]))
"""


def run(bench: Bench) -> Iterator[Line]:
    """All lines of the part."""
    yield _against_jinja(bench)
    cold, warm, count = [], [], 0
    for _ in range(bench.sizes.pick(5, 3)):
        with tempfile.TemporaryDirectory(dir=bench.folder) as cache:
            count, seconds = _compile_all(bench, cache)
            cold.append(seconds)
            warm.append(min(_compile_all(bench, cache)[1] for _ in range(3)) * 1000)
    yield Line("rendering.cold", "", cold, f"{count} editions of {len(SHIPPED)} emails; importing MJML included")
    yield Line("rendering.cached", "", warm, "in a new process, after importing the renderer")


def _against_jinja(bench: Bench) -> Line:
    renderer = Renderer(_TEMPLATES, bench.templates_cache)
    bare = [_bare(renderer, name) for name in SHIPPED]

    def ours() -> None:
        for name in SHIPPED:
            renderer.render(name, _SOMEBODY)

    def theirs() -> None:
        for render in bare:
            render()

    passes = bench.sizes.pick(200, 20)
    ours_each, theirs_each = [], []
    for _ in range(2 * bench.rounds + 1):
        ours_each.append(_microseconds(ours, passes))
        theirs_each.append(_microseconds(theirs, passes))
    beside = f"{median(ours_each)} µs an email; Jinja alone {median(theirs_each)} µs"
    return Line("rendering.bare", "", ratios(ours_each, theirs_each), beside)


def _bare(renderer: Renderer, name: str) -> Callable[[], None]:
    """Rendering the same sources, with the same filters, by Jinja alone: not sandboxed, nothing checked or cleaned."""
    email = renderer.compiled(name)
    speech = Speech(email.texts, email.plurals, email.plural_rule)
    known = {"_": speech.gettext, "gettext": speech.gettext, "ngettext": speech.ngettext, "locale": email.locale}
    text = _plain(text_environment(), known, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    html = _plain(html_environment(), known, autoescape=True)
    parts = (text.from_string(email.subject), html.from_string(email.html), text.from_string(email.text))

    def render() -> None:
        for part in parts:
            part.render(_SOMEBODY)

    return render


def _plain(like: Sandbox, known: dict[str, Any], **options: bool) -> Environment:
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, **options)  # type: ignore[arg-type]
    environment.filters.update(like.filters)
    environment.globals.update(known)
    return environment


def _microseconds(render: Callable[[], None], passes: int) -> float:
    """What one email takes."""
    begun = time.perf_counter()
    for _ in range(passes):
        render()
    return (time.perf_counter() - begun) / passes / len(SHIPPED) * 1e6


def _compile_all(bench: Bench, cache: str) -> tuple[int, float]:
    """How many editions there are, and the seconds until all are there, in a process of its own."""
    command = [sys.executable, "-c", _COMPILING, str(_TEMPLATES), cache]
    done = subprocess.run(command, cwd=ROOT, env=bench.environment(), check=True, capture_output=True, text=True)
    count, seconds = json.loads(done.stdout)
    return count, seconds
