"""Rules on the locales of an email."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.mail.lagging import lagging

from .email import Email
from .rule import Finding, Rule

_COUNTED = (("mj-section",), ("mj-button", "a"), ("mj-image", "img"))
"""Of these, an edition written in a file of its own is expected to have as many as the default."""


def _lagging(email: Email) -> Iterator[Finding]:
    if email.default is not None:
        for lag in lagging(email.templates, email.compiled):
            yield Finding(lag.where, lag.message, lag.hint)
            if lag.where.startswith(f"{email.source.path}:") and email.source.path != email.default.source.path:
                yield from _differing(email, email.default)


def _differing(email: Email, default: Email) -> Iterator[Finding]:
    """What stands out in a file of its own that lags."""
    own, other, where = email.source.path.name, default.source.path.name, email.place("mj-body")
    for names in _COUNTED:
        has, wants = len(email.named(*names)), len(default.named(*names))
        if has != wants:
            tags = " and ".join(f"<{name}>" for name in names)
            yield Finding(
                where, f"{own} has {has} {tags}, and {other} {wants}", f"bring both up to date, {other} first"
            )
    for variable in sorted(default.compiled.variables - email.compiled.variables):
        place = default.compiled.places.get(variable, other)
        yield Finding(where, f"{own} never reads {variable}, which {other} does at {place}", "bring both up to date")


RULES = (
    Rule("lagging_locale", "warning", "Each locale says all that the default one does.", _lagging, of_outcome=True),
)
