"""Values put together into one object, by name: what parallels, graphs and `choose: {all: true}` leave.

Nothing is decoded, and everything is counted before it is copied: what is made so has a limit like all that a flow
makes. Lists are the foreach's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from legato.errors import NotJSON
from legato.kernel.calls import Placed, mistake
from legato.kernel.scheduler import StepFailed
from legato.model.outcome import Failure, Outcome
from legato.model.payload import JSON, MAX_BYTES, Payload, too_large

if TYPE_CHECKING:
    from legato.kernel.frame import Frame


class Valued(Protocol):
    """What has a value: a node that has ended."""

    value: Payload


class Joint:
    """The names that values are joined under. `kind` is what messages call each of them: a branch, a node, a case."""

    __slots__ = ("_all", "_each", "_kind", "_names", "_room")

    def __init__(self, kind: str, names: Sequence[str]) -> None:
        self._kind = kind
        self._names = names
        self._each = [_key(name) for name in names]
        self._all = _object(self._each)
        self._room = _room(self._all, len(names))

    def whole(self, nodes: Sequence[Valued], place: Placed, frame: Frame | None, lenient: bool = False) -> Payload:
        """The object of all of them; `lenient` makes texts of what is not JSON. Raises StepFailed, a mistake."""
        room = self._room
        parts: list[bytes] = []
        try:
            for node in nodes:
                part = node.value.lenient_json() if lenient else node.value.json()
                room -= len(part)
                if room < 0:
                    raise self._too_large(len(parts), part, place.of(frame))
                parts.append(part)
        except NotJSON as error:
            n = len(parts)
            raise self._unfit(n, nodes[n].value, error, place.of(frame)) from None
        body = self._all % tuple(parts)
        return Payload(JSON, (body,), len(body))

    def some(self, values: Sequence[tuple[int, Payload]], place: Placed, frame: Frame | None) -> Payload:
        """The object of those that are there, each with the index of its name. Raises StepFailed, a mistake."""
        those = _object([self._each[n] for n, _ in values])
        room = _room(those, len(values))
        parts: list[bytes] = []
        for n, value in values:
            try:
                part = value.json()
            except NotJSON as error:
                raise self._unfit(n, value, error, place.of(frame)) from None
            room -= len(part)
            if room < 0:
                raise self._too_large(n, part, place.of(frame))
            parts.append(part)
        body = those % tuple(parts)
        return Payload(JSON, (body,), len(body))

    def _too_large(self, n: int, part: bytes, path: str) -> StepFailed:
        what = f"the joined object, at {self._kind} {self._names[n]} with its {len(part):,} bytes,"
        return mistake(too_large(what), path)

    def _unfit(self, n: int, value: Payload, error: NotJSON, path: str) -> StepFailed:
        """What cannot be a part of a JSON document, which its author has to mend."""
        detail = f"{self._kind} {self._names[n]} cannot be joined: {error}"
        return StepFailed(Failure("mistake", Outcome("unknown", value, detail=detail), path))


def _key(name: str) -> bytes:
    """A name with the place for its value, as formatting knows it."""
    return msgspec.json.encode(name).replace(b"%", b"%%") + b":%b"


def _object(keys: Sequence[bytes]) -> bytes:
    return b"{%b}" % b",".join(keys)


def _room(form: bytes, places: int) -> int:
    """How many bytes there are for what comes in so many places of a form."""
    return MAX_BYTES - len(form) + places * len(b"%b")
