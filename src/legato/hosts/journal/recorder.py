"""The kernel of a durable run: every delivery and every cancel is told to the run, which writes it down.

Nothing is given back to be carried out: that comes when it is on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from legato.errors import HostStop
from legato.kernel import Command, Facts, Leaf, Program, Run
from legato.model.outcome import Outcome, Reason
from legato.model.payload import Payload


class Scribe(Protocol):
    """Who writes down what happens to a run, with the commands that it has caused."""

    def delivered(self, leaf: Leaf, outcome: Outcome, commands: Sequence[Command]) -> None: ...

    def stopped(self, leaf: Leaf, outcome: Outcome) -> None: ...

    def was_cancelled(self, reason: Reason, hard: bool, commands: Sequence[Command]) -> None: ...


class Recorder(Run):
    """See kernel.Run. Without a `scribe` it is one: so a record is replayed."""

    __slots__ = ()

    scribe: Scribe | None = None

    def deliver(self, leaf: Leaf, outcome: Outcome) -> Sequence[Command]:
        """Take an outcome."""
        try:
            commands = Run.deliver(self, leaf, outcome)
        except HostStop:
            if self.scribe is not None:
                self.scribe.stopped(leaf, outcome)
            raise
        if self.scribe is None:
            return commands
        self.scribe.delivered(leaf, outcome, commands)
        return ()

    def cancel(self, reason: Reason, *, hard: bool = False) -> Sequence[Command]:
        """Withdraw what is in flight."""
        if self.state == "ended" or (self.state != "running" and not hard):
            return ()
        commands = Run.cancel(self, reason, hard=hard)
        if self.scribe is None:
            return commands
        self.scribe.was_cancelled(reason, hard, commands)
        return ()


def recorder(program: Program, facts: Facts | None, payload: Payload) -> tuple[Recorder, Sequence[Command]]:
    """A run that has begun, and what it asks for; nobody is told yet."""
    kernel = Recorder(program)
    return kernel, kernel.start(payload, facts)
