"""One execution of a code-first flow: what its code can begin, how it waits for several things, and what is undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from legato.errors import ForeignAwait, LegatoError, StepError
from legato.kernel.frame import Frame, inner_frame
from legato.kernel.parallel import with_siblings
from legato.kernel.pending import Branch, Pending, Take, step_error, watched
from legato.kernel.scheduler import Cancelled, Fiber, Join, Node, StepFailed
from legato.kernel.trail import PIVOT, Together, Trail, Undone, unwind
from legato.kernel.watchers import Quorum, Race
from legato.model.flow import MAX_BRANCHES, MAX_DEPTH, MAX_ITEMS, MAX_WINDOW
from legato.model.outcome import Failure
from legato.model.payload import EMPTY, Payload
from legato.ports import Parts

if TYPE_CHECKING:
    from legato.kernel.calls import LinkedCall, LinkedStep
    from legato.kernel.code import Driven
    from legato.kernel.growth import Growth
    from legato.kernel.run import Run


class Drive(Protocol):
    """Makes the coroutine of a fiber of what code gives."""

    def __call__(self, code: CodeRun, branch: Branch, begin: Callable[[], object], /) -> Driven: ...


class Given:
    """Something that was given to be awaited, as what begins it."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Awaitable[Any]) -> None:
        self.coroutine = coroutine

    def __call__(self) -> object:
        return self.coroutine


class CodeRun:
    """What the code of one run knows. `current` is the branch whose code runs just now.

    `trail` is that of its flow. `durable` says that the run is. Where the flow goes forward, because it says so or its
    pivot was done, calls are tried until they are done.
    """

    __slots__ = ("_drive", "_forward", "_trail", "_undone", "current", "durable", "expected", "flow", "growth", "run")

    def __init__(
        self,
        run: Run,
        flow: str,
        growth: Growth,
        drive: Drive,
        trail: Trail | None,
        durable: bool = False,
        forward: bool = False,
    ) -> None:
        self.run = run
        self.flow = flow
        self.growth = growth
        self.durable = durable
        self._forward = forward
        self._trail: Trail = [] if trail is None else trail
        self.current: Branch | None = None
        self.expected: Node | None = None  # what the branch that runs is about to wait for
        self._drive = drive
        self._undone: tuple[BaseException, Undone] | None = None

    # Where the code is.

    @property
    def here(self) -> Branch:
        """The branch whose code runs. Raises ForeignAwait where none does."""
        if self.current is None:
            raise ForeignAwait(
                f"the context of flow {self.flow} was used outside of its own run: "
                "use it in the flow's own code, not in tasks, threads or other runs"
            )
        return self.current

    @property
    def forward(self) -> bool:
        """Whether a call that is begun now is tried until it is done. Raises ForeignAwait as `here` does."""
        pivoted = bool(self._trail) and self._trail[0] is PIVOT
        return (self._forward or pivoted) and not self.here.taken

    def check(self, pending: Pending) -> None:
        """Raise ForeignAwait unless the branch that runs may wait for it."""
        fiber: Fiber | None = self.here.fiber
        while fiber is not None:
            if fiber is pending.branch.fiber:
                return
            fiber = fiber.scope
        raise ForeignAwait(
            f"{pending.path} was begun in another branch, which may end before it: "
            "await it where it was begun, and hand on what it gives"
        )

    def wait(self, node: Node) -> Generator[Node, Any, None]:
        """Wait for a node that nobody else waits for. How it has ended is for whoever awaits to see."""
        self.expected = node
        try:
            yield node
        except (StepFailed, Cancelled) as error:
            if isinstance(error, Cancelled) and self.here.fiber.reason is not None:
                raise
            error.__traceback__ = None  # it is kept by the node, and would keep the run by these frames

    # What it can begin.

    def call(self, linked: LinkedCall, payload: Payload, name: str, take: Take, parts: Parts | None = None) -> Pending:
        """Begin a call."""
        branch = self.here
        if linked.pivot and (branch.is_inner or branch.taken):
            raise LegatoError("a `pivot` is called by the flow's own code: not in a branch, nor in a saga's block")
        path = branch.place(name)
        frame, trail = branch.frame, None
        if linked.undoable and not linked.pivot:
            frame, trail = self._inner(branch, EMPTY)
        leaf = self.run.call(branch.fiber, linked, payload, frame)
        leaf.own_path, leaf.parts = path, parts
        return Pending(self, branch, leaf, path, take, trail)

    def wait_for(self, step: Callable[[str], LinkedStep], name: str, take: Take) -> Pending:
        """Begin a wait, which is made of its path."""
        branch = self.here
        path, frame = branch.place(name), Frame(self.run, branch.frame, None, EMPTY)
        linked = step(path)
        fiber = self.run.spawn(branch.fiber, lambda own: linked.go(self.run, own, EMPTY, frame))
        return Pending(self, branch, fiber, path, take)

    def sleep(self, seconds: float, name: str) -> Pending:
        """Begin a pause."""
        branch = self.here
        path = branch.place(name)
        return Pending(self, branch, self.run.sleep(branch.fiber, path, seconds), path, lambda _: None)

    def flow_within(self, step: LinkedStep, payload: Payload, name: str, take: Take) -> Pending:
        """Begin a flow that `Growth` has linked."""
        branch = self.here
        path = branch.place(name)
        if path.count(".") >= MAX_DEPTH:
            raise LegatoError(f"flows nested deeper than {MAX_DEPTH}: {path}")
        frame, trail = self._inner(branch, payload)
        frame.indexes = (path,)
        fiber = self.run.spawn(branch.fiber, lambda own: step.go(self.run, own, payload, frame))
        return Pending(self, branch, fiber, path, take, trail)

    def branch(self, begin: Callable[[], object], path: str, trails: list[Trail] | None = None) -> Pending:
        """Begin code of its own in a scope of its own, beside the code that runs."""
        branch = self.here
        frame, trail = self._inner(branch, EMPTY, trails)
        taken = branch.taken
        driven: list[Driven] = []

        def drive(own: Fiber) -> Any:
            driven.append(self._drive(self, Branch(own, frame, path, is_inner=True, taken=taken), begin))
            return driven[0]

        fiber = self.run.spawn(branch.fiber, drive)
        return Pending(self, branch, fiber, path, lambda _: driven[0].result, trail)

    def _inner(self, branch: Branch, entry: Payload, trails: list[Trail] | None = None) -> tuple[Frame, Trail | None]:
        frame, trail = inner_frame(self.run, branch.frame, True, entry)
        outer = branch.frame.trail
        if trail is not None and trails is not None:
            trails.append(trail)
        elif trail is not None and outer is not None:
            outer.append(Together([trail]))
        return frame, trail

    def _all(self, things: Sequence[Awaitable[Any]], kind: str) -> list[Pending]:
        """Several things as begun, those that are coroutines in branches of their own."""
        path = self.here.place(kind)
        if len(things) > MAX_BRANCHES:
            raise LegatoError(f"ctx.{kind} takes up to {MAX_BRANCHES} steps: use ctx.foreach for more")
        begun: list[Pending] = []
        trails: list[Trail] = []
        for n, thing in enumerate(things):
            if isinstance(thing, Pending):
                self.check(thing)
                begun.append(thing)
            else:
                begun.append(self.branch(Given(thing), f"{path}[{n}]", trails))
        self._together(trails)
        return begun

    def _together(self, trails: list[Trail], window: int = 0) -> None:
        outer = self.here.frame.trail
        if outer is not None:
            outer.append(Together(trails, window))

    # How it waits for several.

    async def gather(self, things: Sequence[Awaitable[Any]]) -> list[Any]:
        """What all of them leave; when one fails, the others are cancelled."""
        return await self._gathered(self._all(things, "gather"))

    async def _gathered(self, begun: Sequence[Pending]) -> list[Any]:
        join = Join.of([watched(each.node) for each in begun])
        await _Waiting(self, join)
        failed = next((each for each in begun if each.node.ended and each.node.error is not None), None)
        if failed is not None:
            await self._cancel(begun)
            raise _together_failed(failed, begun)
        return [each.taken() for each in begun]

    async def _cancel(self, begun: Sequence[Pending]) -> None:
        await self._cancel_nodes([each.node for each in begun])

    async def _cancel_nodes(self, nodes: Sequence[Node]) -> None:
        self.run.cancel_nodes(nodes, "cancelled")
        await _Waiting(self, Join.of([watched(node) for node in nodes], eager=False))

    async def select(self, things: Sequence[Awaitable[Any]]) -> Any:
        """What the first one leaves that succeeds; the others are cancelled, and what they did is undone."""
        begun = self._several(things, "select")
        await _Waiting(self, Quorum.of([watched(each.node) for each in begun], 1))
        won = next((each for each in begun if each.node.ended and each.node.error is None), None)
        if won is None:
            raise _together_failed(begun[0], begun)
        await self._drop([each for each in begun if each is not won])
        return won.taken()

    async def race(self, things: Sequence[Awaitable[Any]]) -> tuple[int, Any]:
        """(which, what it leaves) of the first one that ends; the others are cancelled, and what they did is undone."""
        begun = self._several(things, "race")
        await _Waiting(self, Race.of([watched(each.node) for each in begun]))
        first = next(n for n, each in enumerate(begun) if each.node.ended)
        await self._drop([each for n, each in enumerate(begun) if n != first])
        return first, begun[first].taken()

    def _several(self, things: Sequence[Awaitable[Any]], kind: str) -> list[Pending]:
        if not things:
            raise LegatoError(f"ctx.{kind} has nothing to wait for: give it at least one step")
        return self._all(things, kind)

    async def _drop(self, begun: Sequence[Pending]) -> None:
        await self._cancel(begun)
        for each in reversed(begun):
            if each.trail:
                await _Unwinding(self, each.trail, [], None)

    async def foreach(self, items: Sequence[Any], begin: Callable[[Any], object], concurrency: int) -> list[Any]:
        """What `begin` leaves for each item, in order; so many of them at a time."""
        path = self.here.place("foreach")
        if len(items) > MAX_ITEMS or not 1 <= concurrency <= MAX_WINDOW:
            raise LegatoError(f"ctx.foreach takes up to {MAX_ITEMS} items, 1 to {MAX_WINDOW} of them at a time")
        results: list[Any] = [None] * len(items)
        trails: list[Trail] = []
        self._together(trails, concurrency)
        todo = iter(range(len(items)))

        async def work() -> None:
            for n in todo:
                results[n] = await self.branch(lambda n=n: begin(items[n]), f"{path}[{n}]", trails)

        await self._gathered([self.branch(work, path, trails) for _ in range(min(concurrency, len(items)))])
        return results

    # Undo.

    def saga(self) -> Saga:
        """A block: when it raises, what was done in it is undone at once."""
        return Saga(self)

    async def undo_block(self, error: BaseException, trail: Trail, begun: Sequence[Node]) -> None:
        """Undo what a block did that raised, when what it had begun has ended."""
        if begun:
            await self._cancel_nodes(begun)
        failure = error.failure if isinstance(error, StepError) and isinstance(error.failure, Failure) else None
        if failure is not None:
            undone = failure.undo
        else:
            undone = self.undone_for(error)
            self._undone = error, undone
        if trail:
            await _Unwinding(self, trail, undone, failure)

    def undone_for(self, error: BaseException) -> Undone:
        """What was undone because of an error; asked once, when it has come to where it ends."""
        known, self._undone = self._undone, None
        return known[1] if known is not None and known[0] is error else []


class Saga:
    """See CodeRun.saga. The exception goes on."""

    __slots__ = ("_before", "_branch", "_code", "_open", "_taken", "_trail")

    def __init__(self, code: CodeRun) -> None:
        self._code = code
        self._branch: Branch | None = None
        self._before: Frame | None = None
        self._taken = False
        self._trail: Trail = []
        self._open: set[Node] = set()

    async def __aenter__(self) -> None:
        branch = self._branch = self._code.here
        self._before = branch.frame
        self._taken, branch.taken = branch.taken, True
        branch.frame, trail = inner_frame(self._code.run, branch.frame, True, EMPTY)
        self._trail = [] if trail is None else trail
        if self._before.trail is not None:
            self._before.trail.append(Together([self._trail]))
        self._open = set(branch.fiber.open)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        branch, before = self._branch, self._before
        assert branch is not None
        assert before is not None
        branch.frame, self._before = before, None
        branch.taken = self._taken
        if isinstance(error, Exception):  # not a cancellation: then the run undoes everything
            begun = [node for node in branch.fiber.open if node not in self._open]
            await self._code.undo_block(error, self._trail, begun)


class _Waiting:
    """Awaits a node, whatever it is."""

    __slots__ = ("_code", "_node")

    def __init__(self, code: CodeRun, node: Node) -> None:
        self._code = code
        self._node = node

    def __await__(self) -> Generator[Node, Any, None]:
        return self._code.wait(self._node)


class _Unwinding:
    """Awaits that everything is undone which a trail holds."""

    __slots__ = ("_code", "_trail", "_undone", "_why")

    def __init__(self, code: CodeRun, trail: Trail, undone: Undone, why: Failure | None) -> None:
        self._code = code
        self._trail = trail
        self._undone = undone
        self._why = why

    def __await__(self) -> Generator[Node, Any, None]:
        code = self._code
        steps = unwind(code.run, code.here.fiber, self._trail, self._undone, 0, self._why)
        try:
            node = next(steps)
            while True:
                code.expected = node
                try:
                    value = yield node
                except BaseException as error:
                    node = steps.throw(error)
                else:
                    node = steps.send(value)
        except StopIteration:
            return


def _together_failed(first: Pending, begun: Sequence[Pending]) -> StepError:
    error = first.node.error
    assert error is not None
    return step_error(with_siblings(error, [each.node for each in begun]), first.path)
