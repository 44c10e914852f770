"""The concurrency limit: at most so many attempts of a function in flight, over all flows; the others wait in line.

Whoever came first is begun first. The line is short and the wait bounded (contract 9): beyond that, waiting only hides
the overload.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from legato.hosts.guards.child import Child, Guard
from legato.model.outcome import Outcome
from legato.ports import Attempt, Target

QUEUE_LENGTH = 1024
QUEUE_TIME = 5.0  # seconds
_GRAIN = 0.001  # seconds; event loops may fire a timer early by so much


class LimitState:
    """The places of one function, and who waits for one."""

    __slots__ = ("_function", "_limit", "_queue", "_taken", "_timer", "_waking")

    def __init__(self, function: str, limit: int) -> None:
        self._function = function
        self._limit = limit
        self._taken = 0
        self._queue: dict[Child, float] = {}  # since when they wait, in the order in which they came
        self._timer: asyncio.TimerHandle | None = None  # for the first in line
        self._waking = False

    def enter(self, child: Child) -> None:
        """Begin the child, now or when its turn comes; or refuse it."""
        if self._taken < self._limit and not self._queue:
            self._taken += 1
            child.begin()
        elif len(self._queue) >= QUEUE_LENGTH + self._limit - self._taken:  # free places are as good as given
            detail = f"{QUEUE_LENGTH} calls of {self._function} already wait for one of its {self._limit} places"
            child.parent.settle(Outcome("retryable", detail=detail, overloaded=True))
        else:
            self._queue[child] = monotonic()
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(QUEUE_TIME, self._expire)

    def leave(self, child: Child) -> bool:
        """Take a child out of the line; whether it was in there."""
        if self._queue.pop(child, None) is None:
            return False
        if not self._queue:
            self._stop_timer()
        return True

    def release(self) -> None:
        """Free a place. Who waits gets it in a turn of the event loop of its own: no recursion, however many settle."""
        self._taken -= 1
        if self._queue and not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        self._waking = False
        while self._queue and self._taken < self._limit:
            child = next(iter(self._queue))
            self.leave(child)
            self._taken += 1
            child.begin()

    def _expire(self) -> None:
        """Refuse those whose patience is at its end, and look again when the next one's may be."""
        self._timer = None
        now = monotonic()
        late: list[Child] = []
        for child, since in self._queue.items():
            left = since + QUEUE_TIME - now
            if left > _GRAIN:
                self._timer = asyncio.get_running_loop().call_later(left, self._expire)
                break
            late.append(child)
        for child in late:
            if self.leave(child):  # else withdrawn because of one that was refused just before
                detail = f"none of the {self._limit} places of {self._function} became free within {QUEUE_TIME:g} s"
                child.parent.settle(Outcome("retryable", detail=detail, overloaded=True))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Limited(Guard):
    """A target of which only so many attempts are in flight."""

    __slots__ = ("_state",)

    def __init__(self, target: Target, state: LimitState) -> None:
        super().__init__(target)
        self._state = state

    def begin(self, attempt: Attempt) -> None:
        """Begin where there is a place, else stand in line."""
        attempt.handle = child = Child(self, attempt, self._target)
        self._state.enter(child)

    def ended(self, child: Child, outcome: Outcome) -> None:
        """Free the place, and pass the end on."""
        self._state.release()
        child.parent.settle(outcome)

    def abort(self, attempt: Attempt) -> None:
        """Stop the attempt, or leave the line."""
        child = attempt.handle
        assert isinstance(child, Child)
        if self._state.leave(child):
            detail = "withdrawn while it waited for a place"
            attempt.settle(Outcome("cancelled", detail=detail, overloaded=True))
        else:
            child.abort()
