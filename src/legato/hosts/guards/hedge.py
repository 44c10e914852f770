"""Hedging (Dean and Barroso, The Tail at Scale): a call that takes long is started again beside itself.

Against slowness only: when everything that was started has failed, the attempt has failed, and trying again is the
host's retry. All children share the attempt's time and its idempotency key.
"""

from __future__ import annotations

import asyncio

from legato.hosts.guards.child import Child, Guard
from legato.model.outcome import Outcome
from legato.model.policy import Hedge
from legato.ports import Attempt, Target


class Hedged(Guard):
    """A target whose attempts are started again, some time apart, until one has a definite end."""

    __slots__ = ("_attempts", "_delay")

    def __init__(self, target: Target, hedge: Hedge) -> None:
        super().__init__(target)
        self._delay = hedge.delay
        self._attempts = hedge.attempts

    def begin(self, attempt: Attempt) -> None:
        """Start the first."""
        attempt.handle = race = Race(attempt, self._target, self._attempts, self._delay)
        race.start()

    def abort(self, attempt: Attempt) -> None:
        """Stop all."""
        race = attempt.handle
        assert isinstance(race, Race)
        race.stop()
        attempt.settle(Outcome("unknown" if attempt.sent else "cancelled", detail="aborted"))


class Race:
    """The children of one attempt. The first `ok` or `refused` ends it; the others are aborted, unheard."""

    __slots__ = ("_best", "_decided", "_delay", "_left", "_maybe_done", "_parent", "_running", "_target", "_timer")

    def __init__(self, parent: Attempt, target: Target, attempts: int, delay: float) -> None:
        self._parent = parent
        self._target = target
        self._left = attempts
        self._delay = delay
        self._running: dict[Child, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._best: Outcome | None = None  # of those that failed
        self._maybe_done = False
        self._decided = False

    def start(self) -> None:
        """Start one more, and see to the next. It may be decided before this returns."""
        self._timer = None
        self._left -= 1
        child = Child(self, self._parent, self._target)
        self._running[child] = None
        child.begin()
        if self._left and not self._decided:
            self._timer = asyncio.get_running_loop().call_later(self._delay, self.start)

    def ended(self, child: Child, outcome: Outcome) -> None:
        """See Owner."""
        if self._decided:
            return
        del self._running[child]
        self._maybe_done = self._maybe_done or outcome.kind == "unknown"
        if outcome.kind != "ok" and outcome.kind != "refused":
            self._best = outcome = _more_telling(self._best, outcome)
            if self._running:
                return
        self._maybe_done = self._maybe_done or any(loser.sent for loser in self._running)
        self.stop()
        outcome.maybe_done = self._maybe_done
        self._parent.settle(outcome)

    def stop(self) -> None:
        """Decide it: start no more, and abort what runs."""
        self._decided = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        running = list(self._running)
        self._running.clear()
        for child in running:
            child.abort()


def _more_telling(one: Outcome | None, other: Outcome) -> Outcome:
    """Of two failures the one that says more; it has the longer of both wishes for when to come again."""
    if one is None:
        return other
    worse, better = sorted((one, other), key=_weight)
    if worse.retry_after is not None:
        better.retry_after = max(worse.retry_after, better.retry_after or 0.0)
    return better


def _weight(outcome: Outcome) -> tuple[bool, bool, bool, bool]:
    """What may have been done weighs most, then what the function itself said."""
    return outcome.kind == "unknown", outcome.status > 0, not outcome.overloaded, outcome.kind == "retryable"
