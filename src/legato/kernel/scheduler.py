"""The scheduler: fibers that wait for nodes, FIFO, deterministic.

The rules (contract 7):

- A *node* is a leaf (one command for the host) or a fiber (one coroutine). Each belongs to the fiber that made it,
  its scope, and ends exactly once.
- A fiber ends after all its nodes have ended. Those that it did not wait for are cancelled when its coroutine is done.
- Cancelling a fiber cancels its open nodes; when they have ended, `Cancelled` is thrown into the coroutine, once.
  From then on it gets no new leaves.
- Cancelling a leaf that the host has not seen withdraws it: it ends here and is never issued. One that the host has
  seen is named in a `Cancel` command, and ends when the host delivers, like any other.

So an advance that ends in an error issues none of the commands that the failed scope had prepared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import TYPE_CHECKING

from legato.errors import HostStop
from legato.model.outcome import Failure, Outcome, Reason
from legato.model.payload import EMPTY, Payload

if TYPE_CHECKING:
    from legato.kernel.program import LinkedCall
    from legato.kernel.trail import Trail

FiberCoroutine = Coroutine["Node | Join", None, Payload]


class StepFailed(Exception):
    """Travels up the coroutines of a flow when a step ends without a value."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Cancelled(BaseException):
    """Thrown into a fiber, once, when its scope is cancelled. A BaseException, so that no handler takes it for data."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Node:
    """What a fiber can wait for; awaiting it gives its payload or raises its error."""

    __slots__ = ("ended", "error", "scope", "value", "waiter")

    def __init__(self, scope: Fiber | None) -> None:
        self.scope = scope
        self.ended = False
        self.value: Payload = EMPTY
        self.error: BaseException | None = None
        self.waiter: Fiber | Join | None = None

    def __await__(self) -> Generator[Node | Join, None, Payload]:
        if not self.ended:
            yield self
        if self.error is not None:
            raise self.error
        return self.value


class Call(Node):
    """The command to call a function, and the place where its outcome arrives."""

    __slots__ = ("cancelled", "issued", "payload", "step", "trail")

    def __init__(self, scope: Fiber, step: LinkedCall, payload: Payload, trail: Trail | None) -> None:
        # Node.__init__ written out: this is the hottest constructor of the kernel.
        self.scope = scope
        self.ended = False
        self.value = EMPTY
        self.error = None
        self.waiter = None
        self.step = step
        self.payload = payload
        self.trail = trail
        self.issued = False
        self.cancelled = False

    @property
    def path(self) -> str:
        """The step's identity by its position."""
        return self.step.path

    def __repr__(self) -> str:
        return f"Call({self.step.path!r})"


class Cancel:
    """The command to withdraw a call. The host still owes that call's delivery."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call

    @property
    def path(self) -> str:
        """The path of the call that is cancelled."""
        return self.call.step.path

    def __repr__(self) -> str:
        return f"Cancel({self.call.step.path!r})"


Command = Call | Cancel


class Join:
    """Wakes a fiber when one of some nodes fails, or when all have ended."""

    __slots__ = ("eager", "failed", "fiber", "nodes", "pending")

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.fiber: Fiber | None = None
        self.failed = False
        self.eager = True
        self.pending = 0
        for node in nodes:
            if not node.ended:
                node.waiter = self
                self.pending += 1
            elif node.error is not None:
                self.failed = True

    def all_ended(self) -> Join:
        """The same join, to be awaited again until the last node has ended."""
        self.eager = False
        return self

    @property
    def parked(self) -> bool:
        """Whether a fiber that awaits this has to wait."""
        return self.pending > 0 and not (self.eager and self.failed)

    def __await__(self) -> Generator[Node | Join, None, None]:
        if self.parked:
            yield self


class Fiber(Node):
    """One coroutine of a run, with the nodes it has made that have not ended."""

    __slots__ = ("coroutine", "done", "open", "queued", "reason", "thrown")

    coroutine: FiberCoroutine

    def __init__(self, scope: Fiber | None) -> None:
        super().__init__(scope)
        self.queued = False
        self.open: dict[Node, None] = {}  # ordered, so that cancellation is deterministic
        self.reason: Reason | None = None
        self.thrown = False
        self.done = False


class Scheduler:
    """Runs fibers until all wait, and collects the commands they issue."""

    __slots__ = ("_commands", "_ready", "_withdrawn")

    def __init__(self) -> None:
        self._ready: deque[Fiber] = deque()
        self._commands: list[Command] = []
        self._withdrawn = False

    # What steps use.

    def spawn(self, scope: Fiber | None, begin: Callable[[Fiber], FiberCoroutine]) -> Fiber:
        """Start a fiber; it runs when its turn comes, in this advance."""
        fiber = Fiber(scope)
        fiber.coroutine = begin(fiber)
        if scope is not None:
            scope.open[fiber] = None
            fiber.reason = scope.reason
        self._wake(fiber)
        return fiber

    def call(self, scope: Fiber, step: LinkedCall, payload: Payload, trail: Trail | None) -> Call:
        """Prepare a call; it is issued when the advance ends. In a cancelled scope it ends at once, unissued."""
        leaf = Call(scope, step, payload, trail)
        if scope.reason is not None:
            leaf.ended, leaf.error = True, Cancelled(scope.reason)
            return leaf
        scope.open[leaf] = None
        self._commands.append(leaf)
        return leaf

    def cancel_nodes(self, nodes: Sequence[Node], reason: Reason) -> None:
        """Cancel nodes and everything below them; those that have ended are left alone."""
        for node in nodes:
            if node.ended:
                continue
            if isinstance(node, Call):
                self._cancel_call(node, reason)
            elif isinstance(node, Fiber):
                self._cancel_fiber(node, reason)

    def _cancel_call(self, leaf: Call, reason: Reason) -> None:
        if leaf.issued:
            if not leaf.cancelled:
                leaf.cancelled = True
                self._commands.append(Cancel(leaf))
            return
        self._withdrawn = leaf.cancelled = True
        self._end(leaf, EMPTY, Cancelled(reason))

    def _cancel_fiber(self, fiber: Fiber, reason: Reason) -> None:
        if fiber.reason is not None:
            return
        fiber.reason = reason
        # A fiber with nothing open is in the ready queue already, and meets `Cancelled` when its turn comes.
        self.cancel_nodes(list(fiber.open), reason)

    def _wake(self, fiber: Fiber) -> None:
        if not fiber.queued:
            fiber.queued = True
            self._ready.append(fiber)

    # How nodes end.

    def end_call(self, leaf: Call, outcome: Outcome) -> None:
        """End a leaf with the host's outcome."""
        if outcome.kind == "ok":
            self._end(leaf, outcome.payload, None)
        elif leaf.cancelled:
            scope = leaf.scope
            self._end(leaf, EMPTY, Cancelled((scope.reason if scope else None) or "cancelled"))
        else:
            reason: Reason = "overloaded" if outcome.overloaded else "failed"
            failure = Failure(reason, outcome, leaf.step.path, leaf.step.function)
            self._end(leaf, EMPTY, StepFailed(failure))

    def _end(self, node: Node, value: Payload, error: BaseException | None) -> None:
        node.ended, node.value, node.error = True, value, error
        scope = node.scope
        if scope is not None:
            del scope.open[node]
            if scope.done:
                if not scope.open:
                    self._end(scope, scope.value, scope.error)
                return
            if scope.reason is not None:
                if not scope.open:
                    self._wake(scope)
                return
        waiter = node.waiter
        if waiter is None:
            return
        if isinstance(waiter, Fiber):
            self._wake(waiter)
            return
        waiter.pending -= 1
        if error is not None:
            waiter.failed = True
        if waiter.fiber is not None and not waiter.parked:
            self._wake(waiter.fiber)
            waiter.fiber = None

    def _coroutine_done(self, fiber: Fiber, value: Payload, error: BaseException | None) -> None:
        if not fiber.open:
            self._end(fiber, value, error)
            return
        fiber.done, fiber.value, fiber.error = True, value, error
        fiber.reason = fiber.reason or "cancelled"
        self.cancel_nodes(list(fiber.open), fiber.reason)

    def advance(self) -> Sequence[Command]:
        """Run every fiber that can run, in order; give the commands that this caused.

        Raises HostStop for KeyboardInterrupt and SystemExit; anything else that a coroutine raises becomes its error.
        """
        ready = self._ready
        while ready:
            fiber = ready.popleft()
            fiber.queued = False
            try:
                if fiber.reason is None or fiber.thrown:
                    target = fiber.coroutine.send(None)
                elif fiber.open:
                    continue  # cancelled: it is woken again when the last of its nodes has ended
                else:
                    fiber.thrown = True
                    target = fiber.coroutine.throw(Cancelled(fiber.reason))
            except StopIteration as stop:
                self._coroutine_done(fiber, stop.value, None)
            except (KeyboardInterrupt, SystemExit) as stop:
                raise HostStop from stop
            except (StepFailed, Cancelled) as error:
                self._coroutine_done(fiber, EMPTY, error)
            except BaseException as error:
                self._coroutine_done(fiber, EMPTY, StepFailed(_mistake(error)))
            else:
                if isinstance(target, Join):
                    target.fiber = fiber
                else:
                    target.waiter = fiber
        return self._issue()

    def _issue(self) -> Sequence[Command]:
        commands = self._commands
        if not commands:
            return ()
        self._commands = []
        if self._withdrawn:
            self._withdrawn = False
            commands = [command for command in commands if isinstance(command, Cancel) or not command.ended]
        for command in commands:
            if isinstance(command, Call):
                command.issued = True
        return commands


def _mistake(error: BaseException) -> Failure:
    """A flow's own mistake: what its code raised, as data."""
    return Failure("mistake", Outcome("unknown", detail=f"{type(error).__name__}: {error}"))
