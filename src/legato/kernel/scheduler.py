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
from typing import TYPE_CHECKING, Any

import msgspec

from legato.errors import HostStop
from legato.model.outcome import Failure, Outcome, Reason
from legato.model.payload import EMPTY, Payload
from legato.ports import Parts

if TYPE_CHECKING:
    from legato.kernel.calls import LinkedCall
    from legato.kernel.frame import Frame
    from legato.values import Schema

FiberCoroutine = Generator["Node", Any, Payload] | Coroutine["Node", Any, Payload]


class StepFailed(Exception):
    """Travels up the coroutines of a flow when a step ends without a value."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    def taken(self) -> Failure:
        """The failure, where the error goes no further: it lets go of where it has been, which may hold on to it."""
        self.__traceback__ = self.__context__ = None
        return self.failure


class Cancelled(BaseException):
    """Thrown into a fiber, once, when its scope is cancelled. A BaseException, so that no handler takes it for data."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Node(msgspec.Struct, eq=False):
    """What a fiber can wait for: a coroutine yields it, and is sent its payload or thrown its error."""

    scope: Fiber | None
    ended: bool = False
    value: Payload = EMPTY
    error: BaseException | None = None
    waiter: Fiber | Join | Watcher | None = None

    def __await__(self) -> Generator[Node, Payload, Payload]:
        return (yield self)


class Call(Node, eq=False, kw_only=True):
    """The command to call a function, and the place where its outcome arrives.

    `own_path` is set where the step's path is not the same each time: in a foreach, in code-first flows. `parts` is
    what the step says beside the payload.
    """

    step: LinkedCall
    payload: Payload
    frame: Frame | None
    turn: int  # the advance that made it; the host sees it when that is over
    cancelled: bool = False
    handle: object = None  # the host's own place
    own_path: str = ""
    parts: Parts | None = None

    @property
    def path(self) -> str:
        """The step's identity by its position."""
        return self.own_path or self.step.path

    @property
    def function(self) -> str:
        """What is called."""
        return self.step.function

    @property
    def shielded(self) -> bool:
        """Whether a cancelled scope lets it end by itself: what undoes must get through."""
        return self.step.is_undo

    def __repr__(self) -> str:
        return f"Call({self.path!r})"


class Sleep(Node, eq=False, kw_only=True):
    """The command to wait for so many seconds; its delivery is `ok` when they have passed."""

    path: str
    seconds: float
    turn: int
    cancelled: bool = False
    handle: object = None

    function = ""
    shielded = False
    frame = None

    def __repr__(self) -> str:
        return f"Sleep({self.path!r}, {self.seconds:g})"


class Wait(Node, eq=False, kw_only=True):
    """The command to wait for a signal by its name, `seconds` at most, None for as long as it takes.

    Its delivery is `ok` with the signal's payload, which fits `schema` where there is one, or `refused` with status 504
    when the time has passed.
    """

    path: str
    name: str
    seconds: float | None
    turn: int
    schema: Schema | None = None
    cancelled: bool = False
    handle: object = None

    function = ""
    shielded = False
    frame = None

    def __repr__(self) -> str:
        return f"Wait({self.path!r}, {self.name!r})"


Leaf = Call | Sleep | Wait
_LEAVES = (Call, Sleep, Wait)


class Cancel:
    """The command to withdraw a leaf. The host still owes its delivery."""

    __slots__ = ("leaf",)

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf

    @property
    def path(self) -> str:
        """The path of the leaf that is cancelled."""
        return self.leaf.path

    def __repr__(self) -> str:
        return f"Cancel({self.leaf.path!r})"


class Respond:
    """The command to answer the caller now, with a value or with the failure. Nothing is delivered for it."""

    __slots__ = ("failure", "headers", "payload", "status")

    def __init__(
        self, payload: Payload, status: int = 200, headers: bytes = b"", failure: Failure | None = None
    ) -> None:
        self.payload = payload
        self.status = status
        self.headers = headers
        self.failure = failure

    path = ""

    def __repr__(self) -> str:
        return f"Respond({self.status})"


Command = Call | Sleep | Wait | Cancel | Respond


class Watcher(Node, eq=False, kw_only=True):
    """Something that is told when a node ends, and decides when it has ended itself."""

    def told(self, run: Scheduler, node: Node) -> None:
        """A node that this waits for has ended."""
        raise AssertionError("a watcher decides for itself")


class Join(Node, eq=False, kw_only=True):
    """Ends when all of some nodes have ended; an eager one already when one of them fails."""

    eager: bool = True
    pending: int = 0
    failed: bool = False

    @classmethod
    def of(cls, nodes: Sequence[Node], eager: bool = True) -> Join:
        """A join of `nodes`, which tell it from now on."""
        join = cls(None, eager=eager)
        for node in nodes:
            if node.ended:
                join.failed = join.failed or node.error is not None
            else:
                node.waiter = join
                join.pending += 1
        join.ended = join.pending == 0 or (eager and join.failed)
        return join


class Fiber(Node, eq=False, kw_only=True):
    """One coroutine of a run, with the nodes it has made that have not ended."""

    coroutine: FiberCoroutine = None  # pyright: ignore[reportAssignmentType] - only until it is begun
    waits: Node | None = None
    open: dict[Node, None] = {}  # ordered, so that cancellation is deterministic
    reason: Reason | None = None  # why it was cancelled
    thrown: bool = False  # whether it has been told
    queued: bool = False
    done: bool = False


class Scheduler:
    """Runs fibers until all wait, and collects the commands they issue."""

    # What differs in few runs only is no slot, so that a run like most does not pay for setting it.
    __slots__ = ("__dict__", "_commands", "_ready", "_withdrawn", "turn")

    hard = False  # whether cancelling takes undo calls, too
    _worked = 0  # what loops have done in the advance `_worked_in`, in steps
    _worked_in = -1

    def __init__(self) -> None:
        self._ready: deque[Fiber] = deque()
        self._commands: list[Command] = []
        self._withdrawn = False
        self.turn = 0  # counts advances: a call made in this one has not been issued

    # What steps use.

    def spawn(self, scope: Fiber | None, begin: Callable[[Fiber], FiberCoroutine]) -> Fiber:
        """Start a fiber; it runs when its turn comes, in this advance."""
        fiber = Fiber(scope)
        fiber.coroutine = begin(fiber)
        if scope is not None:
            scope.open[fiber] = None
            fiber.reason = scope.reason
        self.wake(fiber)
        return fiber

    def call(self, scope: Fiber, step: LinkedCall, payload: Payload, frame: Frame | None) -> Call:
        """Prepare a call; it is issued when the advance ends. In a cancelled scope it ends at once, unissued."""
        leaf = Call(scope, step=step, payload=payload, frame=frame, turn=self.turn)
        if scope.reason is None:
            scope.open[leaf] = None
            self._commands.append(leaf)
        else:
            leaf.ended, leaf.error = True, Cancelled(scope.reason)
        return leaf

    def sleep(self, scope: Fiber, path: str, seconds: float) -> Sleep:
        """Prepare a sleep, as `call` does a call."""
        leaf = Sleep(scope, path=path, seconds=seconds, turn=self.turn)
        self._prepare(scope, leaf)
        return leaf

    def wait(
        self, scope: Fiber, path: str, name: str, seconds: float | None = None, schema: Schema | None = None
    ) -> Wait:
        """Prepare a wait for a signal, as `call` does a call."""
        leaf = Wait(scope, path=path, name=name, seconds=seconds, schema=schema, turn=self.turn)
        self._prepare(scope, leaf)
        return leaf

    def _prepare(self, scope: Fiber, leaf: Sleep | Wait) -> None:
        if scope.reason is None:
            scope.open[leaf] = None
            self._commands.append(leaf)
        else:
            leaf.ended, leaf.error = True, Cancelled(scope.reason)

    def worked(self, steps: int) -> int:
        """Count steps that a loop has done without a wait; gives how many there have been in this advance."""
        if self._worked_in != self.turn:
            self._worked_in, self._worked = self.turn, 0
        self._worked += steps
        return self._worked

    def respond(self, command: Respond) -> None:
        """Have the caller answered when the advance ends."""
        self._commands.append(command)

    def cancel_nodes(self, nodes: Sequence[Node], reason: Reason) -> None:
        """Cancel nodes and everything below them; those that have ended are left alone."""
        for node in nodes:
            if node.ended:
                continue
            if isinstance(node, _LEAVES):
                if self.hard or not node.shielded:
                    self._cancel_leaf(node, reason)
            elif isinstance(node, Fiber):
                self._cancel_fiber(node, reason)

    def _cancel_leaf(self, leaf: Leaf, reason: Reason) -> None:
        if leaf.turn == self.turn:
            self._withdrawn = leaf.cancelled = True
            self.end(leaf, EMPTY, Cancelled(reason))
        elif not leaf.cancelled:
            leaf.cancelled = True
            self._commands.append(Cancel(leaf))

    def _cancel_fiber(self, fiber: Fiber, reason: Reason) -> None:
        if fiber.reason is not None and not self.hard:
            return
        fiber.reason = fiber.reason or reason
        if not fiber.open:  # it is about to run, or waits for what is another's; it meets `Cancelled` then
            self.wake(fiber)
        self.cancel_nodes(list(fiber.open), reason)

    def wake(self, fiber: Fiber) -> None:
        """Let a fiber run when its turn comes; once, however often it is told."""
        if not fiber.queued:
            fiber.queued = True
            self._ready.append(fiber)

    # How nodes end.

    def fail_leaf(self, leaf: Leaf, outcome: Outcome) -> None:
        """End a leaf with an outcome that is not `ok`."""
        if leaf.cancelled and not outcome.status:  # an answer that is already there counts
            scope = leaf.scope
            self.end(leaf, EMPTY, Cancelled((scope.reason if scope else None) or "cancelled"))
        else:
            reason: Reason = "overloaded" if outcome.overloaded else "failed"
            if outcome.kind == "refused" and not outcome.status:
                reason = "mistake"  # no function said no: what the flow made for it could not be sent
            failure = Failure(reason, outcome, leaf.path, leaf.function)
            self.end(leaf, EMPTY, StepFailed(failure))

    def end(self, node: Node, value: Payload, error: BaseException | None) -> None:
        """End a node and wake who waited for it."""
        node.ended, node.value, node.error = True, value, error
        scope = node.scope
        if scope is not None:
            del scope.open[node]
            if scope.done:
                if not scope.open:
                    self.end(scope, scope.value, scope.error)
                return
            if scope.reason is not None:
                if not scope.open:
                    self.wake(scope)
                return
        waiter = node.waiter
        if type(waiter) is Join:
            waiter.pending -= 1
            waiter.failed = waiter.failed or error is not None
            if waiter.ended or (waiter.pending and not (waiter.eager and waiter.failed)):
                return
            waiter.ended = True
            waiter = waiter.waiter
        if type(waiter) is Fiber:
            if not waiter.queued:
                waiter.queued = True
                self._ready.append(waiter)
        elif isinstance(waiter, Watcher):
            waiter.told(self, node)

    def _coroutine_done(self, fiber: Fiber, value: Payload, error: BaseException | None) -> None:
        if not fiber.open:
            self.end(fiber, value, error)
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
            coroutine, node = fiber.coroutine, fiber.waits
            try:
                if fiber.reason is not None and not fiber.thrown:
                    if fiber.open:
                        continue  # it is woken again when the last of its nodes has ended
                    fiber.thrown = True
                    node = coroutine.throw(Cancelled(fiber.reason))
                elif node is None:
                    node = coroutine.send(None)
                while node.ended:
                    node = coroutine.send(node.value) if node.error is None else coroutine.throw(node.error)
            except StopIteration as stop:
                fiber.waits = None  # the two would keep each other alive
                self._coroutine_done(fiber, stop.value, None)
            except (KeyboardInterrupt, SystemExit) as stop:
                raise HostStop from stop
            except (StepFailed, Cancelled) as error:
                fiber.waits = None
                error.__context__ = None  # with the frames of the traceback, the run would be kept alive by its failure
                self._coroutine_done(fiber, EMPTY, error.with_traceback(None))
            except BaseException as error:
                fiber.waits = None
                self._coroutine_done(fiber, EMPTY, StepFailed(_mistake(error)))
            else:
                fiber.waits = node
                node.waiter = fiber
        self.turn += 1
        commands = self._commands
        if not commands:
            return ()
        self._commands = []
        if self._withdrawn:
            self._withdrawn = False
            return [command for command in commands if isinstance(command, Cancel | Respond) or not command.ended]
        return commands


def _mistake(error: BaseException) -> Failure:
    """A flow's own mistake: what its code raised, as data."""
    return Failure("mistake", Outcome("unknown", detail=f"{type(error).__name__}: {error}"))
