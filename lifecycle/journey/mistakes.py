"""What went wrong in a marketer's file, told as its line, the reason and the remedy."""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import lifecycle
from lifecycle.errors import DefinitionError

from .origin import shown
from .project import Problem
from .vocabulary import Event, nearest


def misread(file: Path) -> Iterator[Problem]:
    """What Python takes without a word although the writer cannot have meant it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # running the file says so too, with the line
    siblings = {sibling.stem for sibling in file.parent.glob("*.py")} | {file.parent.name}
    for node in tree.body:
        where = f"{shown(file)}:{node.lineno}"
        match node:
            case ast.ImportFrom(module=str(module), level=0) if module.split(".")[0] in siblings:
                hint = f"write: from .{module.split('.')[-1]} import …"
                yield Problem("import", where, f"{module!r} is imported as if it were no file beside this one", hint)
            case ast.Expr(value=ast.Call(func=ast.Name(id="Journey" | "Policy" as word))):
                yield Problem("unnamed", where, f"this {word} has no variable and would be lost", "write: name = …")
            case ast.ClassDef(body=body):
                yield from _bound_twice(body, file)
    yield from _bound_twice(tree.body, file)


def _bound_twice(body: Sequence[ast.stmt], file: Path) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for node in body:
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.Assign(targets=[ast.Name(id=name)])
                | ast.AnnAssign(target=ast.Name(id=name))
            ):
                if name in seen:
                    message = f"{name!r} stands here again, so what line {seen[name]} says is lost"
                    yield Problem("duplicate_name", f"{shown(file)}:{node.lineno}", message, "rename one of the two")
                seen.setdefault(name, node.lineno)


def raised(error: Exception, file: Path) -> Problem:
    """What running `file` raised."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, DefinitionError):
        error = error.__cause__  # Python 3.11 wraps what __set_name__ raises
    where = _where(error, file)
    match error:
        case DefinitionError():
            return Problem("definition", error.where, error.message, error.hint)
        case SyntaxError():
            where = f"{shown(Path(error.filename or file))}:{error.lineno or 1}"
            return Problem("syntax", where, f"this is no Python: {error.msg}", "mend the line, or the one before it")
        case AttributeError(obj=type() as owner, name=str(name)):
            return _unknown_word(where, owner, name)
        case ImportError():
            return _unknown_import(where, error, file)
        case NameError(name=str(name)):
            return Problem("unknown_name", where, f"the name {name!r} is unknown", _where_from(name))
        case TypeError():
            hint = "look the word up in docs/journeys.md and mend its arguments"
            return Problem("arguments", where, str(error).replace(".__init__()", ""), hint)
        case _:
            hint = "mend the line: a journey file only builds values"
            return Problem("python", where, f"{type(error).__name__}: {error}", hint)


def _where(error: Exception, file: Path) -> str:
    """The innermost line of the error that lies in the folder."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).parent == file.parent:
            return f"{shown(Path(frame.filename))}:{frame.lineno}"
    return f"{shown(file)}:1"


def _unknown_word(where: str, owner: type, name: str) -> Problem:
    known = [word for word in vars(owner) if not word.startswith("_")]
    hint = nearest(name, known, f"declare it in `class {owner.__name__}` in vocabulary.py")
    if issubclass(owner, Event):
        return Problem("unknown_property", where, f"{owner.event_name} has no property {name!r}", hint)
    return Problem("unknown_attribute", where, f"{owner.__name__} has no attribute {name!r}", hint)


def _unknown_import(where: str, error: ImportError, file: Path) -> Problem:
    """`from .vocabulary import Typo`, `from lifecycle import Typo`, `import nothing_of_that_name`."""
    found = re.match(r"cannot import name '(\w+)'", str(error))
    if not found:
        module = (error.name or "").rpartition(".")[2]
        hint = nearest(module, [sibling.stem for sibling in file.parent.glob("*.py")], "make the file")
        return Problem("import", where, f"there is no module {module!r}", hint)
    name, module = found[1], (error.name or "").rpartition(".")[2]
    if module == "lifecycle":
        hint = nearest(name, lifecycle.__all__, "docs/journeys.md lists the words")
        return Problem("unknown_name", where, f"the language has no word {name!r}", hint)
    known = _names_in(file.parent / f"{module}.py")
    code = "unknown_event" if module == "vocabulary" else "unknown_name"
    hint = nearest(name, known, f"declare it in {module}.py")
    return Problem(code, where, f"{module}.py declares no {name!r}", hint)


def _names_in(file: Path) -> list[str]:
    names: list[str] = []
    for node in ast.parse(file.read_bytes()).body if file.is_file() else []:
        match node:
            case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
                names.append(name)
    return names


def _where_from(name: str) -> str:
    if name in lifecycle.__all__:
        return f"import it: from lifecycle import {name}"
    return nearest(name, lifecycle.__all__, f"import it: from .vocabulary import {name}")
