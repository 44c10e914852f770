"""A wait: the step that pauses for a named signal, whose payload is the next value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from legato.errors import NotJSON
from legato.kernel.calls import Flowing, Forked, Placed, made, mistake
from legato.kernel.modified import Maker
from legato.kernel.scheduler import Fiber, StepFailed
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload

if TYPE_CHECKING:
    from legato.kernel.frame import Frame
    from legato.kernel.run import Run
    from legato.values import Schema

TIMED_OUT = 504  # the status of a wait's delivery when its time has passed; no signal has one
SHOWN = 3  # problems of a signal that a message names


class LinkedWait(Forked):
    """A wait for a signal. Its default is made when the time has passed."""

    __slots__ = ("default", "name", "place", "schema", "seconds")
    undoable = False

    def __init__(
        self, path: str, name: str, seconds: float | None, default: Maker | None, schema: Schema | None
    ) -> None:
        self.place = Placed(path)
        self.name = name
        self.seconds = seconds
        self.default = default
        self.schema = schema

    def go(self, run: Run, fiber: Fiber, value: Payload, frame: Frame | None) -> Flowing:
        """See LinkedStep."""
        assert frame is not None
        path = self.place.of(frame)
        try:
            signal = yield run.wait(fiber, path, self.name, self.seconds, self.schema)
        except StepFailed as error:
            if error.failure.outcome.status != TIMED_OUT:
                raise
            error.taken()
        else:
            return fitting(signal, self.schema, self.name, path)
        if self.default is None:
            raise timed_out(self.name, self.seconds, path)
        frame.value, frame.where = value, path
        return made(self.default.payload, frame)


def fitting(signal: Payload, schema: Schema | None, name: str, path: str) -> Payload:
    """A signal's payload. Raises StepFailed, a mistake, for one that the host let pass though it does not fit."""
    if schema is None:
        return signal
    try:
        problems = schema.problems(signal)
    except NotJSON as error:
        raise mistake(f"the signal `{name}` {error}", path) from None
    if problems:
        shown = "; ".join(f"{problem.pointer or '/'}: {problem.detail}" for problem in problems[:SHOWN])
        raise mistake(f"the signal `{name}` does not fit the wait's `schema`: {shown}", path)
    return signal


def timed_out(name: str, seconds: float | None, path: str) -> StepFailed:
    """The failure of a wait without a default whose time has passed."""
    within = "in time" if seconds is None else f"within {seconds:g} s"
    detail = f"no signal `{name}` came {within}: send it in time, wait longer (`timeout`), or give a `default`"
    return StepFailed(Failure("deadline", Outcome("cancelled", detail=detail), path))
