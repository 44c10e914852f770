"""Renaming: fields moved from one path to another. All are taken before any is put down, so that two can swap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from legato.values.dig import kind_of_json
from legato.values.faults import EvaluationFailed, printable
from legato.values.trees import Opener, Part


class Move(NamedTuple):
    """One renaming, by its paths."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    def __str__(self) -> str:
        return f"`rename` of `{printable('.'.join(self.source))}` to `{printable('.'.join(self.target))}`"


class _Held(NamedTuple):
    """A field that was taken: to be put at `way` from `base`."""

    base: dict[str, Part]
    way: tuple[str, ...]
    value: Part
    move: Move


def moved(part: Part, moves: Sequence[Move], opener: Opener) -> Part:
    """The part with its fields renamed; what is missing is passed over.

    Raises EvaluationFailed where a target is there already, and where a field would leave the list that it is in.
    """
    part = opener.opened(part)
    held: list[_Held] = []
    for move in moves:
        _take(part, move, 0, opener, held)
    for each in held:
        _put(each, opener)
    return part


def _take(part: Part, move: Move, depth: int, opener: Opener, held: list[_Held]) -> None:
    """Take what is to be moved, from each element of the lists on the way that both paths share."""
    if isinstance(part, list):
        for index, item in enumerate(part):
            part[index] = opener.opened(item)
            _take(part[index], move, depth, opener, held)
        return
    source, target = move.source[depth:], move.target[depth:]
    if not isinstance(part, dict) or source[0] not in part:
        return
    if source[0] == target[0] and len(source) > 1 and len(target) > 1:
        part[source[0]] = opener.opened(part[source[0]])
        _take(part[source[0]], move, depth + 1, opener, held)
        return
    at = part
    for count, name in enumerate(source[:-1], depth + 1):
        if name not in at:
            return
        inner = at[name] = opener.opened(at[name])
        if isinstance(inner, list):
            where = printable(".".join(move.source[:count]))
            raise EvaluationFailed(f"{move}: `{where}` is a list, whose fields stay in it; rename to `{where}.name`")
        if not isinstance(inner, dict):
            return
        at = inner
    name = move.source[-1]
    if name in at:
        held.append(_Held(part, target, at.pop(name), move))


def _put(held: _Held, opener: Opener) -> None:
    at = held.base
    opener.grow(sum(map(len, held.way)))
    for name in held.way[:-1]:
        inner = at[name] = opener.opened(at.get(name, {}))
        if not isinstance(inner, dict):
            there = "a list" if not isinstance(inner, Raw) else kind_of_json(bytes(inner))
            raise EvaluationFailed(f"{held.move}: `{printable(name)}` is there already and is {there}, not an object")
        at = inner
    name = held.way[-1]
    if name in at:
        raise EvaluationFailed(f"{held.move}: there is a `{printable(name)}` already; drop it or rename it first")
    at[name] = held.value
