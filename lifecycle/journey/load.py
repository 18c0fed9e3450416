"""Reads a folder of journey files into one `Project`, or says everything that stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from .files import run_files
from .journey import Journey
from .origin import shown
from .policy import Policy
from .project import Problem, Project, by_place
from .vocabulary import Attribute, Event, Flag, Vocabulary

_REMEDIES = {
    "vocabulary": "declare `class customer` and the events in it",
    "policy": "write in it: policy = Policy(sender=Sender(…), …)",
}


def load(folder: Path, policy_file: Path | None = None) -> tuple[Project | None, list[Problem]]:
    """The project in `folder`, and all problems of all its files; there is no project if there is any problem.

    `policy_file` stands in for the folder's policy.py, and imports the files beside that one as it would.
    """
    folder = folder.resolve()
    files = sorted(file for file in folder.glob("*.py") if file.name != "__init__.py" and not file.is_dir())
    if not files:
        hint = "make vocabulary.py, policy.py and one file per journey in it"
        return None, [Problem("no_journeys", str(shown(folder)), "there are no journey files", hint)]
    by_name = {file.stem: file for file in files}
    if policy_file is not None:
        by_name["policy"] = policy_file.resolve()
    modules, problems = run_files(folder, by_name)
    problems += _absent(folder, by_name)
    vocabulary = _vocabulary(modules, problems)
    journeys = _journeys(modules.values(), problems)
    policy = _policy(modules, problems)
    if problems or policy is None:
        return None, sorted(dict.fromkeys(problems), key=by_place)
    return Project(vocabulary, journeys, policy), []


def _absent(folder: Path, files: Mapping[str, Path]) -> list[Problem]:
    return [
        Problem(f"{name}_missing", str(shown(folder / f"{name}.py")), f"there is no {name}.py", remedy)
        for name, remedy in _REMEDIES.items()
        if not files.get(name, folder / f"{name}.py").is_file()
    ]


def _vocabulary(modules: Mapping[str, ModuleType], problems: list[Problem]) -> Vocabulary:
    events: dict[str, type[Event]] = {}
    words = vars(modules["vocabulary"]) if "vocabulary" in modules else {}
    for word in words.values():
        if isinstance(word, type) and issubclass(word, Event) and word is not Event:
            first = events.setdefault(word.event_name, word)
            if first is not word:
                message = f"{first.__name__} and {word.__name__} are both named {word.event_name!r}"
                problems.append(Problem("duplicate_event", word.defined_at, message, "rename or drop one"))
    traits = vars(words["customer"]) if isinstance(words.get("customer"), type) else {}
    return Vocabulary({name: word for name, word in traits.items() if isinstance(word, (Attribute, Flag))}, events)


def _journeys(modules: Iterable[ModuleType], problems: list[Problem]) -> dict[str, Journey]:
    journeys: dict[str, Journey] = {}
    for module in modules:
        for journey in vars(module).values():
            if isinstance(journey, Journey):
                first = journeys.setdefault(journey.name, journey)
                if first is not journey:
                    message = f"the name {journey.name!r} is taken by the journey at {first.defined_at}"
                    problems.append(Problem("duplicate_journey", journey.defined_at, message, "give it another name="))
    return dict(sorted(journeys.items()))


def _policy(modules: Mapping[str, ModuleType], problems: list[Problem]) -> Policy | None:
    module = modules.get("policy")
    policy = getattr(module, "policy", None)
    if module is not None and not isinstance(policy, Policy):
        where = f"{shown(Path(str(module.__file__)))}:1"
        problems.append(Problem("policy_missing", where, "there is no `policy` in it", _REMEDIES["policy"]))
    return policy if isinstance(policy, Policy) else None
