"""What code-first flows wait for: what they have begun, each with its path, and in which branch of the code that was.

A `Pending` may be awaited in the branch that made it and in those within: nobody else lives as surely as long.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from legato.errors import NotJSON, StepError
from legato.kernel.scheduler import Fiber, Node, Scheduler, StepFailed, Watcher
from legato.kernel.trail import Trail
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload

if TYPE_CHECKING:
    from legato.kernel.code_run import CodeRun
    from legato.kernel.frame import Frame

Take = Callable[[Payload], Any]


class Branch:
    """One scope of the code: its fiber, its frame, and how often each name has been used in it.

    `taken` says that it is within a saga's block, whose failure is undone there.
    """

    __slots__ = ("_names", "fiber", "frame", "is_inner", "path", "taken")

    def __init__(self, fiber: Fiber, frame: Frame, path: str, is_inner: bool = False, taken: bool = False) -> None:
        self.taken = taken
        self.fiber = fiber
        self.frame = frame
        self.path = path
        self.is_inner = is_inner
        self._names: dict[str, int] = {}

    def place(self, name: str) -> str:
        """The path of what is called so here: the second one is `name#2`."""
        n = self._names[name] = self._names.get(name, 0) + 1
        path = name if n == 1 else f"{name}#{n}"
        return f"{self.path}.{path}" if self.path else path


class Pending:
    """Something that was begun. Awaiting it gives what it leaves, each time; raises StepError where it failed."""

    __slots__ = ("_code", "_take", "branch", "node", "path", "trail")

    def __init__(
        self, code: CodeRun, branch: Branch, node: Node, path: str, take: Take, trail: Trail | None = None
    ) -> None:
        self._code = code
        self._take = take
        self.branch = branch
        self.node = node
        self.path = path
        self.trail = trail

    def __await__(self) -> Generator[Node, Any, Any]:
        self._code.check(self)
        yield from self._code.wait(watched(self.node))
        return self.taken()

    def taken(self) -> Any:
        """What it left, now that it has ended. Raises StepError."""
        error = self.node.error
        if error is not None:
            raise step_error(error, self.path)
        return self._take(self.node.value)


class _Hub(Watcher, eq=False, kw_only=True):
    """Tells everybody who waits for one node, of whom the scheduler knows one only."""

    others: list[Node] = []

    def told(self, run: Scheduler, node: Node) -> None:
        """See Watcher."""
        for other in self.others:
            run.end(other, node.value, node.error)


def watched(node: Node) -> Node:
    """A node to wait for: this one, or one that ends with it where somebody waits for this one already."""
    if node.ended or node.waiter is None:
        return node
    hub = node.waiter
    if not isinstance(hub, _Hub):
        hub = _Hub(None, others=[Node(None, waiter=hub)])
        node.waiter = hub
    other = Node(None)
    hub.others.append(other)
    return other


def step_error(error: BaseException, path: str) -> StepError:
    """What code is told when a step that it waits for has ended so."""
    if isinstance(error, StepFailed):
        failure = error.failure
    else:
        detail = f"{path} was cancelled, and awaited after that"
        failure = Failure("mistake", Outcome("cancelled", detail=detail), path)
    outcome = failure.outcome
    return StepError(
        outcome.detail,
        path=failure.path,
        function=failure.function,
        status=outcome.status,
        outcome=outcome.kind,
        reason=failure.reason,
        body=_body(outcome.payload),
        failure=failure,
    )


def _body(payload: Payload) -> object:
    if not payload.size:
        return None
    try:
        return payload.value()
    except NotJSON:
        return payload.body
