"""A run that notes what it is told and what it answers, and the replay of that record by a run that knows nothing else.

What is checked of every run: no path is issued twice, no `Cancel` comes twice or for a leaf that has ended, nothing is
left open at the end, and a replay of the deliveries gives the same commands (contract 7).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from legato.hosts import inline
from legato.kernel import Call, Cancel, Command, Facts, Leaf, Program, Respond, Run, Sleep, Wait
from legato.kernel.trail import PIVOT
from legato.model.outcome import Outcome, Reason
from legato.model.payload import Payload

Event = tuple[str, Any, Any]


class Recorded(Run):
    """A run with its record: events, and the commands that each caused."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.record: list[Event] = []
        self.advances: list[list[str]] = []
        self.issued: dict[str, Leaf] = {}
        self.cancelled: set[str] = set()
        self.pivoted = False  # whether the flow's pivot was done
        self.at_the_end: set[str] = set()  # what was issued to undo the flow as a whole
        self.live = self.most_live = 0  # leaves whose delivery is owed

    def start(self, payload: Payload, facts: Facts | None = None) -> Sequence[Command]:
        """See Run."""
        return self._note(("start", payload, facts), super().start(payload, facts))

    def deliver(self, leaf: Leaf, outcome: Outcome) -> Sequence[Command]:
        """See Run."""
        self.live -= 1
        return self._note(("deliver", leaf.path, outcome), super().deliver(leaf, outcome))

    def cancel(self, reason: Reason, *, hard: bool = False) -> Sequence[Command]:
        """See Run."""
        return self._note(("cancel", reason, hard), super().cancel(reason, hard=hard))

    def do(self, event: Event) -> None:
        """Do what an event of another run's record says."""
        kind, what, how = event
        if kind == "start":
            self.start(what, how)
        elif kind == "deliver":
            self.deliver(self.issued[what], how)
        else:
            self.cancel(what, hard=how)

    def _note(self, event: Event, commands: Sequence[Command]) -> Sequence[Command]:
        for command in commands:
            if isinstance(command, Call | Sleep | Wait):
                assert command.path not in self.issued, f"{command.path} is issued twice"
                assert not command.ended, f"{command.path} is issued though it has ended"
                self.issued[command.path] = command
                self.live += 1
                if self.state == "undoing":
                    self.at_the_end.add(command.path)
            elif isinstance(command, Cancel):
                assert command.path not in self.cancelled, f"{command.path} is cancelled twice"
                assert not command.leaf.ended, f"{command.path} is cancelled though it has ended"
                assert self.issued[command.path] is command.leaf, f"{command.path} is cancelled and was never issued"
                self.cancelled.add(command.path)
        self.most_live = max(self.most_live, self.live)
        self.record.append(event)
        self.advances.append([shown(command) for command in commands])
        left = sorted(leaf.path for leaf in self.open_leaves())
        assert len(left) == self.live, f"{self.live} deliveries are owed, and {left} are open"
        assert (self.state == "ended") == (not left), f"the run is {self.state} with {left} open"
        return commands

    def _goes_on(self) -> bool:
        trail = None if self._frame is None else self._frame.trail
        self.pivoted = bool(trail) and trail[0] is PIVOT
        return super()._goes_on()

    def replay(self) -> None:
        """Check that a run of the same program does the same, told the same."""
        other = Recorded(self.program)
        for event in self.record:
            other.do(event)
        assert other.advances == self.advances
        assert other.state == self.state == "ended"
        assert other.result.body == self.result.body
        assert (other.failure is None) == (self.failure is None)
        if self.failure is not None and other.failure is not None:
            assert (other.failure.path, other.failure.reason) == (self.failure.path, self.failure.reason)
            assert other.failure.undo == self.failure.undo
        assert list(other.errors) == list(self.errors)


def shown(command: Command) -> str:
    if isinstance(command, Call):
        return f"{command!r} {command.payload.body!r}"
    return f"{command!r} {command.payload.body!r}" if isinstance(command, Respond) else repr(command)


@contextmanager
def recording() -> Generator[None]:
    """Have the inline host make runs that note everything."""
    inline.Run = Recorded  # type: ignore[misc,attr-defined]
    try:
        yield
    finally:
        inline.Run = Run  # type: ignore[attr-defined]
