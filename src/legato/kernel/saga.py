"""What a step says of the saga that it is a part of: an undo of its own, or that it is the pivot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from legato.kernel.calls import Flowing, Forked, LinkedStep, Placed, UndoCall
from legato.kernel.scheduler import Fiber
from legato.kernel.trail import DoneStep, commit, forget
from legato.model.payload import Payload

if TYPE_CHECKING:
    from legato.kernel.frame import Frame
    from legato.kernel.run import Run


class WithUndo(Forked):
    """A step that is no call, or more than one, with an undo of its own.

    As long as it is not done, what is within it counts; then its own undo does, in the place of theirs.
    """

    __slots__ = ("core", "place", "undo")
    undoable = True

    def __init__(self, core: LinkedStep, path: str, undo: UndoCall) -> None:
        self.core = core
        self.place = Placed(path)
        self.undo = undo

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        trail = None if frame is None else frame.trail
        if frame is None or trail is None:  # in a handler, where nothing is undone
            return (yield from self.core.go(run, fiber, value, frame))
        since = len(trail)
        result = yield from self.core.go(run, fiber, value, frame)
        within = trail[since:]
        del trail[since:]
        forget(within)
        trail.append(DoneStep(self.undo, self.place.of(frame), frame, value, result))
        return result


class WithPivot(Forked):
    """A step that is no call, and after which nothing in its flow is undone any more. What a call is says `Run`.

    It is one of the flow's own, not one within another, so nothing of the flow is under way beside it.
    """

    __slots__ = ("core", "undoable")

    def __init__(self, core: LinkedStep) -> None:
        self.core = core
        self.undoable = core.undoable

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        result = yield from self.core.go(run, fiber, value, frame)
        if frame is not None and frame.trail is not None:
            commit(frame.trail)
        return result
