"""A program: a flow linked for running. Paths are computed and steps arranged once; at run time nothing is looked up.

Every step has two ways in: `go` runs it within the caller's fiber, `fork` beside it. A branch that is a single call
needs no fiber of its own.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NoReturn, Protocol

import msgspec

from legato.errors import DefinitionError, NotJSON
from legato.kernel.scheduler import Call, Fiber, Join, Node, Scheduler, StepFailed
from legato.kernel.trail import Together, Trail
from legato.model.flow import CallStep, Flow, ParallelStep, SequenceStep, Step
from legato.model.outcome import Failure, Outcome
from legato.model.paths import Scope, branch_ids
from legato.model.payload import Payload, join_object

Flowing = Generator[Node, Any, Payload]


class LinkedStep(Protocol):
    """A step that can be run. `undoable` says whether anything in it leaves a trail."""

    @property
    def undoable(self) -> bool: ...

    def go(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Flowing:
        """Run within `fiber`, waiting for nodes; returns the next value."""
        ...

    def fork(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Node:
        """Run beside `fiber`, as one of its nodes."""
        ...


class LinkedCall:
    """A call, or the undo of one. `index` is its place among the program's calls, where hosts keep what they bind.

    `inspected` says that somebody will look into the answer, so that a body which is not what it declares can be
    told while the call is still the host's (contract 1: garbage is `unknown`).
    """

    __slots__ = ("definition", "function", "index", "inspected", "is_undo", "key", "path", "undo", "undoable")

    def __init__(self, path: str, index: int, definition: CallStep, undo: LinkedCall | None, is_undo: bool) -> None:
        self.path = path
        self.key = path.encode()
        self.index = index
        self.definition = definition
        self.function = definition.function
        self.undo = undo
        self.undoable = undo is not None
        self.is_undo = is_undo
        self.inspected = False

    def go(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Flowing:
        """Issue the call and wait for it."""
        return (yield run.call(fiber, self, value, trail))

    def fork(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Call:
        """Issue the call."""
        return run.call(fiber, self, value, trail)


class LinkedSequence:
    """Steps one after another."""

    __slots__ = ("steps", "undoable")

    def __init__(self, steps: Sequence[LinkedStep]) -> None:
        self.steps = tuple(steps)
        self.undoable = any(step.undoable for step in steps)

    def go(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Flowing:
        """Thread the value through the steps."""
        for step in self.steps:
            if isinstance(step, LinkedCall):
                value = yield run.call(fiber, step, value, trail)  # as its `go` does, a generator cheaper
            else:
                value = yield from step.go(run, fiber, value, trail)
        return value

    def fork(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Fiber:
        """Thread the value through the steps, in a fiber of its own."""
        return run.spawn(fiber, lambda own: self.go(run, own, value, trail))


class LinkedParallel:
    """Branches at once; all must succeed. When one fails for good, the others are cancelled."""

    __slots__ = ("branches", "lenient", "names", "path", "undoable")

    def __init__(self, path: str, branches: dict[str, LinkedStep], lenient: bool) -> None:
        self.path = path
        self.names = [msgspec.json.encode(name) + b":" for name in branches]
        self.branches = tuple(branches.values())
        self.lenient = lenient
        self.undoable = any(branch.undoable for branch in self.branches)

    def go(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Flowing:
        """Start every branch with the same value and join the results into one object."""
        if self.undoable and trail is not None:
            trails: list[Trail] = [[] for _ in self.branches]
            trail.append(Together(trails))
            nodes = [b.fork(run, fiber, value, t) for b, t in zip(self.branches, trails, strict=True)]
        else:
            nodes = [branch.fork(run, fiber, value, None) for branch in self.branches]
        join = Join.of(nodes)
        yield join
        if join.failed:
            yield from self._fail(run, nodes)
        return self._merge(nodes)

    def fork(self, run: Scheduler, fiber: Fiber, value: Payload, trail: Trail | None) -> Fiber:
        """The same in a fiber of its own."""
        return run.spawn(fiber, lambda own: self.go(run, own, value, trail))

    def _fail(self, run: Scheduler, nodes: Sequence[Node]) -> Flowing:
        first = next(node.error for node in nodes if node.error is not None)
        run.cancel_nodes(nodes, "cancelled")
        yield Join.of(nodes, eager=False)
        failures = [node.error.failure for node in nodes if isinstance(node.error, StepFailed)]
        if isinstance(first, StepFailed) and len(failures) > 1 and not first.failure.siblings:
            known = first.failure
            first = StepFailed(Failure(known.reason, known.outcome, known.path, known.function, tuple(failures)))
        raise first

    def _merge(self, nodes: Sequence[Node]) -> Payload:
        if self.lenient:
            return join_object(self.names, [node.value.lenient_json() for node in nodes])
        try:
            return join_object(self.names, [node.value.json() for node in nodes])
        except NotJSON:
            return self._not_joined(nodes)

    def _not_joined(self, nodes: Sequence[Node]) -> NoReturn:
        for name, node in zip(self.names, nodes, strict=True):
            try:
                node.value.json()
            except NotJSON as error:
                detail = f"branch {name[:-1].decode()} cannot be joined: {error}"
                raise StepFailed(Failure("mistake", Outcome("unknown", node.value, detail=detail), self.path)) from None
        raise AssertionError("every branch could be joined")


class Program:
    """A flow ready to run: its root, and every call by index (undo calls too)."""

    __slots__ = ("calls", "flow", "root", "version")

    def __init__(self, flow: Flow, root: LinkedSequence, calls: Sequence[LinkedCall]) -> None:
        self.flow = flow
        self.root = root
        self.calls = tuple(calls)
        self.version = flow.version


def link(flow: Flow) -> Program:
    """Turn a checked flow into a program. Raises DefinitionError if two calls would have one path, and so one key."""
    linker = _Linker()
    root = LinkedSequence(linker.sequence(flow.steps, Scope(flow.steps), ""))
    seen: set[str] = set()
    for call in linker.calls:
        if call.path in seen:
            raise DefinitionError(f"two steps have the path {call.path}: give one another `id`")
        seen.add(call.path)
    return Program(flow, root, linker.calls)


class _Linker:
    """Walks a definition in document order, giving paths to steps and indexes to calls."""

    def __init__(self) -> None:
        self.calls: list[LinkedCall] = []

    def sequence(self, steps: Sequence[Step], scope: Scope, prefix: str) -> list[LinkedStep]:
        return [self.step(step, prefix + scope.id_of(step), scope) for step in steps]

    def step(self, step: Step, path: str, scope: Scope) -> LinkedStep:
        match step:
            case CallStep():
                return self.call(step, path)
            case SequenceStep():
                return LinkedSequence(self.sequence(step.steps, scope, path + "."))
            case ParallelStep():
                return self.parallel(step, path)

    def call(self, step: CallStep, path: str) -> LinkedCall:
        undo = None
        if step.undo is not None:
            definition = CallStep(function=step.undo.function, timeout=step.undo.timeout, retry=step.undo.retry)
            undo = LinkedCall(f"{path}/undo", len(self.calls), definition, None, is_undo=True)
            self.calls.append(undo)
        linked = LinkedCall(path, len(self.calls), step, undo, is_undo=False)
        self.calls.append(linked)
        return linked

    def parallel(self, step: ParallelStep, path: str) -> LinkedParallel:
        branches: dict[str, LinkedStep] = {}
        ids = branch_ids(step.branches)
        for name, branch in step.branches.items():
            inner = branch.steps if isinstance(branch, SequenceStep) else (branch,)
            branches[name] = self.step(branch, f"{path}.{ids[name]}", Scope(inner))
        if not step.lenient:
            for branch in branches.values():
                _inspect_last(branch)
        return LinkedParallel(path, branches, step.lenient)


def _inspect_last(step: LinkedStep) -> bool:
    """Mark the call whose answer a join will look into; gives whether the step leaves a value of its own."""
    if isinstance(step, LinkedSequence):
        return any(_inspect_last(inner) for inner in reversed(step.steps))
    if isinstance(step, LinkedCall):
        step.inspected = True
    return True
