"""A project folder with one journey and one email without mistakes, which tests put one into."""

from __future__ import annotations

import pytest

from lifecycle.journey.project import Problem
from tests.journey.conftest import Folder
from tests.journey.conftest import folder as folder  # a fixture

FILE = "templates/email/hello.mjml"
EMAIL = """\
<mjml lang="en">
  <mj-head>
    <mj-title>Hello</mj-title>
    <mj-preview>Hello again</mj-preview>
    <mj-style>.big { color: #000000; }</mj-style>
  </mj-head>
  <mj-body><mj-section><mj-column>
    <mj-text>Words</mj-text>
    <mj-button href="https://shop.example/shelves">Look</mj-button>
    <mj-text><a href="{{ links.unsubscribe }}">Leave</a> {{ company.postal_address }}</mj-text>
  </mj-column></mj-section></mj-body>
</mjml>
"""
JOURNEY = """\
from lifecycle import *
from .vocabulary import *

shop = Journey(name="shop", topic="offers", enter=on(Ordered), steps=[Send("hello")])
"""


class Shop:
    """The folder, and its email `hello`."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        folder.write("shop.py", JOURNEY)
        self.write(EMAIL)
        (folder.root / "templates" / "email" / "bye.mjml").unlink()

    def write(self, text: str, name: str = "hello.mjml") -> None:
        path = self.folder.root / "templates" / "email" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def replace(self, old: str, new: str) -> None:
        """The email with `new` in place of `old`."""
        assert EMAIL.count(old) == 1, old
        self.write(EMAIL.replace(old, new))

    def problems(self) -> list[Problem]:
        return self.folder.problems()


@pytest.fixture
def shop(folder: Folder) -> Shop:
    """A shop without problems."""
    return Shop(folder)
