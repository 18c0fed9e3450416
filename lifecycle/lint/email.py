"""An email as rules look at it: its source with the places of its tags, what was compiled, and one rendered sample."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lifecycle.errors import RenderError, TemplateError
from lifecycle.journey.emails import senders
from lifecycle.journey.journey import Journey
from lifecycle.journey.project import Project
from lifecycle.journey.sample import A_DAY, sample_event, sample_sections
from lifecycle.journey.vocabulary import RESERVED
from lifecycle.journey.words import trigger_of
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.environment import html_environment
from lifecycle.mail.locales import variants
from lifecycle.mail.macros import with_macros
from lifecycle.mail.mask import Masked
from lifecycle.mail.recommended import ORDERS, RECOMMENDED, Recommended
from lifecycle.mail.render import Rendered, Renderer
from lifecycle.mail.source import Source, read_source, read_text
from lifecycle.workshop.samples import sample

from .expressions import Word
from .markup import Tag, read_tags

SAMPLE_UNSUBSCRIBE = "https://example.com/unsubscribe"
_ALWAYS_THERE = frozenset({"email", "created_at"})
"""Reserved traits of everybody whom mail can go to."""


@dataclass(frozen=True, eq=False)
class Email:
    """One edition of an email, that of one locale; `senders` are the journeys that send it.

    `default` is the edition of the default locale, None if it is this one.
    """

    project: Project
    templates: Path
    renderer: Renderer
    source: Source
    compiled: CompiledEmail
    senders: tuple[Journey, ...]
    default: Email | None = None

    @property
    def name(self) -> str:
        """Its name in journeys."""
        return self.compiled.name

    @property
    def is_digest(self) -> bool:
        """Whether it stands for the emails that a frequency cap held back."""
        return self.name == self.project.policy.digest.template

    @property
    def is_marketing(self) -> bool:
        """Whether people must be able to leave what it is sent for."""
        return self.is_digest or any(journey.kind == "marketing" for journey in self.senders)

    @property
    def triggers(self) -> list[str]:
        """The events that may start the journeys it is sent by; all, where none sends it."""
        events = {event for journey in self.senders for event in trigger_of(journey)}
        return sorted(events if self.senders or self.is_digest else self.project.vocabulary.events)

    def may_lack(self, word: Word) -> bool:
        """Whether somebody may get the email for whom nobody has provided that word."""
        group, name = word
        vocabulary = self.project.vocabulary
        if group == "customer":
            attribute = vocabulary.attributes.get(name)
            known = attribute is not None or name in RESERVED
            return known and name not in _ALWAYS_THERE and not (attribute is not None and attribute.required)
        if group == "event":
            events = [vocabulary.events[event].properties for event in self.triggers if event in vocabulary.events]
            found = [properties[name] for properties in events if name in properties]
            return bool(found) and not all(each.required for each in found)
        return False

    # its source

    @cached_property
    def masked(self) -> Masked:
        """The source with words in place of the Jinja tokens."""
        return Masked(self.source.mjml, html_environment())

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """All tags of the source, in order."""
        return read_tags(self.masked)

    def named(self, *names: str) -> list[Tag]:
        """The tags of these names, in order."""
        return [tag for tag in self.tags if tag.name in names]

    def at(self, offset: int) -> str:
        """The place in the marketer's file of a position in the masked text."""
        return self.source.at(self.masked.origin(offset))

    def place(self, name: str) -> str:
        """The place of the first tag of that name, else of the email's beginning."""
        tags = self.named(name)
        return self.at(tags[0].start) if tags else self.source.at(0)

    @property
    def foot(self) -> str:
        """The place of `</mj-body>`, before which a footer would stand."""
        end = re.search(r"</mj-body", self.masked.text, re.IGNORECASE)
        return self.at(end.start()) if end else self.source.at(0)

    @property
    def text_file(self) -> Path:
        """The text part written by hand, where `source.text` has one."""
        return self.source.path.with_suffix(".txt")

    # what comes out

    @cached_property
    def outcome(self) -> Rendered | RenderError | TemplateError:
        """One sample of it, or why there is none."""
        return self._tried(self._sample)

    @cached_property
    def rendered(self) -> Rendered | None:
        """The sample, if it can be rendered."""
        return self.outcome if isinstance(self.outcome, Rendered) else None

    @cached_property
    def of_a_stranger(self) -> Rendered | RenderError | TemplateError:
        """What comes out for somebody of whom nothing is known that may be lacking, and who ordered nothing else."""
        return self._tried(self._stranger)

    def _tried(self, data: Callable[[], Mapping[str, Any]]) -> Rendered | RenderError | TemplateError:
        try:
            return self.renderer.render(self.name, data(), self.compiled.locale)
        except (RenderError, TemplateError) as error:
            return error

    def _stranger(self) -> Mapping[str, Any]:
        context = self._sample()
        for group in {"customer", "event"} & context.keys():
            context[group] = {name: each for name, each in context[group].items() if not self.may_lack((group, name))}
        if ORDERS in context:
            purchases = self.project.policy.purchases
            is_an_order = purchases is not None and self.triggers == [purchases.event]
            context |= {ORDERS: context[ORDERS][:is_an_order], RECOMMENDED: Recommended([])}
        return context

    def _sample(self) -> dict[str, Any]:
        project, sender, locale = self.project, self.project.policy.sender, self.compiled.locale
        events = self.triggers
        made = sample(project, self.templates, self.name, events[0] if events else None, locale)
        context: dict[str, Any] = {
            "customer": made.customer,
            "company": {"name": sender.name, "email": sender.email, "postal_address": sender.postal_address},
            "links": {"unsubscribe": SAMPLE_UNSUBSCRIBE},
            "now": A_DAY,
            "message_id": "sample",
            **made.more,
        }
        if self.is_digest:
            return context | {
                "sections": [each.shown(self.renderer, context, locale) for each in sample_sections(project)]
            }
        event = dict(made.event)
        for name in events[1:]:
            event = {**sample_event(project.vocabulary, name), **event}
        return context | {"event": event}


def read_email(renderer: Renderer, name: str, project: Project, templates: Path) -> list[Email]:
    """The editions of an email of the folder `templates`, the default one first.

    Those that share a file share its source. Raises TemplateError where a source is wrong.
    """
    compiled = {locale: renderer.compiled(name, locale) for locale in renderer.locales(name)}
    default = _source(templates, templates / f"{name}.mjml")
    files, texts = variants(templates, name), variants(templates, name, ".txt")
    sources = dict.fromkeys(compiled, default)
    for locale, path in texts.items():
        # Its `path` names what the text stands beside.
        sources[locale] = replace(default, path=path.with_suffix(".mjml"), text=read_text(path))
    sources |= {locale: _source(templates, path) for locale, path in files.items()}
    journeys = senders(project, name)
    editions: list[Email] = []
    for locale, each in compiled.items():
        first = editions[0] if editions else None
        editions.append(Email(project, templates, renderer, sources[locale], each, journeys, first))
    return editions


def _source(templates: Path, path: Path) -> Source:
    source = read_source(templates, path.relative_to(templates).with_suffix("").as_posix())
    return with_macros(source, html_environment()) if "macro" in source.mjml else source
