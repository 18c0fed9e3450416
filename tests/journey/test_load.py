"""Reading a folder of journey files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.journey.check import check_parked
from lifecycle.journey.load import load

from .conftest import POLICY, VOCABULARY, Folder
from .test_mistakes import JOURNEY


def test_a_project_has_the_words_the_journeys_and_the_policy_of_its_files(folder: Folder) -> None:
    folder.write(
        "shop.py", JOURNEY + 'again = Journey(name="again", topic="x", enter=manually(), steps=[Send("bye")])\n'
    )

    project, problems = folder.load()

    assert problems == []
    assert project is not None
    assert list(project.journeys) == ["again", "shop"]
    assert project.journeys["shop"].defined_at == "journeys/shop.py:4"
    assert list(project.vocabulary.attributes) == ["first_name", "birthday", "created_at", "lifetime_value", "vip"]
    assert list(project.vocabulary.events) == ["customer.registered", "order.completed", "review.posted"]
    assert project.policy.sender.email == "hello@shop.example"


def test_two_folders_in_one_process_never_meet(folder: Folder, tmp_path: Path) -> None:
    folder.write("shop.py", JOURNEY)
    other = tmp_path / "elsewhere" / "journeys"
    other.mkdir(parents=True)
    (other / "vocabulary.py").write_text(VOCABULARY.replace("order.completed", "cart.paid"))
    (other / "policy.py").write_text(POLICY)
    (other / "shop.py").write_text(JOURNEY)

    mine, theirs = folder.project(), load(other)[0]

    assert theirs is not None
    assert "cart.paid" in theirs.vocabulary.events
    assert "order.completed" in mine.vocabulary.events
    assert mine.journeys["shop"].enter != theirs.journeys["shop"].enter


def test_an_edit_is_seen_at_once_and_nothing_is_left_in_the_folder_or_the_process(folder: Folder) -> None:
    folder.write("shop.py", JOURNEY)
    modules, finders = set(sys.modules), list(sys.meta_path)
    stamp = (folder.root / "journeys" / "shop.py").stat()
    assert folder.project().journeys["shop"].topic == "offers"

    folder.write("shop.py", JOURNEY.replace("offers", "orders"))
    os.utime(folder.root / "journeys" / "shop.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert folder.project().journeys["shop"].topic == "orders"
    assert not (folder.root / "journeys" / "__pycache__").exists()
    assert not {name for name in set(sys.modules) - modules if "journeys" in name.split(".")[0]}
    assert sys.meta_path == finders


def test_the_working_directory_does_not_matter(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("shop.py", JOURNEY)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))

    assert folder.project().journeys["shop"].defined_at == f"{folder.root}/journeys/shop.py:4"


def test_people_parked_at_a_step_that_is_gone_are_told_with_the_way_to_move_them(folder: Folder) -> None:
    folder.write("shop.py", JOURNEY.replace('Send("hello")', 'Send("hello", was="greeting")'))
    parked = [("shop", "hello", 5), ("shop", "greeting", 5), ("shop", "pause", 1200), ("shopp", "hello", 1)]

    journey, step = check_parked(folder.project(), parked)

    assert (step.code, step.where) == ("step_removed", "journeys/shop.py:4")
    assert step.message == "1,200 people are at step 'pause' of journey 'shop', which is not in the file any more"
    assert step.hint == "write was='pause' in the step where they shall go on"
    assert (journey.code, journey.where) == ("journey_removed", "journeys")
    assert journey.message == "1 person is in journey 'shopp', which no file has any more"
    assert "did you mean 'shop'?" in journey.hint


def test_the_words_of_a_journey_file_load_nothing_that_they_do_not_need() -> None:
    heavy = "difflib sqlalchemy dramatiq redis jinja2 lifecycle.mail lifecycle.journey.load"
    seen = subprocess.run(
        [sys.executable, "-c", f"import lifecycle, sys; print([m for m in {heavy.split()!r} if m in sys.modules])"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert seen.stdout.strip() == "[]"
