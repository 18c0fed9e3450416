"""What went wrong in a marketer's file, told as its line, the reason and the remedy."""

from __future__ import annotations

import ast
import re
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import lifecycle
from lifecycle.errors import DefinitionError

from .last_send import last_send
from .origin import shown
from .project import Problem
from .vocabulary import Event, nearest


def misread(file: Path) -> Iterator[Problem]:
    """What Python takes without a word although the writer cannot have meant it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # running the file says so too, with the line
    if "." in file.stem:
        hint = f"call it {file.stem.replace('.', '_')}.py"
        yield Problem("file_name", f"{shown(file)}:1", "the file's name has a dot, so it cannot be imported", hint)
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


def raised(error: Exception | SystemExit, file: Path) -> Problem:
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
        case AttributeError(obj=owner, name=str(name)):
            return _unknown_word(where, owner, name)
        case ImportError():
            return _unknown_import(where, error, file)
        case NameError(name=str(name)):
            return Problem("unknown_name", where, f"the name {name!r} is unknown", _where_from(name))
        case TypeError():
            hint = "look the word up in docs/journeys.md; Event.happened() and its like want their ()"
            return Problem("arguments", where, str(error).replace(".__init__()", ""), hint)
        case _:
            hint = "mend the line: a journey file only builds values"
            return Problem("python", where, f"{type(error).__name__}: {error}", hint)


def _where(error: BaseException, file: Path) -> str:
    """The innermost line of the error that lies in the folder."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).parent == file.parent:
            return f"{shown(Path(frame.filename))}:{frame.lineno}"
    return f"{shown(file)}:1"


def _unknown_word(where: str, owner: object, name: str) -> Problem:
    if not isinstance(owner, type):
        kind = type(owner).__name__
        hint = nearest(name, [word for word in dir(owner) if not word.startswith("_")], "see docs/journeys.md")
        return Problem("unknown_name", where, f"{kind} has no word {name!r}", hint)
    known = [word for word in vars(owner) if not word.startswith("_")]
    if owner is last_send:
        hint = nearest(name, known, f"it knows {', '.join(known)}")
        return Problem("unknown_name", where, f"last_send has no word {name!r}", hint)
    if issubclass(owner, Event):
        known += [word for word, value in vars(Event).items() if isinstance(value, classmethod) and word[0] != "_"]
    hint = nearest(name, known, f"declare it in `class {owner.__name__}` in vocabulary.py")
    if issubclass(owner, Event):
        return Problem("unknown_property", where, f"{owner.event_name} has no property {name!r}", hint)
    return Problem("unknown_attribute", where, f"{owner.__name__} has no attribute {name!r}", hint)


def _unknown_import(where: str, error: ImportError, file: Path) -> Problem:
    """`from .vocabulary import Typo`, `from lifecycle import Typo`, `import nothing_of_that_name`."""
    package, _, module = (error.name or "").rpartition(".")
    found = re.match(r"cannot import name '(\w+)' from( partially)?", str(error))
    if found and found[2]:
        hint = "move what both need into vocabulary.py"
        return Problem("import", where, f"this file and {module}.py import each other", hint)
    if found and module == "lifecycle":
        hint = nearest(found[1], lifecycle.__all__, "docs/journeys.md lists the words")
        return Problem("unknown_name", where, f"the language has no word {found[1]!r}", hint)
    if found and package:
        code = "unknown_event" if module == "vocabulary" else "unknown_name"
        hint = nearest(found[1], _names_in(file.parent / f"{module}.py"), f"declare it in {module}.py")
        return Problem(code, where, f"{module}.py declares no {found[1]!r}", hint)
    missing = found[1] if found else module
    if not missing:
        return Problem("import", where, str(error), "import files beside this one, with one dot")
    hint = nearest(missing, [sibling.stem for sibling in file.parent.glob("*.py")], "make the file")
    return Problem("import", where, f"there is no module {missing!r}", hint)


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
