"""The workshop: every email of the project, and a look at one of them through the pipeline that sends it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lifecycle import clock
from lifecycle.engine import Engine
from lifecycle.errors import LifecycleError, TemplateError
from lifecycle.flow.mailer import Mailer
from lifecycle.journey.emails import senders
from lifecycle.journey.project import Problem
from lifecycle.journey.vocabulary import nearest
from lifecycle.mail.locales import language, normal, variants
from lifecycle.mail.nowhere import NowhereTransport
from lifecycle.mail.render import Rendered
from lifecycle.mail.source import read_source
from lifecycle.settings import Settings

from .occasion import Occasion, made_up


@dataclass(frozen=True, slots=True)
class Entry:
    """One email of the project: the journeys that send it, and the locales that it exists in, the default first."""

    name: str
    journeys: tuple[str, ...]
    locales: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """One email as one person would get it; `customer` None is nobody, `moment` is in their zone.

    `letter`: the very bytes that would go out. `size`: bytes of HTML. `notes`: what a reader should know besides.
    """

    template: str
    locale: str
    customer: str | None
    moment: datetime
    rendered: Rendered
    letter: bytes
    size: int
    notes: tuple[str, ...]


class Workshop:
    """The emails of one project as the files stand now; after a change of theirs, open another.

    Raises DefinitionError on first use of a project that is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = Engine(settings)

    def entries(self) -> list[Entry]:
        """All emails, by name."""
        project = self.engine.project
        return [
            Entry(name, tuple(journey.name for journey in senders(project, name)), self.locales(name))
            for name in self.engine.renderer.names()
        ]

    def locales(self, template: str) -> tuple[str, ...]:
        """The locales that the email exists in, the default first; of a broken one the default alone."""
        try:
            return self.engine.renderer.locales(template)
        except TemplateError:
            return (self.engine.renderer.locale,)

    def look(
        self, template: str, *, customer: str | None = None, locale: str | None = None, at: datetime | None = None
    ) -> Look:
        """The email for that customer, or for nobody in particular.

        `locale`: as if they read that one. `at`: naive is by the clock of their zone; None is now. Raises
        TemplateError, RenderError, and LifecycleError where there is no such email or customer.
        """
        mailer = self.engine.mailer(NowhereTransport())
        look = self.show(mailer, template, self.occasion(template, customer, locale, at), customer)
        if locale is None or language(look.locale) == language(normal(locale) or ""):
            return look
        return replace(look, notes=(*look.notes, f"there is none in {locale}: this is what they get, in {look.locale}"))

    def occasion(
        self, template: str, customer: str | None = None, locale: str | None = None, at: datetime | None = None
    ) -> Occasion:
        """What it would be rendered with; raises LifecycleError."""
        project, names, settings = self.engine.project, self.engine.renderer.names(), self.settings
        if template not in names:
            hint = nearest(template, names, f"write {template}.mjml in {settings.templates}")
            raise LifecycleError(f"there is no email {template!r}; {hint}")
        if locale is not None and normal(locale) is None:
            raise LifecycleError(f"{locale!r} is no locale like en, id or en-GB")
        moment = at or clock.now()
        if customer is None:
            return made_up(project, settings.templates, template, moment, locale)
        from .recalled import recalled  # SQL, which most looks do without

        return recalled(project, settings, template, customer, moment, locale)

    def show(
        self, mailer: Mailer, template: str, occasion: Occasion, customer: str | None = None, *, mark: str = ""
    ) -> Look:
        """The email on that occasion, as `mailer` would send it, with `mark` before its subject; raises as `look`."""
        envelope, moment, notes = occasion.envelope, occasion.moment, occasion.notes
        if occasion.sections:
            content = mailer.render_digest(
                template, envelope, occasion.customer, occasion.sections, moment, occasion.more
            )
        else:
            content = mailer.render(template, envelope, occasion.customer, occasion.event, moment, occasion.more)
        notes += tuple(f"left out, as a digest would: {reason}" for reason in content.failed.values())
        rendered = content.rendered
        rendered.subject = mark + rendered.subject
        letter = mailer.letter(envelope, content, moment.astimezone(UTC))
        return Look(
            template,
            rendered.locale,
            customer,
            moment,
            rendered,
            letter.data,
            len(rendered.html.encode("utf-8", "replace")),
            notes,
        )

    def sources(self, template: str, locale: str | None = None) -> list[tuple[Path, str]]:
        """The files that the email is made of, its own first, with their text; of a broken one those that are found."""
        own, text = self._file(template, locale, ".mjml"), self._file(template, locale, ".txt")
        try:
            name = own.relative_to(self.settings.templates).with_suffix("").as_posix()
            source = read_source(self.settings.templates, name)
            files = [own, *(Path(origin.file) for origin in source.origins), text]
        except TemplateError:
            files = [own, text]
        return [
            (file, file.read_text(encoding="utf-8", errors="replace"))
            for file in dict.fromkeys(files)
            if file.is_file()
        ]

    def _file(self, template: str, locale: str | None, suffix: str) -> Path:
        """The variant of that locale where there is one, else the default."""
        own = self.settings.templates / f"{template}{suffix}"
        try:
            return variants(self.settings.templates, template, suffix).get(normal(locale or "") or "", own)
        except TemplateError:
            return own

    def problems(self, template: str) -> list[Problem]:
        """What lint says of the email."""
        from lifecycle.lint import lint_email  # tables of what mail programs draw, which most looks do without

        return lint_email(self.engine.renderer, template, self.engine.project, self.settings.templates)
