"""Calls as steps of a program, and sequences of steps: what most flows are made of, and what must cost least.

Every step has two ways in: `go` runs it within the caller's fiber, `fork` beside it. A branch that is a single call
needs no fiber of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from legato.errors import LegatoError
from legato.kernel.frame import UndoView
from legato.kernel.scheduler import Call, Fiber, Node, StepFailed
from legato.kernel.trail import Done, arguments
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload
from legato.model.steps import CallStep
from legato.values import PathTemplate, QueryTemplate, TextTemplate

if TYPE_CHECKING:
    from legato.kernel.frame import Frame
    from legato.kernel.modified import Maker
    from legato.kernel.run import Run

T = TypeVar("T")

Flowing = Generator[Node, Any, Payload]


class LinkedStep(Protocol):
    """A step that can be run. `undoable` says whether anything in it leaves a trail."""

    @property
    def undoable(self) -> bool: ...

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Run within `fiber`, waiting for nodes; returns the next value."""
        ...

    def fork(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Node:
        """Run beside `fiber`, as one of its nodes."""
        ...


class Forked:
    """What steps share that need a fiber to run beside another."""

    __slots__ = ()

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        raise AssertionError("a step says what it does")

    def fork(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Node:
        """See LinkedStep."""
        return run.spawn(fiber, lambda own: self.go(run, own, value, frame))


class LinkedCall:
    """A call, or the undo of a step. `index` is its place among the program's calls, where hosts keep what they bind.

    `inspected` says that somebody will look into the answer, so that a body which is not what it declares can be
    told while the call is still the host's (contract 1: garbage is `unknown`). `forward` says that the call is to be
    tried until it is done, because nothing would be undone if it failed.
    """

    __slots__ = (
        "definition", "forward", "function", "index", "inspected", "is_undo", "key", "path", "pivot", "undo",
        "undoable",
    )  # fmt: skip

    def __init__(self, path: str, index: int, definition: CallStep, undo: UndoCall | None, is_undo: bool) -> None:
        self.path = path
        self.key = path.encode()
        self.index = index
        self.definition = definition
        self.function = definition.function
        self.undo = undo
        self.undoable = undo is not None
        self.is_undo = is_undo
        self.inspected = False
        self.forward = False
        self.pivot = definition.pivot

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Issue the call and wait for it."""
        return (yield run.call(fiber, self, value, frame))

    def fork(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Node:
        """Issue the call."""
        return run.call(fiber, self, value, frame)


class PartTemplates:
    """The path, query and headers of a call as templates. Gives what `ports.Parts` promises."""

    __slots__ = ("headers", "path", "query")

    def __init__(
        self, path: PathTemplate | None, query: QueryTemplate | None, headers: Sequence[tuple[bytes, TextTemplate]]
    ) -> None:
        self.path = path
        self.query = query
        self.headers = headers

    def render(self, env: Frame | UndoView) -> RenderedParts:
        """The parts as they are now. Raises EvaluationFailed."""
        return RenderedParts(
            b"" if self.path is None else self.path.path(env),
            b"" if self.query is None else self.query.query(env),
            b"".join([b"%b: %b\r\n" % (name, text.header(env)) for name, text in self.headers]),
        )


class RenderedParts:
    """See ports.Parts."""

    __slots__ = ("headers", "path", "query")

    def __init__(self, path: bytes, query: bytes, headers: bytes) -> None:
        self.path = path
        self.query = query
        self.headers = headers


class Placed:
    """A path with a place for each index of the items around: `ship.items[*].pick`."""

    __slots__ = ("_pieces", "is_fixed", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._pieces = pattern.split("[*]")
        self.is_fixed = len(self._pieces) == 1

    def of(self, frame: Frame | None) -> str:
        """The path of one time."""
        if self.is_fixed or frame is None:
            return self.pattern
        first, *others = self._pieces
        return first + "".join(
            [
                f"{n}{piece}" if isinstance(n, str) else f"[{n}]{piece}"
                for n, piece in zip(frame.indexes, others, strict=True)
            ]
        )


class RichCall(Forked):
    """A call whose path or parts are not the same each time, or whose answer is another's to judge.

    With `has_input` its parts see the value before the step's `input`, which is what `value` is there, too.
    """

    __slots__ = ("handler", "has_input", "linked", "parts", "place", "return_status", "undoable")

    def __init__(
        self,
        linked: LinkedCall,
        parts: PartTemplates | None,
        handler: LinkedStep | None,
        return_status: dict[int, int],
        has_input: bool = False,
    ) -> None:
        self.linked = linked
        self.has_input = has_input
        self.place = Placed(linked.path)
        self.parts = parts
        self.handler = handler
        self.return_status = return_status
        self.undoable = linked.undoable

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Issue the call with what it says now; then let the handler make the value of the answer."""
        parts = None
        if self.parts is not None and frame is not None:
            if not self.has_input:
                frame.value = value
            frame.where = self.place.of(frame)
            parts = made(self.parts.render, frame)
        leaf = run.call(fiber, self.linked, value, frame)
        leaf.parts = parts
        if not self.place.is_fixed:
            leaf.own_path = self.place.of(frame)
        try:
            value = yield leaf
        except StepFailed as error:
            status = self.return_status.get(error.failure.outcome.status)
            if status is not None:
                error.failure.answer = status or error.failure.outcome.status
            raise
        if self.handler is None:
            return value
        return (yield from self.handler.go(run, fiber, value, frame))


class UndoCall:
    """How the undo of a step is issued: what it is sent, and what it says beside that."""

    __slots__ = ("input", "linked", "parts")

    def __init__(self, linked: LinkedCall, template: Maker | None, parts: PartTemplates | None) -> None:
        self.linked = linked
        self.input = template
        self.parts = parts

    def of(self, run: Run, fiber: Fiber, done: Done, why: Failure | None) -> Call:
        """Issue the undo of what was done, because of `why`. Raises EvaluationFailed."""
        payload, parts, frame = arguments(done), None, done.frame
        if frame is not None and (self.input is not None or self.parts is not None):
            view = UndoView(frame, done.sent, done.result, why)
            frame.where = done.path
            payload = payload if self.input is None else self.input.payload(view)
            parts = None if self.parts is None else self.parts.render(view)
        leaf = run.call(fiber, self.linked, payload, frame)
        leaf.parts = parts
        path = f"{done.path}/undo"
        if path != self.linked.path:
            leaf.own_path = path
        return leaf


class LinkedSequence(Forked):
    """Steps one after another."""

    __slots__ = ("steps", "undoable")

    def __init__(self, steps: Sequence[LinkedStep]) -> None:
        self.steps = tuple(steps)
        self.undoable = any(step.undoable for step in steps)

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Thread the value through the steps."""
        for step in self.steps:
            if type(step) is LinkedCall:
                value = yield run.call(fiber, step, value, frame)  # as its `go` does, a generator cheaper
            else:
                value = yield from step.go(run, fiber, value, frame)
        return value


def made(make: Callable[[Frame], T], frame: Frame) -> T:
    """What `make` makes of a frame. Raises StepFailed, a mistake at the frame's place, where it cannot."""
    try:
        return make(frame)
    except LegatoError as error:
        raise mistake(error, frame.where) from None


def mistake(error: LegatoError | str, path: str) -> StepFailed:
    """A flow's own mistake (500): what its author has to mend."""
    return StepFailed(Failure("mistake", Outcome("unknown", detail=str(error)), path))
