"""Rules on the data that an email prints: that somebody provides it, and what stands there for who lacks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lifecycle.errors import RenderError, TemplateError
from lifecycle.journey.journey import Journey
from lifecycle.journey.vocabulary import RESERVED, nearest
from lifecycle.journey.words import trigger_of
from lifecycle.mail.environment import html_environment, text_environment
from lifecycle.mail.recommended import NAMES
from lifecycle.mail.sections import KNOWN
from lifecycle.mail.source import place
from lifecycle.mail.syntax import parse_again

from .email import Email
from .fallback import Lack, lacking
from .rule import Finding, Rule

_BY_THE_ENGINE: Mapping[str, Sequence[str] | None] = {
    "company": ("name", "email", "postal_address"),
    "links": ("unsubscribe",),
    "locale": None,
    "message_id": None,
    "now": None,
}


def _unknown(email: Email) -> Iterator[Finding]:
    for journey in email.senders or [None]:
        provided = _provided(email, journey)
        for variable in sorted(email.compiled.variables):
            if problem := _unprovided(email, journey, variable, provided):
                yield Finding(email.compiled.places.get(variable, email.source.at(0)), *problem)


def _provided(email: Email, journey: Journey | None) -> dict[str, Sequence[str] | None]:
    """What the email may print when this journey sends it: names by the group before the dot; None is a plain value."""
    vocabulary = email.project.vocabulary
    traits = [*vocabulary.attributes, *(name for name in RESERVED if name not in vocabulary.attributes)]
    provided = {**_BY_THE_ENGINE, "customer": traits}
    if email.project.policy.purchases is not None:
        provided |= dict.fromkeys(NAMES)
    if email.is_digest:
        return {**provided, "sections": None}
    events = email.triggers if journey is None else trigger_of(journey)
    for event in events:
        known = vocabulary.events.get(event)
        provided["event"] = None if known is None else [*(provided.get("event") or ()), *known.properties]
    return provided


def _unprovided(
    email: Email, journey: Journey | None, variable: str, provided: Mapping[str, Sequence[str] | None]
) -> tuple[str, str] | None:
    """What is wrong with printing a variable, and the remedy."""
    group, _, rest = variable.partition(".")
    name, prints = rest.partition(".")[0], f"{email.name!r} prints {variable}"
    if group == "event" and group not in provided:
        if email.is_digest:
            hint = f"in {{% for section in sections %}} write section.{variable}"
            return f"{prints}, but a digest has no event of its own", hint
        starts = f"starts journey {journey.name!r}" if journey else "is in the vocabulary"
        return f"{prints}, but no event {starts}", "use customer.… instead, or enter by on()"
    if group in NAMES and group not in provided:
        return f"{prints}, but the policy names no purchases", "write purchases=Purchases(…) in policy.py"
    if group not in provided:
        return f"{prints}, which nobody provides", nearest(
            group, provided, f"mend it, or make it: {{% set {group} = … %}}"
        )
    known = provided[group]
    if not name or known is None or name in known:
        return None
    who = f"neither the vocabulary nor journey {journey.name!r} has" if journey else "the vocabulary does not have"
    return f"{prints}, which {who}", nearest(name, known, "declare it in vocabulary.py")


def _no_fallback(email: Email) -> Iterator[Finding]:
    for lack, where in _lacks(email):
        if lack.word is None:
            message = "an if within {{ … }} without else: where it does not hold, the message fails"
            yield Finding(where, message, 'end it with: else ""')
        else:
            name = ".".join(lack.word)
            message = f"{name} may be missing, and then the message fails"
            yield Finding(where, message, f'write {name} | default("…"), or put it behind {{% if {name} is defined %}}')


def _lacks(email: Email) -> Iterator[tuple[Lack, str]]:
    """What may be missing where it is needed, with its place; in both parts, where the text is written by hand."""
    source, text = email.source, email.source.text
    environment = html_environment()
    for lack in lacking(parse_again(source.mjml, environment), environment, email.may_lack):
        yield lack, source.at(lack.at)
    if text is not None:
        environment = text_environment()
        for lack in lacking(parse_again(text, environment), environment, email.may_lack):
            yield lack, place(str(email.text_file), text, lack.at)


def _no_sections(email: Email) -> Iterator[Finding]:
    if email.is_digest and "sections" not in email.compiled.variables:
        message = f"{email.name!r} shows nothing of what it gathers"
        yield Finding(email.place("mj-body"), message, "write {% for section in sections %} … {% endfor %}")


def _unrenderable(email: Email) -> Iterator[Finding]:
    error = email.outcome
    if isinstance(error, TemplateError) and email.is_digest:
        return  # an email that it gathers does not compile, which is told once, of that email
    if isinstance(error, TemplateError):
        yield Finding(error.where, error.message, error.hint)
    elif isinstance(error, RenderError):
        where, hint = error.where or email.source.at(0), "mend the template, or the sample data"
        if email.is_digest:
            where = email.compiled.places.get("sections", where)
            hint = f'a section has {", ".join(KNOWN)}; what not every event has wants | default("…")'
        yield Finding(where, str(error), hint)
    elif isinstance(error := email.of_a_stranger, RenderError):
        hint = "put it behind {% if … %}: not everybody has ordered, or can be recommended anything"
        yield Finding(error.where or email.source.at(0), str(error), hint)


RULES = (
    Rule(
        "unknown_variable", "error", "The vocabulary, the journey or the engine provides all that is printed.", _unknown
    ),
    Rule("unknown_filter", "error", "Filters and tests are such as there are."),
    Rule("no_fallback", "error", "What somebody may lack has a fallback: `| default(…)`, or a guard.", _no_fallback),
    Rule("no_sections", "error", "The email of digests shows its sections.", _no_sections),
)
TRIAL = Rule(
    "unrenderable",
    "error",
    "The email can be rendered with sample data, and for people of whom little is known.",
    _unrenderable,
    of_outcome=True,
)
"""Asked last, and only where nothing else is wrong: what is, mostly is why."""
