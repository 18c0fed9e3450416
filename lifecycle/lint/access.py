"""Rules that help who does not see an email, but hears it."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.mail.locales import tag as language_tag

from .email import Email
from .markup import Tag
from .rule import Finding, Rule


def _no_lang(email: Email) -> Iterator[Finding]:
    for tag in email.named("mjml"):
        if not tag.attributes.get("lang"):
            hint = f'write <mjml lang="{language_tag(email.compiled.locale)}">'
            yield Finding(email.at(tag.start), "no language is named, so screen readers guess how to speak", hint)


def _doubled_id(email: Email) -> Iterator[Finding]:
    seen: dict[str, Tag] = {}
    for tag in email.tags:
        id = tag.attributes.get("id", "")
        if id and not tag.name.startswith("mj") and (first := seen.setdefault(id, tag)) is not tag:
            message = f"the id {id!r} is taken by the tag at {email.at(first.start)}"
            yield Finding(email.at(tag.start), message, "rename one")


RULES = (
    Rule("no_lang", "warning", "The email names its language.", _no_lang),
    Rule("doubled_id", "warning", "No two tags have one id.", _doubled_id),
)
