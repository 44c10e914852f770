"""A graph: each node runs as soon as those that it is after have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from legato.kernel.calls import Flowing, Forked, LinkedStep, Placed, made
from legato.kernel.frame import Frame, inner_frame, together
from legato.kernel.joint import Joint
from legato.kernel.modified import ABSENT, Maker
from legato.kernel.parallel import with_siblings
from legato.kernel.scheduler import Fiber, Join, Node, StepFailed, Watcher
from legato.model.payload import EMPTY, Payload

if TYPE_CHECKING:
    from legato.kernel.run import Run
    from legato.kernel.scheduler import Scheduler


class LinkedNode(msgspec.Struct):
    """A node: its step, and by index those that it gets data from (with the edge's transform) and those after it.

    `waits_for` counts all edges that lead to it; `keep` is the name under which its result is remembered.
    """

    name: str
    step: LinkedStep
    data: tuple[tuple[int, Maker | None], ...]
    after: tuple[int, ...]
    waits_for: int
    keep: str = ""


class LinkedGraph(Forked):
    """Nodes and edges, checked: there is no cycle, and `ends` are the nodes that nothing is after."""

    __slots__ = ("ends", "joint", "nodes", "place", "undoable", "uses")

    def __init__(self, path: str, nodes: Sequence[LinkedNode]) -> None:
        self.place = Placed(path)
        self.nodes = tuple(nodes)
        self.joint = Joint("node", [node.name for node in nodes])
        self.ends = [n for n, node in enumerate(nodes) if not node.after]
        self.undoable = any(node.step.undoable for node in nodes)
        self.uses = [0 if node.after else 1 for node in nodes]  # how often each node's value is asked for
        for node in nodes:
            for n, _ in node.data:
                self.uses[n] += 1

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """Run the nodes; one end node leaves its value, several an object by node."""
        inner, _ = inner_frame(run, frame, False, value)
        inner.trail = None if frame is None else frame.trail
        state = _Progress(None, run=run, graph=self, fiber=fiber, frame=inner, entry=value, pending=len(self.nodes))
        state.values = [ABSENT] * len(self.nodes)
        state.waits_for = [node.waits_for for node in self.nodes]
        state.uses = list(self.uses)
        for n, node in enumerate(self.nodes):
            if not node.waits_for:
                state.begin(n)
        try:
            yield state
            if state.failure is not None:
                others = list(state.places)
                run.cancel_nodes(others, "cancelled")
                yield Join.of(others, eager=False)
                failed = [state.failed] if state.failed is not None else []
                raise with_siblings(state.failure, [*failed, *others])
        finally:
            state.forget()
        if len(self.ends) == 1:
            return state.values[self.ends[0]]
        there = [(n, state.values[n]) for n in self.ends if n not in state.skipped]
        return self.joint.some(there, self.place, frame)


class _Progress(Watcher, eq=False, kw_only=True):
    """How far a graph has come; ends with its last node, or with the first that fails, which is `failed`.

    A skipped node leaves what it got (contract 3: unchanged), and is absent where several are joined.
    """

    run: Run
    graph: LinkedGraph
    fiber: Fiber
    frame: Frame
    entry: Payload
    pending: int
    values: list[Payload] = []
    uses: list[int] = []
    waits_for: list[int] = []
    places: dict[Node, tuple[int, Payload]] = {}  # the nodes that have begun and not ended, with what they got
    skipped: set[int] = set()
    failed: Node | None = None
    failure: BaseException | None = None

    def begin(self, n: int) -> None:
        """Start a node with what those before it leave."""
        run, linked = self.run, self.graph.nodes[n]
        inner, trail = inner_frame(run, self.frame, linked.step.undoable, self.entry)
        if trail is not None:
            # In the order in which they begin: undone in reverse, a node is before those that it was after.
            together(self.frame, [trail])
        try:
            entry = self._entry(linked, inner)
        except StepFailed as error:
            self._end(run, StepFailed(error.taken()))
            return
        begun = linked.step.fork(run, self.fiber, entry, inner)
        self.places[begun] = n, entry
        if begun.ended:
            self.told(run, begun)
        else:
            begun.waiter = self

    def _entry(self, node: LinkedNode, inner: Frame) -> Payload:
        if not node.data:
            return self.entry
        if len(node.data) == 1:
            return self._passed(*node.data[0], inner)
        there = [(n, self._passed(n, transform, inner)) for n, transform in node.data if n not in self.skipped]
        return self.graph.joint.some(there, self.graph.place, inner)

    def _passed(self, n: int, transform: Maker | None, inner: Frame) -> Payload:
        """What an edge makes of the value of the node that it comes from."""
        value = self.values[n]
        self.uses[n] -= 1
        if not self.uses[n]:
            self.values[n] = ABSENT  # it may be large, and nobody asks for it any more
        if transform is None:
            return value
        inner.value, inner.where = value, self.graph.place.of(inner)
        return made(transform.payload, inner)

    def told(self, run: Scheduler, node: Node) -> None:
        """A node has ended: those for which it was the last begin."""
        if self.ended:
            return
        n, entry = self.places.pop(node)
        if node.error is not None:
            self.failed = node
            self._end(run, node.error)
            return
        linked = self.graph.nodes[n]
        skipped = node.value is ABSENT
        if skipped:
            self.skipped.add(n)
        if self.uses[n]:
            self.values[n] = entry if skipped else node.value
        if linked.keep:
            self.frame.keep(linked.keep, EMPTY if skipped else node.value)
        self.pending -= 1
        if not self.pending:
            self._end(run, None)
        for after in linked.after:
            self.waits_for[after] -= 1
            if not self.waits_for[after] and not self.ended:
                self.begin(after)

    def forget(self) -> None:
        """Let go of the nodes, which know this."""
        self.places, self.failed, self.failure = {}, None, None

    def _end(self, run: Scheduler, failure: BaseException | None) -> None:
        self.ended, self.failure = True, failure
        if isinstance(self.waiter, Fiber):
            run.wake(self.waiter)
