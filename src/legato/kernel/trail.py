"""The trail: what has been done in a scope, in order of completion, so that it can be undone in reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from legato.errors import NotJSON
from legato.model.outcome import Outcome
from legato.model.payload import JSON, Payload

if TYPE_CHECKING:
    from legato.kernel.program import LinkedCall


class Done:
    """A call that was done, or maybe done: what was sent and, if known, what came back."""

    __slots__ = ("result", "sent", "step")

    def __init__(self, step: LinkedCall, sent: Payload, outcome: Outcome) -> None:
        self.step = step
        self.sent = sent
        self.result = outcome.payload if outcome.kind == "ok" else None

    def arguments(self) -> Payload:
        """`{"sent": ..., "result": ...}`, the result null if it is not known (contract 1)."""
        result = b"null" if self.result is None else _part(self.result)
        body = b'{"sent":' + _part(self.sent) + b',"result":' + result + b"}"
        return Payload(JSON, (body,), len(body))


class Together:
    """The trails of a parallel's branches: undone in parallel."""

    __slots__ = ("trails",)

    def __init__(self, trails: list[Trail]) -> None:
        self.trails = trails


Trail = list[Done | Together]


def _part(payload: Payload) -> bytes:
    try:
        return payload.json()
    except NotJSON:
        return payload.lenient_json()  # an undo must get through whatever it was that the function answered
