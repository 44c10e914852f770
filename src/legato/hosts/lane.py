"""The runs of one program, in the order in which they started, which is the order in which they are first due.

Nearly every run ends before anything in it is due. In here that costs an entry in a dict and its removal; a timer of
its own is made only for a run whose first due time has come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from legato.transport.wheel import Timer, Wheel

TRun = TypeVar("TRun", bound=Timer)


class Lane(Timer, Generic[TRun], eq=False, kw_only=True):
    """One timer for all runs that have not been due yet; the others have theirs in the wheel."""

    wheel: Wheel
    fresh: dict[Any, None] = {}
    late: dict[Any, None] = {}

    def enter(self, run: TRun) -> None:
        """Watch over a run; its `due` must not be before that of the one which entered before."""
        self.fresh[run] = None
        if not self.slot:
            self.due = run.due
            self.wheel.watch(self)

    def hurry(self, run: TRun, due: float) -> None:
        """Watch over a run by itself, which is due before those that entered before."""
        self.leave(run)
        self.late[run] = None
        run.due = due
        self.wheel.watch(run)

    def leave(self, run: TRun) -> None:
        """Let go of a run that has ended."""
        if run in self.fresh:
            del self.fresh[run]
        elif run in self.late:
            del self.late[run]
            self.wheel.forget(run)

    @property
    def is_empty(self) -> bool:
        """Whether no run is left."""
        return not self.fresh and not self.late

    def all(self) -> Iterator[TRun]:
        """The runs that have not ended."""
        yield from list(self.fresh)
        yield from list(self.late)

    def expired(self, now: float) -> None:
        """Hand over the runs whose first due time has come, and wait for the next."""
        while self.fresh:
            run = next(iter(self.fresh))
            if run.due > now:
                self.due = run.due
                self.wheel.watch(self)
                return
            del self.fresh[run]
            self.late[run] = None
            run.expired(now)
