"""What lags behind the default edition of an email: variants of an older state of it, and texts not translated.

A variant says what it is a translation of by a stamp, `{# translates: 1a2b3c4d #}`: the digest of the default's file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from lifecycle.mail.catalogue import DOMAIN, FOLDER
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.locales import variant_of, variants
from lifecycle.mail.source import place, read_text

_STAMP = re.compile(r"\{#\s*translates:\s*(\w+)\s*#\}\n?")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Lag:
    """One thing that lags: the locale, where, what, and the remedy."""

    locale: str
    where: str
    message: str
    hint: str


def lagging(folder: Path, edition: CompiledEmail) -> list[Lag]:
    """What lags in one edition of an email, other than the default one."""
    variants = [lag for lag in variants_that_lag(folder, edition.name) if lag.locale == edition.locale]
    return [*variants, *_untranslated(edition)]


def stamp(text: str) -> str:
    """What a translation of this source is stamped with; a stamp of its own is no part of it."""
    return blake2b(_STAMP.sub("", text).encode(), digest_size=4).hexdigest()


def stamped(variant: str, default: str) -> str:
    """A variant's source with the stamp of the default as it is now, on its first line."""
    return f"{{# translates: {stamp(default)} #}}\n{_STAMP.sub('', variant)}"


def variant_files(folder: Path, name: str) -> list[tuple[str, Path]]:
    """The variants of an email, `.mjml` and `.txt`, each with its locale, that translate a file there is."""
    found = [*variants(folder, name).items(), *variants(folder, name, ".txt").items()]
    return sorted((locale, path) for locale, path in found if (of := variant_of(path)) and of[0].is_file())


def variants_that_lag(folder: Path, name: str) -> Iterator[Lag]:
    """The variants that were translated from an older state of their default, or do not say from which."""
    for locale, path in variant_files(folder, name):
        default = folder / f"{name}{path.suffix}"
        found = _STAMP.search(read_text(path))
        hint = f"compare the two, then: lifecycle locales stamp {name} --locale {locale}"
        if found is None:
            yield Lag(locale, f"{path}:1:1", f"does not say which {default.name} it translates", hint)
        elif found[1] != stamp(read_text(default)):
            where = place(str(path), found.string, found.start())
            yield Lag(locale, where, f"{default.name} has changed since this was translated", hint)


def _untranslated(email: CompiledEmail) -> Iterator[Lag]:
    left = email.untranslated
    if left:
        texts = ", ".join(repr(message.text[:40]) for message in left[:_SHOWN]) + (", …" if len(left) > _SHOWN else "")
        what = f"{len(left)} of its texts {'is' if len(left) == 1 else 'are'} not in {email.locale}: {texts}"
        path = f"{FOLDER}/{email.locale}/LC_MESSAGES/{DOMAIN}.po"
        hint = f"lifecycle locales update {email.locale}, then translate them in {path}"
        yield Lag(email.locale, left[0].place, what, hint)
