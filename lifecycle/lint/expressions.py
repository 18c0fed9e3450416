"""The shape of Jinja's expressions: which words they mention, in which order, and where."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import chain, count
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
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node.name if isinstance(node, nodes.Name) else None


def chains(node: nodes.Node) -> Iterator[nodes.Expr]:
    """The outermost names with all that hangs on them, in the order of the source."""
    if isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Name):
        yield node
        return
    for child in _children(node):
        yield from chains(child)


def _children(node: nodes.Node) -> Sequence[nodes.Node]:
    """As they stand in the source, where Jinja's own order is another."""
    match node:
        case nodes.CondExpr():
            return [each for each in (node.expr1, node.test, node.expr2) if each is not None]
        case nodes.For():
            return [*(each for each in (node.target, node.iter, node.test) if each), *node.body, *node.else_]
        case nodes.With():
            pairs = zip(node.targets, node.values, strict=True)
            return [*chain.from_iterable(pairs), *node.body]
    return list(node.iter_child_nodes())


def places(tree: nodes.Template) -> dict[int, tuple[int, int]]:
    """Of each mention of a word: its line, and how many of the same stand before it there; by the node's id."""
    counters: dict[tuple[int, Word], Iterator[int]] = {}
    places: dict[int, tuple[int, int]] = {}

    def visit(node: nodes.Node) -> None:
        if isinstance(node, nodes.Getattr | nodes.Getitem) and (word := word_of(node, ())) is not None:
            first = _first_step(node)
            if id(first) not in places:
                places[id(first)] = (first.lineno, next(counters.setdefault((first.lineno, word), count())))
            places[id(node)] = places[id(first)]
        for child in _children(node):
            visit(child)

    visit(tree)
    return places


def _first_step(node: nodes.Getattr | nodes.Getitem) -> nodes.Getattr | nodes.Getitem:
    """Of `customer.address.city`: `customer.address`."""
    while isinstance(node.node, nodes.Getattr | nodes.Getitem):
        node = node.node
    return node


def names_in(target: nodes.Node) -> set[str]:
    own = {target.name} if isinstance(target, nodes.Name) else set()
    return own.union(name.name for name in target.find_all(nodes.Name))
