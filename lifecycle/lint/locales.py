"""Rules on the locales of an email."""

from __future__ import annotations

from collections.abc import Iterator

from .email import Email
from .rule import Finding, Rule


def _untranslated(email: Email) -> Iterator[Finding]:
    if email.compiled.locale == email.renderer.locale:
        return
    for message in email.compiled.untranslated:
        yield Finding(
            message.place,
            f"{message.text[:40]!r} is not translated into {email.compiled.locale}, so readers get it as it stands",
            f"translate it in locales/{email.compiled.locale}/LC_MESSAGES/email.po; see: lifecycle locales",
        )


RULES = (Rule("untranslated", "warning", "A locale says all that its default does.", _untranslated, of_outcome=True),)
