"""A graph as Python builds it: nodes, and the edges between them, in the words of faas-flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self, Unpack

from legato.builder.bodies import Body, block, mapping
from legato.builder.branching import chosen_branches, made_items
from legato.builder.checked import read_step
from legato.builder.code import Anything, Code, code_of
from legato.builder.spelling import CallOptions, Modifiers, spelled
from legato.builder.written import Composed, Tree, Where, Written, caller, tree_of
from legato.errors import DefinitionError
from legato.model.names import expression_name, name_problem

_ONE = "call, modify, steps, graph"


class _Edge(NamedTuple):
    """What a node gets of one before it: `data`, `order`, an expression, or what code makes of it."""

    passed: Tree
    forward: Code | str | None = None


class _Node(NamedTuple):
    body: Tree  # a step, or a list of steps
    aggregate: Code | str | None
    modifiers: Mapping[str, Tree]
    where: Where


class Graph(Composed):
    """Nodes, each done as soon as those that it is after have ended.

    A node gets the value of the node before it, of several an object by node, of none the value that the graph got.
    Operators raise DefinitionError, which names the operator, what is wrong, and the remedy.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}
        self._edges: dict[str, dict[str, _Edge]] = {}
        self._where = caller()

    def node(
        self,
        name: str,
        /,
        *,
        call: str | None = None,
        modify: Anything | str | None = None,
        steps: Body | None = None,
        graph: Graph | None = None,
        aggregate: Anything | str | None = None,
        **options: Unpack[CallOptions],
    ) -> Self:
        """Add a node that does one thing: `call` a function, `modify` by code, do `steps`, or a `graph`.

        The other options are those of that step. `aggregate` is code that first makes one value of what it gets.
        """
        label = f"node {name}"
        bodies: dict[str, Any] = {"call": call, "modify": modify, "steps": steps, "graph": graph}
        given = {kind: body for kind, body in bodies.items() if body is not None}
        if len(given) != 1:
            found = " and ".join(f"`{kind}`" for kind in given) or "nothing"
            raise DefinitionError(f"{label}: a node does one thing, not {found} (give one of {_ONE})")
        (kind, body), keys = next(iter(given.items())), spelled(options, label)
        if kind == "call":
            return self._add(name, [{"call": tree_of(body, label), **keys}], aggregate, {}, label)
        if kind == "modify":
            return self._add(name, [{"python": code_of(body, label), **keys}], aggregate, {}, label)
        return self._add(name, block(body, label), aggregate, keys, label)

    def edge(self, before: str, after: str, *, order: bool = False, forward: Anything | str | None = None) -> Self:
        """Have one node be after another, and get its value; with `order`, only be after it.

        `forward` is what it gets instead: an expression over `value`, or what code makes of the value.
        """
        label = f"edge {before} -> {after}"
        for name in (before, after):
            if name not in self._nodes:
                raise DefinitionError(f"{label}: there is no node `{name}` (add nodes before edges)")
        if before in self._edges[after]:
            raise DefinitionError(f"{label}: this edge is there already (keep one)")
        if order and forward is not None:
            raise DefinitionError(f"{label}: an edge of `order` forwards nothing (remove one of the two)")
        if circle := self._way(after, before):
            raise DefinitionError(f"{label}: this makes a cycle: {' -> '.join([before, *circle])} (remove an edge)")
        if isinstance(forward, str) and "${" in forward:
            edge = _Edge(forward)
        else:
            edge = _Edge("order" if order else "data", None if forward is None else code_of(forward, label))
        self._edges[after][before] = edge
        return self

    def foreach_branch(
        self,
        name: str,
        /,
        split: Anything | str,
        body: Body,
        *,
        aggregate: Anything | str | None = None,
        concurrency: int | None = None,
        **options: Unpack[Modifiers],
    ) -> Self:
        """Add a node that does the body for each value of the object which code makes; their results by key."""
        label = f"foreach_branch {name}"
        each = [{"set": "${item.value}"}, *block(body, label)]
        after = None if aggregate is None else code_of(aggregate, label)
        steps = made_items(code_of(split, label), each, spelled({"concurrency": concurrency}, label), after)
        return self._add(name, steps, None, spelled(options, label), label)

    def conditional_branch(
        self,
        name: str,
        /,
        condition: Anything | str,
        cases: Mapping[str, Body],
        *,
        aggregate: Anything | str | None = None,
        **options: Unpack[Modifiers],
    ) -> Self:
        """Add a node that does the branches whose keys code gives, all at once: as `branch` of a flow."""
        label = f"conditional_branch {name}"
        after = None if aggregate is None else code_of(aggregate, label)
        graph = chosen_branches(code_of(condition, label), cases, after, label)
        return self._add(name, [{"graph": graph, **spelled(options, label)}], None, {}, label)

    def sub(self, name: str, graph: Graph, /, **options: Unpack[CallOptions]) -> Self:
        """Add a node that is a graph of its own."""
        return self.node(name, graph=graph, **options)

    def append(self, graph: Graph) -> Self:
        """Take over the nodes and edges of another graph, as they are now; link them by `edge`."""
        for name in graph._nodes:
            self._check_name(name, "append")
        self._nodes |= graph._nodes
        self._edges |= {name: dict(edges) for name, edges in graph._edges.items()}
        return self

    def tree(self) -> Written:
        """See Composed."""
        nodes = {name: self._written(name, node) for name, node in self._nodes.items()}
        return Written("graph", {"graph": nodes}, self._where)

    def _add(
        self, name: str, body: list[Tree], aggregate: Anything | str | None, modifiers: Mapping[str, Tree], label: str
    ) -> Self:
        self._check_name(name, label)
        first = None if aggregate is None else code_of(aggregate, label)
        node = _Node(body, first, modifiers, caller())
        read_step(Written(label, _step_of(node, {}), node.where))
        self._nodes[name], self._edges[name] = node, {}
        return self

    def _check_name(self, name: str, label: str) -> None:
        if problem := name_problem(name):
            raise DefinitionError(f"{label}: {problem} (choose another name)")
        for other in self._nodes:
            if expression_name(other) == expression_name(name):
                same = "is there already" if other == name else f"and `{other}` are the same in an expression"
                raise DefinitionError(f"{label}: the node `{name}` {same} (choose another name)")

    def _way(self, start: str, end: str) -> list[str]:
        """A way along the edges from one node to another; none if there is none."""
        followers: dict[str, list[str]] = {name: [] for name in self._nodes}
        for name, edges in self._edges.items():
            for before in edges:
                followers[before].append(name)
        came: dict[str, str] = {start: ""}
        waiting = [start]
        for name in waiting:
            if name == end:
                way = [name]
                while came[way[-1]]:
                    way.append(came[way[-1]])
                return way[::-1]
            for follower in followers[name]:
                if follower not in came:
                    came[follower] = name
                    waiting.append(follower)
        return []

    def _written(self, name: str, node: _Node) -> Written:
        edges = self._edges[name]
        tree = _step_of(node, edges)
        after = {before: edge.passed for before, edge in edges.items()}
        return Written(f"node {name}", {**tree, **({"after": after} if after else {})}, node.where)


def _step_of(node: _Node, edges: Mapping[str, _Edge]) -> dict[str, Tree]:
    """A node as one step: what code makes of its input first, then its body."""
    first = _forwarded(edges)
    if node.aggregate is not None:
        first.append({"python": node.aggregate})
    steps = [*first, *node.body]
    if len(steps) == 1 and not node.modifiers:
        step = mapping(steps[0], "node")
        return dict(step.tree) if isinstance(step, Written) else step
    return {"steps": steps, **node.modifiers}


def _forwarded(edges: Mapping[str, _Edge]) -> list[Tree]:
    """Steps in which code makes what edges forward. Of several nodes there is an object, of which each part has its."""
    data = {before: edge for before, edge in edges.items() if edge.passed != "order"}
    made = {before: edge for before, edge in data.items() if edge.forward is not None}
    if not made:
        return []
    if len(data) == 1:
        return [{"python": edge.forward} for edge in made.values()]
    branches: dict[str, Tree] = {}
    for before, edge in data.items():
        part = f"value[{before!r}]"
        step: dict[str, Tree] = {"set": "${value}"} if edge.forward is None else {"python": edge.forward}
        branches[before] = {**step, "input": f"${{{part}}}", "when": f"${{{before!r} in value}}"}
    return [{"parallel": branches}]
