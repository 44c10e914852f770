"""Pictures as Mermaid flowcharts, which many wikis and forges draw where the text stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from legato.pictures import words
from legato.pictures.labels import Labels
from legato.pictures.sketch import MARKS, Edge, Group, Item, Node, NodeKind, Picture, edges_of

TEXT = 80  # characters of a line

# What opens and closes a node of a kind; everything else is a box.
_SHAPES: dict[NodeKind, tuple[str, str]] = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "choose": ("{", "}"),
    "each": ("{", "}"),
    "merge": ("((", "))"),
    "collect": ("((", "))"),
    "nothing": ("((", "))"),
    "wait": ("([", "])"),
    "sleep": ("([", "])"),
    "set": ("(", ")"),
    "respond": (">", "]"),
    "publish": (">", "]"),
    "flow": ("[[", "]]"),
}
_WORDS: dict[NodeKind, str] = {"choose": "if", "each": "each", "fork": "at once", "join": "all"}
_ARROWS = {"next": "-->", "order": "-.->", "undo": "-.->", "error": "-.->"}
_CLASSES = {
    "call": "fill:#ddf4ff,stroke:#4a90d9,color:#1f2328",
    "if": "fill:#fff1d6,stroke:#c77d0a,color:#1f2328",
    "edge": "fill:#ffe3ee,stroke:#c2557f,color:#1f2328",
    "undo": "fill:#fbefff,stroke:#9a6bc9,color:#1f2328,stroke-dasharray:4 3",
    "fail": "fill:#ffebe9,stroke:#cf5148,color:#1f2328",
    "mark": "fill:#59636e,stroke:#59636e,color:#ffffff",
}
_CLASS: dict[NodeKind, str] = {
    **dict.fromkeys(("call", "python", "flow"), "call"),
    **dict.fromkeys(("choose", "each"), "if"),
    **dict.fromkeys(("start", "end"), "edge"),
    **dict.fromkeys(("fork", "join", "merge", "collect", "nothing"), "mark"),
    "undo": "undo",
    "fail": "fail",
}

# What Mermaid gives a meaning to even between quotes: entities, directives, formulas; Markdown, of which it knows
# emphasis and refuses lists and links; and what looks like one of its statements about styles.
_SPECIAL = re.compile(
    r"""["#&<>`%${}\[\]|\\;~^@*]|(?<=-)-|^[-+]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?=//)"""
    r"""|(?<=^[0-9])[.)]|(?<=^[0-9]{2})[.)]|(?<=www)\.|s(?=tyle)|c(?=lassDef)"""
)


def mermaid(picture: Picture) -> str:
    """The picture as a flowchart."""
    labels = Labels("p_")
    lines = ["flowchart TD", f"  accTitle: {_title(picture)}"]
    lines += _items(picture.root, labels, 1)
    lines += [_edge(edge, labels) for edge in edges_of(picture.root)]
    lines += _classes(picture.root, labels)
    return "\n".join(lines) + "\n"


def _title(picture: Picture) -> str:
    return re.sub(r"[^\w .,()'-]", " ", f"flow {picture.name}")


def _items(item: Item, labels: Labels, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(item, Node):
        start, end = _SHAPES.get(item.kind, ("[", "]"))
        yield f'{indent}{labels.of(item.path)}{start}"{_node_text(item)}"{end}'
        return
    if item.framed:
        yield f'{indent}subgraph {labels.of(item.path)}["{_texts(item)}"]'
    for child in item.children:
        yield from _items(child, labels, depth + item.framed)
    if item.framed:
        yield f"{indent}end"


def _node_text(node: Node) -> str:
    if node.kind in MARKS:
        return _WORDS.get(node.kind, " ")
    return _texts(node)


def _texts(item: Node | Group) -> str:
    return "<br/>".join(_escaped(words.said(text, TEXT)) for text in (item.title, *item.lines))


def _edge(edge: Edge, labels: Labels) -> str:
    label = edge.label or ("on error" if edge.kind == "error" else "")
    text = f'|"{_escaped(words.said(label, TEXT))}"|' if label else ""
    return f"  {labels.of(edge.source)} {_ARROWS[edge.kind]}{text} {labels.of(edge.target)}"


def _classes(item: Item, labels: Labels) -> Iterator[str]:
    """Which nodes look like what."""
    of_class: dict[str, list[str]] = {}
    waiting = [item]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Group):
            waiting.extend(reversed(each.children))
        elif each.kind in _CLASS:
            of_class.setdefault(_CLASS[each.kind], []).append(labels.of(each.path))
    for name, members in of_class.items():
        yield f"  classDef k_{name} {_CLASSES[name]}"  # `call` and `end` are words of the language
        yield f"  class {','.join(members)} k_{name}"


def _escaped(text: str) -> str:
    """Text that means nothing but itself: every sign that could mean more is an entity."""
    apart = text.replace("$$", "$\N{ZERO WIDTH SPACE}$\N{ZERO WIDTH SPACE}")  # two in a row begin a formula
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", apart)
