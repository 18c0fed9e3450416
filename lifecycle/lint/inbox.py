"""Rules on what an inbox shows: sender, subject and preheader."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from lifecycle.mail.render import Rendered

from .email import Email
from .rule import Finding, Rule

LONGEST_SUBJECT = 60
"""Characters; about what inboxes on a desktop show."""

# What programs write before an answer or a forwarded letter, in the languages that mail programs speak.
_REPLY = re.compile(
    r"\s*(?:re|fwd?|aw|wg|sv|vs|tr|rv|enc|antw|odp|bls|trs|vb|doorst)\s*(?:\[\d+\])?\s*[:：]", re.IGNORECASE
)


def _long_subject(email: Email) -> Iterator[Finding]:
    if email.rendered and len(subject := email.rendered.subject) > LONGEST_SUBJECT:
        message = f"the subject has {len(subject)} characters with sample data: “{subject}”"
        hint = f'keep it to {LONGEST_SUBJECT}; shorten what varies: | truncate(20, true, "…")'
        yield Finding(email.place("mj-title"), message, hint)


def _fake_reply(email: Email) -> Iterator[Finding]:
    if email.rendered and (found := _REPLY.match(email.rendered.subject)):
        message = f"the subject begins with “{found[0].strip()}”, as if somebody answered"
        yield Finding(email.place("mj-title"), message, "say what the email is about")


def _shouting(email: Email) -> Iterator[Finding]:
    if email.rendered:
        letters = [letter for letter in email.rendered.subject if letter.isalpha()]
        if len(letters) >= 8 and all(map(str.isupper, letters)):
            message = f"the subject is all in capitals: “{email.rendered.subject}”"
            yield Finding(email.place("mj-title"), message, "write it as a sentence")


def _blank_subject(email: Email) -> Iterator[Finding]:
    return _blank(email, "subject", "mj-title")


def _blank_preheader(email: Email) -> Iterator[Finding]:
    return _blank(email, "preheader", "mj-preview")


def _blank(email: Email, part: str, tag: str) -> Iterator[Finding]:
    for whom, shown in _readers(email):
        if not getattr(shown, part):
            yield Finding(email.place(tag), f"the {part} is blank {whom}", "write text that is always there")
            return


def _readers(email: Email) -> Iterator[tuple[str, Rendered]]:
    """What an inbox shows to somebody like the sample, and to somebody of whom little is known."""
    if email.rendered:
        yield "with sample data", email.rendered
        if isinstance(email.of_a_stranger, Rendered):
            yield "for people of whom little is known", email.of_a_stranger


def _repeated(email: Email) -> Iterator[Finding]:
    if email.rendered and email.rendered.preheader.casefold() == email.rendered.subject.casefold() != "":
        yield Finding(email.place("mj-preview"), "the preheader repeats the subject", "go on where the subject ends")


def _emoji_sender(email: Email) -> Iterator[Finding]:
    policy = email.project.policy
    emoji = "".join(filter(_is_emoji, policy.sender.name))
    if emoji:
        message = f"the sender's name has an emoji ({emoji}), as spam does"
        yield Finding(policy.defined_at, message, "write the name in letters; emoji may stand in a subject")


def _is_emoji(character: str) -> bool:
    return unicodedata.category(character) == "So" and character not in "©®™℗℠№"


RULES = (
    Rule(
        "no_subject",
        "error",
        "Every email has a subject, also for people of whom little is known.",
        _blank_subject,
        of_outcome=True,
    ),
    Rule(
        "no_preheader",
        "error",
        "Every email has a preheader, also for people of whom little is known.",
        _blank_preheader,
        of_outcome=True,
    ),
    Rule(
        "long_subject",
        "warning",
        f"Subjects have at most {LONGEST_SUBJECT} characters.",
        _long_subject,
        of_outcome=True,
    ),
    Rule("fake_reply", "error", "No subject pretends to be an answer: `Re:`, `Fwd:`.", _fake_reply, of_outcome=True),
    Rule("shouting", "warning", "No subject is all in capitals.", _shouting, of_outcome=True),
    Rule(
        "repeated_preheader",
        "warning",
        "The preheader says something else than the subject.",
        _repeated,
        of_outcome=True,
    ),
    Rule("emoji_sender", "warning", "The sender's name has no emoji.", _emoji_sender, of_outcome=True),
)
