"""Rules on the locales of an email."""

from __future__ import annotations

from collections.abc import Iterator

from .email import Email
from .rule import Finding, Rule

_COUNTED = (("mj-section",), ("mj-button", "a"), ("mj-image", "img"))
"""Of these, an edition written in a file of its own has as many as the default."""


def _untranslated(email: Email) -> Iterator[Finding]:
    locale = email.compiled.locale
    if locale != email.renderer.locale:
        for message in email.compiled.untranslated:
            said = f"{message.text[:40]!r} is not translated into {locale}: readers get it as it stands"
            yield Finding(message.place, said, f"translate it in locales/{locale}/LC_MESSAGES/email.po")


def _differing(email: Email) -> Iterator[Finding]:
    if email.default is None or email.source.path == email.default.source.path:
        return
    own, other, where = email.source.path.name, email.default.source.path.name, email.place("mj-body")
    for names in _COUNTED:
        has, wants = len(email.named(*names)), len(email.default.named(*names))
        if has != wants:
            tags = " and ".join(f"<{name}>" for name in names)
            yield Finding(
                where, f"{own} has {has} {tags}, and {other} {wants}", f"bring both up to date, {other} first"
            )
    for variable in sorted(email.default.compiled.variables - email.compiled.variables):
        place = email.default.compiled.places.get(variable, other)
        yield Finding(where, f"{own} never reads {variable}, which {other} does at {place}", "bring both up to date")


def _lagging(email: Email) -> Iterator[Finding]:
    yield from _untranslated(email)
    yield from _differing(email)


RULES = (
    Rule("lagging_locale", "warning", "Each locale says all that the default one does.", _lagging, of_outcome=True),
)
