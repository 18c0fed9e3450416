"""docs/lint.md is what the rules say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_page_of_rules_is_what_the_rules_say() -> None:
    program = [sys.executable, "scripts/document_rules.py", "--check"]

    done = subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
