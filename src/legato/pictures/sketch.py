"""A picture before it has a form: nodes, edges, and groups within groups. Every renderer starts from here.

Nodes are called by their paths (contract 2); what a picture adds to a step, such as the bars of a parallel, has the
step's path and a word after a slash. Nothing in here knows a size or a syntax.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

NodeKind = Literal[
    "start", "end", "call", "python", "set", "sleep", "wait", "publish", "respond", "fail", "flow",
    "undo", "callback",
    "fork", "join", "choose", "merge", "each", "collect", "nothing",
]  # fmt: skip
GroupKind = Literal["flow", "steps", "parallel", "graph", "foreach", "choose", "error", "handler"]
EdgeKind = Literal["next", "order", "undo", "error"]

# `beside`: the first, and the others in a column at its side. `layers`: as the edges between them want it.
Arrangement = Literal["down", "across", "beside", "layers"]

MARKS: frozenset[NodeKind] = frozenset({"fork", "join", "choose", "merge", "each", "collect", "nothing"})


class Node(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happens. `lines` are worth a look, `tip` is all there is to say."""

    path: str
    kind: NodeKind
    title: str = ""
    lines: tuple[str, ...] = ()
    tip: str = ""


class Edge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What follows what: the next step, one that waits without a value, an undo, what is done on an error.

    `source` is the path of a node, or of a group where it does not matter how far that has come.
    """

    source: str
    target: str
    kind: EdgeKind = "next"
    label: str = ""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Items that are arranged together. One with a `path` has a frame. `edges` are those between its children."""

    arrangement: Arrangement
    children: tuple[Item, ...]
    edges: tuple[Edge, ...] = ()
    path: str = ""
    kind: GroupKind = "steps"
    title: str = ""
    lines: tuple[str, ...] = ()
    tip: str = ""

    @property
    def framed(self) -> bool:
        """Whether it is shown as a thing of its own."""
        return bool(self.path)


Item = Node | Group


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """The sketch of a flow."""

    name: str
    title: str
    root: Item


def nodes_of(item: Item) -> Iterator[Node]:
    """The nodes of an item, in document order."""
    if isinstance(item, Node):
        yield item
        return
    for child in item.children:
        yield from nodes_of(child)


def edges_of(item: Item) -> Iterator[Edge]:
    """The edges within an item, those of inner groups first."""
    if isinstance(item, Node):
        return
    for child in item.children:
        yield from edges_of(child)
    yield from item.edges
