"""Places in layers, and the order of those in each: such that few edges cross."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from operator import attrgetter

SWEEPS = 12  # each puts every layer in the order of the one before it, or of the one below; more change little
COUNTED = 5_000  # edges; the crossings of more are not counted, and the last order is taken


class Spot:
    """A place in a layer: that of a box, or of an edge that passes, with its label perhaps."""

    __slots__ = ("anchor", "box", "height", "label", "layer", "near", "width", "x", "y")

    def __init__(self, layer: int, width: float, height: float, anchor: float, box: int = -1, label: str = "") -> None:
        self.layer = layer
        self.width = width
        self.height = height
        self.anchor = anchor
        self.box = box
        self.label = label
        self.x = 0.0
        self.y = 0.0
        self.near: tuple[list[Spot], list[Spot]] = ([], [])  # above, below


def put_in_order(rows: Sequence[list[Spot]]) -> None:
    """Put each layer's spots near those that they are connected with; of what is tried, what crosses least."""
    for row in rows:
        for number, spot in enumerate(row):
            spot.x = number
    counted = sum(len(spot.near[1]) for row in rows for spot in row) <= COUNTED
    best, least = [list(row) for row in rows], _crossings(rows) if counted else 0
    for sweep in range(SWEEPS):
        if counted and not least:
            break
        _sweep(rows, sweep % 2)
        if counted and (crossings := _crossings(rows)) < least:
            best, least = [list(row) for row in rows], crossings
    for row, found in zip(rows, best if counted else rows, strict=True):
        row[:] = found


def _sweep(rows: Sequence[list[Spot]], side: int) -> None:
    """Put each layer in the order of what is above (0), from the top down, or of what is below (1), from the bottom up.

    What is connected with nothing there stays where it is.
    """
    for row in reversed(rows) if side else rows:
        for spot in row:
            near = spot.near[side]
            spot.y = sum(each.x for each in near) / len(near) if near else spot.x
        row.sort(key=attrgetter("y"))
        for number, spot in enumerate(row):
            spot.x = number


def _crossings(rows: Sequence[list[Spot]]) -> int:
    """How many pairs of edges cross."""
    crossings = 0
    for row in rows:
        ends: list[float] = []  # of the edges further to the left
        for spot in row:
            below = [each.x for each in spot.near[1]]
            crossings += sum(len(ends) - bisect_right(ends, x) for x in below)
            for x in below:
                insort(ends, x)
    return crossings
