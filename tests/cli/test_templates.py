"""`lifecycle templates`: emails as a listing, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from lifecycle.lint.rules import RULES
from tests.cli.conftest import Shop

FILE = "templates/email/invitation.mjml"


def _replace(shop: Shop, file: str, old: str, new: str) -> None:
    path: Path = shop.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_sound_emails_are_said_to_be_well(bare_shop: Shop) -> None:
    assert bare_shop.run("templates", "lint").stdout == "2 emails: all well\n"
    assert bare_shop.run("templates", "lint", "thanks").stdout == "1 email: all well\n"


def test_an_error_stands_under_its_file_with_place_rule_and_remedy(bare_shop: Shop) -> None:
    _replace(bare_shop, FILE, "You are", '<a href="#">You</a> are')

    result = bare_shop.run("templates", "lint", exit_code=1)

    assert result.stdout == (
        f"{FILE}\n"
        '    3:30  error  href="#" leads nowhere in most mail programs  [placeholder_link]\n'
        '          → write href="https://…", or drop it\n'
        "1 error in 1 file\n"
    )


def test_a_warning_fails_nobody_unless_that_is_wanted(bare_shop: Shop) -> None:
    _replace(bare_shop, FILE, "Come in", "COME INSIDE")

    assert bare_shop.run("templates", "lint").stdout.endswith("1 warning in 1 file\n")
    assert bare_shop.run("check").stdout.endswith("1 warning in 1 file\n")
    bare_shop.run("templates", "lint", "--strict", exit_code=1)
    bare_shop.run("check", "--strict", exit_code=1)
    assert [problem["severity"] for problem in bare_shop.json("templates", "lint")] == ["warning"]


def test_errors_and_warnings_are_counted_apart(bare_shop: Shop) -> None:
    _replace(bare_shop, FILE, "Come in", "COME INSIDE")
    _replace(bare_shop, "templates/email/thanks.mjml", ' | default("friend")', "")

    result = bare_shop.run("check", exit_code=1)

    assert result.stdout.endswith("1 error and 1 warning in 2 files\n")


def test_only_the_emails_that_are_named_are_looked_at(bare_shop: Shop) -> None:
    _replace(bare_shop, FILE, "You are", '<a href="#">You</a> are')

    bare_shop.run("templates", "lint", "thanks")
    (problem,) = bare_shop.json("templates", "lint", "thanks", "invitation", exit_code=1)

    assert problem == {
        "code": "placeholder_link",
        "severity": "error",
        "where": f"{FILE}:3:30",
        "message": 'href="#" leads nowhere in most mail programs',
        "hint": 'write href="https://…", or drop it',
    }
    assert "did you mean 'thanks'?" in bare_shop.run("templates", "lint", "thank", exit_code=2).stderr


def test_check_and_lint_tell_the_same_of_emails_and_each_once(bare_shop: Shop) -> None:
    _replace(bare_shop, FILE, "You are", "{{ customer.frist_name }}, {{ customer.first_name }}, you are")
    _replace(bare_shop, FILE, "{{ links.unsubscribe }}", "https://shop.example/")

    linted = bare_shop.json("templates", "lint", exit_code=1)

    assert bare_shop.json("check", exit_code=1) == linted
    assert [problem["code"] for problem in linted] == ["unknown_variable", "no_fallback", "no_unsubscribe"]


def test_the_rules_are_listed(bare_shop: Shop) -> None:
    listed = bare_shop.json("templates", "lint", "--rules")

    assert [row["id"] for row in listed] == [rule.id for rule in RULES]
    assert listed[0].keys() == {"id", "severity", "demands"}
    assert "no_fallback" in bare_shop.run("templates", "lint", "--rules").stdout


def test_emails_are_listed_also_one_that_does_not_compile(bare_shop: Shop) -> None:
    _replace(bare_shop, "templates/email/thanks.mjml", "Dear", "Dear {% if %}")

    invitation, thanks = bare_shop.json("templates", "list")

    assert invitation.pop("bytes") > 1000
    assert invitation == {"name": "invitation", "locales": "en", "journeys": "invitation", "subject": "Come in"}
    assert thanks["name"] == "thanks"
    assert "Jinja" in thanks["subject"]
    assert "Come in" in bare_shop.run("templates", "list").stdout
