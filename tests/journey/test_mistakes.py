"""Mistakes in a marketer's files: each with its line, the reason and the remedy."""

from __future__ import annotations

import re

import pytest

from lifecycle.errors import place_of

from .conftest import EMAIL, POLICY, VOCABULARY, Folder

WORDS = """\
from datetime import date, time
from lifecycle import *
from .vocabulary import *
"""
JOURNEY = WORDS + 'shop = Journey(name="shop", topic="offers", enter=on(Ordered), steps=[Send("hello")])\n'
MARK = "# here"


def marked_line(text: str) -> int:
    """The line that carries the mark."""
    return 1 + [MARK in line for line in text.splitlines()].index(True)


def journey(arguments: str, steps: str = 'Send("hello")') -> str:
    """A journey file whose arguments and steps stand on lines of their own."""
    return f"{WORDS}shop = Journey(\n    name='shop', topic='offers',\n    {arguments}\n    steps=[{steps}],\n)\n"


IN_A_JOURNEY_FILE = {
    "unknown event": (
        WORDS + "from .vocabulary import Orderd  # here",
        "unknown_event",
        "vocabulary.py declares no 'Orderd'",
        "did you mean 'Ordered'?",
    ),
    "unknown event that resembles none": (
        WORDS + "from .vocabulary import Xyzzy  # here",
        "unknown_event",
        "vocabulary.py declares no 'Xyzzy'",
        "declare it in vocabulary.py",
    ),
    "unknown attribute": (
        WORDS + "rich = customer.lifetime_valu >= 500  # here",
        "unknown_attribute",
        "customer has no attribute 'lifetime_valu'",
        "did you mean 'lifetime_value'?",
    ),
    "unknown property": (
        WORDS + "big = Ordered.totl >= 500  # here",
        "unknown_property",
        "order.completed has no property 'totl'",
        "did you mean 'total'?",
    ),
    "word that is not imported": (
        "from lifecycle import Journey\nstep = Send('hello')  # here",
        "unknown_name",
        "the name 'Send' is unknown",
        "import it: from lifecycle import Send",
    ),
    "word that the language lacks": (
        "from lifecycle import Brunch  # here",
        "unknown_name",
        "the language has no word 'Brunch'",
        "did you mean 'Branch'?",
    ),
    "number compared with a text": (
        WORDS + "rich = customer.lifetime_value >= '500'  # here",
        "definition",
        "customer.lifetime_value is a number, compared with '500' of type str",
        "give a number",
    ),
    "text compared with a number": (
        WORDS + "named = customer.first_name == 7  # here",
        "definition",
        "customer.first_name is a text, compared with 7 of type int",
        "give a text",
    ),
    "compared with None": (
        WORDS + "nameless = customer.first_name == None  # here",
        "definition",
        "customer.first_name compared with None",
        r"~customer.first_name.is_set()",
    ),
    "and": (
        WORDS + "good = (customer.lifetime_value > 5) and customer.vip  # here",
        "definition",
        "a condition was used as a yes or no",
        "write `a & b`",
    ),
    "or": (
        WORDS + "good = customer.vip or Ordered.happened()  # here",
        "definition",
        "a condition was used as a yes or no",
        "`a | b`",
    ),
    "not": (
        WORDS + "good = not customer.vip  # here",
        "definition",
        "a condition was used as a yes or no",
        "`~a` instead of and/or/not",
    ),
    "chained comparison": (
        WORDS + "good = 100 < customer.lifetime_value < 500  # here",
        "definition",
        "a condition was used as a yes or no",
        "split `1 < x < 5` into (x > 1) & (x < 5)",
    ),
    "comparison without parentheses": (
        WORDS + "good = customer.vip & customer.lifetime_value > 5  # here",
        "definition",
        "& wants a condition",
        "put comparisons in parentheses",
    ),
    "missing template": (
        journey("enter=on(Ordered),", 'Send("helo"),  # here\n'),
        "missing_template",
        "there is no email 'helo'",
        "did you mean 'hello'?",
    ),
    "two steps of one name": (
        journey("enter=on(Ordered),", 'Send("hello"),\nSend("hello"),  # here\n'),
        "definition",
        "journey 'shop': the step at journeys/shop.py:7 is named 'hello' too",
        "give one of them name=",
    ),
    "unreachable step after Exit": (
        journey("enter=on(Ordered),", 'Exit("enough"),\nSend("hello"),  # here\n'),
        "definition",
        "step 'hello' stands after an Exit that everybody takes",
        "move or drop it",
    ),
    "arms that do not add to 100": (
        journey("enter=on(Ordered),", 'Split("offer", Arm("a", 50), Arm("b", 49)),  # here\n'),
        "definition",
        "the arms of Split('offer') add to 99",
        "make them add to 100",
    ),
    "wait of nothing": (
        journey("enter=on(Ordered),", 'Wait("a while"),  # here\n'),
        "definition",
        "Wait('a while') of nothing",
        "give either a duration like days(3), or until=time(9)",
    ),
    "wait of no days": (
        journey("enter=on(Ordered),", 'Wait("a while", days(0)),  # here\n'),
        "definition",
        "days(0) is no time at all",
        "give at least 1, or drop it",
    ),
    "re-entry without interval": (
        journey("enter=on(Ordered), again_after=always,").replace("shop = Journey(", "shop = Journey(  # here"),
        "definition",
        "journey 'shop': re-entry without a minimum interval loops",
        "write again_after=always(hours(1)), or days(30)",
    ),
    "argument that the language lacks": (
        journey("enter=on(Ordered),", 'Send("hello", on_caped="skip"),  # here\n'),
        "arguments",
        "Send got an unexpected keyword argument 'on_caped'",
        "docs/journeys.md",
    ),
    "no Python": (
        WORDS + "shop = Journey(  # here\n",
        "syntax",
        "this is no Python: '(' was never closed",
        "mend the line",
    ),
    "a method without its ()": (
        WORDS + "quiet = ~Ordered.happened  # here",
        "arguments",
        "bad operand type for unary ~: 'method'",
        "Event.happened() and its like want their ()",
    ),
    "an event where a condition belongs": (
        WORDS + "quiet = Ordered & customer.vip  # here",
        "definition",
        "& wants a condition, not Ordered",
        "use Event.happened()",
    ),
    "a comparison that the language lacks": (
        WORDS + "rich = customer.lifetime_value.is_inn(3)  # here",
        "unknown_name",
        "Attribute has no word 'is_inn'",
        "did you mean 'is_in'?",
    ),
    "a missing argument": (
        WORDS + "shop = Journey(name='shop', topic='offers', enter=on(Ordered))  # here",
        "arguments",
        "Journey missing 1 required keyword-only argument: 'steps'",
        "docs/journeys.md",
    ),
    "a file that ends the process": (WORDS + "exit(3)  # here", "python", "SystemExit: 3", "only builds values"),
    "a file that is imported by what it imports": (
        "from .shop import other  # here",
        "import",
        "this file and shop.py import each other",
        "move what both need into vocabulary.py",
    ),
    "a file outside the folder": (
        "from ..elsewhere import words  # here",
        "import",
        "attempted relative import beyond top-level package",
        "with one dot",
    ),
    "a file that the folder lacks": (
        "from . import vocabulry  # here",
        "import",
        "there is no module 'vocabulry'",
        "did you mean 'vocabulary'?",
    ),
    "a word that last_send lacks": (
        journey("enter=on(Ordered),", "Send('hello'),\nBranch('b', when=last_send.was_snt),  # here\n"),
        "unknown_name",
        "last_send has no word 'was_snt'",
        "did you mean 'was_sent'?",
    ),
    "a word that events lack": (
        WORDS + "open_ = Ordered.aftr(Reviewed)  # here",
        "unknown_property",
        "order.completed has no property 'aftr'",
        "did you mean 'after'?",
    ),
    "last_send before any Send": (
        journey(
            "enter=on(Ordered),",
            "Split('s', Arm('a', 50, [Send('hello')]), Arm('b', 50, [\n"
            "Branch('b', when=~last_send.was_sent),  # here\n"
            "])), Branch('c', when=last_send.was_sent)",
        ),
        "no_send_before",
        "Branch('b') asks for last_send, but no email goes before it",
        "put it behind a Send",
    ),
    "an event of another file, compared": (
        WORDS
        + "class Refunded(Event, name='order.refunded'):\n    pass\n"
        + journey("enter=on(Ordered),", "Branch('b', when=Refunded.after(Ordered)),  # here\n").removeprefix(WORDS),
        "unknown_event",
        "the vocabulary has no event 'order.refunded'",
        "declare it in vocabulary.py",
    ),
    "anything else": (
        WORDS + "half = 1 / 0  # here",
        "python",
        "ZeroDivisionError: division by zero",
        "mend the line",
    ),
    "a sibling imported as if from elsewhere": (
        "from journeys.vocabulary import Ordered  # here",
        "import",
        "'journeys.vocabulary' is imported as if it were no file beside this one",
        r"write: from .vocabulary import …",
    ),
    "a module that is not there": (
        "from .vocabulry import Ordered  # here",
        "import",
        "there is no module 'vocabulry'",
        "did you mean 'vocabulary'?",
    ),
    "a journey without a variable": (
        JOURNEY.replace("shop = ", "").replace("\n", "  # here\n", 4).replace("  # here\n", "\n", 3),
        "unnamed",
        "this Journey has no variable and would be lost",
        "write: name = …",
    ),
    "one variable for two journeys": (
        JOURNEY + "shop = Journey(name='other', topic='offers', enter=manually(), steps=[Send('bye')])  # here\n",
        "duplicate_name",
        "'shop' stands here again, so what line 4 says is lost",
        "rename one of the two",
    ),
    "an event of another file": (
        WORDS
        + "class Refunded(Event, name='order.refunded'):\n    pass\n"
        + "shop = Journey(name='shop', topic='offers', enter=on(Refunded), steps=[Send('hello')])  # here\n",
        "unknown_event",
        "the vocabulary has no event 'order.refunded'",
        "declare it in vocabulary.py",
    ),
    "an attribute of another file": (
        WORDS
        + "class person:\n    lifetime_valu = Attribute[int]()\n"
        + journey("enter=on(Ordered),", "Branch('b', when=person.lifetime_valu > 3),  # here\n").removeprefix(WORDS),
        "unknown_attribute",
        "the vocabulary has no attribute 'lifetime_valu'",
        "did you mean 'lifetime_value'?",
    ),
    "an attribute of another type in another file": (
        WORDS
        + "class person:\n    vip = Attribute[str]()\n"
        + journey("enter=on(Ordered),", "Branch('b', when=person.vip == 'yes'),  # here\n").removeprefix(WORDS),
        "wrong_type",
        "customer.vip is a text here and a flag in the vocabulary",
        "import `customer` from vocabulary.py",
    ),
    "a property of another event than the trigger": (
        journey("enter=on(Ordered),", "Branch('good?', when=Reviewed.stars >= 4),  # here\n"),
        "no_such_event_here",
        "review.posted.stars is unknown here: only order.completed is at hand",
        "put it inside where=",
    ),
    "a property where no event started the journey": (
        journey("enter=manually(),", "Wait('ship', until=Ordered.ships_on),  # here\n"),
        "no_such_event_here",
        "order.completed.ships_on is unknown here: no event is at hand",
        "only on() has one",
    ),
    "a key that is an amount": (
        journey("enter=on(Ordered), key=Ordered.total,").replace("shop = Journey(", "shop = Journey(  # here"),
        "key",
        "key=order.completed.total is a number, which tells no two things apart",
        "take an id",
    ),
}


@pytest.mark.parametrize("mistake", IN_A_JOURNEY_FILE)
def test_a_mistake_in_a_journey_file_names_its_line_the_reason_and_the_remedy(folder: Folder, mistake: str) -> None:
    text, code, reason, remedy = IN_A_JOURNEY_FILE[mistake]
    folder.write("shop.py", text)

    problems = folder.problems()

    assert [problem.code for problem in problems] == [code]
    assert problems[0].where == f"journeys/shop.py:{marked_line(text)}"
    assert reason in problems[0].message
    assert remedy in problems[0].hint


IN_THE_VOCABULARY = {
    "an attribute without a type": (
        ("vip = Flag()", "vip = Flag()\n    size = Attribute()  # here"),
        "Attribute 'size' has no type that conditions understand",
        "write Attribute[str]()",
    ),
    "a reserved attribute of another type": (
        ("birthday = Attribute[date]()", "birthday = Attribute[str]()  # here"),
        "'birthday' is reserved and a date",
        "rename it, or mend the type",
    ),
    "an attribute that is a moment": (
        ("vip = Flag()", "seen = Attribute[datetime]()  # here"),
        "attribute 'seen' is a datetime",
        "use date",
    ),
    "a reserved flag": (("vip = Flag()", "locale = Flag()  # here"), "'locale' is reserved and no flag", "rename it"),
    "a property that is a moment": (
        ("stars = Property[int]()", "at = Property[datetime]()  # here"),
        "property 'at' is a datetime",
        "events have their own timestamp",
    ),
    "a property that hides a word": (
        ("stars = Property[int]()", "times = Property[int]()  # here"),
        "'times' is a word of the language and no property",
        "rename it",
    ),
    "an event without a name": (
        ('class Reviewed(Event, name="review.posted"):', 'class Reviewed(Event, name=" "):  # here'),
        "name=' ' is no event's name",
        'write name="order.completed"',
    ),
    "an event that derives from another": (
        ('class Reviewed(Event, name="review.posted"):', 'class Reviewed(Ordered, name="review.posted"):  # here'),
        "Reviewed derives from another event",
        "write (Event, name=…)",
    ),
    "two events of one name": (
        ('class Reviewed(Event, name="review.posted"):', 'class Reviewed(Event, name="order.completed"):  # here'),
        "Ordered and Reviewed are both named 'order.completed'",
        "rename or drop one",
    ),
    "one attribute twice": (
        ("vip = Flag()", "birthday = Attribute[date]()  # here"),
        "'birthday' stands here again, so what line 7 says is lost",
        "rename one of the two",
    ),
}


@pytest.mark.parametrize("mistake", IN_THE_VOCABULARY)
def test_a_mistake_in_the_vocabulary_is_told_once_whoever_imports_it(folder: Folder, mistake: str) -> None:
    (right, wrong), reason, remedy = IN_THE_VOCABULARY[mistake]
    assert right in VOCABULARY
    text = VOCABULARY.replace(right, wrong)
    folder.write("vocabulary.py", text)
    folder.write("one.py", "from .vocabulary import customer")
    folder.write("two.py", "from .vocabulary import customer")

    problems = folder.problems()

    assert [problem.where for problem in problems] == [f"journeys/vocabulary.py:{marked_line(text)}"]
    assert reason in problems[0].message
    assert remedy in problems[0].hint


IN_THE_POLICY = {
    "an unknown time zone": ("timezone='Mars/Base'", "timezone='Mars/Base' is", "Asia/Jakarta"),
    "an unknown locale": ("locale='rubbish'", "locale='rubbish' is unknown", "write one like 'id'"),
    "a locale that is no text": ("locale=7", "locale=7 is unknown", "write one like 'id'"),
    "an unknown currency": ("currency='Rp'", "currency='Rp' is unknown", "write a code like 'IDR'"),
    "an unknown consent": ("consent='maybe'", "consent='maybe' is unknown", "say 'opt_in' or 'opt_out'"),
    "a cap twice": ("caps=[Cap(1, per=days(1)), Cap(1, per=days(1))]", "two caps are the same", "drop one"),
    "a cap of nothing": ("caps=[Cap('1', per=days(1))]", "Cap('1') is no number of messages", "give 0 or more"),
    "a cap without a span": ("caps=[Cap(1, per=7)]", "per= wants a duration, not 7", "write days(3)"),
    "a cap on a nameless topic": ("caps=[Cap(1, per=days(1), topic='')]", "topic='' is no topic", "or drop it"),
    "quiet hours of nothing": (
        "quiet_hours=QuietHours(time(9), time(9))",
        "quiet hours that start and end together",
        "drop them, or mend one",
    ),
    "quiet hours of numbers": ("quiet_hours=QuietHours(21, 8)", "at=21 is no wall time", "write at=time(9)"),
    "a mute without a name": ("mutes=[Mute(' ', when=customer.vip)]", "Mute(' ') has no name", "open complaint"),
    "a mute of nothing": ("mutes=[Mute('x', when=Ordered)]", "Mute('x') wants a condition, not Ordered", "happened()"),
    "a mute on what became of an email": (
        "mutes=[Mute('x', when=last_send.was_sent)]",
        "Mute('x') asks for last_send, which only those who are in a journey have",
        "use it in the when= of a Branch",
    ),
    "two mutes of one name": (
        "mutes=[Mute('x', when=customer.vip), Mute('x', when=~customer.vip)]",
        "two mutes have one name",
        "rename one",
    ),
    "a mute outside a list": ("mutes=Mute('x', when=customer.vip)", "is no list", "put brackets around: mutes=[Mute("),
    "a condition in place of a mute": ("mutes=[customer.vip]", "mutes= lists", "write mutes=[Mute("),
    "a mute on an event that the vocabulary lacks": (
        "mutes=[Mute('x', when=Elsewhere.after(Ordered))]",
        "the vocabulary has no event 'elsewhere'",
        "declare it in vocabulary.py",
    ),
    "a mute on a property outside where=": (
        "mutes=[Mute('x', when=Ordered.total > 5)]",
        "order.completed.total is unknown here: no event is at hand",
        "put it inside where=, as in Event.happened(where=…)",
    ),
    "a sender without an address": (
        "sender=Sender('Shop', 'shop', postal_address='x')",
        "'shop' is no address",
        "write",
    ),
    "a sender that breaks the line": (
        r"sender=Sender('Shop\n', 'a@b.example', postal_address='x')",
        r"Sender: name='Shop\n' is no line of text",
        "give name=",
    ),
    "a sender that lives nowhere": (
        "sender=Sender('Shop', 'a@b.example', postal_address='')",
        "Sender: postal_address='' is no line of text",
        "give postal_address=",
    ),
}


@pytest.mark.parametrize("mistake", IN_THE_POLICY)
def test_a_mistake_in_the_policy_names_its_line_the_reason_and_the_remedy(folder: Folder, mistake: str) -> None:
    argument, reason, remedy = IN_THE_POLICY[mistake]
    sender = "" if argument.startswith("sender=") else "sender=Sender('Shop', 'a@b.example', postal_address='x'), "
    folder.write(
        "policy.py",
        "from datetime import time\nfrom lifecycle import *\nfrom .vocabulary import *\n"
        f"class Elsewhere(Event, name='elsewhere'): pass\npolicy = Policy({sender}{argument})\n",
    )

    (problem,) = folder.problems()

    assert problem.where == "journeys/policy.py:5"
    assert reason in problem.message
    assert remedy in problem.hint


def test_all_files_are_tried_and_all_problems_told_in_the_order_of_files_and_lines(folder: Folder) -> None:
    folder.write("b.py", WORDS + "wait = Wait('a while')\n")
    folder.write("a.py", WORDS + "good = not customer.vip\n")
    folder.write("c.py", JOURNEY)
    folder.write("d.py", JOURNEY)

    project, problems = folder.load()

    assert project is None
    assert [problem.where for problem in problems] == ["journeys/a.py:4", "journeys/b.py:4", "journeys/d.py:4"]
    assert problems[2].code == "duplicate_journey"
    assert problems[2].message == "the name 'shop' is taken by the journey at journeys/c.py:4"
    assert problems[2].hint == "give it another name="


@pytest.mark.parametrize("content", [b'x = "\xff"', b"x = 1\0"])
def test_a_file_that_is_no_text_is_told(folder: Folder, content: bytes) -> None:
    (folder.root / "journeys" / "shop.py").write_bytes(content)

    (problem,) = folder.problems()

    assert (problem.code, problem.where) == ("syntax", "journeys/shop.py:1")


def test_a_file_whose_name_has_a_dot_is_told_a_better_one(folder: Folder) -> None:
    folder.write("win.back.py", JOURNEY)

    (problem,) = folder.problems()

    assert (problem.code, problem.where) == ("file_name", "journeys/win.back.py:1")
    assert problem.hint == "call it win_back.py"


def test_a_journey_that_two_files_share_is_no_duplicate(folder: Folder) -> None:
    folder.write("shop.py", JOURNEY)
    folder.write("more.py", "from .shop import shop\n")

    assert list(folder.project().journeys) == ["shop"]


@pytest.mark.parametrize("name", ["vocabulary", "policy"])
def test_a_missing_file_is_told_with_what_to_write_in_it(folder: Folder, name: str) -> None:
    (folder.root / "journeys" / f"{name}.py").unlink()

    (problem,) = folder.problems()

    assert problem.code == f"{name}_missing"
    assert problem.where == f"journeys/{name}.py"
    assert problem.message == f"there is no {name}.py"
    assert problem.hint


def test_a_policy_file_without_a_policy_is_told(folder: Folder) -> None:
    folder.write("policy.py", POLICY.replace("policy =", "rules ="))

    (problem,) = folder.problems()

    assert (problem.code, problem.where) == ("policy_missing", "journeys/policy.py:1")
    assert "policy = Policy(" in problem.hint


def test_an_empty_folder_is_told(folder: Folder) -> None:
    for file in (folder.root / "journeys").iterdir():
        file.unlink()

    (problem,) = folder.problems()

    assert (problem.code, problem.where) == ("no_journeys", "journeys")


VARIABLES = {
    "customer.first_nam": (
        "on(Ordered)",
        "which neither the vocabulary nor journey 'shop' has",
        "did you mean 'first_name'?",
    ),
    "customer.shoe_size": ("on(Ordered)", "which neither the vocabulary nor journey 'shop' has", "vocabulary.py"),
    "event.order_ids": (
        "on(Ordered)",
        "which neither the vocabulary nor journey 'shop' has",
        "did you mean 'order_id'?",
    ),
    "event.order_id": ("on(Registered)", "which neither the vocabulary nor journey 'shop' has", "vocabulary.py"),
    "event.total": ("manually()", "but no event starts journey 'shop'", "use customer.… instead, or enter by on()"),
    "links.unsubscribed": ("on(Ordered)", "which neither", "did you mean 'unsubscribe'?"),
    "costumer.first_name": ("on(Ordered)", "which nobody provides", "did you mean 'customer'?"),
    "xyzzy": ("on(Ordered)", "which nobody provides", "{% set xyzzy = … %}"),
}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_template_variable_that_nobody_provides_names_the_line_of_the_template(folder: Folder, variable: str) -> None:
    enter, reason, remedy = VARIABLES[variable]
    folder.email("hello", f"Hello {{{{ {variable} }}}}")
    folder.write("shop.py", JOURNEY.replace("on(Ordered)", enter))

    (problem,) = folder.problems()

    assert (problem.code, place_of(problem.where)[:2]) == ("unknown_variable", ("templates/email/hello.mjml", 4))
    assert f"'hello' prints {variable}, {reason}" in problem.message
    assert remedy in problem.hint


def test_what_the_vocabulary_the_trigger_and_the_engine_provide_may_be_printed(folder: Folder) -> None:
    words = [
        "customer.first_name",
        "customer.locale",
        "event.total",
        "company.postal_address",
        "now.year",
        "message_id",
    ]
    folder.email("hello", " ".join(f"{{{{ {word} }}}}" for word in words))
    folder.write("shop.py", JOURNEY)

    assert folder.problems() == []


def test_marketing_without_an_unsubscribe_link_is_told_and_transactional_mail_is_not(folder: Folder) -> None:
    folder.email("hello", source=EMAIL.replace("{{{{ links.unsubscribe }}}}", "https://shop.example"))
    folder.write("shop.py", JOURNEY)
    folder.write("receipt.py", JOURNEY.replace("shop", "receipt").replace("topic=", 'kind="transactional", topic='))

    (problem,) = folder.problems()

    assert (problem.code, problem.where) == ("no_unsubscribe", "journeys/shop.py:4")
    assert problem.message == "'hello' has no unsubscribe link, and journey 'shop' is marketing"
    assert problem.hint == "put {{ links.unsubscribe }} in its footer"


def test_a_template_that_does_not_compile_is_told_once_with_its_line(folder: Folder) -> None:
    folder.email("hello", "{{% if %}}".replace("{{", "{").replace("}}", "}"))
    folder.write("shop.py", JOURNEY)
    folder.write("other.py", JOURNEY.replace("shop", "other"))

    (problem,) = folder.problems()

    assert problem.code == "template"
    assert re.fullmatch(r"templates/email/hello.mjml:\d+:\d+", problem.where)
    assert problem.message


def test_a_cap_on_a_topic_that_no_journey_has_never_counts(folder: Folder) -> None:
    folder.write("shop.py", JOURNEY)
    folder.write(
        "policy.py",
        POLICY.replace("import ", "import Cap, days, ").replace(
            '1 Main Street")', "1 Main Street\"), caps=[Cap(1, per=days(7), topic='offer')]"
        ),
    )

    (problem,) = folder.problems()

    assert (problem.code, problem.where) == ("unknown_topic", "journeys/policy.py:3")
    assert problem.message == "the cap '1 per 7 days of offer' never counts: no journey has the topic 'offer'"
    assert problem.hint == "did you mean 'offers'? if not, mend its topic=, or drop the cap"


def test_a_cap_on_a_journey_that_there_is_not_never_counts(folder: Folder) -> None:
    folder.write("shop.py", JOURNEY)
    folder.write(
        "policy.py",
        POLICY.replace("import ", "import Cap, days, ").replace(
            '1 Main Street")', "1 Main Street\"), caps=[Cap(1, per=days(7), journey='shops')]"
        ),
    )

    (problem,) = folder.problems()

    assert (problem.code, problem.where) == ("unknown_journey", "journeys/policy.py:3")
    assert problem.message == "the cap '1 per 7 days in shops' never counts: there is no journey 'shops'"
    assert problem.hint == "did you mean 'shop'? if not, mend its journey=, or drop the cap"
