"""Whether the emails that a journey sends exist, compile, and find every word they print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lifecycle.errors import DefinitionError, TemplateError
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.render import Renderer
from lifecycle.mail.source import email_names

from .journey import Journey
from .project import Problem, Project
from .steps import Send, walk_steps
from .vocabulary import RESERVED, Vocabulary, nearest
from .words import trigger_of

_BY_THE_ENGINE: Mapping[str, Sequence[str] | None] = {
    "company": ("name", "email", "postal_address"),
    "links": ("unsubscribe",),
    "now": None,
    "message_id": None,
}


def require_emails(project: Project, templates: Path) -> None:
    """Raises DefinitionError, with the remedy, where a journey sends an email that the folder does not have.

    Looks at names alone, so that a worker in the wrong folder ends before it fails everybody's mail.
    """
    names = email_names(templates)
    for journey in project.journeys.values():
        for step in walk_steps(journey.steps):
            if isinstance(step, Send) and step.template not in names:
                message = f"there is no email {step.template!r} in {templates}"
                hint = _remedy(step, names) if names else "set LIFECYCLE_TEMPLATES to the folder of the emails"
                raise DefinitionError(step.defined_at, message, hint)


def _remedy(step: Send, names: Sequence[str]) -> str:
    return nearest(step.template, names, f"write {step.template}.mjml in the templates folder")


def check_emails(journey: Journey, vocabulary: Vocabulary, renderer: Renderer) -> Iterator[Problem]:
    """Missing and broken templates, words that nobody provides, and marketing without a way out."""
    names = renderer.names()
    for step in walk_steps(journey.steps):
        if not isinstance(step, Send):
            continue
        if step.template not in names:
            yield Problem(
                "missing_template", step.defined_at, f"there is no email {step.template!r}", _remedy(step, names)
            )
            continue
        try:
            email = renderer.compiled(step.template)
        except TemplateError as error:
            yield Problem("template", error.where, error.message, error.hint)
            continue
        yield from _check_variables(email, journey, vocabulary)
        if journey.kind == "marketing" and "links.unsubscribe" not in email.variables:
            message = f"{email.name!r} has no unsubscribe link, and journey {journey.name!r} is marketing"
            yield Problem("no_unsubscribe", step.defined_at, message, "put {{ links.unsubscribe }} in its footer")


def _check_variables(email: CompiledEmail, journey: Journey, vocabulary: Vocabulary) -> Iterator[Problem]:
    provided = _provided(journey, vocabulary)
    for variable in sorted(email.variables):
        group, _, rest = variable.partition(".")
        name = rest.partition(".")[0]
        if group == "event" and group not in provided:
            message = f"{email.name!r} prints {variable}, but no event starts journey {journey.name!r}"
            hint = "use customer.… instead, or enter by on()"
        elif group not in provided:
            message = f"{email.name!r} prints {variable}, which nobody provides"
            hint = nearest(group, provided, f"mend it, or make it: {{% set {group} = … %}}")
        elif name and (known := provided[group]) is not None and name not in known:
            message = f"{email.name!r} prints {variable}, which neither the vocabulary nor journey {journey.name!r} has"
            hint = nearest(name, known, "declare it in vocabulary.py")
        else:
            continue
        yield Problem("unknown_variable", email.places.get(variable, email.name), message, hint)


def _provided(journey: Journey, vocabulary: Vocabulary) -> dict[str, Sequence[str] | None]:
    """What this journey's emails may print: names by the group before the dot; None is a plain value."""
    provided: dict[str, Sequence[str] | None] = dict(_BY_THE_ENGINE)
    provided["customer"] = [*vocabulary.attributes, *(name for name in RESERVED if name not in vocabulary.attributes)]
    for event in trigger_of(journey):
        provided["event"] = list(vocabulary.events[event].properties) if event in vocabulary.events else None
    return provided
