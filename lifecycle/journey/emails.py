"""Whether the emails that a journey sends exist, compile, and find every word they print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifecycle.errors import DefinitionError, RenderError, TemplateError
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.render import Renderer
from lifecycle.mail.sections import KNOWN
from lifecycle.mail.source import email_names

from .journey import Journey
from .project import Problem, Project
from .sample import A_DAY, sample_customer, sample_sections
from .steps import Send, walk_steps
from .vocabulary import RESERVED, Vocabulary, nearest
from .words import trigger_of

_BY_THE_ENGINE: Mapping[str, Sequence[str] | None] = {
    "company": ("name", "email", "postal_address"),
    "links": ("unsubscribe",),
    "locale": None,
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
                hint = _remedy(step.template, names) if names else _FOLDER
                raise DefinitionError(step.defined_at, message, hint)
    digest = project.policy.digest.template
    if digest not in names and gathers(project):
        message = f'there is no email {digest!r} in {templates}, and on_capped="digest" needs it'
        raise DefinitionError(project.policy.defined_at, message, _remedy(digest, names) if names else _FOLDER)


_FOLDER = "set LIFECYCLE_TEMPLATES to the folder of the emails"


def gathers(project: Project) -> bool:
    """Whether any email may go out in a digest."""
    return any(
        isinstance(step, Send) and step.on_capped == "digest"
        for journey in project.journeys.values()
        for step in walk_steps(journey.steps)
    )


def _remedy(template: str, names: Sequence[str]) -> str:
    return nearest(template, names, f"write {template}.mjml in the templates folder")


def check_emails(journey: Journey, vocabulary: Vocabulary, renderer: Renderer) -> Iterator[Problem]:
    """Missing and broken templates, words that nobody provides, and marketing without a way out."""
    names = renderer.names()
    for step in walk_steps(journey.steps):
        if not isinstance(step, Send):
            continue
        if step.template not in names:
            yield Problem(
                "missing_template",
                step.defined_at,
                f"there is no email {step.template!r}",
                _remedy(step.template, names),
            )
            continue
        try:
            email = renderer.compiled(step.template)
        except TemplateError as error:
            yield Problem("template", error.where, error.message, error.hint)
            continue
        yield from _check_variables(email, journey, vocabulary)
        if step.on_capped == "digest":
            yield from _check_gathered(email, journey, step)
        if journey.kind == "marketing" and "links.unsubscribe" not in email.variables:
            message = f"{email.name!r} has no unsubscribe link, and journey {journey.name!r} is marketing"
            yield Problem("no_unsubscribe", step.defined_at, message, "put {{ links.unsubscribe }} in its footer")


def _check_gathered(email: CompiledEmail, journey: Journey, step: Send) -> Iterator[Problem]:
    """Whether a digest can stand for this email."""
    if journey.kind == "transactional":
        message = f'on_capped="digest" in journey {journey.name!r}, which is transactional'
        yield Problem("transactional_digest", step.defined_at, message, "say 'wait' or 'skip': people need it itself")
    if not email.link:
        message = f"{email.name!r} has no link, so a digest has nowhere to lead from it"
        yield Problem("no_link", step.defined_at, message, "give it an <mj-button href=\"…\">, or say on_capped='wait'")


def check_digest(project: Project, renderer: Renderer) -> Iterator[Problem]:
    """What is wrong with the email of digests, if any email may go into one."""
    if not gathers(project):
        return
    template, where, names = project.policy.digest.template, project.policy.defined_at, renderer.names()
    if template not in names:
        message = f'there is no email {template!r}, and on_capped="digest" needs it'
        yield Problem("missing_template", where, message, _remedy(template, names))
        return
    try:
        email = renderer.compiled(template)
    except TemplateError as error:
        yield Problem("template", error.where, error.message, error.hint)
        return
    problems = list(_check_variables_of_digest(email, project.vocabulary))
    if "sections" not in email.variables:
        message = f"{template!r} shows nothing of what it gathers"
        problems.append(Problem("no_sections", where, message, "write {% for section in sections %} … {% endfor %}"))
    if "links.unsubscribe" not in email.variables:
        message = f"{template!r} has no unsubscribe link, and digests are marketing"
        problems.append(Problem("no_unsubscribe", where, message, "put {{ links.unsubscribe }} in its footer"))
    yield from problems
    if not problems:
        yield from _try_digest(email, project, renderer)


def _check_variables_of_digest(email: CompiledEmail, vocabulary: Vocabulary) -> Iterator[Problem]:
    provided = _provided_to_all(vocabulary) | {"sections": None}
    for variable in sorted(email.variables):
        group, _, rest = variable.partition(".")
        name = rest.partition(".")[0]
        if group == "event":
            message = f"{email.name!r} prints {variable}, but a digest has no event of its own"
            hint = f"in {{% for section in sections %}} write section.{variable}"
        elif group not in provided:
            message = f"{email.name!r} prints {variable}, which nobody provides"
            hint = nearest(group, provided, f"mend it, or make it: {{% set {group} = … %}}")
        elif name and (known := provided[group]) is not None and name not in known:
            message = f"{email.name!r} prints {variable}, which the vocabulary does not have"
            hint = nearest(name, known, "declare it in vocabulary.py")
        else:
            continue
        yield Problem("unknown_variable", email.places.get(variable, email.name), message, hint)


def _try_digest(email: CompiledEmail, project: Project, renderer: Renderer) -> Iterator[Problem]:
    """What only shows when it is rendered: words of sections that there are not."""
    sender = project.policy.sender
    context: dict[str, Any] = {
        "customer": sample_customer(project.vocabulary),
        "company": {"name": sender.name, "email": sender.email, "postal_address": sender.postal_address},
        "links": {"unsubscribe": "https://example.com/"},
        "now": A_DAY,
        "message_id": "sample",
    }
    try:
        sections = [section.shown(renderer, context) for section in sample_sections(project)]
    except (RenderError, TemplateError):
        return  # it is told of that email itself
    try:
        renderer.render(email.name, context | {"sections": sections})
    except RenderError as error:
        hint = f'a section has {", ".join(KNOWN)}; what not every event has wants | default("…")'
        yield Problem("digest", email.places.get("sections", email.name), str(error), hint)


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


def _provided_to_all(vocabulary: Vocabulary) -> dict[str, Sequence[str] | None]:
    """What any email may print: names by the group before the dot; None is a plain value."""
    attributes = [*vocabulary.attributes, *(name for name in RESERVED if name not in vocabulary.attributes)]
    return {**_BY_THE_ENGINE, "customer": attributes}


def _provided(journey: Journey, vocabulary: Vocabulary) -> dict[str, Sequence[str] | None]:
    """What this journey's emails may print, as `_provided_to_all`."""
    provided = _provided_to_all(vocabulary)
    for event in trigger_of(journey):
        provided["event"] = list(vocabulary.events[event].properties) if event in vocabulary.events else None
    return provided
