"""A folder of Python files, run as a package under a private name.

So the files import each other as `from .vocabulary import customer`, from any working directory, and two folders
in one process never meet.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType

from .mistakes import misread, raised
from .project import Problem

_numbers = count(1)


def run_files(folder: Path, files: Mapping[str, Path]) -> tuple[dict[str, ModuleType], list[Problem]]:
    """Every file of `folder` that could be run, as modules by their bare names, and what is wrong with the rest.

    `files` are the files by those names; one from elsewhere stands in for that of the folder.
    """
    problems = [problem for file in files.values() for problem in misread(file)]
    modules: dict[str, ModuleType] = {}
    with _package(folder, files) as package:
        for name, file in files.items():
            try:
                modules[name] = importlib.import_module(f"{package}.{name}")
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a file raises is its problem
                problems.append(raised(error, file))
    return modules, _one_a_line(problems)


def _one_a_line(problems: Sequence[Problem]) -> list[Problem]:
    """Without what follows from a problem of the same line, told before."""
    by_line: dict[str, Problem] = {}
    for problem in problems:
        by_line.setdefault(problem.where, problem)
    return list(by_line.values())


class _Source(SourceFileLoader):
    """Compiles a file anew each time: the time stamps of cached bytecode miss edits within one second."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Finder(MetaPathFinder):
    """Finds the modules of one folder under its private name; `files` says where those are that are known."""

    def __init__(self, package: str, folder: Path, files: Mapping[str, Path]) -> None:
        self.package = package
        self.folder = folder
        self.files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent, _, name = fullname.rpartition(".")
        file = self.files.get(name, self.folder / f"{name}.py")
        if parent != self.package or not os.path.lexists(file):
            return None
        return spec_from_file_location(fullname, file, loader=_Source(fullname, str(file)))


@contextmanager
def _package(folder: Path, files: Mapping[str, Path]) -> Iterator[str]:
    name = f"{folder.name.replace('.', '-')}-{next(_numbers)}"  # no import statement can spell the hyphen
    package = ModuleType(name)
    package.__path__ = []
    finder = _Finder(name, folder, files)
    sys.modules[name] = package
    sys.meta_path.insert(0, finder)
    try:
        yield name
    finally:
        sys.meta_path.remove(finder)
        for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
            del sys.modules[module]
