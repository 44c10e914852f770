"""Pictures in Graphviz' language, in the style of faas-flow: blue boxes, orange diamonds, dotted edges for order."""

from __future__ import annotations

from collections.abc import Iterator

from legato.pictures import words
from legato.pictures.sketch import MARKS, Edge, Group, Item, Node, NodeKind, Picture, edges_of, nodes_of

TEXT = 80  # characters of a line

_USUAL = 'shape=box, style="rounded,filled", fillcolor="#f6f8fa", color="#8c959f"'
_BLUE = 'shape=box, style=filled, fillcolor="#ddf4ff", color="#4a90d9"'
_ORANGE = 'shape=diamond, style=filled, fillcolor="#fff1d6", color="#c77d0a"'
_BAR = 'shape=box, style=filled, fillcolor="#59636e", color="#59636e", width=0.9, height=0.06, fixedsize=true'
_DOT = 'shape=point, width=0.12, color="#59636e"'
_LOOKS: dict[NodeKind, str] = {
    **dict.fromkeys(("call", "python"), _BLUE),
    "flow": _BLUE.replace("shape=box", "shape=box3d"),
    **dict.fromkeys(("choose", "each"), _ORANGE),
    **dict.fromkeys(("fork", "join"), _BAR),
    **dict.fromkeys(("merge", "collect", "nothing"), _DOT),
    "start": 'shape=oval, style=filled, fillcolor="#ffe3ee", color="#c2557f"',
    "end": 'shape=invhouse, style=filled, fillcolor="#ffe3ee", color="#c2557f"',
    "undo": 'shape=box, style="dashed,filled", fillcolor="#fbefff", color="#9a6bc9"',
    "fail": 'shape=box, style="rounded,filled", fillcolor="#ffebe9", color="#cf5148"',
}
_WORDS: dict[NodeKind, str] = {"choose": "if", "each": "each"}
_EDGES = {
    "next": [],
    "order": ["style=dotted"],
    "undo": ["style=dashed"],
    "error": ["style=dashed", 'color="#cf5148"'],
}


def dot(picture: Picture) -> str:
    """The picture as a directed graph with clusters."""
    lines = [
        f"digraph {_quoted(picture.name)} {{",
        "  graph [compound=true, newrank=true, fontname=Helvetica, fontsize=11, "
        f'tooltip={_quoted(picture.title)}, color="#8c959f"];',
        "  node [fontname=Helvetica, fontsize=11];",
        '  edge [fontname=Helvetica, fontsize=10, color="#59636e"];',
        *_items(picture.root, 1),
    ]
    groups = _groups(picture.root)
    lines += [_edge(edge, groups) for edge in edges_of(picture.root)]
    return "\n".join([*lines, "}"]) + "\n"


def _items(item: Item, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(item, Node):
        texts = _quoted(_WORDS.get(item.kind, "")) if item.kind in MARKS else _texts(item)
        look = _LOOKS.get(item.kind, _USUAL)
        yield f"{indent}{_quoted(item.path)} [label={texts}, tooltip={_quoted(item.tip)}, {look}];"
        return
    if item.framed:
        look = "dashed,rounded" if item.kind in ("error", "handler") else "rounded"
        yield f"{indent}subgraph {_quoted('cluster_' + item.path)} {{"
        yield f'{indent}  graph [label={_texts(item)}, labeljust=l, style="{look}", tooltip={_quoted(item.tip)}];'
    for child in item.children:
        yield from _items(child, depth + item.framed)
    if item.framed:
        yield f"{indent}}}"


def _groups(item: Item) -> dict[str, Group]:
    """The frames by path."""
    found: dict[str, Group] = {}
    waiting = [item]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Group):
            waiting.extend(each.children)
            if each.framed:
                found[each.path] = each
    return found


def _edge(edge: Edge, groups: dict[str, Group]) -> str:
    source, facts = edge.source, list(_EDGES[edge.kind])
    group = groups.get(source)
    if group is not None:  # an edge has nodes at its ends, and may be cut at a cluster
        source = next(nodes_of(group)).path
        facts.append(f"ltail={_quoted('cluster_' + group.path)}")
    if edge.label:
        facts.append(f"label={_quoted(words.said(edge.label, TEXT))}")
    looks = f" [{', '.join(facts)}]" if facts else ""
    beside = f" {{rank=same; {_quoted(source)}; {_quoted(edge.target)};}}" if edge.kind == "undo" else ""
    return f"  {_quoted(source)} -> {_quoted(edge.target)}{looks};{beside}"


def _texts(item: Node | Group) -> str:
    return _quoted("\n".join(words.said(text, TEXT) for text in (item.title, *item.lines)))


def _quoted(text: str) -> str:
    """A text as it stands, in quotes: Graphviz knows escapes, and entities as well."""
    plain = text.replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"').replace("\n", "\\n")
    return f'"{plain}"'
