"""Emails for one customer, from templates compiled once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from jinja2 import Template, UndefinedError
from jinja2.runtime import Context

from lifecycle.errors import RenderError
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.environment import html_environment, text_environment
from lifecycle.mail.links import main_link
from lifecycle.mail.source import Source, email_names, read_source
from lifecycle.mail.typeset import typeset

LARGEST_PART = 1_000_000  # characters

_GAPS = re.compile(r"\n{3,}")
_SUBJECT_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class Rendered:
    """One email for one customer, ready for the assembler."""

    subject: str
    html: str
    text: str
    render_preheader: Callable[[], str] = field(repr=False, compare=False)

    @property
    def preheader(self) -> str:
        """The line that inboxes show beside the subject; rendered when asked for: the HTML has it already."""
        return self.render_preheader()


@dataclass(frozen=True, slots=True)
class Summary:
    """One email for one customer in brief: what an inbox shows of it, and where it leads ("" if nowhere)."""

    subject: str
    preheader: str
    url: str


@dataclass(frozen=True, slots=True)
class _Templates:
    email: CompiledEmail
    subject: Template
    preheader: Template
    html: Template
    text: Template
    link: Template


class Renderer:
    """Renders the emails of a folder; each is compiled at most once per version of its source.

    `cache` is a folder for what was compiled, shared between processes. One renderer sees one state of the
    templates: make a new one to see changes.
    """

    def __init__(self, templates: Path, cache: Path | None = None) -> None:
        self._folder = templates
        self._cache = cache
        self._html = html_environment()
        self._text = text_environment()
        self._globals = {**self._html.globals, **self._text.globals}
        self._ready: dict[str, _Templates] = {}

    def names(self) -> list[str]:
        """Return the names of all emails, sorted."""
        return email_names(self._folder)

    def compiled(self, name: str) -> CompiledEmail:
        """Return the compiled email; raises TemplateError where its source is wrong."""
        return self._templates(name).email

    def render(self, name: str, context: Mapping[str, object]) -> Rendered:
        """Render all parts for one customer; `context` holds plain data only.

        Raises RenderError naming the template and, when one is missing, the variable; TemplateError as `compiled`.
        """
        templates = self._ready.get(name) or self._templates(name)
        try:
            data = {**self._globals, **context}
            subject = _render(templates.subject, data)
            html = _render(templates.html, data)
            text = typeset(_render(templates.text, data))
        except Exception as error:  # one email's data must never stop the others
            raise _unrenderable(templates.email, context, error) from error
        if len(html) > LARGEST_PART or len(text) > LARGEST_PART:
            raise RenderError(name, f"a part is larger than {LARGEST_PART:,} characters; shorten the data")
        if "\n\n\n" in text:
            text = _GAPS.sub("\n\n", text)
        return Rendered(_one_line(subject), html, text, lambda: _one_line(_render(templates.preheader, data)))

    def summary(self, name: str, context: Mapping[str, object]) -> Summary:
        """What a digest shows of this email, for one customer; raises as `render`."""
        templates = self._ready.get(name) or self._templates(name)
        try:
            data = {**self._globals, **context}
            subject, preheader, links = (
                _render(part, data) for part in (templates.subject, templates.preheader, templates.link)
            )
        except Exception as error:
            raise _unrenderable(templates.email, context, error) from error
        return Summary(_one_line(subject), _one_line(preheader), _one_line(main_link(links)))

    def _templates(self, name: str) -> _Templates:
        if name not in self._ready:
            email = self._load(name)
            self._ready[name] = _Templates(
                email,
                self._text.from_string(email.subject),
                self._text.from_string(email.preheader),
                self._html.from_string(email.html),
                self._text.from_string(email.text),
                self._text.from_string(email.link),
            )
        return self._ready[name]

    def _load(self, name: str) -> CompiledEmail:
        path = self._cache and self._cache / f"{_digest(read_source(self._folder, name))}.json"
        if path and (email := _read_cached(path)):
            return email
        from lifecycle.mail.compile import compile_email  # loads mjml, premailer and lxml, half a second

        email = compile_email(self._folder, name)
        if path:
            _write_cached(path, email)
        return email


def _render(template: Template, data: dict[str, object]) -> str:
    """What Template.render does, but that `data` holds the globals already: merging them costs as much as rendering."""
    return "".join(template.root_render_func(Context(template.environment, data, template.name, template.blocks)))


def _one_line(text: str) -> str:
    """Return the text on one line without control characters and marks that reverse what a reader sees."""
    line = " ".join(text.split())
    return line if line.isprintable() else " ".join(_SUBJECT_CONTROLS.sub("", line).split())


def _unrenderable(email: CompiledEmail, context: Mapping[str, object], error: Exception) -> RenderError:
    """The error in the words of the template's author."""
    match error:
        case UndefinedError():
            return RenderError(email.name, _missing(str(error), email, context))
        case RecursionError():
            return RenderError(email.name, "the template or its data is nested too deeply")
        case _:
            return RenderError(email.name, f"{type(error).__name__}: {error}")


def _missing(name: str, email: CompiledEmail, context: Mapping[str, object]) -> str:
    """Complete a bare attribute name to the variable that the template reads and the data lacks."""
    lacking = [variable for variable in sorted(email.variables) if not _resolves(variable, context)]
    close = [variable for variable in lacking if name in variable.split(".")]
    variable = (close or [name])[0]
    place = f", read at {email.places[variable]}" if variable in email.places else ""
    return f'{variable} is missing{place}; provide it, or write {{{{ {variable} | default("…") }}}}'


def _resolves(variable: str, context: Mapping[str, object]) -> bool:
    value: object = context
    for part in variable.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
        if value is None:
            return False
    return True


# The cache on disk: one JSON file per version, behind its own digest


@cache
def _compiler() -> str:
    """Return what identifies the compiler: its own sources and the libraries that shape the HTML."""
    modules = sorted(Path(__file__).parent / f"{name}.py" for name in _COMPILER_MODULES)
    sources = blake2b(b"".join(module.read_bytes() for module in modules)).hexdigest()
    return f"{sources} mjml {version('mjml')} premailer {version('premailer')}"


_COMPILER_MODULES = (
    "compile",
    "environment",
    "filters",
    "links",
    "mask",
    "outline",
    "source",
    "text",
    "typeset",
    "variables",
)


def _digest(source: Source) -> str:
    parts = (_compiler(), source.name, str(source.path), source.mjml, repr(source.origins), repr(source.text))
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _read_cached(path: Path) -> CompiledEmail | None:
    """Return the cached email, or None when the file is missing, cut short or altered."""
    try:
        checksum, _, payload = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if checksum != _checksum(payload):
        return None
    fields = json.loads(payload)
    return CompiledEmail(**{**fields, "variables": frozenset(fields["variables"])})


def _write_cached(path: Path, email: CompiledEmail) -> None:
    payload = json.dumps({**asdict(email), "variables": sorted(email.variables)}).encode()
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(_checksum(payload) + b"\n" + payload)
        unfinished.replace(path)
    except OSError:
        # A cache that cannot be written costs time at the next start and nothing else.
        with suppress(OSError):
            unfinished.unlink()


def _checksum(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=16).hexdigest().encode("ascii")
