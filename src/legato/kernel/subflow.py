"""A flow within a flow: its own scope, its own handlers, its own input and output."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import msgspec

from legato.errors import LegatoError, NotJSON
from legato.kernel.calls import Flowing, Forked, LinkedStep, Placed, made, mistake
from legato.kernel.frame import Frame, state_of
from legato.kernel.modified import Maker, in_time
from legato.kernel.scheduler import Fiber, Node, StepFailed
from legato.kernel.trail import Closing, Trail, Within, unwind
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload

if TYPE_CHECKING:
    from legato.kernel.run import Run
    from legato.values import Schema

SHOWN = 3  # problems of an input that a message names


class Handlers(msgspec.Struct, frozen=True):
    """What a flow does when it has failed, and when it has ended."""

    on_failure: LinkedStep | None = None
    finally_: LinkedStep | None = None

    def __bool__(self) -> bool:
        return self.on_failure is not None or self.finally_ is not None


class LinkedFlow(Forked):
    """Another flow as a step. When one with handlers fails or is cut off, what it did is undone before they are run.

    Its `timeout` does not bound them.
    """

    __slots__ = ("body", "handlers", "name", "output", "place", "schema", "timeout", "undoable")

    def __init__(
        self,
        path: str,
        name: str,
        body: LinkedStep,
        output: Maker | None,
        schema: Schema | None,
        handlers: Handlers,
        timeout: float | None = None,
    ) -> None:
        self.place = Placed(path)
        self.name = name
        self.body = body
        self.output = output
        self.schema = schema
        self.handlers = handlers
        self.timeout = timeout
        self.undoable = body.undoable or bool(handlers)  # what is cut off is to be closed, as what was done is undone

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Run the flow with the value as its input."""
        assert frame is not None
        if self.schema is not None:
            check_input(self.schema, value, self.name, self.place.of(frame))
        trail: Trail = []
        inner = Frame(run, None, trail if self.undoable and frame.trail is not None else None, value)
        inner.indexes = frame.indexes
        within = Within(trail, self._closing(inner, value) if self.handlers else None)
        if inner.trail is not None and frame.trail is not None:
            frame.trail.append(within)
        try:
            result = yield from self._go(run, fiber, value, inner)
        except StepFailed as error:
            failure = error.taken()
        else:
            within.close = None
            yield from handle(run, fiber, self.handlers.finally_, result, inner, None)
            return result
        if within.close is not None:
            yield from unwind(run, fiber, trail, failure.undo, 0, failure)
            close, within.close = within.close, None  # once, even if it is cut off itself
            yield from close(run, fiber, failure)
        raise StepFailed(failure)

    def _go(self, run: Run, fiber: Fiber, value: Payload, inner: Frame) -> Flowing:
        path = self.place.of(inner)
        if self.timeout is None:
            result = yield from self.body.go(run, fiber, value, inner)
        else:
            timer = f"{path}/flow/timeout"  # the step may have a timeout of its own
            result = yield from in_time(run, fiber, self.body, value, inner, self.timeout, path, timer)
        if self.output is not None:
            inner.value, inner.where = result, path
            result = made(self.output.payload, inner)
        return result

    def _closing(self, inner: Frame, value: Payload) -> Closing:
        """What the handlers do when the flow has failed, or was cut off."""

        def close(run: Run, fiber: Fiber, why: Failure | None) -> Generator[Node, Any, None]:
            cut_off = Outcome("cancelled", detail=f"the flow {self.name} was cancelled")
            failure = why or Failure("cancelled", cut_off, self.place.of(inner))
            yield from handle(run, fiber, self.handlers.on_failure, value, inner, failure)
            yield from handle(run, fiber, self.handlers.finally_, value, inner, failure)

        return close


def handle(
    run: Run, fiber: Fiber, handler: LinkedStep | None, value: Payload, frame: Frame, failure: Failure | None
) -> Flowing:
    """Run a handler in a scope of its own; that it fails changes nothing of how the flow has ended."""
    if handler is None:
        return value
    own = Frame(run, frame, None, value)
    own.error, own.ended = failure, state_of(failure)
    try:
        return (yield from handler.go(run, fiber, value, own))
    except StepFailed as error:
        failed = error.taken()
    except LegatoError as error:
        failed = mistake(error, own.where).failure
    run.handler_failed(failed)
    return value


def check_input(schema: Schema, value: Payload, flow: str, path: str) -> None:
    """Raise StepFailed where a value does not fit the input that a flow says it takes."""
    try:
        problems = schema.problems(value)
    except NotJSON as error:
        raise mistake(f"the input of flow {flow} {error}", path) from None
    if problems:
        shown = "; ".join(f"{problem.pointer or '/'}: {problem.detail}" for problem in problems[:SHOWN])
        raise mistake(f"the input of flow {flow} does not fit its schema: {shown}", path)
