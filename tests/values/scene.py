"""What expressions see in these tests: payloads by root and by step, given as JSON text, as payloads, or as values."""

from __future__ import annotations

import pytest

from legato.model.payload import JSON, Payload, json_payload
from legato.values import EvaluationFailed, ExpressionError, Fault, compile_expression


def payload(given: object) -> Payload:
    """Bytes are JSON as written, a payload is itself, any other value is encoded."""
    if isinstance(given, Payload):
        return given
    return Payload.of(JSON, given) if isinstance(given, bytes) else json_payload(given)


class Scene:
    """An Env. Counts what it is asked for, in `asked`."""

    def __init__(self, steps: dict[str, object] | None = None, **roots: object) -> None:
        self._roots = {name: payload(given) for name, given in roots.items()}
        self._steps = {name: payload(given) for name, given in (steps or {}).items()}
        self.asked: list[str] = []

    def root(self, name: str) -> Payload:
        self.asked.append(name)
        return self._roots[name]

    def step(self, name: str) -> Payload:
        self.asked.append(f"steps.{name}")
        return self._steps[name]


def evaluate(source: str, steps: dict[str, object] | None = None, **roots: object) -> str:
    """The result of an expression, as JSON text."""
    return compile_expression(source).evaluate(Scene(steps, **roots)).decode()


def failure(source: str, steps: dict[str, object] | None = None, **roots: object) -> str:
    """The whole message with which an expression fails."""
    with pytest.raises(EvaluationFailed) as caught:
        compile_expression(source).evaluate(Scene(steps, **roots))
    return str(caught.value)


def faults(source: str, undo: bool = False) -> list[Fault]:
    """What is wrong with an expression when it is loaded; nothing if it is not."""
    try:
        compile_expression(source, undo=undo)
    except ExpressionError as error:
        return list(error.faults)
    return []
