"""Which data a template reads, found in its syntax tree."""

from __future__ import annotations

from jinja2 import nodes

from lifecycle.mail.messages import FUNCTIONS

# Part of Jinja itself, or of every email: not of the data.
_GLOBALS = frozenset({"range", "dict", "cycler", "joiner", "namespace", "true", "false", "none", *FUNCTIONS})


def variables_read(tree: nodes.Template) -> dict[str, int]:
    """Return the dotted names that a template reads, each with the `lineno` of the first that does.

    Names bound by loops, `set`, `with` and macros are not data; `items` of a loop counts, its elements do not.
    """
    found: dict[str, int] = {}
    _read_all(tree.body, set(_GLOBALS), found)
    return found


def _read_all(body: list[nodes.Node], bound: set[str], found: dict[str, int]) -> None:
    for node in body:
        _read(node, bound, found)


def _read(node: nodes.Node, bound: set[str], found: dict[str, int]) -> None:
    match node:
        case nodes.For():
            _read(node.iter, bound, found)
            inner = bound | _targets(node.target)
            if node.test is not None:
                _read(node.test, inner, found)
            _read_all(node.body, inner | {"loop"}, found)
            _read_all(node.else_, set(bound), found)
        case nodes.Assign():
            _read(node.node, bound, found)
            bound |= _targets(node.target)
        case nodes.AssignBlock():
            _read_all(node.body, set(bound), found)
            bound |= _targets(node.target)
        case nodes.Macro():
            bound.add(node.name)
            _read_all(list(node.defaults), bound, found)
            _read_all(node.body, bound.union(*map(_targets, node.args)), found)
        case nodes.With():
            _read_all(list(node.values), bound, found)
            _read_all(node.body, bound.union(*map(_targets, node.targets)), found)
        case nodes.Getattr() | nodes.Getitem() | nodes.Name() | nodes.Call():
            _read_chain(node, bound, found)
        case _:
            _read_all(list(node.iter_child_nodes()), bound, found)


def _read_chain(node: nodes.Expr, bound: set[str], found: dict[str, int]) -> None:
    """Take `a.b["c"]` as one name; a called method and a computed index end the name before them."""
    if isinstance(node, nodes.Call):
        callee = node.node.node if isinstance(node.node, nodes.Getattr) else node.node
        _read(callee, bound, found)
        for child in node.iter_child_nodes(exclude=("node",)):
            _read(child, bound, found)
        return
    parts: list[str] = []
    while True:
        match node:
            case nodes.Getattr():
                parts.append(node.attr)
                node = node.node
            case nodes.Getitem(arg=nodes.Const(value=str(key))):
                parts.append(key)
                node = node.node
            case nodes.Getitem():
                _read(node.arg, bound, found)
                parts.clear()
                node = node.node
            case nodes.Name():
                if node.name not in bound:
                    found.setdefault(".".join([node.name, *reversed(parts)]), node.lineno)
                return
            case _:
                _read(node, bound, found)
                return


def _targets(target: nodes.Node) -> set[str]:
    own = {target.name} if isinstance(target, nodes.Name) else set()
    return own.union(name.name for name in target.find_all(nodes.Name))
