"""How edges go, once every box has its place: where they turn, where their labels stand.

Edges turn in the gaps between boxes only, so that they cross none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from legato.pictures.boxes import LABEL_HEIGHT, SPACE, Box
from legato.pictures.layers import Layers
from legato.pictures.layout import label_text
from legato.pictures.sketch import Edge, Group

LEVEL = 18.0  # how far below a box's upper edge the edges at its side are

Point = tuple[float, float]


class Route(NamedTuple):
    """An edge's way. It swings between `points` that are neither above nor beside each other. `at` is the label's."""

    edge: Edge
    points: list[Point]
    label: str = ""
    at: Point = (0.0, 0.0)


def routes_of(root: Box) -> Iterator[Route]:
    """The ways of all edges."""
    places: dict[str, Box] = {}
    for box in root.all():
        if not isinstance(box.item, Group) or box.item.framed:
            places[box.item.path] = box
    for box in root.all():
        if isinstance(box.item, Group):
            for number, edge in enumerate(box.item.edges):
                source, target = places[edge.source], places[edge.target]
                match box.item.arrangement:
                    case "beside":
                        yield _aside(box, target, edge)
                    case "layers":
                        yield _through(box, source, target, edge, number)
                    case _:
                        yield _down(box, source, target, edge)


def _child(group: Box, box: Box) -> int:
    """Which child of a group a box is in."""
    while box.parent is not None and box.parent is not group:
        box = box.parent
    return box.number


def _down(group: Box, source: Box, target: Box, edge: Edge) -> Route:
    """To the next child: down, aside in the gap between them, down."""
    bus = group.y + group.buses[_child(group, source)]
    points = [(source.way, source.bottom), (source.way, bus), (target.way, bus), (target.way, target.y)]
    label = label_text(edge.label)
    return Route(edge, _straightened(points), label, (target.way, bus + LABEL_HEIGHT - 3))


def _aside(group: Box, target: Box, edge: Edge) -> Route:
    """From the main child to one at its side."""
    main, side = group.children[0], group.children[_child(group, target)]
    x = main.right + SPACE / 2
    start, end = main.y + min(LEVEL, main.height / 2), side.y + min(LEVEL, side.height / 2)
    return Route(edge, _straightened([(main.right, start), (x, start), (x, end), (side.x, end)]))


def _through(group: Box, source: Box, target: Box, edge: Edge, number: int) -> Route:
    """From layer to layer, aside only between them."""
    layers = group.layers
    assert layers is not None, "a group in layers has been laid out"
    left, top = group.x + group.shift[0], group.y + group.shift[1]
    spot = layers.spots[_child(group, source)]
    points = [(source.way, source.bottom), (source.way, top + _bottom(layers, spot.layer))]
    label, at = "", (0.0, 0.0)
    for lane in layers.ways[number]:
        x = left + lane.x + lane.anchor
        upper, lower = layers.bounds[lane.layer]
        points += [(x, top + upper), (x, top + lower)]
        if lane.label:
            label, at = lane.label, (x, top + lane.y + LABEL_HEIGHT - 5)
    points += [(target.way, top + layers.bounds[layers.spots[_child(group, target)].layer][0]), (target.way, target.y)]
    return Route(edge, _straightened(points), label, at)


def _bottom(layers: Layers, layer: int) -> float:
    return layers.bounds[layer][1]


def _straightened(points: list[Point]) -> list[Point]:
    """Without points that change nothing."""
    kept: list[Point] = []
    for point in points:
        if kept and kept[-1] == point:
            continue
        if len(kept) > 1 and (kept[-2][0] == kept[-1][0] == point[0] or kept[-2][1] == kept[-1][1] == point[1]):
            kept.pop()
        kept.append(point)
    return kept
