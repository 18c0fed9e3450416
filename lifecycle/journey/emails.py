"""Whether the emails that journeys send are there, and may stand in a digest where they are to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lifecycle.errors import DefinitionError, TemplateError
from lifecycle.mail.render import Renderer
from lifecycle.mail.source import email_names

from .journey import Journey
from .policy import Policy
from .project import Problem, Project
from .steps import Send, walk_steps
from .vocabulary import nearest


def renderer_of(policy: Policy, templates: Path, cache: Path | None = None) -> Renderer:
    """What renders the emails of the folder `templates` under this policy; `cache` is a folder for what is compiled."""
    return Renderer(templates, cache, locale=policy.locale, currency=policy.currency, utm=policy.utm)


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


def senders(project: Project, name: str) -> tuple[Journey, ...]:
    """The journeys that send this email."""
    return tuple(
        journey
        for journey in project.journeys.values()
        if any(isinstance(step, Send) and step.template == name for step in walk_steps(journey.steps))
    )


def check_emails(journey: Journey, renderer: Renderer) -> Iterator[Problem]:
    """Emails that are missing, or that no digest can stand for."""
    names = renderer.names()
    for step in walk_steps(journey.steps):
        if not isinstance(step, Send):
            continue
        if step.template not in names:
            message = f"there is no email {step.template!r}"
            yield Problem("missing_template", step.defined_at, message, _remedy(step.template, names))
        elif step.on_capped == "digest":
            yield from _check_gathered(journey, step, renderer)


def _check_gathered(journey: Journey, step: Send, renderer: Renderer) -> Iterator[Problem]:
    """Whether a digest can stand for this email."""
    if journey.kind == "transactional":
        message = f'on_capped="digest" in journey {journey.name!r}, which is transactional'
        yield Problem("transactional_digest", step.defined_at, message, "say 'wait' or 'skip': people need it itself")
    try:
        link = renderer.compiled(step.template).link
    except TemplateError:
        return  # lint tells of it
    if not link:
        message = f"{step.template!r} has no link, so a digest has nowhere to lead from it"
        yield Problem("no_link", step.defined_at, message, "give it an <mj-button href=\"…\">, or say on_capped='wait'")


def check_digest(project: Project, renderer: Renderer) -> Iterator[Problem]:
    """The email of digests, if it is missing and any email may go into one."""
    template, names = project.policy.digest.template, renderer.names()
    if gathers(project) and template not in names:
        message = f'there is no email {template!r}, and on_capped="digest" needs it'
        yield Problem("missing_template", project.policy.defined_at, message, _remedy(template, names))
