"""What is wrong with the email of digests, or with emails that a digest is to stand for, is told before it is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.errors import DefinitionError, place_of
from lifecycle.journey.emails import require_emails
from lifecycle.journey.sample import sample_sections
from tests.journey.conftest import Folder

SHOP = """\
from lifecycle import *
from .vocabulary import *

shop = Journey(name="shop", topic="offers", enter=on(Ordered), steps=[Send("hello", on_capped="digest")])
"""
LINK = '<a href="https://shop.example/{{ event.order_id }}">Look</a>'
EACH = '{% for section in sections %}<a href="{{ section.url }}">{{ section.subject }}</a>{% endfor %}'
BODY = """\
<mjml>
  <mj-head><mj-title>Hello</mj-title><mj-preview>Hello again</mj-preview></mj-head>
  <mj-body><mj-section><mj-column>
    <mj-text>WORDS</mj-text>
    <mj-text><a href="{{ links.unsubscribe }}">Unsubscribe</a></mj-text>
  </mj-column></mj-section></mj-body>
</mjml>
"""


def email(folder: Folder, name: str, words: str, body: str = BODY) -> None:
    path = folder.root / "templates" / "email" / f"{name}.mjml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body.replace("WORDS", words), encoding="utf-8")


@pytest.fixture
def shop(folder: Folder) -> Folder:
    """A shop whose only email may go into a digest."""
    folder.write("shop.py", SHOP)
    email(folder, "hello", LINK)
    email(folder, "digest/gathered", EACH)
    return folder


def test_a_digest_with_all_it_needs_is_well(shop: Folder) -> None:
    assert shop.problems() == []
    (section,) = sample_sections(shop.project())
    assert (section.template, section.topic, section.event["order_id"]) == ("hello", "offers", "A1001")


def test_where_nothing_goes_into_digests_they_need_no_email(folder: Folder) -> None:
    folder.write("shop.py", SHOP.replace(', on_capped="digest"', ""))
    assert folder.problems() == []
    require_emails(folder.project(), Path("templates/email"))


def test_a_digest_without_an_email_is_told_with_the_line_of_the_policy(shop: Folder) -> None:
    (shop.root / "templates/email/digest/gathered.mjml").unlink()
    (problem,) = shop.problems()
    assert (problem.code, problem.where) == ("missing_template", "journeys/policy.py:3")
    assert problem.message == "there is no email 'digest/gathered', and on_capped=\"digest\" needs it"
    assert problem.hint == "write digest/gathered.mjml in the templates folder"
    with pytest.raises(DefinitionError, match="digest/gathered"):
        require_emails(shop.project(), Path("templates/email"))


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        (
            "{{ event.order_id }}",
            "unknown_variable",
            "a digest has no event of its own",
            "write section.event.order_id",
        ),
        ("{{ customer.first_nam }}", "unknown_variable", "which the vocabulary does not have", "'first_name'?"),
        ("{{ section.subject }}", "unknown_variable", "which nobody provides", "did you mean 'sections'?"),
        (EACH.replace("subject", "subjct"), "digest", "subjct is missing", "a section has template, topic"),
        (EACH.replace("subject", "event.stars"), "digest", "stars is missing", 'default("…")'),
    ],
)
def test_a_word_that_no_digest_has_is_told_with_its_line(
    shop: Folder, words: str, code: str, message: str, hint: str
) -> None:
    email(shop, "digest/gathered", EACH + words)
    (problem,) = shop.problems()
    assert (problem.code, place_of(problem.where)[:2]) == (code, ("templates/email/digest/gathered.mjml", 4))
    assert message in problem.message
    assert hint in problem.hint


def test_a_digest_shows_something_and_can_be_unsubscribed_from(shop: Folder) -> None:
    email(shop, "digest/gathered", "Hello", BODY.replace("{{ links.unsubscribe }}", "#"))
    assert [problem.code for problem in shop.problems()] == ["no_sections", "no_unsubscribe"]


def test_a_digest_that_does_not_compile_is_told_with_its_line(shop: Folder) -> None:
    email(shop, "digest/gathered", "{% if %}")
    (problem,) = shop.problems()
    assert (problem.code, place_of(problem.where)[:2]) == ("template", ("templates/email/digest/gathered.mjml", 4))


def test_an_email_that_leads_nowhere_cannot_stand_in_a_digest(shop: Folder) -> None:
    email(shop, "hello", "Hello")
    (problem,) = shop.problems()
    assert (problem.code, problem.where) == ("no_link", "journeys/shop.py:4")
    assert problem.message == "'hello' has no link, so a digest has nowhere to lead from it"


def test_transactional_mail_goes_into_no_digest(shop: Folder) -> None:
    shop.write("shop.py", SHOP.replace('name="shop",', 'name="shop", kind="transactional",'))
    assert [problem.code for problem in shop.problems()] == ["transactional_digest"]


def test_no_journey_is_called_like_the_digests(folder: Folder) -> None:
    folder.write("shop.py", SHOP.replace('"shop"', '"digest"'))
    (problem,) = folder.problems()
    assert problem.message == "journey 'digest': the name 'digest' stands for digests"
