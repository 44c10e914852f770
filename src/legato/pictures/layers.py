"""The nodes of a graph in layers, every edge leading down. Long edges get places of their own, and so cross no box.

After Sugiyama, Tagawa and Toda: layers by the longest path, order within a layer by what is connected. Knows sizes
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from legato.pictures.boxes import LABEL_HEIGHT, LINE_SIZE, SPACE, Box
from legato.pictures.letters import cut, text_width
from legato.pictures.spots import Spot, put_in_order

SWEEPS = 8  # of straightening; more change little
LABEL_WIDTH = 200.0
LAYER_GAP = 44.0  # room for edges that go aside
LABEL_GAP = 28.0  # the same where there are labels in between
LANE = 14.0  # the width of an edge that passes a layer
MOST_LANES = 20_000  # places for passing edges; beyond it edges go straight, through boxes if need be


class Link(NamedTuple):
    """An edge between two boxes, by their numbers."""

    source: int
    target: int
    label: str = ""


class Layers(NamedTuple):
    """What has been found out: a spot by box, the spots that each link passes, the size of all, the layers' bounds."""

    spots: list[Spot]
    ways: list[list[Spot]]
    width: float
    height: float
    bounds: list[tuple[float, float]]


def layered(boxes: Sequence[Box], links: Sequence[Link]) -> Layers:
    """Boxes in layers, from the corner at (0, 0). Time is linear in boxes, links and the layers that they pass."""
    ranks = _ranks(len(boxes), links)
    gap = LAYER_GAP
    if any(link.label for link in links):
        ranks, gap = [2 * rank for rank in ranks], LABEL_GAP  # a label stands between two layers
    spots = [Spot(ranks[n], box.width, box.height, box.anchor, n) for n, box in enumerate(boxes)]
    rows: list[list[Spot]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for spot in spots:
        rows[spot.layer].append(spot)
    ways = _ways(spots, links, rows)
    rows = [row for row in rows if row]
    for number, row in enumerate(rows):
        for spot in row:
            spot.layer = number
    put_in_order(rows)
    width = _put_across(rows)
    bounds: list[tuple[float, float]] = []
    top = 0.0
    for row in rows:
        height = max(spot.height for spot in row)
        for spot in row:
            spot.y = top
        bounds.append((top, top + height))
        top += height + gap
    return Layers(spots, ways, width, max(0.0, top - gap), bounds)


def _ranks(count: int, links: Sequence[Link]) -> list[int]:
    """The layer of each box: one below the lowest of those that it comes after. A cycle ends where it was begun."""
    after: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for link in links:
        after[link.source].append(link.target)
        waits[link.target] += 1
    ranks = [0] * count
    ready = [n for n in range(count) if not waits[n]]
    for n in ready:
        for each in after[n]:
            ranks[each] = max(ranks[each], ranks[n] + 1)
            waits[each] -= 1
            if not waits[each]:
                ready.append(each)
    return ranks


def _ways(spots: list[Spot], links: Sequence[Link], rows: list[list[Spot]]) -> list[list[Spot]]:
    """A spot for each link in each layer that it passes."""
    lanes = sum(max(0, spots[link.target].layer - spots[link.source].layer - 1) for link in links)
    ways: list[list[Spot]] = []
    for link in links:
        source, target = spots[link.source], spots[link.target]
        way: list[Spot] = []
        last = target.layer - 1
        first = source.layer + 1 if lanes <= MOST_LANES else max(source.layer + 1, last if link.label else last + 1)
        for layer in range(first, target.layer):
            label = link.label if layer == last else ""
            text = cut(label, LINE_SIZE, LABEL_WIDTH)
            width = text_width(text, LINE_SIZE) + LANE if text else LANE
            spot = Spot(layer, width, LABEL_HEIGHT if text else 0.0, width / 2, label=text)
            rows[layer].append(spot)
            way.append(spot)
        chain = [source, *way, target]
        for upper, lower in pairwise(chain):
            upper.near[1].append(lower)
            lower.near[0].append(upper)
        ways.append(way)
    return ways


def _put_across(rows: list[list[Spot]]) -> float:
    """Give each spot its x: as near to what it is connected with as the others allow. Gives the width of it all."""
    for row in rows:
        _pack(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        up = sweep % 2
        for row in reversed(rows) if up else rows:
            _pack(row, [_wanted(spot, up) for spot in row])
    left = min((row[0].x for row in rows), default=0.0)
    for row in rows:
        for spot in row:
            spot.x = round(spot.x - left, 1)
    width = max((row[-1].x + row[-1].width for row in rows), default=0.0)
    for row in (rows[0], rows[-1]) if rows else ():
        if len(row) == 1:  # what the graph begins with, and what it ends in, in the middle
            row[0].x = round(min(max(0.0, width / 2 - row[0].anchor), width - row[0].width), 1)
    return width


def _wanted(spot: Spot, side: int) -> float:
    """Where a spot would be straight below, or above, what it is connected with."""
    near = spot.near[side]
    return sum(each.x + each.anchor for each in near) / len(near) - spot.anchor if near else spot.x


def _pack(row: list[Spot], wanted: Sequence[float]) -> None:
    """Put spots where they want to be, but to the right where they would overlap; then all of them back by the mean."""
    edge = float("-inf")
    for spot, x in zip(row, wanted, strict=True):
        spot.x = max(x, edge)
        edge = spot.x + spot.width + SPACE
    back = sum(spot.x - x for spot, x in zip(row, wanted, strict=True)) / len(row)
    for spot in row:
        spot.x -= back
