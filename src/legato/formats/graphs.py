"""The native language's `graph`: its nodes and what each comes after. Cycles are for `kernel.check` to find."""

from __future__ import annotations

from legato.formats.branches import check_ids, check_names
from legato.formats.expressions import OPENING
from legato.formats.mappings import read_mapping
from legato.formats.modifiers import Modifiers
from legato.formats.naming import read_name
from legato.formats.nest import Nest
from legato.formats.report import Report, shown
from legato.formats.scalars import meant, read_entries, read_text, wrong_kind
from legato.formats.tree import Node
from legato.model.steps import Edge, GraphNode, GraphStep

NODE_KEYS = ("after",)  # of a node, besides those of its step
EDGES = ("data", "order")

_AFTER = "write a node's name, a list of names, or {name: data}"


def read_graph(nest: Nest, body: Node, modifiers: Modifiers, depth: int) -> GraphStep:
    """A graph from its nodes, each a scope of its own."""
    report = nest.report
    entries = read_entries(report, body, "`graph`")
    if body.kind == "mapping" and not entries:
        report.add(body.place, "`graph` has no nodes", "name at least one: {stock: reserve-stock}")
    check_names(report, entries)
    nodes: dict[str, GraphNode] = {}
    for name, entry in entries.items():
        if entry.kind == "list":
            report.add(entry.place, "a node of a graph is one step", "write {steps: [...]} around the list")
            report.gap()
            continue
        step = nest.step(entry, depth + 1, NODE_KEYS)
        after = _read_after(report, entry.fields.get("after"))
        if step is not None:
            nodes[name] = GraphNode(step=step, after=after)
            nest.places.keep(nodes[name], entry)
    if not nodes:
        report.gap()
    check_ids(nest, {name: node.step for name, node in nodes.items()})
    return GraphStep(nodes=nodes, **modifiers)


def _read_after(report: Report, node: Node | None) -> dict[str, Edge]:
    """The nodes before one by name, in the order of writing."""
    if node is None or node.kind == "broken":
        return {}
    if node.kind == "text":
        return {read_name(report, node, "`after`"): Edge()}
    if node.kind == "mapping":
        return {name: _read_edge(report, value) for name, value in node.fields.items()}
    if node.kind != "list":
        wrong_kind(report, node, "`after`", "a name, a list or a mapping", _AFTER)
        return {}
    edges: dict[str, Edge] = {}
    for item in node.items:
        name = read_name(report, item, "a name in `after`")
        if name and name in edges:
            report.add(item.place, f"{shown(name)} is in `after` already", "name it once")
        edges[name] = Edge()
    return edges


def _read_edge(report: Report, node: Node) -> Edge:
    """What a node gets of one before it."""
    if node.kind in ("mapping", "list") or (node.kind == "text" and OPENING in node.text):
        return Edge(transform=read_mapping(report, node, "what a node gets"))
    word = read_text(report, node, "what a node gets")
    if word is not None and word not in EDGES:
        remedy = meant(word, EDGES, 'write "${value...}" for a part of it, or one of')
        report.add(node.place, f"what a node gets cannot be {shown(word)}", remedy)
    return Edge(order=word == "order")
