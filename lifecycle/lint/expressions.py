"""The shape of Jinja's expressions: which words they mention, and where."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import TypeAlias

from jinja2 import nodes

Word: TypeAlias = tuple[str, str]
"""The group and the name after the dot: ("customer", "first_name")."""


def argument(node: nodes.Filter, *names: str) -> nodes.Expr | None:
    """The first argument of a filter, by position or name."""
    if node.args:
        return node.args[0]
    return next((pair.value for pair in node.kwargs if pair.key in names), None)


def word_of(node: nodes.Node, scope: Container[str]) -> Word | None:
    """The word that an expression reads or reads from, where it is plain: `customer.x`, `customer["x"].y`."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        if isinstance(node.node, nodes.Name):
            known = isinstance(name, str) and node.node.name not in scope
            return (node.node.name, str(name)) if known else None
        node = node.node
    return None


def root(node: nodes.Node) -> str | None:
    """The name that an expression begins with: "customer" of `customer.x`."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node.name if isinstance(node, nodes.Name) else None


def beginning(node: nodes.Node) -> int:
    """Where an expression begins: Jinja has `customer.x` begin at its dot."""
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node.lineno


def chains(node: nodes.Node) -> Iterator[nodes.Expr]:
    """The outermost names with all that hangs on them."""
    if isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Name):
        yield node
        return
    for child in node.iter_child_nodes():
        yield from chains(child)


def names_in(target: nodes.Node) -> set[str]:
    """The names that a target of `for`, `set` or `with` binds."""
    own = {target.name} if isinstance(target, nodes.Name) else set()
    return own.union(name.name for name in target.find_all(nodes.Name))
