"""Which locale an email is shown in: what the customer wishes, what the email exists in, and where its variants are.

A locale is spelled as Babel does: a language, with a script or a territory where that matters ("id", "en_GB").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from lifecycle.errors import TemplateError

_TAG = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z]{4}))?(?:[-_]([A-Za-z]{2}|[0-9]{3}))?(?:[.@].*)?")
# Codes that were withdrawn, and that Java and Android went on saying; and Norwegian, which is written as Bokmål.
_OLD = {"in": "id", "iw": "he", "ji": "yi", "jw": "jv", "no": "nb", "tl": "fil"}
_SUBTAGS = re.compile(r"[-_,;]")
_LONGEST_WISH = 100


@lru_cache(maxsize=4096)
def normal(wanted: str) -> str | None:
    """The locale as Babel spells it: "id-ID", "in_ID" and "id_ID.UTF-8" → "id_ID"; None for what is none.

    A territory or script that nobody knows is left out: "id-XX" → "id".
    """
    found = _TAG.fullmatch(wanted.strip())
    if found is None:
        return None
    from babel import Locale, UnknownLocaleError

    language = _OLD.get(found[1].lower(), found[1].lower())
    parts = [language, (found[2] or "").title(), (found[3] or "").upper()]
    while any(parts):
        try:
            known = str(Locale.parse("_".join(filter(None, parts))))
        except (UnknownLocaleError, ValueError):
            parts = [part for part in parts if part][:-1]
        else:
            # Babel also knows what libraries call languages: "may" for Malay.
            return known if known.partition("_")[0] == parts[0] else None
    return None


@lru_cache(maxsize=4096)
def wished(wanted: str) -> str | None:
    """The locale that somebody wishes, as `normal` knows it; what is said besides is left out.

    That is a variant or an extension ("ca-ES-valencia" → "ca_ES"), or what stands behind the first choice of a browser
    ("id-ID,id;q=0.9" → "id_ID").
    """
    parts = _SUBTAGS.split(wanted) if len(wanted) <= _LONGEST_WISH else []
    while parts:
        if (found := normal("_".join(parts))) is not None:
            return found
        parts.pop()
    return None


def language(locale: str) -> str:
    """The language of a locale: "en_GB" → "en"."""
    return locale.partition("_")[0]


def negotiated(wanted: str | None, available: Sequence[str]) -> str:
    """The one of `available`, the default first, for somebody who wishes `wanted`: the nearest of their language.

    The nearest shares the most of language, script and territory, and of those that do says the least besides.
    """
    if wanted is None:
        return available[0]
    theirs = wanted.split("_")

    def shared(each: str) -> tuple[int, int]:
        parts = each.split("_")
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(theirs, parts, strict=False)))
        return same, -len(parts)

    nearest = max(available, key=shared)
    return nearest if shared(nearest)[0] else available[0]


def formatting(wanted: str | None, shown: str) -> str:
    """The locale of dates and amounts in an email shown in `shown`: their own if it is the same language."""
    return wanted if wanted is not None and language(wanted) == language(shown) else shown


def tag(locale: str) -> str:
    """The locale as HTML and mail headers spell it (BCP 47): "en_GB" → "en-GB"."""
    return locale.replace("_", "-")


# Variants: `welcome.id.mjml` beside `welcome.mjml`


def variant_of(path: Path) -> tuple[Path, str] | None:
    """The file that `welcome.id.mjml` or `.txt` is a variant of, and its locale; None if it is a file of its own."""
    stem, dot, suffix = path.stem.rpartition(".")
    found = normal(suffix) if dot and stem else None
    if found is None:
        return None
    default = path.with_name(f"{stem}{path.suffix}")
    exists = default.is_file() or default.with_suffix(".mjml").is_file()
    return (default, found) if exists else None


def variants(folder: Path, name: str, suffix: str = ".mjml") -> dict[str, Path]:
    """The files `name.<locale><suffix>` by locale, sorted; raises TemplateError where two are of one locale."""
    found: dict[str, Path] = {}
    base = folder / f"{name}{suffix}"
    for path in sorted(base.parent.glob(f"{_literal(base.stem)}.*{suffix}")):
        of = variant_of(path)
        if of is None or of[0] != base:
            continue
        if of[1] in found:
            raise TemplateError(str(path), f"{found[of[1]].name} is of the same locale, {of[1]}", "remove one of them")
        found[of[1]] = path
    return found


def _literal(stem: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", stem)
