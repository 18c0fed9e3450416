"""What translators work with: the template of all texts, and the catalogue of each locale brought up to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.mail.catalogue import DOMAIN, FOLDER, is_translated, read_catalogue, read_po
from lifecycle.mail.environment import html_environment, text_environment
from lifecycle.mail.locales import language, variants
from lifecycle.mail.messages import Message, messages
from lifecycle.mail.source import Source, email_names, place, read_source, read_text
from lifecycle.mail.syntax import parse

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

_HEADER = "# Texts of the emails. Made by `lifecycle locales`; translate in a copy of it, one per locale."
_ROLES = (
    (re.compile(r"<mj-title[^>]*>(.*?)</mj-title", re.DOTALL), "The subject: at most 60 characters."),
    (re.compile(r"<mj-preview[^>]*>(.*?)</mj-preview", re.DOTALL), "The preheader: the line beside the subject."),
)
_DATES = re.compile(rb'^"(?:POT-Creation-Date|PO-Revision-Date|Generated-By): .*\n', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a catalogue is with the texts that the emails have now; `fuzzy` were guessed and do not count."""

    locale: str
    texts: int
    translated: int
    fuzzy: int
    missing: int


def template_path(folder: Path) -> Path:
    """Where the template of an emails folder is kept."""
    return folder / FOLDER / f"{DOMAIN}.pot"


def catalogue_path(folder: Path, locale: str) -> Path:
    """Where the catalogue of a locale is, or would be."""
    return folder / FOLDER / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


def template(folder: Path, now: datetime) -> Catalog:
    """All texts of all emails, their variants and partials, with where they stand; raises TemplateError."""
    from babel.messages.catalog import Catalog

    made = Catalog(
        domain=DOMAIN, project="emails", version="1", header_comment=_HEADER, creation_date=now, charset="utf-8"
    )
    for message, role in _found(folder):
        file, line, _ = message.place.rsplit(":", 2)
        where = (Path(file).relative_to(folder).as_posix(), int(line))
        text = message.text if message.plural is None else (message.text, message.plural)
        made.add(text, locations=[where], auto_comments=[role] if role else [])
    return made


def _found(folder: Path) -> Iterator[tuple[Message, str]]:
    for name in email_names(folder):
        for path in (folder / f"{name}.mjml", *variants(folder, name).values()):
            source = read_source(folder, path.relative_to(folder).with_suffix("").as_posix())
            roles = _roles(source)
            for message in messages(parse(source.mjml, html_environment(), source.at), source.at):
                yield message, roles.get(message.text, "")
        for path in (folder / f"{name}.txt", *variants(folder, name, ".txt").values()):
            if path.is_file():
                yield from ((message, "") for message in _in_text(path))


def _roles(source: Source) -> dict[str, str]:
    """What translators must know of texts that stand in a line of so many characters."""
    return {
        message.text: role
        for pattern, role in _ROLES
        for part in pattern.findall(source.mjml)
        for message in messages(parse(part, html_environment(), str), str)
    }


def _in_text(path: Path) -> Iterator[Message]:
    text = read_text(path)

    def at(offset: int) -> str:
        return place(str(path), text, offset)

    return messages(parse(text, text_environment(), at), at)


def begin(locale: str, all_texts: Catalog, now: datetime) -> Catalog:
    """A catalogue with nothing translated yet."""
    from babel import Locale
    from babel.messages.catalog import Catalog
    from babel.messages.plurals import PLURALS
    from babel.plural import to_gettext

    made = Catalog(locale, DOMAIN, project="emails", version="1", header_comment="", revision_date=now, fuzzy=False)
    if not {locale, language(locale)} & PLURALS.keys():
        # Babel's table takes all others for English; CLDR knows them, and that Indonesian has no plural.
        made.mime_headers = [("Plural-Forms", to_gettext(Locale.parse(locale).plural_form))]
    made.update(all_texts)
    return made


def bring_up(locale: str, path: Path, all_texts: Catalog) -> Catalog:
    """The catalogue with the texts that the emails have now: new ones blank, or guessed from similar ones, as fuzzy."""
    po = read_po(locale, path)
    po.update(all_texts, update_creation_date=False)
    return po


def written(catalog: Catalog, path: Path) -> bool:
    """Write a catalogue if anything but its dates changes; returns whether it did."""
    from babel.messages.pofile import write_po

    out = BytesIO()
    write_po(out, catalog, width=100, sort_by_file=True)
    content = out.getvalue().rstrip() + b"\n"
    if path.is_file() and _DATES.sub(b"", path.read_bytes()) == _DATES.sub(b"", content):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def progress(locale: str, path: Path, all_texts: Catalog) -> Progress:
    """How far a catalogue is; raises TemplateError where it cannot be read."""
    po = read_po(locale, path)
    entries = [(wanted, po.get(wanted.id)) for wanted in all_texts if wanted.id]
    translated = sum(entry is not None and is_translated(entry) and not entry.fuzzy for _, entry in entries)
    fuzzy = sum(entry is not None and entry.fuzzy for _, entry in entries)
    return Progress(locale, len(entries), translated, fuzzy, len(entries) - translated - fuzzy)


def write_mo(locale: str, path: Path) -> tuple[Path, int]:
    """Write the `.mo` beside a catalogue, for programs that want one; returns it and how many texts it has.

    Raises TemplateError, with the catalogue's line, where a translation names what its text does not.
    """
    from babel.messages.mofile import write_mo as write

    found = read_catalogue(locale, path)
    for text in found.texts:
        found.check(Message(text, None, str(path)))
    for one, many in found.plurals:
        found.check(Message(one, many, str(path)))
    target = path.with_suffix(".mo")
    out = BytesIO()
    write(out, read_po(locale, path))
    target.write_bytes(out.getvalue())
    return target, len(found.texts) + len(found.plurals)
