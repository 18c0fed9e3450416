"""Which locale a customer gets, and what an email says in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.errors import RenderError, TemplateError
from lifecycle.mail import drawing
from lifecycle.mail.lagging import lagging, stamped
from lifecycle.mail.locales import formatting, negotiated, normal, wished
from lifecycle.mail.render import Renderer
from tests.mail.sources import column, text, write

HEADER = 'msgid ""\nmsgstr ""\n"Language: {locale}\\n"\n"Plural-Forms: {plural}\\n"\n\n'


def translate(folder: Path, locale: str, *entries: str, plural: str = "nplurals=1; plural=0;") -> Path:
    """Write a catalogue of these entries."""
    path = folder / "locales" / locale / "LC_MESSAGES" / "email.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER.format(locale=locale, plural=plural) + "\n\n".join(entries) + "\n", encoding="utf-8")
    return path


def entry(text: str, translation: str) -> str:
    return f'msgid "{text}"\nmsgstr "{translation}"'


# Which locale


@pytest.mark.parametrize(
    ("wanted", "known"),
    [
        ("id", "id"),
        ("id-ID", "id_ID"),
        ("id_ID", "id_ID"),
        ("ID-id", "id_ID"),
        ("in", "id"),
        ("in-ID", "id_ID"),
        ("id-XX", "id"),
        ("en_US.UTF-8", "en_US"),
        ("zh-TW", "zh_Hant_TW"),
        ("no", "nb"),
        ("tl-PH", "fil_PH"),
        ("rubbish", None),
        ("xx", None),
        ("", None),
        ("C", None),
        ("../../etc/passwd", None),
    ],
)
def test_locales_are_read_however_apps_write_them(wanted: str, known: str | None) -> None:
    assert normal(wanted) == known


@pytest.mark.parametrize(
    ("wanted", "known"),
    [
        ("id-ID", "id_ID"),
        ("ca-ES-valencia", "ca_ES"),
        ("en-u-ca-buddhist", "en"),
        ("zh-cmn-Hant", "zh"),
        ("id-ID,id;q=0.9,en;q=0.8", "id_ID"),
        ("rubbish-id", None),
        ("i-klingon", None),
        ("*", None),
        ("id-" * 100, None),
    ],
)
def test_what_somebody_wishes_may_say_more_than_a_locale(wanted: str, known: str | None) -> None:
    assert wished(wanted) == known


@pytest.mark.parametrize(
    ("wanted", "available", "taken"),
    [
        ("id_ID", ["en", "id"], "id"),
        ("id", ["en", "id_ID"], "id_ID"),
        ("en_GB", ["en", "id"], "en"),
        ("en_GB", ["en", "en_GB"], "en_GB"),
        ("pt_PT", ["en", "pt_BR"], "pt_BR"),
        ("zh_Hant_TW", ["en", "zh_Hans", "zh_Hant"], "zh_Hant"),
        ("zh_Hant_HK", ["en", "zh_Hans_CN", "zh_Hant_TW"], "zh_Hant_TW"),
        ("zh_Hans_SG", ["en", "zh_Hant", "zh"], "zh"),
        ("pt_PT", ["en", "pt_BR", "pt"], "pt"),
        ("fr", ["en", "id"], "en"),
        (None, ["id", "en"], "id"),
    ],
)
def test_everybody_gets_the_nearest_of_their_language_or_the_default(
    wanted: str | None, available: list[str], taken: str
) -> None:
    assert negotiated(wanted, available) == taken


@given(wanted=st.text(max_size=12) | st.from_regex(r"[a-z]{2}[-_][A-Z]{2}", fullmatch=True))
def test_whatever_a_customer_wishes_they_get_one_that_there_is(wanted: str) -> None:
    known = normal(wanted)

    assert negotiated(known, ["en", "id"]) in ("en", "id")
    assert known is None or normal(known) == known


def test_dates_and_amounts_follow_the_customers_own_country_in_their_language_only() -> None:
    assert formatting("en_GB", "en") == "en_GB"
    assert formatting("fr_CA", "en") == "en"
    assert formatting(None, "id") == "id"


# Catalogues


@pytest.fixture(name="greeting")
def _greeting(tmp_path: Path) -> Renderer:
    body = text(
        '<b title="{{ _("A & B") }}">{{ _("Hello") }}</b> {{ _("Dear %(name)s", name=customer.name) }} '
        '{{ ngettext("%(num)s CD", "%(num)s CDs", event.quantity) }} {{ _("Not translated") }}'
    )
    write(tmp_path, body, title='{{ _("Hello") }}, {{ customer.name }}', preview='{{ _("A line") }}')
    translate(
        tmp_path,
        "id",
        entry("Hello", "Halo <b>"),
        entry("A & B", 'A & B \\"C\\"'),
        entry("Dear %(name)s", "%(name)s yang baik, 10% untukmu"),
        entry("A line", "{{ 7*7 }}"),
        'msgid "%(num)s CD"\nmsgid_plural "%(num)s CDs"\nmsgstr[0] "%(num)s keping"',
        "#, fuzzy\n" + entry("Not translated", "Belum"),
    )
    return Renderer(tmp_path)


DATA = {"customer": {"name": "Siti & <i>"}, "event": {"quantity": 2}}


def test_an_email_is_said_in_the_customers_language(greeting: Renderer) -> None:
    rendered = greeting.render("hello", DATA, "id-ID")

    assert rendered.locale == "id"
    assert greeting.locales("hello") == ("en", "id")
    assert rendered.subject == "Halo <b>, Siti & <i>"
    assert rendered.preheader == "{{ 7*7 }}"
    assert "Halo <b> Siti & <i> yang baik, 10% untukmu 2 keping Not translated" in " ".join(rendered.text.split())


@pytest.mark.parametrize("wanted", [None, "en", "en-GB", "fr", "rubbish", "", 7, ["id"]])
def test_who_wishes_another_or_none_gets_the_default(greeting: Renderer, wanted: object) -> None:
    rendered = greeting.render("hello", DATA, wanted)

    assert rendered.locale == "en"
    assert "Hello Dear Siti & <i> 2 CDs Not translated" in " ".join(rendered.text.split())
    assert "1 CD " in greeting.render("hello", DATA | {"event": {"quantity": 1}}, wanted).text


def test_a_translation_is_text_and_never_markup_or_template(greeting: Renderer) -> None:
    html = greeting.render("hello", DATA, "id").html

    assert 'title="A &amp; B &#34;C&#34;"' in html.replace("&quot;", "&#34;")
    assert "Halo &lt;b&gt;</b> Siti &amp; &lt;i&gt; yang baik" in html
    assert "{{ 7*7 }}" in html


def test_the_html_says_its_language(greeting: Renderer) -> None:
    assert '<html lang="id"' in greeting.render("hello", DATA, "in").html
    assert '<html lang="en"' in greeting.render("hello", DATA).html


def test_markup_of_the_template_inside_a_sentence_stays_markup(tmp_path: Path) -> None:
    link = '{% set link %}<a href="https://x.example/">{{ _("here") }}</a>{% endset %}'
    write(tmp_path, text(link + '{{ _("Click %(link)s, %(name)s", link=link, name=name) }}'))
    translate(tmp_path, "id", entry("Click %(link)s, %(name)s", "%(name)s, klik %(link)s <"), entry("here", "di sini"))

    renderer = Renderer(tmp_path)
    rendered = renderer.render("hello", {"name": "<i>"}, "id")

    assert '&lt;i&gt;, klik <a href="https://x.example/"' in rendered.html
    assert ">di sini</a> &lt;" in rendered.html
    assert "<i>, klik di sini (https://x.example/) <" in rendered.text
    assert renderer.summary("hello", {"name": "<i>"}, "id").url == "https://x.example/"


def test_all_locales_of_an_email_cost_one_run_of_mjml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    run_mjml = drawing._run_mjml

    def counted(*given: str) -> str:
        runs.append("run")
        return run_mjml(*given)

    monkeypatch.setattr(drawing, "_run_mjml", counted)
    write(tmp_path, text('{{ _("Hello") }}'))
    for locale in ("id", "de", "fr", "ja"):
        translate(tmp_path, locale, entry("Hello", locale))

    assert Renderer(tmp_path).locales("hello") == ("en", "de", "fr", "id", "ja")
    assert len(runs) == 1


def test_constant_texts_are_said_when_compiling(greeting: Renderer) -> None:
    email = greeting.compiled("hello", "id")

    assert "Halo &lt;b&gt;" in email.html
    assert '_("Hello")' not in email.html + email.subject + email.text
    assert '_("Dear %(name)s"' in email.html


def test_a_translated_footer_makes_no_edition_of_an_email(tmp_path: Path) -> None:
    (tmp_path / "partials").mkdir()
    (tmp_path / "partials/foot.mjml").write_text(text('{{ _("Unsubscribe") }}'))
    write(tmp_path, text("Only English") + '<mj-include path="partials/foot" />')
    translate(tmp_path, "id", entry("Unsubscribe", "Berhenti"))

    assert Renderer(tmp_path).locales("hello") == ("en",)


def test_plurals_follow_the_rule_of_the_catalogue(tmp_path: Path) -> None:
    write(tmp_path, text('{{ ngettext("%(num)s day", "%(num)s days", n) }}'))
    forms = "\n".join(f'msgstr[{at}] "%(num)s {form}"' for at, form in enumerate(("dzień", "dni", "dni.")))
    rule = "nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);"
    translate(tmp_path, "pl", 'msgid "%(num)s day"\nmsgid_plural "%(num)s days"\n' + forms, plural=rule)
    renderer = Renderer(tmp_path)

    said = [renderer.render("hello", {"n": n}, "pl").text.strip() for n in (1, 2, 5, 22, 2.0, "3")]

    assert [each.split()[-1] for each in said] == ["dzień", "dni", "dni.", "dni", "dni", "dni"]
    with pytest.raises(RenderError, match=r"ngettext counts whole things, not '1\.5'"):
        renderer.render("hello", {"n": 1.5}, "pl")
    with pytest.raises(RenderError, match="n is missing"):
        renderer.render("hello", {}, "pl")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("{{ _(name) }}", r"_\(\) without its text, which translators could not see"),
        ("{{ _('') }}", r"_\(\) without its text"),
        ("{{ _('Hi %(name)s') }}", r"_\(\) is not given 'name', which its text names \(add name=…\)"),
        ("{{ ngettext('one', 'many') }}", r"ngettext\(\) with other arguments than it takes"),
        ("{{ ngettext('%(num)s of %(all)s', 'many', n) }}", r"ngettext\(\) is not given 'all'"),
    ],
)
def test_what_cannot_be_translated_is_refused_with_its_place(tmp_path: Path, call: str, reason: str) -> None:
    write(tmp_path, text(f"one\n{call}"))

    with pytest.raises(TemplateError, match=reason) as caught:
        Renderer(tmp_path).compiled("hello")
    assert caught.value.where.startswith(f"{tmp_path / 'hello.mjml'}:9:")


def test_a_translation_that_names_what_its_text_does_not_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, text('{{ _("Hi %(name)s", name=name) }}'))
    path = translate(tmp_path, "id", entry("Hi %(name)s", "Halo %(nama)s"))

    with pytest.raises(TemplateError, match=r"names %\(nama\)s.*write it as it stands there: %\(name\)s") as caught:
        Renderer(tmp_path).compiled("hello")
    assert caught.value.where == f"{path}:6"


@pytest.mark.parametrize("wrong", ["%(name)", "%(name)d", "%( name )s", "%(first name)s"])
def test_a_misspelt_place_of_a_value_is_refused_with_its_line(tmp_path: Path, wrong: str) -> None:
    write(tmp_path, text('{{ _("Hi %(name)s", name=name) }}'))
    path = translate(tmp_path, "id", entry("Hi %(name)s", f"Halo {wrong}, 10 % (ya)"))

    with pytest.raises(TemplateError, match="in whose place nothing would be put") as caught:
        Renderer(tmp_path).compiled("hello")
    assert caught.value.where == f"{path}:6"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("nplurals=2; plural=n/0;", "no plural rule: integer division"),
        ("nplurals=2; plural=(n>1 ? 5 : 1);", "no plural rule: of 2 there is form 5, but nplurals=2"),
        ("nplurals=2; plural=import os;", "no plural rule: invalid token"),
    ],
)
def test_a_plural_rule_that_cannot_be_followed_is_refused(tmp_path: Path, rule: str, reason: str) -> None:
    write(tmp_path, text('{{ _("Hi") }}'))
    translate(tmp_path, "pl", entry("Hi", "Hej"), plural=rule)

    with pytest.raises(TemplateError, match=reason):
        Renderer(tmp_path).render("hello", {}, "pl")


def test_a_text_of_another_context_is_another_text(tmp_path: Path) -> None:
    write(tmp_path, text('{{ _("Hi") }}'))
    translate(tmp_path, "id", entry("Hi", "Halo"), 'msgctxt "menu"\n' + entry("Hi", "Sapaan"))

    assert "Halo" in Renderer(tmp_path).render("hello", {}, "id").text


def test_a_catalogue_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    write(tmp_path, text('{{ _("Hi") }}'))
    path = translate(tmp_path, "id", entry("Hi", "Halo"))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert "Halo" in Renderer(tmp_path).render("hello", {}, "id").text


def test_a_file_that_is_no_catalogue_is_refused_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, text('{{ _("Hi") }}'))
    path = translate(tmp_path, "id", 'msgid "Hi"\nHalo')

    with pytest.raises(TemplateError) as caught:
        Renderer(tmp_path).compiled("hello")
    assert caught.value.where == f"{path}:7"


# Variants


@pytest.fixture(name="welcome")
def _welcome(tmp_path: Path) -> Path:
    write(tmp_path, text("Welcome"), title="Welcome")
    default = (tmp_path / "hello.mjml").read_text()
    (tmp_path / "hello.txt").write_text("Welcome by hand\n")
    (tmp_path / "hello.id.mjml").write_text(stamped(default.replace("Welcome", "Selamat datang"), default))
    return tmp_path


def test_a_variant_is_the_email_of_its_locale_and_none_of_its_own(welcome: Path) -> None:
    renderer = Renderer(welcome)

    assert renderer.names() == ["hello"]
    assert renderer.locales("hello") == ("en", "id")
    assert renderer.compiled("hello", "id").name == "hello"
    assert renderer.render("hello", {}, "id").subject == "Selamat datang"
    assert renderer.render("hello", {}).text == "Welcome by hand\n"


def test_the_text_of_a_variant_is_its_own_or_made_from_it(welcome: Path) -> None:
    assert "Selamat datang" in Renderer(welcome).render("hello", {}, "id").text

    (welcome / "hello.id.txt").write_text("{# translates: 00000000 #}\nDengan tangan\n")

    assert Renderer(welcome).render("hello", {}, "id").text == "Dengan tangan\n"


def test_partials_of_a_variant_are_said_in_its_locale(welcome: Path) -> None:
    (welcome / "partials").mkdir()
    (welcome / "partials/foot.mjml").write_text(text('{{ _("Unsubscribe") }}'))
    for name in ("hello.mjml", "hello.id.mjml"):
        source = (welcome / name).read_text()
        (welcome / name).write_text(source.replace("</mj-body>", '<mj-include path="partials/foot"/></mj-body>'))
    translate(welcome, "id", entry("Unsubscribe", "Berhenti"))

    assert "Berhenti" in Renderer(welcome).render("hello", {}, "id-ID").html


def test_a_text_by_hand_without_texts_for_translators_serves_no_other_locale(tmp_path: Path) -> None:
    write(tmp_path, text('{{ _("Hello") }}'))
    (tmp_path / "hello.txt").write_text("Hello by hand\n")
    translate(tmp_path, "id", entry("Hello", "Halo"))
    assert "Halo" in Renderer(tmp_path).render("hello", {}, "id").text

    (tmp_path / "hello.txt").write_text('{{ _("Hello") }} by {{ _("hand") | upper }}, {{ x | default("z") }}\n')
    translate(tmp_path, "id", entry("Hello", "Halo"), entry("hand", "tangan"))
    assert Renderer(tmp_path).render("hello", {}, "id").text == "Halo by TANGAN, z\n"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (["hello.en.mjml"], "hello.mjml is the one in en"),
        (["hello.pt-BR.mjml", "hello.pt_BR.mjml"], "hello.pt-BR.mjml is of the same locale, pt_BR"),
        (["hello.de.txt"], "'hello' has no de that it could be the text of"),
    ],
)
def test_files_that_contradict_each_other_are_refused(welcome: Path, files: list[str], reason: str) -> None:
    for name in files:
        (welcome / name).write_text((welcome / "hello.mjml").read_text())

    with pytest.raises(TemplateError) as caught:
        Renderer(welcome).compiled("hello")
    assert caught.value.message == reason


def test_a_dotted_name_that_is_of_no_locale_is_an_email(tmp_path: Path) -> None:
    for name in ("hello.v2.mjml", "news.may.mjml", "news.mjml", "alone.id.mjml"):
        (tmp_path / name).write_text("")

    assert Renderer(tmp_path).names() == ["alone.id", "hello.v2", "news", "news.may"]


def test_a_policy_in_indonesian_makes_indonesian_the_default(welcome: Path) -> None:
    (welcome / "hello.id.mjml").rename(welcome / "hello.en.mjml")
    renderer = Renderer(welcome, locale="id-ID")

    assert renderer.locales("hello") == ("id_ID", "en")
    assert renderer.render("hello", {}, "fr").locale == "id_ID"


# What lags


def _lags(folder: Path) -> list[tuple[str, str]]:
    renderer = Renderer(folder)
    _, *others = [renderer.compiled("hello", locale) for locale in renderer.locales("hello")]
    return [(lag.locale, lag.message) for edition in others for lag in lagging(folder, edition)]


def test_a_variant_lags_once_its_default_has_changed(welcome: Path) -> None:
    assert _lags(welcome) == []

    default = welcome / "hello.mjml"
    default.write_text(default.read_text().replace("Welcome", "Welcome back"))

    assert _lags(welcome) == [("id", "hello.mjml has changed since this was translated")]


def test_a_variant_without_a_stamp_lags(welcome: Path) -> None:
    (welcome / "hello.id.mjml").write_text((welcome / "hello.mjml").read_text())

    assert _lags(welcome) == [("id", "does not say which hello.mjml it translates")]


def test_an_edition_lags_by_the_texts_that_are_not_translated(greeting: Renderer, tmp_path: Path) -> None:
    assert _lags(tmp_path) == [("id", "1 of its texts is not in id: 'Not translated'")]


# The cache


def test_a_change_of_a_catalogue_passes_the_cache_by(greeting: Renderer, tmp_path: Path) -> None:
    Renderer(tmp_path, tmp_path / "cache").compiled("hello")
    translate(tmp_path, "id", entry("Hello", "Hai"))

    assert Renderer(tmp_path, tmp_path / "cache").render("hello", DATA, "id").subject == "Hai, Siti & <i>"


def test_a_catalogue_that_is_saved_while_emails_are_compiled_is_not_kept_as_what_it_was(tmp_path: Path) -> None:
    # Given: a renderer that takes one email from the cache, and compiles another after the catalogue was saved
    write(tmp_path, text('{{ _("Hello") }}'))
    (tmp_path / "other.mjml").write_text((tmp_path / "hello.mjml").read_text())
    translate(tmp_path, "id", entry("Hello", "Halo"))
    Renderer(tmp_path, tmp_path / "cache").compiled("hello")
    renderer = Renderer(tmp_path, tmp_path / "cache")
    renderer.compiled("hello")
    translate(tmp_path, "id", entry("Hello", "Hai"))
    assert "Halo" in renderer.compiled("other", "id").html

    # Then: who comes later sees the catalogue as it is
    assert "Hai" in Renderer(tmp_path, tmp_path / "cache").compiled("other", "id").html
    translate(tmp_path, "id", entry("Hello", "Halo"))
    assert "Halo" in Renderer(tmp_path, tmp_path / "cache").compiled("other", "id").html


@pytest.mark.parametrize("name", ["hello.id.mjml", "hello.id.txt"])
def test_a_change_of_a_variant_passes_the_cache_by(welcome: Path, name: str) -> None:
    (welcome / "hello.id.txt").write_text("Selamat datang\n")
    Renderer(welcome, welcome / "cache").compiled("hello")
    (welcome / name).write_text((welcome / name).read_text().replace("datang", "pagi"))

    rendered = Renderer(welcome, welcome / "cache").render("hello", {}, "id")

    assert "pagi" in rendered.subject + rendered.text


def test_rendering_a_translation_from_the_cache_loads_no_compiler(greeting: Renderer, tmp_path: Path) -> None:
    Renderer(tmp_path, tmp_path / "cache").compiled("hello")
    program = f"""
import sys
from pathlib import Path
from lifecycle.mail.render import Renderer
print(Renderer(Path({str(tmp_path)!r}), Path({str(tmp_path / "cache")!r})).render("hello", {DATA!r}, "id").subject)
print([name for name in ("mjml", "premailer", "lxml", "bs4", "babel.messages") if name in sys.modules])
"""

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert output.splitlines() == ["Halo <b>, Siti & <i>", "[]"]


def test_rubbish_locales_do_not_fill_the_memory(greeting: Renderer) -> None:
    for number in range(300):
        greeting.render("hello", DATA, f"rubbish {number}")

    assert len(greeting._ready) == 1


def test_a_tag_of_a_column_may_be_translated(tmp_path: Path) -> None:
    write(tmp_path, column('<mj-button href="https://x.example/">{{ _("Go") }}</mj-button>'))
    translate(tmp_path, "id", entry("Go", "Ayo"))

    assert ">Ayo</a>" in "".join(Renderer(tmp_path).render("hello", {}, "id").html.split())
