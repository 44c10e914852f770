"""Boxes: what has a size and, in the end, a place. The sizes of nodes, which follow from their texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from legato.pictures.letters import cut, text_width
from legato.pictures.sketch import Group, Item, Node

if TYPE_CHECKING:
    from legato.pictures.layers import Layers

TITLE_SIZE, LINE_SIZE = 13.0, 11.0  # pixels, of fonts
TITLE_HEIGHT, LINE_HEIGHT = 18.0, 15.0
MARGIN = 12.0  # between a box and its text
WIDEST = 300.0  # of a text; the rest is in the tip
MOST_LINES = 5
PADDING = 14.0  # between a frame and what is in it
EDGE = 16.0  # around everything
GAP = 30.0  # between one step and the next: room for an arrow
SPACE = 26.0  # between what stands side by side
LABEL_HEIGHT = 17.0

_MARKS = {
    "fork": (72.0, 6.0),
    "join": (72.0, 6.0),
    "choose": (46.0, 38.0),
    "each": (58.0, 38.0),
    "merge": (12.0, 12.0),
    "collect": (12.0, 12.0),
    "nothing": (8.0, 8.0),
}


class Box:
    """An item with its size. `anchor` is how far from its left edge the way in and out is.

    `offsets` are the places of its children, from its own upper left corner; `x` and `y` that of the corner itself,
    known when everything has been placed. `buses` are the heights at which edges below each child may turn aside;
    `layers` is what those between the nodes of a graph go by, from where `shift` is; `text` is where a frame's texts
    begin, from its left edge.
    """

    __slots__ = (
        "anchor",
        "buses",
        "children",
        "height",
        "item",
        "layers",
        "number",
        "offsets",
        "parent",
        "shift",
        "text",
        "width",
        "x",
        "y",
    )

    def __init__(self, item: Item, width: float, height: float, anchor: float, children: Sequence[Box] = ()) -> None:
        self.item = item
        self.width = width
        self.height = height
        self.anchor = anchor
        self.children = tuple(children)
        self.offsets: list[tuple[float, float]] = []
        self.buses: list[float] = []
        self.layers: Layers | None = None
        self.shift = (0.0, 0.0)
        self.text = PADDING
        self.parent: Box | None = None
        self.x = self.y = 0.0
        self.number = 0  # among its parent's children
        for number, child in enumerate(children):
            child.parent, child.number = self, number

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.height

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width

    @property
    def way(self) -> float:
        """Where the way in and out is, from the left edge of everything."""
        return self.x + self.anchor

    def place(self, x: float, y: float) -> None:
        """Give it and all within it their places."""
        self.x, self.y = x, y
        for child, (left, top) in zip(self.children, self.offsets, strict=True):
            child.place(x + left, y + top)

    def all(self) -> Iterator[Box]:
        """It and all within it, what is around first."""
        yield self
        for child in self.children:
            yield from child.all()


def node_box(node: Node) -> Box:
    """The box of a node."""
    if node.kind in _MARKS:
        width, height = _MARKS[node.kind]
        return Box(node, width, height, width / 2)
    width = max(64.0, *(text_width(text, size) for text, size in node_texts(node))) + 2 * MARGIN
    height = TITLE_HEIGHT + LINE_HEIGHT * (len(node_texts(node)) - 1) + MARGIN
    return Box(node, round(width), height, round(width) / 2)


def node_texts(node: Node | Group) -> list[tuple[str, float]]:
    """The texts of a node or a frame as they are drawn, with their sizes."""
    shown = node.lines if len(node.lines) <= MOST_LINES else (*node.lines[: MOST_LINES - 1], "...")
    return [
        (cut(node.title, TITLE_SIZE, WIDEST), TITLE_SIZE),
        *((cut(line, LINE_SIZE, WIDEST), LINE_SIZE) for line in shown),
    ]


def header_of(group: Group) -> tuple[float, float]:
    """(width, height) of the texts at the top of a frame."""
    if not group.framed:
        return 0.0, 0.0
    texts = node_texts(group)
    return max(text_width(text, size) for text, size in texts), TITLE_HEIGHT + LINE_HEIGHT * (len(texts) - 1)
