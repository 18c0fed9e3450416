"""A project folder of a test's own: vocabulary, policy and two emails to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.journey.check import check
from lifecycle.journey.load import load
from lifecycle.journey.project import Problem, Project
from lifecycle.lint import lint

VOCABULARY = """\
from datetime import date, datetime
from decimal import Decimal
from lifecycle import Attribute, Event, Flag, Property

class customer:
    first_name = Attribute[str]()
    birthday = Attribute[date]()
    created_at = Attribute[datetime]()
    lifetime_value = Attribute[Decimal]()
    vip = Flag()

class Registered(Event, name="customer.registered"):
    pass

class Ordered(Event, name="order.completed"):
    order_id = Property[str](required=True)
    total = Property[Decimal](required=True)
    ships_on = Property[date]()

class Reviewed(Event, name="review.posted"):
    order_id = Property[str](required=True)
    stars = Property[int]()
"""
POLICY = """\
from lifecycle import Policy, Sender

policy = Policy(sender=Sender("Shop", "hello@shop.example", postal_address="1 Main Street"))
"""
EMAIL = """\
<mjml lang="en">
  <mj-head><mj-title>Hello</mj-title><mj-preview>Hello again</mj-preview></mj-head>
  <mj-body><mj-section><mj-column>
    <mj-text>{words}</mj-text>
    <mj-text><a href="{{{{ links.unsubscribe }}}}">Unsubscribe</a> {{{{ company.postal_address }}}}</mj-text>
  </mj-column></mj-section></mj-body>
</mjml>
"""


@dataclass
class Folder:
    """The working directory, with `journeys/` and `templates/email/` in it."""

    root: Path

    def write(self, name: str, text: str) -> None:
        (self.root / "journeys" / name).write_text(text, encoding="utf-8")

    def email(self, name: str, words: str = "Hello", source: str = EMAIL) -> None:
        path = self.root / "templates" / "email" / f"{name}.mjml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.format(words=words), encoding="utf-8")

    def load(self) -> tuple[Project | None, list[Problem]]:
        return load(self.root / "journeys")

    def project(self) -> Project:
        project, problems = self.load()
        assert project is not None, problems
        return project

    def problems(self) -> list[Problem]:
        """What loading finds, or else what checking and lint find."""
        project, problems = self.load()
        folder = Path("templates/email")
        return problems if project is None else [*check(project, folder), *lint(project, folder)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A project without mistakes and without journeys."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "journeys").mkdir()
    made = Folder(tmp_path)
    made.write("vocabulary.py", VOCABULARY)
    made.write("policy.py", POLICY)
    made.email("hello")
    made.email("bye")
    return made
