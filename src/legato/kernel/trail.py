"""The trail: what has been done in a scope, in order of completion, and how it is undone in reverse."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final, Protocol

from legato.errors import LegatoError, NotJSON
from legato.kernel.scheduler import Call, Fiber, Join, Node, StepFailed
from legato.model.outcome import Failure, Outcome
from legato.model.payload import EMPTY, JSON, Payload

if TYPE_CHECKING:
    from legato.kernel.calls import UndoCall
    from legato.kernel.frame import Frame
    from legato.kernel.run import Run

# Of what was undone: the undo's path, and whether it succeeded.
Undone = list[tuple[str, bool]]


class Done(Protocol):
    """Something that was done, or maybe done, and how it is undone: at which path, in which scope.

    `sent` is what it got, `result` what it left, None where that is not known.
    """

    @property
    def undo(self) -> UndoCall: ...

    @property
    def path(self) -> str: ...

    @property
    def frame(self) -> Frame | None: ...

    @property
    def sent(self) -> Payload: ...

    @property
    def result(self) -> Payload | None: ...


class DoneCall:
    """See Done, of a call."""

    __slots__ = ("_call", "result")

    def __init__(self, call: Call, outcome: Outcome) -> None:
        self._call = call
        self.result = outcome.payload if outcome.kind == "ok" else None

    @property
    def undo(self) -> UndoCall:
        """See Done."""
        undo = self._call.step.undo
        assert undo is not None
        return undo

    @property
    def path(self) -> str:
        """See Done."""
        return self._call.path

    @property
    def frame(self) -> Frame | None:
        """See Done."""
        return self._call.frame

    @property
    def sent(self) -> Payload:
        """See Done."""
        return self._call.payload


class DoneStep:
    """See Done, of a step that is no call, or more than one."""

    __slots__ = ("frame", "path", "result", "sent", "undo")

    def __init__(self, undo: UndoCall, path: str, frame: Frame, sent: Payload, result: Payload) -> None:
        self.undo = undo
        self.path = path
        self.frame = frame
        self.sent = sent
        self.result = result


def arguments(done: Done) -> Payload:
    """`{"sent": ..., "result": ...}`, the result null if it is not known (contract 1)."""
    result = b"null" if done.result is None else _part(done.result)
    body = b'{"sent":' + _part(done.sent) + b',"result":' + result + b"}"
    return Payload(JSON, (body,), len(body))


class Together:
    """The trails of what was done side by side: undone so, too, `window` of them at a time, 0 for all at once."""

    __slots__ = ("trails", "window")

    def __init__(self, trails: list[Trail], window: int = 0) -> None:
        self.trails = trails
        self.window = window


Closing = Callable[["Run", Fiber, "Failure | None"], Generator[Node, Any, None]]


class Within:
    """The trail of a flow within, and its `close`, which is due when it was cut off: what it does at its end."""

    __slots__ = ("close", "trail")

    def __init__(self, trail: Trail, close: Closing | None) -> None:
        self.trail = trail
        self.close = close


class Pivot:
    """Stands at the beginning of a flow's trail when its pivot is done: nothing in it is undone any more."""

    __slots__ = ()


PIVOT: Final = Pivot()

Trail = list[DoneCall | DoneStep | Together | Within | Pivot]


def _part(payload: Payload) -> bytes:
    try:
        return payload.json()
    except NotJSON:
        return payload.lenient_json()  # an undo must get through whatever it was that the function answered


def unwind(
    run: Run, fiber: Fiber, trail: Trail, undone: Undone, since: int = 0, why: Failure | None = None
) -> Generator[Node, Any, Payload]:
    """Undo what the trail holds from `since` on, last first; one that fails does not keep the others from being undone.

    `why` is what undo calls see as `error`. What is undone leaves the trail, so that a fiber which is cancelled
    meanwhile leaves the rest for its run to undo.
    """
    if not since:
        settle(trail)
    while len(trail) > since:
        entry = trail[-1]
        if isinstance(entry, DoneCall | DoneStep):
            yield from _undo(run, fiber, entry, undone, trail, why)
        elif isinstance(entry, Within):
            yield from unwind(run, fiber, entry.trail, undone, 0, why)
            trail.pop()
            if entry.close is not None:
                yield from entry.close(run, fiber, why)
        elif isinstance(entry, Together):
            yield from _side_by_side(run, fiber, entry, undone, why)
            if any(entry.trails):
                break  # cancelled: the rest is the run's
            trail.pop()
        else:
            raise AssertionError("a pivot is settled first")
    return EMPTY


def commit(trail: Trail) -> None:
    """Note that the pivot of the flow whose trail this is was done."""
    trail.insert(0, PIVOT)  # what is before it stays: flows within may be under way, and undo themselves if they fail


def settle(trail: Trail) -> None:
    """Of the trail of a flow whose pivot was done, leave what flows within that were cut off do at their ends."""
    if trail and trail[0] is PIVOT:
        _leave_closings(trail)


def _leave_closings(trail: Trail) -> None:
    kept: Trail = []
    for entry in trail:
        if isinstance(entry, Together):
            for each in entry.trails:
                _leave_closings(each)
            if any(entry.trails):
                kept.append(entry)
        elif isinstance(entry, Within):
            _leave_closings(entry.trail)
            if entry.trail or entry.close is not None:
                kept.append(entry)
    trail[:] = kept


def forget(trail: Trail) -> None:
    """Let go of all that a trail holds: what was done knows its frame, and the frame its trail."""
    waiting = [trail]
    while waiting:
        each = waiting.pop()
        for entry in each:
            if isinstance(entry, Together):
                waiting += entry.trails
            elif isinstance(entry, Within):
                waiting.append(entry.trail)
        each.clear()


def _side_by_side(
    run: Run, fiber: Fiber, entry: Together, undone: Undone, why: Failure | None
) -> Generator[Node, Any, None]:
    waiting = deque([trail for trail in reversed(entry.trails) if trail])

    def work(own: Fiber) -> Generator[Node, Any, Payload]:
        while waiting:
            yield from unwind(run, own, waiting.popleft(), undone, 0, why)
        return EMPTY

    workers = [run.spawn(fiber, work) for _ in range(min(entry.window or len(waiting), len(waiting)))]
    yield Join.of(workers, eager=False)


def _undo(
    run: Run, fiber: Fiber, entry: DoneCall | DoneStep, undone: Undone, trail: Trail, why: Failure | None
) -> Generator[Node, Any, None]:
    undo = entry.undo
    trail.pop()
    try:
        leaf = undo.of(run, fiber, entry, why)
    except LegatoError as error:  # its own input could not be made
        path = f"{entry.path}/undo"
        undone.append((path, False))
        run.undo_failed(Failure("mistake", Outcome("unknown", detail=str(error)), path, undo.linked.function))
        return
    if leaf.ended:
        trail.append(entry)  # the fiber is cancelled, and the run's to go on with
        yield leaf
    try:
        yield leaf
    except StepFailed as error:
        error.taken()  # what the function said is the host's to log
    finally:
        # By the leaf, not by how the await ended: an answer that came in spite of a hard cancel counts.
        undone.append((leaf.path, leaf.error is None))
