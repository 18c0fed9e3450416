"""Which words of a template may be missing where they are needed, found by walking its syntax tree.

It follows what Jinja does with StrictUndefined: a missing word may be passed on, tested by `is defined` and given to
`default`; printing it, comparing it, or asking whether it is true ends the message. Conditions tell, on each of their
ways, which words must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from jinja2 import nodes

from lifecycle.mail.environment import Sandbox

from .expressions import Word, argument, beginning, chains, names_in, root, word_of

Words: TypeAlias = frozenset[Word]
Missing: TypeAlias = Mapping[Word, int]
"""The words by which a value may be missing, each with the offset where it is mentioned."""

_NONE: Words = frozenset()
_NOT_MISSING: Missing = {}
_NO_ELSE: Word = ("", "")
_ASKING = frozenset(
    {"boolean", "defined", "false", "float", "integer", "mapping", "none", "number", "sameas", "string", "true"}
    | {"undefined"}
)
"""Tests that take a missing word without a fuss."""


class Lack(NamedTuple):
    """A use without a fallback, at an offset of the source: of a word, or, where it is None, an `if` without `else`."""

    at: int
    word: Word | None


@dataclass(frozen=True, slots=True)
class _Value:
    """What is known of a value: by which words it may be missing, and the expression that made it, where it stands."""

    missing: Missing
    made_by: nodes.Node | None = None
    scope: Mapping[str, _Value] = field(default_factory=dict)


_OPAQUE = _Value(_NOT_MISSING)
_Scope: TypeAlias = dict[str, _Value]


def lacking(tree: nodes.Template, environment: Sandbox, optional: Callable[[Word], bool]) -> list[Lack]:
    """The uses of optional words that fail for somebody who lacks them, in the order of the source.

    `tree` is one of `lifecycle.mail.syntax`, which knows exact places.
    """
    walk = _Walk(environment, optional)
    walk.body(tree.body, {}, _NONE)
    return sorted(set(walk.found), key=lambda lack: lack.at)


class _Walk:
    def __init__(self, environment: Sandbox, optional: Callable[[Word], bool]) -> None:
        self._environment, self._optional = environment, optional
        self.found: list[Lack] = []
        self._asked: dict[tuple[str, Word], tuple[bool | None, bool | None]] = {}

    # statements; `present` are the words that must be there where they run

    def body(self, body: Iterable[nodes.Node], scope: _Scope, present: Words) -> None:
        for node in body:
            self._statement(node, scope, present)

    def _statement(self, node: nodes.Node, scope: _Scope, present: Words) -> None:
        match node:
            case nodes.Output():
                for each in node.nodes:
                    self._need(each, scope, present)
            case nodes.If():
                self._if(node, scope, present)
            case nodes.For():
                self._for(node, scope, present)
            case nodes.Assign():
                self._bind(node.target, self._made(node.node, scope, present), scope)
            case nodes.With():
                inner = dict(scope)
                for target, value in zip(node.targets, node.values, strict=True):
                    self._bind(target, self._made(value, scope, present), inner)
                self.body(node.body, inner, present)
            case nodes.Macro() | nodes.CallBlock():
                for child in (*node.defaults, *([node.call] if isinstance(node, nodes.CallBlock) else [])):
                    self._value(child, scope, present)
                self.body(node.body, scope | {name.name: _OPAQUE for name in node.args}, present)
            case nodes.AssignBlock():
                self.body(node.body, dict(scope), present)
                self._bind(node.target, _OPAQUE, scope)
            case _:
                self._rest(node, scope, present)

    def _rest(self, node: nodes.Node, scope: _Scope, present: Words) -> None:
        for child in node.iter_child_nodes():
            if isinstance(child, nodes.Expr):
                self._need(child, scope, present)
            else:
                self._statement(child, scope, present)

    def _for(self, node: nodes.For, scope: _Scope, present: Words) -> None:
        self._need(node.iter, scope, present)
        inner = scope | dict.fromkeys((*names_in(node.target), "loop"), _OPAQUE)
        within = present
        if node.test is not None:
            self._need(node.test, inner, present)
            within |= self._if_true(node.test, inner)
        self.body(node.body, inner, within)
        self.body(node.else_, dict(scope), present)

    def _if(self, node: nodes.If, scope: _Scope, present: Words) -> None:
        """Names set within stay set after it, each as on one of its ways."""
        ways: list[_Scope] = []
        for way in (node, *node.elif_):
            self._need(way.test, scope, present)
            ways.append(inner := dict(scope))
            self.body(way.body, inner, present | self._if_true(way.test, scope))
            present |= self._if_false(way.test, scope)
        ways.append(inner := dict(scope))
        self.body(node.else_, inner, present)
        for name in set().union(*ways):
            values = [way.get(name, _OPAQUE) for way in ways]
            same = all(value is values[0] for value in values)
            scope[name] = values[0] if same else _Value(dict(chain.from_iterable(v.missing.items() for v in values)))

    def _made(self, value: nodes.Node, scope: _Scope, present: Words) -> _Value:
        return _Value(self._value(value, scope, present), value, dict(scope))

    def _bind(self, target: nodes.Node, value: _Value, scope: _Scope) -> None:
        if isinstance(target, nodes.Name):
            scope[target.name] = value
        else:
            scope.update(dict.fromkeys(names_in(target), _OPAQUE))

    # expressions

    def _need(self, node: nodes.Node, scope: _Scope, present: Words) -> None:
        """Evaluate, and use the value: what it may be missing by, is lacking."""
        for word, at in self._value(node, scope, present).items():
            self.found.append(Lack(at, None if word == _NO_ELSE else word))

    def _value(self, node: nodes.Node, scope: _Scope, present: Words) -> Missing:
        """Evaluate without using the value: return the words by which it may be missing."""
        match node:
            case nodes.Getattr() | nodes.Getitem() | nodes.Name():
                return self._chain(node, scope, present)
            case nodes.Filter(name="default" | "d", node=nodes.Expr() as inner):
                self._value(inner, scope, present)
                self._all(node.args[1:], scope, present)
                self._all([pair.value for pair in node.kwargs if pair.key == "boolean"], scope, present)
                fallback = argument(node, "default_value", "fallback")
                return _NOT_MISSING if fallback is None else self._value(fallback, scope, present)
            case nodes.Test(name=name) if name in _ASKING:
                self._value(node.node, scope, present)
                self._all(node.args, scope, present)
                return _NOT_MISSING
            case nodes.And():
                self._need(node.left, scope, present)
                return self._value(node.right, scope, present | self._if_true(node.left, scope))
            case nodes.Or():
                self._need(node.left, scope, present)
                return self._value(node.right, scope, present | self._if_false(node.left, scope))
            case nodes.CondExpr():
                return self._either(node, scope, present)
        self._rest(node, scope, present)
        return _NOT_MISSING

    def _all(self, several: Iterable[nodes.Node], scope: _Scope, present: Words) -> None:
        for node in several:
            self._need(node, scope, present)

    def _either(self, node: nodes.CondExpr, scope: _Scope, present: Words) -> Missing:
        self._need(node.test, scope, present)
        first = self._value(node.expr1, scope, present | self._if_true(node.test, scope))
        if node.expr2 is None:
            return {**first, _NO_ELSE: node.lineno}
        return {**first, **self._value(node.expr2, scope, present | self._if_false(node.test, scope))}

    def _chain(self, node: nodes.Getattr | nodes.Getitem | nodes.Name, scope: _Scope, present: Words) -> Missing:
        """`customer.address["city"]` is missing where `customer.address` is."""
        if isinstance(node, nodes.Name):
            known = scope.get(node.name, _OPAQUE).missing
            return {word: at for word, at in known.items() if word not in present}
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
            self._need(node.arg, scope, present)
        word = word_of(node, scope)
        if word is None:
            return self._value(node.node, scope, present)
        return {word: beginning(node)} if self._optional(word) and word not in present else _NOT_MISSING

    # what conditions tell

    def _if_true(self, test: nodes.Node, scope: Mapping[str, _Value]) -> Words:
        """The words that are there if `test` holds."""
        match test:
            case nodes.Not():
                return self._if_false(test.node, scope)
            case nodes.And():
                return self._if_true(test.left, scope) | self._if_true(test.right, scope)
            case nodes.Or():
                right = self._if_false(test.left, scope) | self._if_true(test.right, scope)
                return self._if_true(test.left, scope) & right
        return self._told(test, scope, True)

    def _if_false(self, test: nodes.Node, scope: Mapping[str, _Value]) -> Words:
        """The words that are there if `test` does not hold."""
        match test:
            case nodes.Not():
                return self._if_true(test.node, scope)
            case nodes.Or():
                return self._if_false(test.left, scope) | self._if_false(test.right, scope)
            case nodes.And():
                right = self._if_true(test.left, scope) | self._if_false(test.right, scope)
                return self._if_false(test.left, scope) & right
        return self._told(test, scope, False)

    def _told(self, test: nodes.Node, scope: Mapping[str, _Value], outcome: bool) -> Words:
        """A test of one word tells that it is there, if it comes out otherwise, or fails, without the word."""
        if any(root(node) in scope for node in chains(test)):
            spelled_out = _spelled_out(test, scope)
            ask = self._if_true if outcome else self._if_false
            return _NONE if spelled_out is None else ask(spelled_out, {})
        words = {word_of(node, scope) for node in chains(test)}
        word = words.pop() if len(words) == 1 else None
        return frozenset([word]) if word and outcome not in self._without(test, word) else _NONE

    def _without(self, test: nodes.Node, word: Word) -> tuple[bool | None, bool | None]:
        """How the test comes out for who lacks the word, and where it is None; None where it fails."""
        key = (repr(test), word)
        if key not in self._asked:
            tree = nodes.Template([nodes.If(test, [nodes.Output([nodes.TemplateData("yes")])], [], [])])
            tree.set_environment(self._environment)
            template = self._environment.from_string(tree)
            group, name = word
            self._asked[key] = (_outcome(template, {group: {}}), _outcome(template, {group: {name: None}}))
        return self._asked[key]


def _outcome(template: Any, data: Mapping[str, object]) -> bool | None:
    try:
        return bool(template.render(data))
    except Exception:  # noqa: BLE001 - whatever a filter raises: the test does not come out
        return None


def _spelled_out(node: nodes.Node, scope: Mapping[str, _Value]) -> nodes.Node | None:
    """A copy of an expression with what made them in place of names that were set; None where that is not known."""
    if isinstance(node, nodes.Name):
        made = scope.get(node.name)
        if made is None:
            return node
        return None if made.made_by is None else _spelled_out(made.made_by, made.scope)
    whole = copy(node)
    for name, value in node.iter_fields():
        parts = value if isinstance(value, list) else [value]
        made_anew = [_spelled_out(part, scope) if isinstance(part, nodes.Node) else part for part in parts]
        if any(part is None and old is not None for part, old in zip(made_anew, parts, strict=True)):
            return None
        setattr(whole, name, made_anew if isinstance(value, list) else made_anew[0])
    return whole
