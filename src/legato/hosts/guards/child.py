"""An attempt as a guard passes it on: what is underneath sees an attempt like any other, and settles to the guard.

What each guard makes of its children's ends is its own matter, and not in here.
"""

from __future__ import annotations

from typing import Protocol

from legato.model.outcome import Outcome
from legato.ports import Attempt, Caller, Parts, RunView, Target


class Owner(Protocol):
    """Who began a child, and is told its end; exactly once for each."""

    def ended(self, child: Child, outcome: Outcome) -> None:
        """Take the outcome."""
        ...


class Child:
    """One try for the sake of another attempt, its parent. `mark` is the owner's.

    What is sent for the child is sent for the parent, at the same moment. A target that raises settles it.
    """

    __slots__ = ("_sent", "_settled", "aborted", "handle", "identity", "mark", "owner", "parent", "payload", "target")

    def __init__(self, owner: Owner, parent: Attempt, target: Target, mark: int = 0) -> None:
        self.owner = owner
        self.parent = parent
        self.target = target
        self.mark = mark
        self.payload = parent.payload
        self.identity = parent.identity
        self.handle: object = None
        self.aborted = False
        self._sent = False
        self._settled = False

    @property
    def sent(self) -> bool:
        """See ports.Attempt."""
        return self._sent

    @sent.setter
    def sent(self, sent: bool) -> None:
        self._sent = sent
        if sent:
            self.parent.sent = True

    @property
    def caller(self) -> Caller:
        """See ports.Attempt."""
        return self.parent.caller

    @property
    def parts(self) -> Parts | None:
        """See ports.Attempt."""
        return self.parent.parts

    @property
    def path(self) -> str:
        """See ports.Attempt."""
        return self.parent.path

    @property
    def view(self) -> RunView:
        """See ports.Attempt."""
        return self.parent.view

    @property
    def overdue(self) -> bool:
        """See ports.Attempt."""
        return self.parent.overdue

    def begin(self) -> None:
        """Start the attempt; it may settle before this returns."""
        try:
            self.target.begin(self)
        except Exception as error:
            self._broke(error)

    def abort(self) -> None:
        """Stop the attempt; it settles before this returns."""
        self.aborted = True
        try:
            self.target.abort(self)
        except Exception as error:
            self._broke(error)

    def settle(self, outcome: Outcome) -> None:
        """See ports.Attempt."""
        self._settled = True
        self.owner.ended(self, outcome)

    def _broke(self, error: Exception) -> None:
        if self._settled:
            raise error  # what followed from the outcome went wrong: that is not this attempt's any more
        self.settle(Outcome("unknown", detail=f"{type(error).__name__}: {error}"))


class Guard:
    """A target in front of another, which makes one child of each attempt."""

    __slots__ = ("_target", "safe", "timeout")

    def __init__(self, target: Target) -> None:
        self._target = target
        self.timeout = target.timeout
        self.safe = target.safe

    def idempotent(self, attempt: Attempt) -> bool:
        """See ports.Target."""
        return self._target.idempotent(attempt)
