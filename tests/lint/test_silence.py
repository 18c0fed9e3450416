"""An author may accept what a rule finds, where it finds it, and with a reason."""

from __future__ import annotations

from tests.lint.conftest import EMAIL, Shop

IMAGE = '<img src="https://a.example/a.png" alt="A">'
OFF = "{# lint: off no_width because it is as wide as the phone #}"


def codes(shop: Shop) -> list[str]:
    return [problem.code for problem in shop.problems()]


def test_a_rule_is_off_in_the_line_and_in_the_next(shop: Shop) -> None:
    shop.replace("Words", f"{IMAGE} {OFF}")
    assert codes(shop) == []
    shop.replace("Words", f"{OFF}\n{IMAGE}")
    assert codes(shop) == []
    shop.replace("Words", f"<!-- lint: off no-width because it is\nas wide as the phone -->\n{IMAGE}")
    assert codes(shop) == []


def test_it_is_on_in_all_others(shop: Shop) -> None:
    shop.replace("Words", f"{OFF}\n\n{IMAGE}")
    assert codes(shop) == ["no_width"]
    shop.replace("Words", f"{IMAGE}\n{OFF}")
    assert codes(shop) == ["no_width"]


def test_other_rules_stay_on(shop: Shop) -> None:
    shop.replace("Words", OFF + IMAGE.replace('alt="A"', ""))
    assert codes(shop) == ["no_alt"]


def test_a_rule_is_off_in_the_whole_file_if_that_is_said(shop: Shop) -> None:
    shop.write(OFF.replace("because", "in this file because") + "\n" + EMAIL.replace("Words", f"{IMAGE}\n\n{IMAGE}"))
    assert codes(shop) == []


def test_a_partial_speaks_for_itself(shop: Shop) -> None:
    include = '<mj-include path="partials/a.mjml"/>'
    shop.write(f"<mj-text>{OFF}\n{IMAGE}</mj-text>", "partials/a.mjml")
    shop.replace("<mj-text>Words</mj-text>", include)
    assert codes(shop) == []

    shop.write(f"<mj-text>\n{IMAGE}</mj-text>", "partials/a.mjml")
    shop.replace("<mj-text>Words</mj-text>", f"{OFF}\n{include}")
    assert codes(shop) == ["no_width"]


def test_a_text_part_speaks_for_itself(shop: Shop) -> None:
    shop.write("{# lint: off no_address because it is a receipt #}\n{{ links.unsubscribe }}", "hello.txt")
    assert codes(shop) == []
