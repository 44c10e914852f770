"""What can be wrong with a graph as a graph (reference 2.5): cycles, unknown nodes, nodes that never run, lost data."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterator

from legato.kernel.sight import MAX_COMPARED, Fault
from legato.model.names import expression_name
from legato.model.steps import CallStep, FailStep, GraphNode, GraphStep

SHOWN = 20  # nodes of a cycle that are named
MAX_CYCLES = 20  # that are told; who has more begins with these
_BODILESS = frozenset({"GET", "HEAD", "DELETE"})


def topology_faults(graph: GraphStep) -> list[Fault]:
    """Why the nodes cannot be put in an order in which they run."""
    if not graph.nodes:
        return [Fault(step=graph, key="graph", message="the graph has no nodes", remedy="name at least one")]
    faults: list[Fault] = []
    names: dict[str, str] = {}
    for name, node in graph.nodes.items():
        other = names.setdefault(expression_name(name), name)
        if other != name:
            message = f"the nodes `{other}` and `{name}` are the same in an expression"
            faults.append(Fault(step=node, message=message, remedy="rename one of them"))
        faults += _edge_faults(graph, name, node)
    return faults or _cycles(graph)


def _edge_faults(graph: GraphStep, name: str, node: GraphNode) -> list[Fault]:
    faults: list[Fault] = []
    for before in node.after:
        if before == name:
            message = f"the node `{name}` is after itself"
            faults.append(Fault(step=node, key="after", message=message, remedy="remove it"))
        elif before not in graph.nodes:
            near = difflib.get_close_matches(before, list(graph.nodes)[:MAX_COMPARED], 1)
            remedy = f"did you mean `{near[0]}`? " if near else ""
            remedy += f"The nodes are {', '.join(graph.nodes)}"
            message = f"the node `{name}` is after `{before}`, which is no node of this graph"
            faults.append(Fault(step=node, key="after", message=message, remedy=remedy))
    return faults


def nodes_before(graph: GraphStep) -> list[int]:
    """For each node those that have ended before it begins, a bit for each by its place. There must be no cycle."""
    places = {name: n for n, name in enumerate(graph.nodes)}
    before = [0] * len(places)
    left = {name: len(node.after) for name, node in graph.nodes.items()}
    followers = _followers(graph)
    ready = [name for name, count in left.items() if not count]
    while ready:
        name = ready.pop()
        here = places[name]
        for follower in followers[name]:
            before[places[follower]] |= before[here] | 1 << here
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    return before


def _followers(graph: GraphStep) -> dict[str, list[str]]:
    followers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, node in graph.nodes.items():
        for before in node.after:
            followers[before].append(name)
    return followers


def _cycles(graph: GraphStep) -> list[Fault]:
    """Cycles that have no node in common, and the nodes that only come after one."""
    order = {name: n for n, name in enumerate(graph.nodes)}
    stuck = _stuck(graph)
    circling: set[str] = set()
    left, faults = set(stuck), list[Fault]()
    while parts := _round_parts(graph, left):
        for part in parts:
            circling |= part
            circle = _circle(min(part, key=order.__getitem__), part, graph)
            left.difference_update(circle)
            # Told in the direction in which the value would flow, from the node that is written first.
            circle.reverse()
            first = min(range(len(circle)), key=lambda n: order[circle[n]])
            circle = [*circle[first:], *circle[:first]]
            shown = [*circle, circle[0]] if len(circle) <= SHOWN else [*circle[:SHOWN], "..."]
            message = f"the nodes are in a cycle: {' -> '.join(shown)}"
            node = graph.nodes[circle[0]]
            faults.append(Fault(step=node, key="after", message=message, remedy="remove one of these edges"))
        if len(faults) >= MAX_CYCLES:
            break
    for name in stuck:
        if name not in circling:
            message = f"the node `{name}` can never run: it is after a cycle"
            faults.append(Fault(step=graph.nodes[name], key="after", message=message, remedy="break the cycle"))
    return faults


def _stuck(graph: GraphStep) -> list[str]:
    """The nodes that never run: those in cycles, and those after them."""
    left = {name: len(node.after) for name, node in graph.nodes.items()}
    followers = _followers(graph)
    ready = [name for name, count in left.items() if not count]
    while ready:
        name = ready.pop()
        del left[name]
        for follower in followers[name]:
            left[follower] -= 1
            if not left[follower]:
                ready.append(follower)
    return list(left)


def _round_parts(graph: GraphStep, names: set[str]) -> list[set[str]]:
    """Of some nodes, the parts in which each can be come to from each (Tarjan 1972), without recursion."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    parts: list[set[str]] = []
    for root in graph.nodes:
        if root not in names or root in number:
            continue
        walk: list[tuple[str, Iterator[str]]] = [(root, iter(graph.nodes[root].after))]
        while walk:
            name, others = walk[-1]
            if name not in number:
                number[name] = low[name] = len(number)
                path.append(name)
                on_path.add(name)
            for other in others:
                if other not in names:
                    continue
                if other not in number:
                    walk.append((other, iter(graph.nodes[other].after)))
                    break
                if other in on_path:
                    low[name] = min(low[name], number[other])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[name])
                if low[name] == number[name]:
                    part = {path.pop()}
                    while name not in part:
                        part.add(path.pop())
                    on_path -= part
                    if len(part) > 1:
                        parts.append(part)
    return parts


def _circle(start: str, part: set[str], graph: GraphStep) -> list[str]:
    """The shortest way from a node back to itself within a part that goes round, against the edges."""
    came: dict[str, str] = {}
    waiting = [start]
    for name in waiting:
        for before in sorted(graph.nodes[name].after):
            if before == start:
                way = [name]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return way[::-1]
            if before in part and before not in came:
                came[before] = name
                waiting.append(before)
    raise AssertionError("a part that goes round has a circle through each of its nodes")


def lost_data(graph: GraphStep, read: Container[str]) -> list[Fault]:
    """Warnings: nodes whose values nobody gets, though nodes come after them, in a graph that passes on any at all."""
    passed = {before for node in graph.nodes.values() for before, edge in node.after.items() if not edge.order}
    followed = {before for node in graph.nodes.values() for before in node.after}
    faults: list[Fault] = []
    for name, node in graph.nodes.items():
        lost = name in followed and name not in passed and expression_name(name) not in read
        if lost and passed and not isinstance(node.step, FailStep):
            message = f"the value of node `{name}` is lost: every edge from it is `order`, and nothing reads it"
            remedy = f"make an edge `data`, or read steps.{expression_name(name)}; else leave it so"
            faults.append(Fault(step=node, message=message, remedy=remedy, warning=True))
        gets = [before for before, edge in node.after.items() if not edge.order]
        step = node.step
        if (
            len(gets) > 1
            and isinstance(step, CallStep)
            and step.method in _BODILESS
            and step.input is None
            and not any(expression_name(each) in read for each in gets)
            and "${" not in f"{step.path}{step.query}{step.headers}"
        ):
            message = f"the node `{name}` joins {', '.join(gets)}, and its {step.method} sends none of it"
            faults.append(
                Fault(step=node, message=message, remedy="give it an `input`, or another method", warning=True)
            )
    return faults
