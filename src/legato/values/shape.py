"""Shaping: fields chosen, dropped, renamed and wrapped, as KrakenD's target, allow, deny, mapping and group.

Unlike there, paths go into lists (each element is shaped), and a field can be renamed at any depth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from legato.errors import NotJSON
from legato.model.payload import JSON, MAX_BYTES, MAX_DEPTH, Payload, too_large
from legato.values.dig import kind_of_json
from legato.values.faults import MAX_FAULTS, EvaluationFailed, ExpressionError, Fault, printable
from legato.values.moves import Move, moved
from legato.values.trees import Opener, Part, Paths, paths_tree

_EMPTY = Raw(b"{}")


class Shape:
    """The shaping of one value: `under`, `pick`, `drop`, `rename` and `wrap`, in this order."""

    __slots__ = ("_drop", "_looks_inside", "_moves", "_pick", "_under", "_wrap")

    def __init__(self, under: tuple[str, ...], pick: Paths, drop: Paths, moves: Sequence[Move], wrap: str) -> None:
        self._under = under
        self._pick = pick
        self._drop = drop
        self._moves = sorted(moves, key=lambda move: len(move.source), reverse=True)  # inner fields leave first
        self._wrap = msgspec.json.encode(wrap) if wrap else b""
        self._looks_inside = bool(under or pick or drop or moves)

    def payload(self, payload: Payload) -> Payload:
        """What is made of a payload: an object or a list, whose untouched parts stay as they were written.

        `under` what is not there, or is neither, it is `{}`. Raises EvaluationFailed for a payload that is neither
        (only `wrap` takes any), for a rename that cannot be, and for what would be larger than it may.
        """
        try:
            document = payload.json()
        except NotJSON as error:
            raise EvaluationFailed(f"the value cannot be shaped: {error}") from None
        if self._looks_inside:
            document = msgspec.json.encode(self._shaped(document))
        if self._wrap:
            document = b"{%b:%b}" % (self._wrap, document)
        if len(document) > MAX_BYTES:
            raise EvaluationFailed(too_large("the shaped value"))
        return Payload(JSON, (document,), len(document))

    def _shaped(self, document: bytes) -> Part:
        opener = Opener()
        part = opener.opened(Raw(document))
        if isinstance(part, Raw):
            raise EvaluationFailed(f"the value is {kind_of_json(document)}; only an object or a list can be shaped")
        for name in self._under:
            inner = part.get(name, _EMPTY) if isinstance(part, dict) else _EMPTY
            part = opener.opened(inner)
            if isinstance(part, Raw):
                part = {}
        if self._pick:
            part = opener.picked(part, self._pick) or {}
        if self._drop:
            part = opener.dropped(part, self._drop)
        return moved(part, self._moves, opener) if self._moves else part


def compile_shape(
    under: str = "",
    pick: Sequence[str] = (),
    drop: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    wrap: str = "",
) -> Shape:
    """The shaping by these words; what is empty is left out. Paths are keys joined by dots.

    Raises ExpressionError with every fault, its pointer being the word and the place below it.
    """
    faults: list[Fault] = []
    at = _path(under, ("under",), faults) if under else ()
    picked = [_path(path, ("pick", index), faults) for index, path in enumerate(pick)]
    dropped = [_path(path, ("drop", index), faults) for index, path in enumerate(drop)]
    moves: dict[tuple[str, ...], Move] = {}
    for source, target in (rename or {}).items():
        move = Move(_path(source, ("rename", source), faults), _path(target, ("rename", source), faults))
        if move.source == move.target:
            faults.append(Fault(f"`{printable(source)}` is renamed to itself", "remove it", 0, ("rename", source)))
        elif move.target in moves:
            first = ".".join(moves[move.target].source)
            message = f"`{printable(first)}` and `{printable(source)}` are both renamed to `{printable(target)}`"
            faults.append(Fault(message, "give one another name", 0, ("rename", source)))
        moves[move.target] = move
    if faults:
        raise ExpressionError(faults[:MAX_FAULTS])
    return Shape(at, paths_tree(picked), paths_tree(dropped), list(moves.values()), wrap)


def _path(text: str, pointer: tuple[str | int, ...], faults: list[Fault]) -> tuple[str, ...]:
    parts = tuple(text.split("."))
    if not all(parts):
        faults.append(
            Fault(f"`{printable(text)}` is no path", "write keys joined by dots, as in user.name", 0, pointer)
        )
    elif len(parts) > MAX_DEPTH:
        faults.append(Fault(f"a path longer than {MAX_DEPTH}", "no document is as deep as that", 0, pointer))
    return parts
