"""The steps that call nothing: set, sleep, respond, fail; and choose, which only decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from legato.kernel.calls import Flowing, Forked, LinkedStep, Placed, made, mistake
from legato.kernel.frame import inner_frame, together
from legato.kernel.joint import Joint
from legato.kernel.modified import ABSENT, Maker
from legato.kernel.parallel import with_siblings
from legato.kernel.scheduler import Fiber, Join, Node, Respond, StepFailed
from legato.kernel.trail import Trail
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload

if TYPE_CHECKING:
    from legato.kernel.frame import Frame
    from legato.kernel.run import Run
    from legato.values import Expression, TextTemplate


class LinkedSet(Forked):
    """A value made of others."""

    __slots__ = ("maker", "place")
    undoable = False

    def __init__(self, path: str, maker: Maker) -> None:
        self.place = Placed(path)
        self.maker = maker

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        assert frame is not None
        frame.value, frame.where = value, self.place.of(frame)
        return made(self.maker.payload, frame)
        yield  # a generator, like every step


class LinkedSleep(Forked):
    """A pause."""

    __slots__ = ("place", "seconds")
    undoable = False

    def __init__(self, path: str, seconds: float) -> None:
        self.place = Placed(path)
        self.seconds = seconds

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        yield run.sleep(fiber, self.place.of(frame), self.seconds)
        return value


class LinkedRespond(Forked):
    """An answer to the caller before the run has ended."""

    __slots__ = ("headers", "maker", "place", "status")
    undoable = False

    def __init__(self, path: str, maker: Maker, status: int, headers: Sequence[tuple[bytes, TextTemplate]]) -> None:
        self.place = Placed(path)
        self.maker = maker
        self.status = status
        self.headers = headers

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        assert frame is not None
        frame.value, frame.where = value, self.place.of(frame)
        payload = made(self.maker.payload, frame)
        headers = made(self._headers, frame)
        if run.responded:
            raise mistake("the caller has been answered already: one `respond` in a run", frame.where)
        run.respond(Respond(payload, self.status, headers))
        return value
        yield

    def _headers(self, frame: Frame) -> bytes:
        return b"".join([b"%b: %b\r\n" % (name, text.header(frame)) for name, text in self.headers])


class LinkedFail(Forked):
    """An end with an error that the author words."""

    __slots__ = ("place", "status", "text")
    undoable = False

    def __init__(self, path: str, text: TextTemplate, status: int) -> None:
        self.place = Placed(path)
        self.text = text
        self.status = status

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        assert frame is not None
        frame.value, frame.where = value, self.place.of(frame)
        outcome = Outcome("refused", detail=made(self.text.text, frame))
        failure = Failure("stated", outcome, frame.where)
        failure.answer = self.status
        raise StepFailed(failure)
        yield


class LinkedCase(msgspec.Struct):
    """A case: its condition, None for that of `otherwise`, and its steps."""

    name: str
    when: Expression | None
    body: LinkedStep


class LinkedChoose(Forked):
    """The first case that holds; or all at once that do."""

    __slots__ = ("all", "cases", "joint", "place", "undoable")

    def __init__(self, path: str, cases: Sequence[LinkedCase], all_of_them: bool) -> None:
        self.place = Placed(path)
        self.cases = tuple(cases)  # `otherwise` is the last
        self.all = all_of_them
        self.joint = Joint("case", [case.name for case in cases])
        self.undoable = any(case.body.undoable for case in cases)

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        assert frame is not None
        frame.value, frame.where = value, self.place.of(frame)
        if self.all:
            return (yield from self._every(run, fiber, value, frame))
        for case in self.cases:
            if case.when is None or made(case.when.truth, frame):
                inner, trail = inner_frame(run, frame, case.body.undoable, value)
                if trail is not None:
                    together(frame, [trail])
                return (yield from case.body.go(run, fiber, value, inner))
        return value

    def _every(self, run: Run, fiber: Fiber, value: Payload, frame: Frame) -> Flowing:
        cases = list(enumerate(self.cases))
        holding = [(n, case) for n, case in cases if case.when is not None and made(case.when.truth, frame)]
        holding = holding or [(n, case) for n, case in cases if case.when is None]
        if not holding:
            return value
        nodes: list[Node] = []
        trails: list[Trail] = []
        for _, case in holding:
            inner, trail = inner_frame(run, frame, case.body.undoable, value)
            if trail is not None:
                trails.append(trail)
            nodes.append(case.body.fork(run, fiber, value, inner))
        together(frame, trails)
        join = Join.of(nodes)
        yield join
        if join.failed:
            first = next(node.error for node in nodes if node.error is not None)
            run.cancel_nodes(nodes, "cancelled")
            yield Join.of(nodes, eager=False)
            raise with_siblings(first, nodes)
        there = [(n, node.value) for (n, _), node in zip(holding, nodes, strict=True) if node.value is not ABSENT]
        return self.joint.some(there, self.place, frame)
