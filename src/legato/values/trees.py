"""A JSON document opened level by level: only what a path goes through is decoded, the rest stays as it was written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import msgspec
from msgspec import Raw

from legato.model.payload import MAX_BYTES, too_large
from legato.values.faults import EvaluationFailed
from legato.values.working import MAX_ELEMENTS

# A part of a document: as written, or opened into an object or a list of parts.
Part = Raw | dict[str, "Part"] | list["Part"]
# Paths that share their beginnings: a field without fields below it is where a path ends.
Paths = dict[str, "Paths"]

_object = msgspec.json.Decoder(dict[str, Raw]).decode
_list = msgspec.json.Decoder(list[Raw]).decode


def paths_tree(paths: Iterable[tuple[str, ...]]) -> Paths:
    """Paths by their fields. Where one path begins another, it is the shorter that counts."""
    tree: Paths = {}
    for path in sorted(paths, key=len, reverse=True):
        at = tree
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = {}
    return tree


class Opener:
    """Opens parts of one document, so many elements at the most, and counts what is added to it."""

    __slots__ = ("_left", "_room")

    def __init__(self) -> None:
        self._left = MAX_ELEMENTS
        self._room = MAX_BYTES

    def grow(self, size: int) -> None:
        """Count keys of so many characters. Raises EvaluationFailed for too many: each element may get long ones."""
        self._room -= size
        if self._room < 0:
            raise EvaluationFailed(too_large("the value with its fields renamed"))

    def opened(self, part: Part) -> Part:
        """An object or a list by its elements, anything else as it is. Raises EvaluationFailed for too many."""
        if not isinstance(part, Raw):
            return part
        document = bytes(part)
        first = document.lstrip()[:1]
        if first != b"{" and first != b"[":
            return part
        found = cast("Part", _object(document) if first == b"{" else _list(document))
        self._left -= len(found)  # pyright: ignore[reportArgumentType]
        if self._left < 0:
            raise EvaluationFailed(f"shaping goes through more than {MAX_ELEMENTS:,} elements; use a `foreach` step")
        return found

    def picked(self, part: Part, paths: Paths) -> Part | None:
        """What is on these paths, in lists of each element; None where nothing is. Elements that are objects stay."""
        part = self.opened(part)
        if isinstance(part, dict):
            chosen: dict[str, Part] = {}
            for name, inner in part.items():
                if name in paths:
                    found = self.picked(inner, paths[name]) if paths[name] else inner
                    if found is not None:
                        chosen[name] = found
            return chosen or None
        if isinstance(part, list):
            items = [self.opened(item) for item in part]
            kept = (self.picked(item, paths) for item in items if not isinstance(item, Raw))
            return [{} if item is None else item for item in kept]
        return None

    def dropped(self, part: Part, paths: Paths) -> Part:
        """What is not on these paths, in lists of each element."""
        part = self.opened(part)
        if isinstance(part, dict):
            return {
                name: self.dropped(inner, paths[name]) if name in paths else inner
                for name, inner in part.items()
                if paths.get(name, True)
            }
        if isinstance(part, list):
            return [self.dropped(item, paths) for item in part]
        return part
