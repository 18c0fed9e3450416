"""What lint found last time, kept beside the compiled emails: it holds until anything changes that could change it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

from lifecycle.journey.project import Problem, Project

_PACKAGE = Path(__file__).parents[1]
_OURS = ("errors.py", "journey", "lint", "mail", "workshop")


def remembered(folder: Path | None, state: str, find: Callable[[], list[Problem]]) -> list[Problem]:
    """What was found in that state, or else what `find` finds; `folder` keeps it, if there is one."""
    if folder is None:
        return find()
    path = folder / "lint.json"
    with suppress(OSError, ValueError, TypeError, KeyError):  # missing, cut short, or of another version
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["state"] == state:
            return [Problem(**problem) for problem in kept["problems"]]
    found = find()
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    with suppress(OSError):  # what cannot be kept is found again
        folder.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps({"state": state, "problems": [asdict(each) for each in found]}), "utf-8")
        unfinished.replace(path)
    return found


def state_of(project: Project, templates: Path) -> str:
    """All that lint depends on, in brief: the emails with all that lies beside them, the words, and ourselves."""
    digest = blake2b(digest_size=16)
    for path in (*_files(templates), *(file for name in _OURS for file in _files(_PACKAGE / name))):
        digest.update(f"\0{path}\0".encode("utf-8", "surrogatepass"))
        digest.update(path.read_bytes())
    words = [project.vocabulary.attributes, *(event.properties for event in project.vocabulary.events.values())]
    declared = [[(name, word.python_type, word.required) for name, word in each.items()] for each in words]
    said = (str(templates.resolve()), declared, [*project.vocabulary.events], project.journeys, project.policy)
    digest.update(repr(said).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    yield from sorted(file for file in path.rglob("*") if file.is_file() and file.suffix != ".pyc")
