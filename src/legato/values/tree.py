"""An expression as a tree. Every node knows its offset and its depth, which the parser keeps bounded."""

from __future__ import annotations

import msgspec


class Node(msgspec.Struct, frozen=True, eq=False):
    """`depth` counts the levels at and below this node: whoever walks the tree may recurse."""

    offset: int
    depth: int


class Literal(Node, frozen=True, eq=False):
    """A constant: text, number, boolean, null or bytes."""

    value: object


class Variable(Node, frozen=True, eq=False):
    """The element that a comprehension is at, or the name of a type."""

    name: str


class Path(Node, frozen=True, eq=False):
    """A root and the fields and indexes that follow it, all written out. `root` is `steps` when `step` is set."""

    root: str
    step: str
    pointer: tuple[str | int, ...]
    written: str


class Field(Node, frozen=True, eq=False):
    """`operand.name`."""

    operand: Node
    name: str


class Item(Node, frozen=True, eq=False):
    """`operand[key]`."""

    operand: Node
    key: Node


class Call(Node, frozen=True, eq=False):
    """A function; for a method the receiver is the first of `arguments`."""

    name: str
    arguments: tuple[Node, ...]


class ListOf(Node, frozen=True, eq=False):
    """`[a, b]`."""

    items: tuple[Node, ...]


class MapOf(Node, frozen=True, eq=False):
    """`{a: b}`."""

    entries: tuple[tuple[Node, Node], ...]


class Not(Node, frozen=True, eq=False):
    """`!operand`."""

    operand: Node


class Minus(Node, frozen=True, eq=False):
    """`-operand`."""

    operand: Node


class Logic(Node, frozen=True, eq=False):
    """Operands joined by `&&` or `||`."""

    operator: str
    operands: tuple[Node, ...]


class Compare(Node, frozen=True, eq=False):
    """Two operands and one of `== != < <= > >= in`."""

    operator: str
    left: Node
    right: Node


class Chain(Node, frozen=True, eq=False):
    """Operands joined by `+ -` or by `* / %`, computed from the left."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


class Choice(Node, frozen=True, eq=False):
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node


class Has(Node, frozen=True, eq=False):
    """`has(member)`; `member` is a Path, a Field or an Item."""

    member: Node


class Loop(Node, frozen=True, eq=False):
    """A comprehension: `over.kind(variable, ...)`. `test` is set for all but a plain map, `result` for a map."""

    kind: str
    over: Node
    variable: str
    test: Node | None
    result: Node | None


MAX_DEPTH = 64
