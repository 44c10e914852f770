"""Pieces of a sketch, and how they are put together: in a chain, in a frame, beside each other between two marks.

Every piece has one way in and some ways out. Which pieces a step is made of is `drawing`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from legato.pictures.sketch import Edge, Group, GroupKind, Item, Node

NO_LABELS: Mapping[int, str] = {}


class Piece(NamedTuple):
    """An item with the path of the node that leads into it and of those that lead on."""

    item: Item
    entry: str
    exits: tuple[str, ...]


class Frame(NamedTuple):
    """What is around a piece: see Group."""

    path: str
    kind: GroupKind
    title: str
    lines: tuple[str, ...] = ()
    tip: str = ""


def one(node: Node) -> Piece:
    """A node by itself."""
    return Piece(node, node.path, (node.path,))


def chain(pieces: Sequence[Piece]) -> Piece:
    """Pieces one after another; there must be one."""
    if len(pieces) == 1:
        return pieces[0]
    edges = [Edge(source=source, target=after.entry) for before, after in pairwise(pieces) for source in before.exits]
    group = Group(arrangement="down", children=tuple(each.item for each in pieces), edges=tuple(edges))
    return Piece(group, pieces[0].entry, pieces[-1].exits)


def framed(piece: Piece, frame: Frame) -> Piece:
    """A piece in a frame."""
    item = piece.item
    if not isinstance(item, Group) or item.framed:
        item = Group(arrangement="down", children=(item,))
    item = msgspec.structs.replace(
        item, path=frame.path, kind=frame.kind, title=frame.title, lines=frame.lines, tip=frame.tip or frame.title
    )
    return piece._replace(item=item)


def between(head: Node, tail: Node, pieces: Sequence[Piece], labels: Mapping[int, str] = NO_LABELS) -> Piece:
    """Pieces side by side, each after `head` and before `tail`; `labels` say when each is taken, by its number.

    Without `tail` where nothing leads there.
    """
    into = [Edge(source=head.path, target=each.entry, label=labels.get(n, "")) for n, each in enumerate(pieces)]
    out = [Edge(source=source, target=tail.path) for each in pieces for source in each.exits]
    items = tuple(each.item for each in pieces)
    row = items[0] if len(items) == 1 else Group(arrangement="across", children=items)
    children = (head, row, tail) if out else (head, row)
    group = Group(arrangement="down", children=children, edges=(*into, *out))
    return Piece(group, head.path, (tail.path,) if out else ())
