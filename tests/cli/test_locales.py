"""`lifecycle locales`: from texts in emails to catalogues, and what is left to translate."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Shop

_PO = Path("templates/email/locales/id/LC_MESSAGES/email.po")


@pytest.fixture
def wrapped(bare_shop: Shop) -> Shop:
    """The shop, with texts for translators in one of its emails and its partial."""
    folder = bare_shop.folder / "templates/email"
    invitation = folder / "invitation.mjml"
    source = invitation.read_text().replace("Come in", '{{ _("Come in") }}')
    source = source.replace("You are invited.", '{{ _("You are invited.") }}\n{{ ngettext("one", "%(num)s", 2) }}')
    invitation.write_text(source.replace("</mj-body>", '<mj-include path="partials/foot"/></mj-body>'))
    (folder / "partials").mkdir()
    foot = '<mj-section><mj-column><mj-text>{{ _("Bye") }}</mj-text></mj-column></mj-section>'
    (folder / "partials/foot.mjml").write_text(foot)
    (folder / "invitation.txt").write_text('{{ _("Come in") }}\n{{ links.unsubscribe }}\n')
    return bare_shop


def _translate(shop: Shop, text: str, translation: str) -> None:
    path = shop.folder / _PO
    path.write_text(path.read_text().replace(f'msgid "{text}"\nmsgstr ""', f'msgid "{text}"\nmsgstr "{translation}"'))


def test_extract_lists_all_texts_with_file_and_line(wrapped: Shop) -> None:
    result = wrapped.run("locales", "extract")

    assert result.stdout == "4 texts → templates/email/locales/email.pot\n"
    pot = (wrapped.folder / "templates/email/locales/email.pot").read_text()
    assert "#: invitation.mjml:1 invitation.txt:1\n" in pot
    assert "#. The subject: at most 60 characters.\n" in pot
    assert '#: partials/foot.mjml:1\nmsgid "Bye"' in pot
    assert '#: invitation.mjml:4\n#, python-format\nmsgid "one"\nmsgid_plural "%(num)s"' in pot
    assert wrapped.run("locales", "extract").stdout.endswith("(as before)\n")


def test_a_locale_is_begun_translated_and_shown(wrapped: Shop) -> None:
    assert wrapped.run("locales", "add", "id-ID").stdout.endswith("locales/id_ID/LC_MESSAGES/email.po\n")
    wrapped.run("locales", "add", "id")
    assert "Plural-Forms: nplurals=1; plural=(0)" in (wrapped.folder / _PO).read_text()
    _translate(wrapped, "Come in", "Masuk saja")

    rows = {row["locale"]: row for row in wrapped.json("locales", "status", exit_code=1)}

    assert rows["id"] == {
        "locale": "id",
        "texts": 4,
        "translated": 1,
        "fuzzy": 0,
        "missing": 3,
        "variants": 0,
        "lagging": [],
    }


def test_update_adds_what_is_new_and_keeps_what_is_translated(wrapped: Shop) -> None:
    wrapped.run("locales", "add", "id")
    for text, said in (("Come in", "Masuk saja"), ("You are invited.", "Kamu diundang."), ("Bye", "Sampai jumpa")):
        _translate(wrapped, text, said)
    path = wrapped.folder / "templates/email/invitation.mjml"
    path.write_text(path.read_text().replace("You are invited.", "You are invited!"))

    result = wrapped.run("locales", "update")

    assert result.stdout == f"id: 1 to translate, 1 fuzzy → {_PO}\n"
    po = (wrapped.folder / _PO).read_text()
    assert re.search(r'#, fuzzy\nmsgid "You are invited!"\nmsgstr "Kamu diundang."', po)
    assert 'msgid "Come in"\nmsgstr "Masuk saja"' in po
    assert wrapped.run("locales", "update", "id").stdout.endswith("(as before)\n")


def test_compile_writes_what_other_programs_read(wrapped: Shop) -> None:
    wrapped.run("locales", "add", "id")
    _translate(wrapped, "Bye", "Sampai jumpa")

    assert wrapped.run("locales", "compile").stdout == f"id: 1 text → {_PO.with_suffix('.mo')}\n"

    found = gettext.translation("email", wrapped.folder / "templates/email/locales", ["id"])
    assert found.gettext("Bye") == "Sampai jumpa"


def test_compile_refuses_a_translation_that_names_what_its_text_does_not(wrapped: Shop) -> None:
    wrapped.run("locales", "add", "id")
    _translate(wrapped, "Bye", "Dah, %(nama)s")

    result = wrapped.run("locales", "compile", exit_code=1)

    assert re.match(rf"error: {_PO}:\d+: the translation names %\(nama\)s, which 'Bye' does not have", result.stderr)
    assert not (wrapped.folder / _PO).with_suffix(".mo").exists()


def test_a_variant_lags_until_it_is_stamped(wrapped: Shop) -> None:
    folder = wrapped.folder / "templates/email"
    (folder / "thanks.id.mjml").write_text((folder / "thanks.mjml").read_text().replace("Thanks", "Terima kasih"))

    result = wrapped.run("locales", "status", exit_code=1)
    assert "templates/email/thanks.id.mjml:1:1: does not say which thanks.mjml it translates" in result.stdout
    wrapped.run("locales", "stamp", "thanks")
    wrapped.run("locales", "status")

    (folder / "thanks.mjml").write_text((folder / "thanks.mjml").read_text().replace("Dear", "Hello"))
    (row,) = wrapped.json("locales", "status", exit_code=1)
    assert [lag["message"] for lag in row["lagging"]] == ["thanks.mjml has changed since this was translated"]
    assert "lifecycle locales stamp thanks --locale id" in row["lagging"][0]["hint"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["add", "rubbish"], "error: 'rubbish' is no locale that Babel knows; write one like 'id' or 'pt_BR'\n"),
        (["update", "fr"], "error: there is no catalogue for 'fr'; begin one: lifecycle locales add fr\n"),
        (["compile"], "error: there is no catalogue yet; begin one: lifecycle locales add id\n"),
        (["stamp", "thank"], "error: there is no email 'thank'; did you mean 'thanks'?\n"),
        (["stamp", "thanks"], "error: 'thanks' has no variant\n"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(wrapped: Shop, arguments: list[str], line: str) -> None:
    assert wrapped.run("locales", *arguments, exit_code=1).stderr == line


def test_a_catalogue_that_is_there_is_not_begun_again(wrapped: Shop) -> None:
    wrapped.run("locales", "add", "id")

    assert "is there already" in wrapped.run("locales", "add", "id", exit_code=1).stderr


def test_without_translations_status_says_how_to_begin(bare_shop: Shop) -> None:
    assert bare_shop.run("locales", "status").stdout == ("one locale only; begin another: lifecycle locales add id\n")
