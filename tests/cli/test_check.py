"""`lifecycle check` and the listings of journeys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Shop

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_a_sound_project_is_said_to_be_well(bare_shop: Shop) -> None:
    assert bare_shop.run("check").stdout == "2 journeys, 2 emails, 1 policy: all well\n"


def test_emails_that_nobody_sends_are_looked_at_and_counted(bare_shop: Shop) -> None:
    emails = bare_shop.folder / "templates/email"
    (emails / "unsent.mjml").write_text((emails / "thanks.mjml").read_text())

    assert "3 emails" in bare_shop.run("check").stdout


def test_problems_stand_under_their_file_with_line_code_and_remedy(bare_shop: Shop) -> None:
    _replace(bare_shop.folder / "journeys/thanks.py", 'Send("thanks")', 'Send("thank")')
    _replace(bare_shop.folder / "templates/email/invitation.mjml", "invited.", "invited, {{ customer.frist_name }}.")

    result = bare_shop.run("check", exit_code=1)

    assert "journeys/thanks.py\n" in result.stdout
    assert "there is no email 'thank'  [missing_template]" in result.stdout
    assert "→ did you mean 'thanks'?" in result.stdout
    assert "templates/email/invitation.mjml\n" in result.stdout
    assert result.stdout.endswith("2 errors in 2 files\n")
    assert [problem["code"] for problem in bare_shop.json("check", exit_code=1)] == [
        "missing_template",
        "unknown_variable",
    ]


def test_a_file_that_cannot_be_read_is_a_problem_and_no_traceback(bare_shop: Shop) -> None:
    (bare_shop.folder / "journeys/broken.py").write_text("from lifecycle import Nothing\n")

    result = bare_shop.run("check", exit_code=1)

    assert "journeys/broken.py" in result.stdout
    assert "Traceback" not in result.output


def test_people_parked_at_a_step_that_is_gone_are_found(any_shop: Shop) -> None:
    any_shop.add("customer", id="1", created_at=NOW, traits={}, consents={})
    any_shop.add(
        "enrollment", journey="thanks", customer_id="1", step="old step", state="held", trigger={}, entered_at=NOW
    )

    (problem,) = any_shop.json("check", exit_code=1)

    assert problem["code"] == "step_removed"
    assert "'old step'" in problem["message"]
    any_shop.run("check", "--no-database")


def test_a_database_that_does_not_answer_is_noted_and_no_problem(bare_shop: Shop) -> None:
    bare_shop.environment["DATABASE_URL"] = "postgresql://u:geheim@localhost:1/x"

    result = bare_shop.run("check")

    assert "all well" in result.stdout
    assert "does not answer" in result.stderr


def test_journeys_are_listed_shown_and_drawn(shop: Shop) -> None:
    assert [row["name"] for row in shop.json("journeys", "list")] == ["invitation", "thanks"]
    assert "order.completed" in shop.run("journeys", "list").stdout
    assert "send thanks" in shop.run("journeys", "show", "thanks").stdout
    assert shop.run("journeys", "graph", "thanks").stdout.startswith("flowchart TD\n")


def test_people_are_counted_by_journey_and_state(shop: Shop) -> None:
    for number, state in enumerate(["active", "active", "completed"]):
        shop.add(
            "enrollment",
            journey="thanks",
            customer_id=str(number),
            step="thanks",
            state=state,
            trigger={},
            entered_at=NOW,
        )

    rows = {row["name"]: row for row in shop.json("journeys", "list", "--people")}

    assert (rows["thanks"]["active"], rows["thanks"]["completed"]) == (2, 1)
    assert rows["invitation"]["active"] == 0


def test_people_enter_by_hand_once_if_they_fit(any_shop: Shop) -> None:
    for customer, vip in (("1", False), ("2", True)):
        any_shop.add("customer", id=customer, created_at=NOW, traits={"vip": vip}, consents={})
    enter = ["journeys", "enter", "invitation", "--customer", "1", "--customer", "2", "--customer", "3"]

    first = any_shop.run(*enter, exit_code=1)
    again = any_shop.run(*enter, exit_code=1)

    assert first.stdout == "1: entered invitation\n"
    assert "2: does not fit" in first.stderr
    assert "3: is not known" in first.stderr
    assert "1: is in it already" in again.stderr
    (enrollment,) = [row for row in any_shop.json("customers", "show", "1") if row["record"] == "enrollment"]
    assert (enrollment["journey"], enrollment["state"], enrollment["awaiting"]) == ("invitation", "active", "start")


def test_nobody_enters_by_hand_where_events_let_people_in(shop: Shop) -> None:
    result = shop.run("journeys", "enter", "thanks", "--customer", "1", exit_code=1)

    assert "say enter=manually()" in result.stderr


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["db check", "db upgrade"])
def test_a_database_that_is_current_stays_so(any_shop: Shop, name: str) -> None:
    any_shop.run(*name.split())
    any_shop.run("db", "check")


def test_a_database_that_drifted_is_told_of(shop: Shop) -> None:
    from sqlalchemy import text

    with shop.database() as db, db.transaction() as connection:
        connection.execute(text("DROP INDEX event_of_customer"))

    assert "event_of_customer" in shop.run("db", "check", exit_code=1).stdout


def test_a_database_goes_down_and_up_again_when_the_operator_means_it(shop: Shop) -> None:
    assert shop.run("db", "downgrade", "base", stdin="n\n", exit_code=130).stderr.endswith("stopped\n")
    shop.run("messages")

    shop.run("db", "downgrade", "base", "--yes")

    shop.run("messages", exit_code=1)
    shop.run("db", "upgrade")
    shop.run("messages")
