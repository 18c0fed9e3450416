"""Catalogues of translations: `locales/<locale>/LC_MESSAGES/email.po` beside the emails, as gettext's tools know them.

They are read when an email is compiled, and no later: nothing has to be compiled by hand.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import c2py
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import TemplateError
from lifecycle.mail.locales import normal
from lifecycle.mail.messages import Message, parameters
from lifecycle.mail.speech import ENGLISH_PLURAL

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog
    from babel.messages.catalog import Message as Entry

DOMAIN = "email"
FOLDER = "locales"

_MISSPELT = re.compile(r"%\((?!\w+\)s)[^)]{0,40}\)?.?")
_TRIED = (*range(1001), 1_000_000)  # rules look at the last two or three digits, and at whether there are more
_PLURAL_REMEDY = "mend Plural-Forms in its header, or take the line out"


@dataclass(frozen=True)
class Catalogue:
    """The translations into one locale that count: not those that are blank or fuzzy.

    `lines` says where each stands; `rule` is its plural rule.
    """

    locale: str
    path: Path
    texts: Mapping[str, str]
    plurals: Mapping[tuple[str, str], tuple[str, ...]]
    lines: Mapping[str | tuple[str, str], int]
    rule: str

    def has(self, message: Message) -> bool:
        """Whether a message is translated."""
        return message.text in self.texts if message.plural is None else message.key in self.plurals

    def check(self, message: Message) -> None:
        """Raises TemplateError, with the catalogue's line, where a translation names what its text does not."""
        if message.plural is None:
            said, known = [self.texts.get(message.text, "")], parameters(message.text)
        else:
            said = [*self.plurals.get((message.text, message.plural), ())]
            known = parameters(message.text) | parameters(message.plural)
        for text in said:
            if known and (wrong := _MISSPELT.search(text)):
                names = ", ".join(f"%({name})s" for name in sorted(known))
                raise TemplateError(
                    f"{self.path}:{self.lines[message.key]}",
                    f"the translation has {wrong[0]!r}, in whose place nothing would be put",
                    f"write it as it stands in the text: {names}",
                )
        for strange in sorted(frozenset().union(*map(parameters, said)) - known):
            names = ", ".join(f"%({name})s" for name in sorted(known)) or "none"
            raise TemplateError(
                f"{self.path}:{self.lines[message.key]}",
                f"the translation names %({strange})s, which {message.text[:40]!r} does not have",
                f"write it as it stands there: {names}",
            )


def catalogue_files(folder: Path) -> dict[str, Path]:
    """The catalogues of an emails folder by locale, sorted; raises TemplateError for a folder named like no locale."""
    found: dict[str, Path] = {}
    for path in sorted((folder / FOLDER).glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        name = path.parents[1].name
        locale = normal(name)
        if locale is None:
            raise TemplateError(str(path), f"{name!r} is no locale", "name the folder like 'id' or 'pt_BR'")
        found[locale] = path
    return found


def read_catalogue(locale: str, path: Path, content: bytes | None = None) -> Catalogue:
    """Read a catalogue, or what was read of it before; raises TemplateError with file:line."""
    po = read_po(locale, path, content)
    texts: dict[str, str] = {}
    plurals: dict[tuple[str, str], tuple[str, ...]] = {}
    lines: dict[str | tuple[str, str], int] = {}
    for entry in po:
        if not entry.id or entry.context or entry.fuzzy or not is_translated(entry):
            continue
        if isinstance(entry.id, str):
            texts[entry.id] = str(entry.string)
            lines[entry.id] = entry.lineno or 1
        else:
            key = entry.id[0], entry.id[1]
            plurals[key] = tuple(map(str, entry.string or ()))
            lines[key] = entry.lineno or 1
    return Catalogue(locale, path, texts, plurals, lines, _rule(po, path))


def _rule(po: Catalog, path: Path) -> str:
    """Its plural rule; raises TemplateError for one that does not say for every number which form it takes."""
    rule = str(po.plural_expr) if po.locale else ENGLISH_PLURAL
    try:
        form = c2py(rule)
        strange = next((n for n in _TRIED if not 0 <= form(n) < po.num_plurals), None)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise TemplateError(str(path), f"no plural rule: {error}", _PLURAL_REMEDY) from error
    if strange is not None:
        reason = f"of {strange} there is form {form(strange)}, but nplurals={po.num_plurals}"
        raise TemplateError(str(path), f"no plural rule: {reason}", _PLURAL_REMEDY)
    return rule


def read_po(locale: str, path: Path, content: bytes | None = None) -> Catalog:
    """Read a `.po` file, or what was read of it before, as Babel knows it; raises TemplateError with file:line."""
    from babel.messages.pofile import PoFileError
    from babel.messages.pofile import read_po as read

    try:
        raw = path.read_bytes() if content is None else content
        return read(BytesIO(raw.removeprefix(BOM_UTF8)), locale, DOMAIN, abort_invalid=True)
    except PoFileError as error:
        message = str(error).rpartition(" on ")[0] or str(error)
        raise TemplateError(f"{path}:{error.lineno + 1}", f"no catalogue: {message}", "mend that line") from error
    except (LookupError, ValueError) as error:
        raise TemplateError(str(path), f"no catalogue: {error}", "save it as UTF-8, in the form of gettext") from error


def is_translated(entry: Entry) -> bool:
    """Whether all forms of an entry are there."""
    return all(entry.string) if isinstance(entry.string, list | tuple) else bool(entry.string)
