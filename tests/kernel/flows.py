"""Short words to write flows with, for tests."""

from __future__ import annotations

from legato.model.flow import Flow
from legato.model.payload import Payload, json_payload
from legato.model.steps import CallStep, ParallelStep, SequenceStep, Step, UndoCall


def call(function: str, undo: str = "", id: str = "", **fields: object) -> CallStep:  # noqa: A002 - as in the model
    """A call step."""
    return CallStep(function=function, id=id, undo=UndoCall(function=undo) if undo else None, **fields)  # type: ignore


def seq(*steps: Step, id: str = "") -> SequenceStep:  # noqa: A002
    """A sequence step."""
    return SequenceStep(steps=steps, id=id)


def par(id: str = "", lenient: bool = False, **branches: Step) -> ParallelStep:  # noqa: A002
    """A parallel step."""
    return ParallelStep(branches=branches, id=id, lenient=lenient)


def flow(*steps: Step, **fields: object) -> Flow:
    """A flow."""
    return Flow(name="test", steps=steps, **fields)  # type: ignore[arg-type]


def text(body: str, content_type: str = "text/plain") -> Payload:
    """A payload that is not JSON."""
    return Payload.of(content_type.encode(), body.encode())


BINARY = Payload.of(b"image/png", b"\x89PNG\xff")
INPUT = json_payload({"order": 1})
