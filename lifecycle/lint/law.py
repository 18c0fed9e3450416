"""Rules that the law and mailbox providers have made: who writes, and how to be left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .email import Email
from .rule import Finding, Rule

_UNSUBSCRIBE = re.compile(r"""\blinks\s*(?:\.\s*|\[\s*["'])unsubscribe\b""")
_ADDRESS = re.compile(r"""\bcompany\s*(?:\.\s*|\[\s*["'])postal_address\b""")


def _no_unsubscribe(email: Email) -> Iterator[Finding]:
    for part, source, where in _parts(email):
        if not _UNSUBSCRIBE.search(source):
            message = f"no unsubscribe link in the {part} of {email.name!r}, and {_why(email)}"
            yield Finding(where, message, "put {{ links.unsubscribe }} in its footer")


def _no_address(email: Email) -> Iterator[Finding]:
    address = email.project.policy.sender.postal_address
    for part, source, where in _parts(email):
        if not _ADDRESS.search(source) and address not in " ".join(source.split()):
            message = f"no postal address in the {part} of {email.name!r}, and {_why(email)}"
            yield Finding(where, message, "put {{ company.postal_address }} in its footer")


def _parts(email: Email) -> Iterator[tuple[str, str, str]]:
    """Of marketing: each part that is written by hand, its source, and where a footer would stand in it."""
    if email.is_marketing:
        yield "HTML", email.compiled.html, email.foot
        if email.source.text is not None:
            lines = email.source.text.count("\n") or 1
            yield "text part", email.compiled.text, f"{email.text_file}:{lines}:1"


def _why(email: Email) -> str:
    if email.is_digest:
        return "digests are marketing"
    return f"journey {next(each.name for each in email.senders if each.kind == 'marketing')!r} is marketing"


RULES = (
    Rule(
        "no_unsubscribe",
        "error",
        "Marketing has an unsubscribe link, in the HTML and in the text.",
        _no_unsubscribe,
        of_outcome=True,
    ),
    Rule(
        "no_address",
        "error",
        "Marketing says by which postal address the sender is found.",
        _no_address,
        of_outcome=True,
    ),
)
