"""Each rule finds the one mistake it is about, at its place and with its remedy, and nothing where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.journey.load import load
from lifecycle.lint import lint
from lifecycle.lint.rules import RULES
from lifecycle.mail.lagging import stamped
from tests.journey.conftest import POLICY
from tests.lint.conftest import EMAIL, FILE, JOURNEY, Shop

ROOT = Path(__file__).parents[2]
WORDS = "Words"
MANY = "word " * 300
BOUGHT = """
class Bought(Event, name="cart.paid"):
    products = Property[list[object]]()
"""
SELLING = (
    POLICY.replace("import Policy", "import Policy, Purchases")
    .replace("Policy(s", "Policy(purchases=Purchases(Bought), s")
    .replace("\n\n", "\nfrom .vocabulary import Bought\n\n")
)


@dataclass(frozen=True)
class Case:
    """In place of `old`, `wrong` breaks the rule where ¦ stands, and `right` does not; `remedy` is in the hint."""

    rule: str
    old: str
    wrong: str
    right: str
    remedy: str


CASES = [
    Case(
        "unknown_variable",
        WORDS,
        "{{ ¦customer.frist_name }}",
        "{{ customer.created_at }}",
        "did you mean 'first_name'?",
    ),
    Case("unknown_variable", WORDS, "{{ ¦event.totel }}", "{{ event.total }}", "did you mean 'total'?"),
    Case("unknown_variable", WORDS, "{{ ¦costumer.email }}", "{{ customer.email }}", "did you mean 'customer'?"),
    Case(
        "unknown_variable",
        WORDS,
        "{% for order in ¦orders %}{{ order.order_id }}{% endfor %}",
        "{% for order in [] %}{{ order }}{% endfor %}",
        "write purchases=Purchases(…) in policy.py",
    ),
    Case(
        "unknown_variable",
        WORDS,
        "{{ ¦recommended(3) | length }}",
        "{{ [] | length }}",
        "write purchases=Purchases(…) in policy.py",
    ),
    Case("unknown_filter", WORDS, "{{ event.total | ¦mony }}", "{{ event.total | money }}", "did you mean 'money'?"),
    Case(
        "unknown_filter",
        WORDS,
        "{% if event.total is ¦evn %}a{% endif %}",
        "{% if event.total is even %}a{% endif %}",
        "even",
    ),
    Case(
        "no_fallback",
        WORDS,
        "Dear {{ ¦customer.first_name }}",
        'Dear {{ customer.first_name | default("you") }}',
        'write customer.first_name | default("…")',
    ),
    Case(
        "no_fallback",
        WORDS,
        "{% if event.ships_on is defined %}{{ event.ships_on }}{% endif %} {{ ¦event.ships_on }}",
        "{% if event.ships_on is defined %}{{ event.ships_on }}{% endif %}",
        "{% if event.ships_on is defined %}",
    ),
    Case(
        "no_fallback",
        WORDS,
        "{{ ¦'a' if customer.vip is defined }}",
        "{{ 'a' if customer.vip is defined else '' }}",
        "else",
    ),
    Case("no_subject", "<mj-title>Hello</mj-title>", "", "<mj-title>Hi</mj-title>", "write <mj-title>"),
    Case("no_subject", "<mj-title>Hello", '¦<mj-title>{{ "" }}', "<mj-title>Hi", "always there"),
    Case(
        "no_preheader", "<mj-preview>Hello again</mj-preview>", "", "<mj-preview>Ho</mj-preview>", "write <mj-preview>"
    ),
    Case("no_preheader", "<mj-preview>Hello again", '¦<mj-preview>{{ "" }}', "<mj-preview>Ho", "always there"),
    Case("long_subject", "<mj-title>Hello", "¦<mj-title>" + "h" * 61, "<mj-title>" + "h" * 60, "keep it to 60"),
    Case(
        "long_subject",
        "<mj-title>Hello",
        "¦<mj-title>" + "h" * 54 + "{{ event.order_id }} {{ event.total }}",
        "<mj-title>" + "h" * 54 + "{{ event.order_id }}",
        "| truncate(20",
    ),
    Case(
        "fake_reply",
        "<mj-title>Hello",
        "¦<mj-title>Re: your order",
        "<mj-title>Regarding your order",
        "what the email is about",
    ),
    Case("fake_reply", "<mj-title>Hello", "¦<mj-title>FWD : hello", "<mj-title>Fwd, hello", "what the email is about"),
    Case("shouting", "<mj-title>Hello", "¦<mj-title>LAST CHANCE", "<mj-title>LAST chance", "as a sentence"),
    Case("repeated_preheader", "<mj-preview>Hello again", "¦<mj-preview>hello", "<mj-preview>hello!", "go on"),
    Case(
        "no_unsubscribe",
        "{{ links.unsubscribe }}",
        "https://shop.example/",
        "{{ links['unsubscribe'] }}",
        "{{ links.unsubscribe }}",
    ),
    Case("no_address", "{{ company.postal_address }}", "", "1 Main\n Street", "{{ company.postal_address }}"),
    Case("empty_link", 'href="https://shop.example/shelves"', 'href="¦"', 'href="https://x.example"', "https://…"),
    Case("empty_link", "<mj-button href", "¦<mj-button name", "<mj-button href", "https://…"),
    Case("empty_link", WORDS, "¦<a>Look</a>", '<a name="top">Look</a>', "https://…"),
    Case("placeholder_link", "https://shop.example/shelves", "¦#", "https://shop.example/#top", "https://…"),
    Case(
        "relative_link", "https://shop.example/shelves", "¦/shelves", "https://shop.example", "begin it with https://"
    ),
    Case(
        "relative_link",
        "https://shop.example/shelves",
        "¦shelves/{{ event.order_id }}",
        "https://shop.example/{{ event.order_id }}",
        "the site's name",
    ),
    Case(
        "insecure_link",
        "https://shop.example/shelves",
        "¦http://shop.example/",
        "HTTPS://shop.example/",
        "begin it with https://",
    ),
    Case(
        "link_scheme", "https://shop.example/shelves", "¦ftp://shop.example/", "mailto:a@shop.example", "mailto or tel"
    ),
    Case(
        "shortened_link",
        "https://shop.example/shelves",
        "¦https://www.bit.ly/x",
        "https://rabbit.ly/x",
        "the page itself",
    ),
    Case(
        "no_alt",
        WORDS,
        '¦<img src="https://a.example/a.png" width="9">',
        '<img src="https://a.example/a.png" width="9" alt="">',
        'write alt="…"',
    ),
    Case(
        "no_alt",
        "<mj-button href",
        '¦<mj-image src="https://a.example/a.png" alt="" href="https://a.example/"/><mj-button href',
        '<mj-image src="https://a.example/a.png" alt=""/><mj-button href',
        "where the link leads",
    ),
    Case(
        "no_alt",
        WORDS,
        '<a href="https://a.example/">¦<img src="https://a.example/a.png" width="9" alt=""></a>',
        '<a href="https://a.example/"><img src="https://a.example/a.png" width="9" alt="">A</a>',
        "where the link leads",
    ),
    Case(
        "no_width",
        WORDS,
        '¦<img src="https://a.example/a.png" alt="A">',
        '<img src="https://a.example/a.png" alt="A" width="100%">',
        'width="…"',
    ),
    Case(
        "image_source",
        WORDS,
        '<img src="¦/a.png" width="9" alt="A">',
        '<img src="https://a.example/a.png" width="9" alt="A">',
        "https://…",
    ),
    Case(
        "image_source",
        WORDS,
        '<img src="¦http://a.example/a.png" width="9" alt="A">',
        '<img src="cid:a" width="9" alt="A">',
        "https://…",
    ),
    Case("no_lang", '<mjml lang="en">', "¦<mjml>", '<mjml lang="id">', '<mjml lang="en">'),
    Case("doubled_id", WORDS, '<i id="a">a</i>¦<i id="a">b</i>', '<i id="a">a</i><i id="b">b</i>', "rename one"),
    Case("unsupported", "color: #000000;", "color: #000000; ¦gap: 1px;", "border-radius: 1px;", "use padding"),
    Case(
        "unsupported", WORDS, '<i style="¦display:flex">a</i>', '<i style="mso-hide:all;display:flex">a</i>', "columns"
    ),
    Case("unsupported", WORDS, "¦<svg></svg>", "<b>a</b>", "use a PNG"),
    Case("unsupported", "color: #000000;", "¦width: calc(1px + 1px);", "width: 2px;", "the value that comes out"),
    Case("unsupported", "color: #000000;", "¦margin: 1rem;", "margin: 16px; color: #1rem00;", "use px"),
    Case(
        "unsupported",
        ".big { color: #000000; }",
        "@media print { .big { ¦position: absolute; } }",
        "@media print { .big { float: left; } }",
        "use a table",
    ),
    Case(
        "unsupported",
        WORDS,
        '<img src="¦https://a.example/a.webp?b" width="9" alt="A">',
        '<img src="https://a.example/a.jpg?webp" width="9" alt="A">',
        "PNG",
    ),
    Case("variable_in_style", "#000000", "¦{{ event.order_id }}", "#111111", "css-class"),
    Case(
        "variable_in_style",
        WORDS,
        '<b style="color:¦{{ event.order_id }}">a</b>',
        '<b style="color:#111111">a</b>',
        "around two tags",
    ),
    Case("large", WORDS, "" + "a " * 45_000, "a " * 38_000, "drop a section"),
    Case("too_large", WORDS, "" + "a " * 52_000, "a " * 38_000, "two emails"),
    Case("template", WORDS, "{% if ¦%}", "{% if true %}{% endif %}", "mend"),
    Case("lint_off", WORDS, "¦{# lint: off no_alt #}", "{# lint: off no_alt because it is fine #}", "because"),
    Case(
        "lint_off", WORDS, "¦{# lint: off no_such because … #}", "{# lint: off no-alt because it is fine #}", "--rules"
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.wrong[:40]}")
def test_a_rule_finds_its_mistake_and_no_other(shop: Shop, case: Case) -> None:
    shop.replace(case.old, case.wrong)
    marked = (shop.folder.root / FILE).read_text()
    shop.replace(case.old, case.wrong.replace("¦", ""))

    (problem,) = shop.problems()

    assert problem.code == case.rule
    assert problem.severity == next(rule.severity for rule in RULES if rule.id == case.rule)
    assert case.remedy in problem.hint
    before, mark, _ = marked.partition("¦")
    if mark:
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        assert problem.where == f"{FILE}:{line}:{column}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.right[:40]}")
def test_a_rule_finds_nothing_where_all_is_well(shop: Shop, case: Case) -> None:
    shop.replace(case.old, case.right)

    assert shop.problems() == []


def test_the_text_part_is_there_and_says_what_the_html_says(shop: Shop) -> None:
    shop.replace(WORDS, MANY)
    footer = "{{ links.unsubscribe }} {{ company.postal_address }}\n"

    shop.write(footer + MANY, "hello.txt")
    assert shop.problems() == []

    shop.write(footer, "hello.txt")
    (thin,) = shop.problems()
    assert (thin.code, thin.severity, thin.where) == ("thin_text", "warning", "templates/email/hello.txt:1:1")
    assert thin.hint == "say in it what the HTML says"

    shop.write("{% if false %}{{ links.unsubscribe }} {{ company.postal_address }}{% endif %}\n", "hello.txt")
    (blank,) = shop.problems()
    assert (blank.code, blank.severity, blank.where) == ("no_text", "error", "templates/email/hello.txt:1:1")


def test_the_text_part_has_a_footer_of_its_own_and_fallbacks(shop: Shop) -> None:
    shop.write("Hello\n\nDear {{ event.order_id }} {{ customer.first_name }}\n", "hello.txt")

    found = [(problem.code, problem.where) for problem in shop.problems()]

    assert found == [
        ("no_address", "templates/email/hello.txt:3:1"),
        ("no_unsubscribe", "templates/email/hello.txt:3:1"),
        ("no_fallback", "templates/email/hello.txt:3:30"),
    ]


def test_transactional_mail_needs_no_footer(shop: Shop) -> None:
    shop.folder.write("shop.py", JOURNEY.replace("topic=", 'kind="transactional", topic='))
    shop.replace("{{ company.postal_address }}", "")

    assert shop.problems() == []


def test_an_emoji_in_the_senders_name_is_told_once_with_the_line_of_the_policy(shop: Shop) -> None:
    shop.write(EMAIL, "other.mjml")
    shop.folder.write("policy.py", POLICY.replace('"Shop"', '"Shop ☕"'))

    (problem,) = shop.problems()

    assert (problem.code, problem.severity, problem.where) == ("emoji_sender", "warning", "journeys/policy.py:3")


def test_the_digest_shows_its_sections(shop: Shop) -> None:
    shop.folder.write("shop.py", JOURNEY.replace('Send("hello")', 'Send("hello", on_capped="digest")'))
    shop.write(
        EMAIL.replace(WORDS, "{% for section in sections %}{{ section.subject }}{% endfor %}"), "digest/gathered.mjml"
    )
    assert shop.problems() == []

    shop.write(EMAIL, "digest/gathered.mjml")
    (problem,) = shop.problems()
    assert (problem.code, problem.where) == ("no_sections", "templates/email/digest/gathered.mjml:7:3")


def test_an_email_that_does_not_compile_is_told_once_and_not_of_the_digest_that_gathers_it(shop: Shop) -> None:
    shop.folder.write("shop.py", JOURNEY.replace('Send("hello")', 'Send("hello", on_capped="digest")'))
    shop.write(
        EMAIL.replace(WORDS, "{% for section in sections %}{{ section.subject }}{% endfor %}"), "digest/gathered.mjml"
    )
    shop.replace(WORDS, "{{ customer.email | uper }}")

    assert [(problem.code, problem.where) for problem in shop.problems()] == [("unknown_filter", f"{FILE}:8:34")]


@pytest.mark.parametrize(
    ("rule", "old", "place"), [("no_subject", ">Hello<", "3:5"), ("no_preheader", ">Hello again<", "4:5")]
)
def test_a_blank_subject_or_preheader_is_told_at_its_tag(shop: Shop, rule: str, old: str, place: str) -> None:
    shop.replace(old, "><")

    (problem,) = shop.problems()

    assert (problem.code, problem.where) == (rule, f"{FILE}:{place}")


@pytest.mark.parametrize(
    ("rule", "old", "place"), [("no_subject", "Hello", "3:5"), ("no_preheader", "Hello again", "4:5")]
)
def test_subject_and_preheader_are_there_for_people_of_whom_little_is_known(
    shop: Shop, rule: str, old: str, place: str
) -> None:
    shop.replace(f">{old}<", '>{{ customer.first_name | default("") }}<')

    (problem,) = [each for each in shop.problems() if each.code != "repeated_preheader"]

    assert (problem.code, problem.where) == (rule, f"{FILE}:{place}")
    assert problem.message.endswith("is blank for people of whom little is known")


def test_a_link_that_data_makes_wrong_is_told_at_its_place(shop: Shop) -> None:
    shop.replace("https://shop.example/shelves", "{{ 'http://shop.example' }}")

    (problem,) = shop.problems()

    assert (problem.code, problem.where) == ("unrenderable", f"{FILE}:9:22")


@pytest.mark.parametrize(("read", "guard"), [("orders[0].at", "orders"), ("recommended(1)[0].name", "recommended(1)")])
def test_what_newcomers_have_none_of_is_not_taken_for_granted(shop: Shop, read: str, guard: str) -> None:
    words = shop.folder.root / "journeys/vocabulary.py"
    words.write_text(words.read_text() + BOUGHT)
    shop.folder.write("policy.py", SELLING)
    shop.replace(WORDS, f"{{{{ {read} }}}}")

    (problem,) = shop.problems()
    assert problem.code == "unrenderable"
    assert "not everybody has ordered" in problem.hint

    shop.replace(WORDS, f"{{% if {guard} %}}{{{{ {read} }}}}{{% endif %}}")
    assert shop.problems() == []


def test_who_gets_an_email_for_an_order_has_one(shop: Shop) -> None:
    words = shop.folder.root / "journeys/vocabulary.py"
    words.write_text(words.read_text() + BOUGHT)
    shop.folder.write("policy.py", SELLING)
    shop.folder.write("shop.py", JOURNEY.replace("Ordered", "Bought"))
    shop.replace(WORDS, "{{ orders[0].at }}")

    assert shop.problems() == []


def test_a_property_that_is_named_like_a_link_is_one_in_the_sample(shop: Shop) -> None:
    words = (shop.folder.root / "journeys/vocabulary.py").read_text()
    shop.folder.write(
        "vocabulary.py", words.replace("    ships_on", "    track_url = Property[str](required=True)\n    ships_on")
    )
    shop.replace("https://shop.example/shelves", "{{ event.track_url }}")

    assert shop.problems() == []


def test_what_cannot_be_rendered_is_told_if_nothing_else_is_wrong(shop: Shop) -> None:
    shop.replace(WORDS, "{{ event.order_id | money }}")

    (problem,) = shop.problems()

    assert (problem.code, problem.where) == ("unrenderable", f"{FILE}:1:1")
    assert "money expects a number" in problem.message


def test_a_mistake_in_a_partial_is_told_once_and_there(shop: Shop) -> None:
    shop.write('<mj-text>\n<a href="#">Look</a></mj-text>\n', "partials/look.mjml")
    included = EMAIL.replace("<mj-text>Words</mj-text>", '<mj-include path="partials/look.mjml"/>')
    shop.write(included)
    shop.write(included, "other.mjml")

    (problem,) = shop.problems()

    assert (problem.code, problem.where) == ("placeholder_link", "templates/email/partials/look.mjml:2:10")


def test_an_email_that_does_not_compile_hides_no_other(shop: Shop) -> None:
    shop.write("<mjml></mjml>", "a.mjml")
    shop.replace("https://shop.example/shelves", "#")

    assert [problem.code for problem in shop.problems()] == ["template", "placeholder_link"]


def test_an_email_that_no_journey_sends_may_print_what_any_event_has(shop: Shop) -> None:
    shop.write(EMAIL.replace(WORDS, "{{ event.stars | default(1) }} {{ event.order_id }}"), "other.mjml")
    assert shop.problems() == []

    shop.write(EMAIL.replace(WORDS, "{{ event.moons }}"), "other.mjml")
    assert [problem.code for problem in shop.problems()] == ["unknown_variable"]


def test_a_property_is_sure_only_if_it_is_in_every_event_that_may_start(shop: Shop) -> None:
    shop.replace(WORDS, "{{ event.total }}")
    assert shop.problems() == []

    shop.folder.write("again.py", JOURNEY.replace("shop", "again").replace("Ordered", "Reviewed"))
    assert [problem.code for problem in shop.problems()] == ["unknown_variable"]


CATALOGUE = """\
msgid ""
msgstr ""
"Language: id\\n"
"Content-Type: text/plain; charset=utf-8\\n"

msgid "Hello"
msgstr "Halo"

msgid "Words"
msgstr "{words}"
"""


def test_a_catalogue_that_lags_behind_is_told_where_the_text_stands(shop: Shop) -> None:
    shop.write(EMAIL.replace(">Hello<", '>{{ _("Hello") }}<').replace(WORDS, '{{ _("Words") }}'))
    shop.write(CATALOGUE.format(words="Kata"), "locales/id/LC_MESSAGES/email.po")
    assert shop.problems() == []

    shop.write(CATALOGUE.format(words=""), "locales/id/LC_MESSAGES/email.po")
    (problem,) = shop.problems()
    assert (problem.code, problem.severity, problem.where) == ("lagging_locale", "warning", f"{FILE}:8:17")
    assert problem.message == "1 of its texts is not in id: 'Words'"
    assert problem.hint == "lifecycle locales update id, then translate them in locales/id/LC_MESSAGES/email.po"


def test_each_locale_has_a_subject_that_is_short_enough(shop: Shop) -> None:
    shop.write(EMAIL.replace(">Hello<", '>{{ _("Hello") }}<'))
    shop.write(CATALOGUE.format(words="").replace("Halo", "h" * 61), "locales/id/LC_MESSAGES/email.po")

    (problem,) = shop.problems()

    assert (problem.code, problem.where) == ("long_subject", f"{FILE}:3:5")
    assert "h" * 61 in problem.message


def test_an_edition_in_a_file_of_its_own_lags_once_the_default_has_changed(shop: Shop) -> None:
    shop.write(stamped(EMAIL.replace(WORDS, "Kata"), EMAIL), "hello.id.mjml")
    assert shop.problems() == []

    shop.replace("Hello again", "Hello once more")
    (problem,) = shop.problems()
    assert (problem.code, problem.where) == ("lagging_locale", "templates/email/hello.id.mjml:1:1")
    assert problem.message == "hello.mjml has changed since this was translated"
    assert "lifecycle locales stamp hello --locale id" in problem.hint


def test_what_differs_from_the_default_is_told_until_somebody_has_compared_the_two(shop: Shop) -> None:
    changed = EMAIL.replace(WORDS, "{{ event.total }} <a href='https://shop.example/'>Look</a>")
    shop.write(changed)
    shop.write(EMAIL, "hello.id.mjml")

    assert [problem.message for problem in shop.problems()] == [
        "does not say which hello.mjml it translates",
        "hello.id.mjml has 2 <mj-button> and <a>, and hello.mjml 3",
        f"hello.id.mjml never reads event.total, which hello.mjml does at {FILE}:8:17",
    ]

    shop.write(stamped(EMAIL, changed), "hello.id.mjml")
    assert shop.problems() == []


def test_an_edition_in_a_file_of_its_own_is_asked_all_that_the_default_is(shop: Shop) -> None:
    shop.write(EMAIL.replace("https://shop.example/shelves", "#") + stamped("", EMAIL), "hello.id.mjml")
    shop.write("Halo {{ customer.first_name }}", "hello.id.txt")

    assert [(problem.code, problem.where) for problem in shop.problems()] == [
        ("placeholder_link", "templates/email/hello.id.mjml:9:22"),
        ("no_address", "templates/email/hello.id.txt:1:1"),
        ("no_unsubscribe", "templates/email/hello.id.txt:1:1"),
        ("no_fallback", "templates/email/hello.id.txt:1:9"),
    ]


def test_rules_are_told_apart_and_each_is_tested() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    own = {"lagging_locale", "no_text", "thin_text", "emoji_sender", "no_sections", "unrenderable"}
    assert {case.rule for case in CASES} | own == set(ids)


def test_nothing_is_wrong_with_the_shipped_emails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    project, _ = load(Path("journeys"))

    assert project is not None
    assert lint(project, Path("templates/email")) == []
