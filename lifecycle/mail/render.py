"""Emails for one customer, from templates compiled once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from types import CodeType

from jinja2 import Template, UndefinedError
from jinja2.runtime import Context

from lifecycle.errors import RenderError, TemplateError
from lifecycle.journey.utm import Utm
from lifecycle.mail.cache import PARTS, Cache, Edition
from lifecycle.mail.catalogue import Catalogue, catalogue_files, read_catalogue
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.environment import Sandbox, html_environment, text_environment
from lifecycle.mail.links import main_link
from lifecycle.mail.locales import formatting, negotiated, normal, variants, wished
from lifecycle.mail.source import email_names, read_source
from lifecycle.mail.speech import Speech
from lifecycle.mail.typeset import typeset
from lifecycle.mail.urls import BadLinkError

LARGEST_PART = 1_000_000  # bytes in UTF-8
LONGEST_LINE = 15_000  # characters of a subject: servers refuse or cut headers from about 100,000 bytes on

_TOO_LARGE = f"a part is larger than {LARGEST_PART:,} bytes; shorten the data"
_PIECES = 1_000  # that a template prints between two looks at how much it was; ours print some hundred in all
_LINK_REMEDY = "give it a whole URL, or show it only {% if %} there is one"

_GAPS = re.compile(r"\n{3,}")
_SUBJECT_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(slots=True)  # one for every message; not frozen, because making a frozen one takes four times as long
class Rendered:
    """One email for one customer, ready for the assembler."""

    subject: str
    html: str
    text: str
    render_preheader: Callable[[], str] = field(repr=False, compare=False)
    locale: str
    """In which it was rendered."""

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
class _Ready:
    """An edition as it is rendered for those of one formatting locale."""

    email: CompiledEmail
    around: Mapping[str, object]
    """What its templates know besides the context: Jinja's functions, its speech, the locale."""
    subject: Template
    preheader: Template
    html: Template
    text: Template
    link: Template


class Renderer:
    """Renders the emails of a folder; each is compiled at most once per version of its source.

    `cache` is a folder for what was compiled, shared between processes. `locale` is the one that emails are written
    in, and get who wishes none that there is; `currency` is that of amounts that do not name theirs. One renderer sees
    one state of the templates: make a new one to see changes.
    """

    def __init__(
        self,
        templates: Path,
        cache: Path | None = None,
        *,
        locale: str = "en",
        currency: str = "USD",
        utm: Utm | None = None,
    ) -> None:
        self.utm = utm
        self._folder = templates
        self._cache = Cache(cache)
        self._locale = locale
        self._html = html_environment()
        self._text = text_environment()
        self._globals = {**self._html.globals, **self._text.globals, "_currency": currency}
        if utm is not None:
            self._globals["utm"] = utm.query()  # of what is no message of a journey
        self._editions: dict[str, dict[str, Edition]] = {}
        self._broken: dict[str, TemplateError] = {}
        self._ready: dict[tuple[str, str | None], _Ready] = {}

    @cached_property
    def locale(self) -> str:
        """The default locale, as Babel spells it."""
        return normal(self._locale) or "en"

    def names(self) -> list[str]:
        """Return the names of all emails, sorted."""
        return email_names(self._folder)

    def locales(self, name: str) -> tuple[str, ...]:
        """Return the locales that an email exists in, the default one first; raises as `compiled`."""
        return tuple(self._editions_of(name))

    def locale_for(self, name: str, wanted: object) -> str:
        """Return the locale in which an email is shown to somebody who wishes `wanted`; raises as `compiled`."""
        theirs = _normal(wanted)
        if theirs is None or theirs == self.locale:
            return self.locale  # known without compiling anything
        return negotiated(theirs, self.locales(name))

    def compiled(self, name: str, locale: str | None = None) -> CompiledEmail:
        """Return the compiled email; raises TemplateError where its source is wrong."""
        return self._editions_of(name)[self.locale_for(name, locale)].email

    def render(self, name: str, context: Mapping[str, object], locale: object = None) -> Rendered:
        """Render all parts for one customer, who wishes that locale; `context` holds plain data only.

        Raises RenderError naming the template and, when one is missing, the variable; TemplateError as `compiled`.
        """
        ready = self._for(name, locale)
        try:
            data = {**ready.around, **context}
            subject = _render(ready.subject, data)
            html = _render(ready.html, data)
            text = typeset(_render(ready.text, data))
        except Exception as error:  # one email's data must never stop the others
            raise _unrenderable(ready.email, context, error) from error
        if _is_too_large(html) or _is_too_large(text):
            raise RenderError(name, _TOO_LARGE)
        _check_line(name, "subject", subject)
        if "\n\n\n" in text:
            text = _GAPS.sub("\n\n", text)
        render_preheader = lambda: _one_line(_render(ready.preheader, data))
        return Rendered(_one_line(subject), html, text, render_preheader, ready.email.locale)

    def summary(self, name: str, context: Mapping[str, object], locale: object = None) -> Summary:
        """What a digest shows of this email, for one customer; raises as `render`."""
        ready = self._for(name, locale)
        try:
            data = {**ready.around, **context}
            subject, preheader, links = (_render(part, data) for part in (ready.subject, ready.preheader, ready.link))
        except Exception as error:
            raise _unrenderable(ready.email, context, error) from error
        _check_line(name, "subject", subject)
        _check_line(name, "preheader", preheader)
        return Summary(_one_line(subject), _one_line(preheader), _one_line(main_link(links)))

    def _for(self, name: str, locale: object) -> _Ready:
        # What customers wish is normalized first: rubbish must not fill the memory.
        wanted = _normal(locale)
        return self._ready.get((name, wanted)) or self._make_ready(name, wanted)

    def _make_ready(self, name: str, wanted: str | None) -> _Ready:
        edition = self._editions_of(name)[negotiated(wanted, self.locales(name))]
        email = edition.email
        speech = Speech(email.texts, email.plurals, email.plural_rule)
        around = {
            **self._globals,
            "_": speech.gettext,
            "gettext": speech.gettext,
            "ngettext": speech.ngettext,
            "locale": formatting(wanted, email.locale),
        }
        ready = _Ready(email, around, **{part: self._template(part, edition) for part in PARTS})
        self._ready[name, wanted] = ready
        return ready

    def _template(self, part: str, edition: Edition) -> Template:
        return Template.from_code(self._environment(part), edition.codes[part], {})

    def _environment(self, part: str) -> Sandbox:
        return self._html if part == "html" else self._text

    def _editions_of(self, name: str) -> dict[str, Edition]:
        if name in self._broken:
            raise self._broken[name].with_traceback(None)
        if name not in self._editions:
            try:
                self._editions[name] = self._cache.get(lambda: self._state(name), lambda: self._compile(name))
            except TemplateError as error:
                self._broken[name] = error  # or each of a million messages would cost a run of MJML
                raise
        return self._editions[name]

    def _state(self, name: str) -> bytes:
        """All that an email's editions are made of."""
        files = [self._folder / f"{name}.mjml", *variants(self._folder, name).values()]
        sources = [
            read_source(self._folder, path.relative_to(self._folder).with_suffix("").as_posix()) for path in files
        ]
        texts = [(str(path), path.read_bytes()) for path in variants(self._folder, name, ".txt").values()]
        catalogues = [(locale, str(path), blake2b(content).digest()) for locale, path, content in self._catalogue_files]
        state = (self.locale, self.utm and self.utm.hosts, sources, texts, catalogues)
        return repr(state).encode("utf-8", "surrogatepass")

    @cached_property
    def _catalogue_files(self) -> list[tuple[str, Path, bytes]]:
        # Read once, so that what emails are compiled with is what their state says.
        return [(locale, path, path.read_bytes()) for locale, path in catalogue_files(self._folder).items()]

    @cached_property
    def _catalogues(self) -> dict[str, Catalogue]:
        return {locale: read_catalogue(locale, path, content) for locale, path, content in self._catalogue_files}

    def _compile(self, name: str) -> dict[str, Edition]:
        from lifecycle.mail.editions import compile_editions  # loads mjml, premailer and lxml, half a second

        emails = compile_editions(self._folder, name, self.locale, self._catalogues, self.utm)
        return {locale: Edition(email, self._codes(email)) for locale, email in emails.items()}

    def _codes(self, email: CompiledEmail) -> dict[str, CodeType]:
        return {part: self._environment(part).compile(getattr(email, part)) for part in PARTS}


def _normal(wanted: object) -> str | None:
    return wished(wanted) if type(wanted) is str else None


def _render(template: Template, data: dict[str, object]) -> str:
    """What Template.render does, but that `data` holds the globals already: merging them costs as much as rendering.

    A template that goes on and on is stopped soon after it printed too much, not when memory is full.
    """
    pieces = template.root_render_func(Context(template.environment, data, template.name, template.blocks))
    first = [*islice(pieces, _PIECES)]
    text = "".join(first)
    if len(first) < _PIECES:
        return text
    while more := list(islice(pieces, _PIECES)):
        text += "".join(more)
        if len(text) > LARGEST_PART:
            raise _TooLargeError
    return text


class _TooLargeError(Exception):
    """A part is larger than any email may be."""


def _is_too_large(part: str) -> bool:
    # Few are long enough to be worth the encoding: no character takes more than four bytes.
    return len(part) * 4 > LARGEST_PART and len(part.encode("utf-8", "surrogatepass")) > LARGEST_PART


def _check_line(name: str, part: str, line: str) -> None:
    if len(line) > LONGEST_LINE:
        raise RenderError(name, f"the {part} is longer than {LONGEST_LINE:,} characters; shorten the data")


def _one_line(text: str) -> str:
    """Return the text on one line without control characters and marks that reverse what a reader sees."""
    line = " ".join(text.split())
    return line if line.isprintable() else " ".join(_SUBJECT_CONTROLS.sub("", line).split())


def _unrenderable(email: CompiledEmail, context: Mapping[str, object], error: Exception) -> RenderError:
    """The error in the words of the template's author."""
    match error:
        case UndefinedError():
            return _missing(str(error), email, context)
        case BadLinkError():
            where = email.link_places[error.number]
            return RenderError(email.name, f"{error}, at {where}; {_LINK_REMEDY}", where)
        case RecursionError():
            return RenderError(email.name, "the template or its data is nested too deeply")
        case _TooLargeError():
            return RenderError(email.name, _TOO_LARGE)
        case _:
            return RenderError(email.name, f"{type(error).__name__}: {error}")


def _missing(name: str, email: CompiledEmail, context: Mapping[str, object]) -> RenderError:
    """The error that names, for a bare attribute name, the variable that the template reads and the data lacks."""
    lacking = [variable for variable in sorted(email.variables) if not _resolves(variable, context)]
    close = [variable for variable in lacking if name in variable.split(".")]
    variable = (close or [name])[0]
    where = email.places.get(variable, "")
    read = f", read at {where}" if where else ""
    message = f'{variable} is missing{read}; provide it, or write {{{{ {variable} | default("…") }}}}'
    return RenderError(email.name, message, where)


def _resolves(variable: str, context: Mapping[str, object]) -> bool:
    value: object = context
    for part in variable.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
        if value is None:
            return False
    return True
