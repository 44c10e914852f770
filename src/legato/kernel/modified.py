"""What any step may say beside what it does: `when`, `input`, `output`, `timeout`, `on_error`; and being remembered."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from legato.errors import LegatoError
from legato.kernel.calls import Flowing, Forked, LinkedStep, Placed, made, mistake
from legato.kernel.frame import Frame, UndoView, inner_frame, together
from legato.kernel.scheduler import Fiber, Join, Node, StepFailed
from legato.kernel.trail import unwind
from legato.kernel.watchers import Race
from legato.model.outcome import Failure, Outcome
from legato.model.payload import EMPTY, Payload

if TYPE_CHECKING:
    from legato.kernel.run import Run
    from legato.values import Expression

# What a step leaves that was skipped where its absence counts: in a parallel, in a graph.
ABSENT = Payload(b"", (b"",), 0)


class Maker(Protocol):
    """A compiled mapping."""

    def payload(self, env: Frame | UndoView, /) -> Payload:
        """The value that it makes. Raises EvaluationFailed, NotJSON."""
        ...


class Fallback(msgspec.Struct, frozen=True):
    """What follows a failure: see model.steps.OnError."""

    action: Literal["skip", "value", "steps"]
    value: Maker | None = None
    steps: LinkedStep | None = None


class Modifiers(msgspec.Struct, frozen=True):
    """The modifiers of one step. `keep` is the name under which its result is remembered, empty for not at all."""

    when: Expression | None = None
    input: Maker | None = None
    output: Maker | None = None
    timeout: float | None = None
    on_error: Fallback | None = None
    keep: str = ""
    passes: bool = False  # it leaves the value as it is: sleep, publish, respond
    absent: bool = False  # skipping it leaves nothing, instead of the value as it was


class Modified(Forked):
    """A step with modifiers."""

    __slots__ = ("core", "modifiers", "place", "undoable")

    def __init__(self, core: LinkedStep, path: str, modifiers: Modifiers) -> None:
        self.core = core
        self.place = Placed(path)
        self.modifiers = modifiers
        fallback = modifiers.on_error
        self.undoable = core.undoable or (
            fallback is not None and fallback.steps is not None and fallback.steps.undoable
        )

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        mods = self.modifiers
        assert frame is not None
        if mods.on_error is None:
            return (yield from self._go(run, fiber, value, frame))
        since = 0 if frame.trail is None else len(frame.trail)
        try:
            return (yield from self._go(run, fiber, value, frame))
        except LegatoError as error:
            failure = mistake(error, self.place.of(frame)).failure
        except StepFailed as error:
            failure = error.taken()
        failure.path = failure.path or self.place.of(frame)
        return (yield from self._go_on(run, fiber, value, frame, failure, since))

    def _go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame) -> Flowing:
        mods = self.modifiers
        if mods.when is not None:
            frame.value, frame.where = value, self.place.of(frame)
            if not made(mods.when.truth, frame):
                if mods.keep:
                    frame.keep(mods.keep, EMPTY)
                return ABSENT if mods.absent else value
        sent = value
        if mods.input is not None:
            frame.value, frame.where = value, self.place.of(frame)
            sent = made(mods.input.payload, frame)
        if mods.timeout is None:
            result = yield from self.core.go(run, fiber, sent, frame)
        else:
            path = self.place.of(frame)
            result = yield from in_time(run, fiber, self.core, sent, frame, mods.timeout, path, f"{path}/timeout")
        if mods.passes:
            result = value
        if mods.output is not None:
            frame.value, frame.where = result, self.place.of(frame)
            result = made(mods.output.payload, frame)
        if mods.keep:
            frame.keep(mods.keep, result)
        return result

    def _go_on(self, run: Run, fiber: Fiber, value: Payload, frame: Frame, failure: Failure, since: int) -> Flowing:
        """What follows the failure, when what the step had done has been undone."""
        if frame.trail is not None and len(frame.trail) > since:
            yield from unwind(run, fiber, frame.trail, failure.undo, since, failure)
        fallback, mods, path = self.modifiers.on_error, self.modifiers, self.place.of(frame)
        assert fallback is not None
        if fallback.action == "skip":
            run.spared(path, failure)
            if mods.keep:
                frame.keep(mods.keep, EMPTY)
            return ABSENT if mods.absent else value
        inner, trail = inner_frame(run, frame, self.undoable, value)
        inner.error = failure
        inner.value, inner.where = value, path
        if fallback.steps is None:
            assert fallback.value is not None
            result = made(fallback.value.payload, inner)
        else:
            if trail is not None:
                together(frame, [trail])
            result = yield from fallback.steps.go(run, fiber, value, inner)
        if mods.keep:
            frame.keep(mods.keep, result)
        return result


def in_time(
    run: Run, fiber: Fiber, step: LinkedStep, value: Payload, frame: Frame, seconds: float, path: str, timer_path: str
) -> Flowing:
    """Run a step for so many seconds at most; what it has in flight then is cancelled. Raises StepFailed at `path`."""
    body = step.fork(run, fiber, value, frame)
    timer = run.sleep(fiber, timer_path, seconds)
    yield Race.of((body, timer))
    if body.ended:
        run.cancel_nodes((timer,), "cancelled")
        yield from settled(timer)
        return (yield body)
    run.cancel_nodes((body,), "deadline")
    yield from settled(body)
    if body.error is None:
        return body.value  # an answer that is already there counts
    detail = f"the step took longer than {seconds:g} s"
    raise StepFailed(Failure("deadline", Outcome("cancelled", detail=detail), path))


def settled(node: Node) -> Generator[Node, Any, None]:
    """Wait until a node has ended, however it does."""
    if not node.ended:
        yield Join.of((node,), eager=False)
