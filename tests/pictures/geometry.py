"""A picture as its parts lie: the boxes of nodes and frames, the ways of edges, as rectangles."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from legato.model.flow import Flow
from legato.pictures.boxes import Box
from legato.pictures.drawing import sketched
from legato.pictures.layout import laid_out
from legato.pictures.parts import Resolve, parts_of
from legato.pictures.routes import Route, routes_of
from legato.pictures.sketch import Group, Node

NEAR = 0.11  # pixels; sizes are rounded to a tenth


class Rect(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Rect) -> bool:
        return (
            self.left < other.right - NEAR
            and other.left < self.right - NEAR
            and self.top < other.bottom - NEAR
            and other.top < self.bottom - NEAR
        )

    def holds(self, other: Rect) -> bool:
        return (
            self.left <= other.left + NEAR
            and self.top <= other.top + NEAR
            and self.right >= other.right - NEAR
            and self.bottom >= other.bottom - NEAR
        )


def boxes_of(flow: Flow, resolve: Resolve | None = None) -> Box:
    return laid_out(sketched(parts_of(flow, resolve)).root)


def rect(box: Box) -> Rect:
    return Rect(box.x, box.y, box.right, box.bottom)


def node_rects(root: Box) -> dict[str, Rect]:
    return {box.item.path: rect(box) for box in root.all() if isinstance(box.item, Node)}


def frame_rects(root: Box) -> dict[str, Rect]:
    return {box.item.path: rect(box) for box in root.all() if isinstance(box.item, Group) and box.item.framed}


def check_boxes(root: Box) -> None:
    """No two siblings overlap, everything is within what is around it."""
    for box in root.all():
        for n, child in enumerate(box.children):
            assert rect(box).holds(rect(child)), (box.item, child.item)
            for other in box.children[n + 1 :]:
                assert not rect(child).overlaps(rect(other)), (child.item, other.item)


def check_routes(root: Box) -> list[Route]:
    """Edges begin and end at their nodes, and cross no other."""
    nodes, frames = node_rects(root), frame_rects(root)
    routes = list(routes_of(root))
    for route in routes:
        edge, points = route.edge, route.points
        source = nodes.get(edge.source) or frames[edge.source]
        (x, y), (tx, ty) = points[0], points[-1]
        assert source.left - NEAR <= x <= source.right + NEAR, route
        assert source.top - NEAR <= y <= source.bottom + NEAR, route
        if edge.kind == "error":  # it ends at the frame of the steps
            target = frames[f"{edge.source}/error"]
            assert abs(target.left - tx) < NEAR, route
            assert target.top < ty < target.bottom, route
            assert target.holds(nodes[edge.target]), route
        else:
            target = nodes[edge.target]
            assert target.left - NEAR <= tx <= target.right + NEAR, route
            assert abs(target.top - ty) < NEAR or edge.kind == "undo", route
        for (ax, ay), (bx, by) in pairwise(points):
            way = Rect(min(ax, bx) - 0.5, min(ay, by), max(ax, bx) + 0.5, max(ay, by))
            for path, node in nodes.items():
                if path not in (edge.source, edge.target):
                    assert not way.overlaps(node), (route, path, node)
    return routes
