"""`lifecycle locales`: the texts of the emails for translators, and how far the translations are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lifecycle import clock
from lifecycle.errors import LifecycleError

from . import opened
from .lazy import Group, did_you_mean
from .listing import Column, as_json_option, write

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

_COLUMNS = (
    Column("locale"),
    Column("texts", right=True),
    Column("translated", right=True),
    Column("fuzzy", right=True),
    Column("missing", right=True),
    Column("variants", right=True),
    Column("lagging", right=True),
)


@click.group(cls=Group)
def locales() -> None:
    """Hand texts of emails to translators, and see what is left to translate.

    What stands in an email as {{ _("Hello") }} is translated in locales/ID/LC_MESSAGES/email.po of the templates
    folder; an email written anew for a locale is a file beside it, welcome.id.mjml. See docs/locales.md.
    """


@locales.command(
    epilog="""\b
Examples:
  lifecycle locales extract       writes templates/email/locales/email.pot"""
)
def extract() -> None:
    """Write all texts of all emails into email.pot, with file and line of each."""
    from lifecycle.mail import translating

    folder = _folder()
    all_texts = translating.template(folder, clock.now())
    path = translating.template_path(folder)
    changed = translating.written(all_texts, path)
    click.echo(f"{_texts(len(all_texts))} → {path}{'' if changed else ' (as before)'}")


@locales.command(
    epilog="""\b
Examples:
  lifecycle locales add id
  lifecycle locales add pt_BR"""
)
@click.argument("locale", metavar="LOCALE")
def add(locale: str) -> None:
    """Begin a catalogue for another locale."""
    from lifecycle.mail import translating

    folder, name = _folder(), _locale(locale)
    path = translating.catalogue_path(folder, name)
    if path.exists():
        raise LifecycleError(f"{path} is there already; bring it up: lifecycle locales update {name}")
    all_texts = translating.template(folder, now := clock.now())
    translating.written(all_texts, translating.template_path(folder))
    translating.written(translating.begin(name, all_texts, now), path)
    click.echo(f"{_texts(len(all_texts))} to translate → {path}")


@locales.command(
    epilog="""\b
Examples:
  lifecycle locales update        all of them
  lifecycle locales update id"""
)
@click.argument("wanted", nargs=-1, metavar="[LOCALE]...")
def update(wanted: tuple[str, ...]) -> None:
    """Bring catalogues up to the emails as they are now.

    New texts are added blank, or marked fuzzy with the translation of a similar one, which is not shown to anybody
    before somebody takes the mark away. Texts that no email has any more go to the end of the file.
    """
    from lifecycle.mail import translating

    folder = _folder()
    all_texts = translating.template(folder, clock.now())
    chosen = _catalogues(folder, wanted)
    translating.written(all_texts, translating.template_path(folder))
    for locale, path in chosen.items():
        changed = translating.written(translating.bring_up(locale, path, all_texts), path)
        done = translating.progress(locale, path, all_texts)
        left = f"{done.missing} to translate, {done.fuzzy} fuzzy" if done.missing or done.fuzzy else "all translated"
        click.echo(f"{locale}: {left} → {path}{'' if changed else ' (as before)'}")


@locales.command(
    epilog="""\b
Examples:
  lifecycle locales compile       writes email.mo beside each email.po"""
)
@click.argument("wanted", nargs=-1, metavar="[LOCALE]...")
def compile(wanted: tuple[str, ...]) -> None:  # noqa: A001 - the name of the command
    """Check catalogues, and write email.mo for other programs.

    Nothing here needs the .mo: emails are compiled from email.po itself, whenever it changes.
    """
    from lifecycle.mail import translating

    for locale, path in _catalogues(_folder(), wanted).items():
        target, texts = translating.write_mo(locale, path)
        click.echo(f"{locale}: {_texts(texts)} → {target}")


@locales.command(
    epilog="""\b
Examples:
  lifecycle locales status
  lifecycle locales status --json | jq 'select(.missing > 0)'"""
)
@as_json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show how far each locale is; exits with 1 if any lags behind.

    Fuzzy translations were guessed from similar texts and are not shown to anybody. A variant lags if its default has
    changed since it was stamped. --json also lists what lags where.
    """
    folder = _folder()
    rows = _status(folder)
    if as_json:
        write(rows, _COLUMNS, as_json=True)
    else:
        shown = [row | {"lagging": len(row["lagging"])} for row in rows]
        write(shown, _COLUMNS, as_json=False, empty="one locale only; begin another: lifecycle locales add id")
        for lag in (lag for row in rows for lag in row["lagging"]):
            click.echo(f"{lag['where']}: {lag['message']} ({lag['hint']})")
    ctx.exit(1 if any(row["fuzzy"] or row["missing"] or row["lagging"] for row in rows) else 0)


@locales.command(
    epilog="""\b
Examples:
  lifecycle locales stamp onboarding/how_it_works
  lifecycle locales stamp onboarding/how_it_works --locale id"""
)
@click.argument("template")
@click.option("--locale", "wanted", metavar="ID", help="Only the variant in this locale.")
def stamp(template: str, wanted: str | None) -> None:
    """Note in variants of an email that they translate it as it is now."""
    from lifecycle.mail.lagging import stamped, variant_files
    from lifecycle.mail.source import email_names, read_text

    folder = _folder()
    if template not in (names := email_names(folder)):
        raise LifecycleError(f"there is no email {template!r}{did_you_mean(template, names)}")
    chosen = _locale(wanted) if wanted is not None else None
    files = [(locale, path) for locale, path in variant_files(folder, template) if chosen in (None, locale)]
    if not files:
        raise LifecycleError(f"{template!r} has no variant{f' in {chosen}' if chosen else ''}")
    for _, path in files:
        default = read_text(folder / f"{template}{path.suffix}")
        path.write_text(stamped(read_text(path), default), encoding="utf-8", newline="\n")
        click.echo(f"stamped {path}")


def _folder() -> Path:
    return opened.settings().templates


def _texts(number: int) -> str:
    return f"{number:,} text{'' if number == 1 else 's'}"


def _locale(wanted: str) -> str:
    from lifecycle.mail.locales import normal

    name = normal(wanted)
    if name is None:
        raise LifecycleError(f"{wanted!r} is no locale that Babel knows; write one like 'id' or 'pt_BR'")
    return name


def _catalogues(folder: Path, wanted: tuple[str, ...]) -> dict[str, Path]:
    """The catalogues of these locales, or all there are."""
    from lifecycle.mail.catalogue import catalogue_files

    files = catalogue_files(folder)
    for name in map(_locale, wanted):
        if name not in files:
            raise LifecycleError(f"there is no catalogue for {name!r}; begin one: lifecycle locales add {name}")
    if not files:
        raise LifecycleError("there is no catalogue yet; begin one: lifecycle locales add id")
    return {name: files[name] for name in dict.fromkeys(map(_locale, wanted))} if wanted else files


def _status(folder: Path) -> list[dict[str, Any]]:
    from lifecycle.mail import translating
    from lifecycle.mail.catalogue import catalogue_files
    from lifecycle.mail.lagging import variant_files
    from lifecycle.mail.source import email_names

    all_texts: Catalog = translating.template(folder, clock.now())
    files, names = catalogue_files(folder), email_names(folder)
    variants = [(name, locale, path) for name in names for locale, path in variant_files(folder, name)]
    rows = []
    for locale in sorted({*files, *(locale for _, locale, _ in variants)}):
        own = {name for name, of, _ in variants if of == locale}
        counts = {"texts": 0, "translated": 0, "fuzzy": 0, "missing": 0}
        if locale in files:
            done = translating.progress(locale, files[locale], all_texts)
            counts = {name: getattr(done, name) for name in counts}
        rows.append({"locale": locale, **counts, "variants": len(own), "lagging": _lags(folder, own, locale)})
    return rows


def _lags(folder: Path, names: set[str], locale: str) -> list[dict[str, str]]:
    """What lags among the variants of these emails in that locale."""
    from lifecycle.mail.lagging import variants_that_lag

    lags = (lag for name in sorted(names) for lag in variants_that_lag(folder, name) if lag.locale == locale)
    return [{"where": lag.where, "message": lag.message, "hint": lag.hint} for lag in lags]
