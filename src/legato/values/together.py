"""Reads many parts of one document in one pass: templates often name several fields of the same payload."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw

from legato.errors import NotJSON
from legato.values.dig import Digger, names_of
from legato.values.env import Env

_Tree = dict[str, "_Tree"]


class Together:
    """Several paths from one root. Where one is missing it reads nothing: each path says for itself what is wrong."""

    __slots__ = ("_decode", "_diggers", "_take")

    def __init__(self, diggers: Sequence[Digger]) -> None:
        self._diggers = diggers
        self._decode: msgspec.json.Decoder[object] | None = None  # made when it is needed, as a digger's reader
        self._take = operator.attrgetter("")

    def parts(self, env: Env) -> tuple[Raw, ...] | None:
        """The parts in the order of their paths, or None if one is missing."""
        if self._decode is None:
            self._prepare()
        assert self._decode is not None
        try:
            parts = self._take(self._decode.decode(self._diggers[0].payload(env).json()))
        except (NotJSON, msgspec.DecodeError, AttributeError):
            return None
        return None if UNSET in parts else parts

    def _prepare(self) -> None:
        tree: _Tree = {}
        for digger in self._diggers:
            at = tree
            for name in names_of(digger.pointer):
                at = at.setdefault(name, {})
        names = [self._dotted(tree, names_of(digger.pointer)) for digger in self._diggers]
        self._decode = msgspec.json.Decoder(_struct(tree))
        self._take = operator.attrgetter(*names)

    @staticmethod
    def _dotted(tree: _Tree, names: Sequence[str]) -> str:
        dotted: list[str] = []
        for name in names:
            dotted.append(f"f{list(tree).index(name)}")
            tree = tree[name]
        return ".".join(dotted)


def _struct(tree: _Tree) -> type:
    """A type whose decoding keeps the fields of the tree, and skips all others."""
    if not tree:
        return Raw
    fields = [(f"f{index}", _struct(below), msgspec.field(default=UNSET)) for index, below in enumerate(tree.values())]
    rename = {f"f{index}": name for index, name in enumerate(tree)}
    return msgspec.defstruct("Parts", fields, rename=rename, gc=False)


def groups(diggers: Sequence[tuple[int, Digger]]) -> list[tuple[Together, tuple[int, ...]]]:
    """Which of these can be read together, with their places: paths of one root, of fields only."""
    by_root: dict[tuple[str, str], list[tuple[int, Digger]]] = {}
    for place, digger in diggers:
        if digger.pointer and names_of(digger.pointer) == digger.pointer:
            by_root.setdefault((digger.root, digger.step), []).append((place, digger))
    found: list[tuple[Together, tuple[int, ...]]] = []
    for members in by_root.values():
        pointers = {digger.pointer for _, digger in members}
        outer = {pointer for pointer in pointers if any(pointer[:n] in pointers for n in range(1, len(pointer)))}
        whole = {pointer[:n] for pointer in outer for n in range(1, len(pointer))}
        apart = [(place, digger) for place, digger in members if digger.pointer not in whole]
        if len(apart) > 1:
            found.append((Together([digger for _, digger in apart]), tuple(place for place, _ in apart)))
    return found
