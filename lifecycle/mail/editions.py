"""The editions of an email: one per locale that it exists in.

`welcome.mjml` is that of the default locale. Catalogues add those locales into which a text of its own is translated,
all from one run of MJML; a file `welcome.id.mjml` is laid out for itself. The text part is that of `welcome.id.txt`,
else what belongs to the MJML it is of: a hand-written `welcome.txt` without texts for translators serves no other
locale than its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from lifecycle.errors import TemplateError
from lifecycle.journey.utm import Utm
from lifecycle.mail.catalogue import Catalogue
from lifecycle.mail.compile import finish
from lifecycle.mail.compiled import CompiledEmail
from lifecycle.mail.layout import LaidOut, lay_out
from lifecycle.mail.locales import language, variants
from lifecycle.mail.messages import Message, constant, with_constants
from lifecycle.mail.source import read_source, read_text
from lifecycle.mail.speech import ENGLISH_PLURAL, Speech
from lifecycle.mail.written import read_written


def compile_editions(
    folder: Path, name: str, default: str, catalogues: Mapping[str, Catalogue], utm: Utm | None = None
) -> dict[str, CompiledEmail]:
    """Compile all editions of `folder/name.mjml`, the default one first; about 65 ms for each file.

    Raises TemplateError with the place, the reason and the remedy.
    """
    laid = lay_out(read_source(folder, name))
    own, texts = variants(folder, name), variants(folder, name, ".txt")
    for locale, path in (*own.items(), *texts.items()):
        if locale == default:
            raise TemplateError(str(path), f"{name}{path.suffix} is the one in {default}", "remove one of them")
    editions = {default: _edition(laid, default, catalogues.get(default), utm)}
    for locale, catalogue in catalogues.items():
        if locale not in editions and locale not in own and _speaks(laid, catalogue):
            editions[locale] = _edition(_with_text(laid, texts.get(locale)), locale, catalogue, utm)
    for locale, path in own.items():
        in_full = lay_out(read_source(folder, f"{path.relative_to(folder).with_suffix('').as_posix()}"))
        editions[locale] = replace(_edition(in_full, locale, _nearest(locale, catalogues), utm), name=name)
    for locale in texts.keys() - editions.keys():
        hint = f"write {Path(name).name}.{locale}.mjml, or translate the email in locales/{locale}"
        raise TemplateError(str(texts[locale]), f"{name!r} has no {locale} that it could be the text of", hint)
    return editions


def _speaks(laid: LaidOut, catalogue: Catalogue) -> bool:
    """Whether a text of the email's own file is translated: a footer that is makes no edition."""
    own = f"{laid.source.path}:"
    return any(message.place.startswith(own) and catalogue.has(message) for message in laid.messages)


def _nearest(locale: str, catalogues: Mapping[str, Catalogue]) -> Catalogue | None:
    return catalogues.get(locale) or catalogues.get(language(locale))


def _with_text(laid: LaidOut, path: Path | None) -> LaidOut:
    """The email with the text part of another locale than its own."""
    if path is not None:
        # Its `path` names what the text stands beside, for errors.
        return replace(laid, source=replace(laid.source, path=path.with_suffix(".mjml"), text=read_text(path)))
    return laid if read_written(laid.source).messages else replace(laid, source=replace(laid.source, text=None))


def _edition(laid: LaidOut, locale: str, catalogue: Catalogue | None, utm: Utm | None) -> CompiledEmail:
    by_hand = read_written(laid.source)
    used = [*laid.messages, *by_hand.messages]
    texts, plurals = _translations(used, catalogue)
    rule = catalogue.rule if catalogue else ENGLISH_PLURAL
    speech = Speech(texts, plurals, rule)
    says = {word: constant(token.source) for word, token in laid.masked.tokens.items()}
    said = laid.with_texts({word: say(speech) for word, say in says.items() if say is not None})
    written = laid.source.text
    source = laid.source if written is None else replace(laid.source, text=with_constants(written, speech))
    email = finish(replace(said, source=source), locale, utm)
    places = {**by_hand.places, **laid.places}
    content = repr((email.version, locale, sorted(texts.items()), sorted(plurals.items()), rule)).encode()
    return replace(
        email,
        variables=frozenset(places),
        places=places,
        version=blake2b(content, digest_size=8).hexdigest(),
        texts=texts,
        plurals=plurals,
        plural_rule=rule,
        untranslated=tuple(m for m in dict.fromkeys(used) if catalogue is None or not catalogue.has(m)),
    )


def _translations(
    used: list[Message], catalogue: Catalogue | None
) -> tuple[dict[str, str], dict[tuple[str, str], tuple[str, ...]]]:
    if catalogue is None:
        return {}, {}
    texts: dict[str, str] = {}
    plurals: dict[tuple[str, str], tuple[str, ...]] = {}
    for message in used:
        catalogue.check(message)
        if catalogue.has(message):
            match message.key:
                case str(text):
                    texts[text] = catalogue.texts[text]
                case key:
                    plurals[key] = catalogue.plurals[key]
    return texts, plurals
