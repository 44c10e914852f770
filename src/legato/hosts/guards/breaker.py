"""The circuit breaker (Nygard, Release It!, 5.2): a function that keeps failing is left alone for a while.

| state | calls | becomes |
|---|---|---|
| closed | pass | open, when `failures` in a row ended badly within `within` seconds |
| open | are refused unsent | half-open, when `open` seconds have passed |
| half-open | one passes, the others are refused | closed if that ends well, open if not, as it is if withdrawn |

A call counts in the state in which it began: those that were in flight when it opened say nothing new.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

from legato.hosts.guards.child import Child, Guard
from legato.model.outcome import Outcome
from legato.model.policy import Breaker
from legato.ports import Attempt, Target

_GRAIN = 0.01  # seconds; timers may be early by a little, and a retry that waits for the end must not be


class BreakerState:
    """What the calls of one function have come to, over all flows."""

    __slots__ = ("_failures", "_function", "_policy", "_probe", "_until", "epoch")

    def __init__(self, function: str, policy: Breaker) -> None:
        self._function = function
        self._policy = policy
        self._failures = deque[float](maxlen=policy.failures)  # when those in a row ended
        self._until: float | None = None  # while not closed: when it is half-open
        self._probe: Child | None = None
        self.epoch = 0  # counts changes of state

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused."""
        return self._until is not None

    def refusal(self, child: Child) -> Outcome | None:
        """Why the call must not be made; None lets it pass."""
        if self._until is None:
            return None
        wait = self._until - monotonic()
        if wait <= 0 and self._probe is None:
            self._probe = child
            return None
        known = f"the breaker of {self._function} is open: its last calls failed"
        if wait > 0:
            detail = f"{known}; it is tried again in {wait:.1f} s"
            return Outcome("retryable", detail=detail, retry_after=wait + _GRAIN, overloaded=True)
        return Outcome("retryable", detail=f"{known}; it is being tried by another call", overloaded=True)

    def ended(self, child: Child, outcome: Outcome) -> None:
        """Learn from the end of a call that was let through."""
        good = _verdict(child, outcome)
        if child is self._probe:
            self._probe = None
            if good is not None:
                self._change(None if good else monotonic() + self._policy.open)
        elif child.mark != self.epoch or good is None:
            return
        elif good:
            self._failures.clear()
        else:
            now = monotonic()
            failures = self._failures
            failures.append(now)
            if len(failures) == self._policy.failures and now - failures[0] <= self._policy.within:
                self._change(now + self._policy.open)

    def _change(self, until: float | None) -> None:
        self._until = until
        self._failures.clear()
        self.epoch += 1


def _verdict(child: Child, outcome: Outcome) -> bool | None:
    """Whether the function works, by the end of one call; None where that end says nothing about it.

    A definite no is an answer. Withdrawn calls count only where the function has let the time for an answer pass: how
    soon a run is over, or its caller gone, is not its fault, and must not be a way to have it shut off.
    """
    if outcome.overloaded or (child.aborted and not child.overdue):
        return None
    if outcome.kind == "ok":
        return True
    if outcome.kind == "refused":
        return True if outcome.status else None  # without a status it is our own refusal
    return False


class BehindBreaker(Guard):
    """A target whose calls are refused unsent while its function fails."""

    __slots__ = ("_state",)

    def __init__(self, target: Target, state: BreakerState) -> None:
        super().__init__(target)
        self._state = state

    def begin(self, attempt: Attempt) -> None:
        """Let the call pass, or refuse it."""
        state = self._state
        attempt.handle = child = Child(self, attempt, self._target, state.epoch)
        refusal = state.refusal(child)
        if refusal is None:
            child.begin()
        else:
            attempt.settle(refusal)

    def ended(self, child: Child, outcome: Outcome) -> None:
        """Learn from the end, and pass it on."""
        self._state.ended(child, outcome)
        child.parent.settle(outcome)

    def abort(self, attempt: Attempt) -> None:
        """See ports.Target."""
        child = attempt.handle
        assert isinstance(child, Child)
        child.abort()
