"""Where everything goes: sizes from the inside out, then places from the outside in. Nothing overlaps.

Sequences go down, along one line; what happens at once stands side by side; graphs are `layers`' business.
"""

from __future__ import annotations

from collections.abc import Mapping

from legato.pictures.boxes import (
    EDGE,
    GAP,
    LABEL_HEIGHT,
    LINE_SIZE,
    PADDING,
    SPACE,
    Box,
    header_of,
    node_box,
)
from legato.pictures.layers import LABEL_WIDTH, Link, layered
from legato.pictures.letters import cut, text_width
from legato.pictures.sketch import Group, Item, Node

BESIDE = 8.0  # between a frame's texts and the way in
NO_LABELS: Mapping[str, str] = {}


def laid_out(item: Item) -> Box:
    """The boxes of an item, each in its place."""
    box = measured(item)
    box.place(EDGE, EDGE)
    return box


def first_node(item: Item) -> Node:
    """The node that leads into an item."""
    while isinstance(item, Group):
        item = item.children[0]
    return item


def measured(item: Item, labels: Mapping[str, str] = NO_LABELS) -> Box:
    """The box of an item; `labels` are those above the nodes that lead in, which need room as well."""
    if isinstance(item, Node):
        return node_box(item)
    match item.arrangement:
        case "down":
            box = _down(item)
        case "across":
            box = _across(item, labels)
        case "beside":
            box = _beside(item)
        case "layers":
            box = _layers(item)
    return _framed(box, item)


def label_text(label: str) -> str:
    """A label as it is drawn."""
    return cut(label, LINE_SIZE, LABEL_WIDTH)


def _down(group: Group) -> Box:
    labels = {edge.target: edge.label for edge in group.edges if edge.label}
    boxes = [measured(child, labels) for child in group.children]
    left = max(box.anchor for box in boxes)
    right = max(box.width - box.anchor for box in boxes)
    box = Box(group, left + right, 0.0, left, boxes)
    entries = [_entries(child) if labels else () for child in group.children]
    top = 0.0
    for n, child in enumerate(boxes):
        if n:
            box.buses.append(top + GAP / 2)
            top += GAP + (LABEL_HEIGHT if any(entry in labels for entry in entries[n]) else 0.0)
        box.offsets.append((left - child.anchor, top))
        top += child.height
    box.height = top
    return box


def _entries(item: Item) -> tuple[str, ...]:
    """The nodes that edges from above lead to."""
    if isinstance(item, Group) and item.arrangement == "across":
        return tuple(first_node(child).path for child in item.children)
    return (first_node(item).path,)


def _across(group: Group, labels: Mapping[str, str]) -> Box:
    boxes = [measured(child) for child in group.children]
    box = Box(group, 0.0, max(child.height for child in boxes), 0.0, boxes)
    edge = 0.0
    for child in boxes:
        label = label_text(labels.get(first_node(child.item).path, ""))
        half = (text_width(label, LINE_SIZE) + 8) / 2 if label else 0.0
        x = edge + max(0.0, half - child.anchor)
        box.offsets.append((x, 0.0))
        edge = max(x + child.width, x + child.anchor + half) + SPACE
    box.width = edge - SPACE
    ways = [x + child.anchor for (x, _), child in zip(box.offsets, boxes, strict=True)]
    box.anchor = (ways[0] + ways[-1]) / 2
    return box


def _beside(group: Group) -> Box:
    boxes = [measured(child) for child in group.children]
    main, *side = boxes
    box = Box(group, 0.0, 0.0, main.anchor, boxes)
    box.offsets.append((0.0, 0.0))
    x, top = main.width + SPACE + 8, 0.0
    for child in side:
        box.offsets.append((x, top))
        top += child.height + SPACE / 2
    box.width = x + max(child.width for child in side)
    box.height = max(main.height, top - SPACE / 2)
    return box


def _layers(group: Group) -> Box:
    boxes = [measured(child) for child in group.children]
    places = {node: n for n, child in enumerate(group.children) for node in _paths(child)}
    links = [Link(places[edge.source], places[edge.target], edge.label) for edge in group.edges]
    found = layered(boxes, links)
    box = Box(group, found.width, found.height, found.spots[0].x + boxes[0].anchor, boxes)
    box.offsets = [(spot.x, spot.y) for spot in found.spots]
    box.layers = found
    return box


def _paths(item: Item) -> list[str]:
    """The paths of all nodes and frames of an item."""
    waiting, paths = [item], list[str]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, Group):
            waiting.extend(each.children)
        if each.path:
            paths.append(each.path)
    return paths


def _framed(box: Box, group: Group) -> Box:
    """With room for the frame and its texts, where there is one. What leads in passes beside them."""
    if not group.framed:
        return box
    width, height = header_of(group)
    before, behind, begin = _room_for(width, box, group)
    left, top = PADDING + before, PADDING + height
    box.offsets = [(x + left, y + top) for x, y in box.offsets]
    box.buses = [y + top for y in box.buses]
    box.anchor += left
    box.width += left + behind + PADDING
    box.height += top + PADDING
    box.shift = (left, top)
    box.text = PADDING + begin
    return box


def _room_for(width: float, box: Box, group: Group) -> tuple[float, float, float]:
    """How much wider a frame must be for its texts: (on the left, on the right), and where they begin."""
    if group.kind in ("error", "handler"):  # nothing leads into these from above
        missing = max(0.0, width - box.width) / 2
        return missing, missing, 0.0
    before = max(0.0, width + BESIDE - box.anchor)
    behind = max(0.0, width + BESIDE - (box.width - box.anchor))
    return (before, 0.0, 0.0) if before <= behind else (0.0, behind, box.anchor + BESIDE)
