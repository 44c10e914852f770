"""A run: one execution of a program, as far as the kernel is concerned.

States: `running` until the root fiber ends; `undoing` while completed work of a failed run is compensated; `ended`.

| event | running | undoing |
|---|---|---|
| the root ends with a value | ended, `result` is set | |
| the root ends with an error | undoing if the trail holds anything, else ended; `failure` is set | |
| the last undo ends | | ended |
| cancel | the root is cancelled | ignored |
| hard cancel | the root is cancelled, no undo follows | the undo is cancelled |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from legato.errors import LegatoError
from legato.kernel.program import Program
from legato.kernel.scheduler import Call, Command, Fiber, Join, Scheduler, StepFailed
from legato.kernel.trail import Done, Together, Trail
from legato.model.outcome import Failure, Outcome, Reason
from legato.model.payload import EMPTY, Payload

_SAYING: dict[Reason, str] = {
    "deadline": "the deadline of the run passed",
    "cancelled": "the run was cancelled",
    "disconnect": "the caller disconnected",
}


class Run(Scheduler):
    """Interprets one program once. `start`, `deliver` and `cancel` give the commands that they cause."""

    __slots__ = ("_hard", "_root", "_trail", "failure", "program", "result", "state")

    def __init__(self, program: Program) -> None:
        Scheduler.__init__(self)
        self.program = program
        self.state: Literal["running", "undoing", "ended"] = "running"
        self.result: Payload = EMPTY
        self.failure: Failure | None = None
        self._trail: Trail | None = [] if program.root.undoable else None
        self._hard = False

    def start(self, payload: Payload) -> Sequence[Command]:
        """Begin with the input; to be called once."""
        self._root = root = Fiber(None)
        root.coroutine = self.program.root.go(self, root, payload, self._trail)
        self.wake(root)
        commands = self.advance()
        return self._after_root(commands) if root.ended else commands

    def deliver(self, call: Call, outcome: Outcome) -> Sequence[Command]:
        """Take the outcome of an issued call: exactly one for each, cancelled ones too.

        Raises LegatoError for a call that was not issued or has had its delivery.
        """
        if call.ended or call.turn == self.turn:
            raise LegatoError(f"{call.path} was delivered twice or never issued: a host's mistake")
        trail = call.trail
        if trail is not None and call.step.undo is not None and outcome.effect_possible:
            trail.append(Done(call.step, call.payload, outcome))
        if outcome.kind == "ok":
            self.end(call, outcome.payload, None)
        else:
            self.fail_call(call, outcome)
        commands = self.advance()
        return self._after_root(commands) if self._root.ended else commands

    def cancel(self, reason: Reason, *, hard: bool = False) -> Sequence[Command]:
        """Withdraw what is in flight; undo follows, unless the cancel is hard."""
        if self.state == "ended" or (self.state == "undoing" and not hard):
            return ()
        self._hard = self._hard or hard
        if self.failure is None:
            path, function = next(((call.path, call.step.function) for call in self.open_calls()), ("", ""))
            self.failure = Failure(reason, Outcome("cancelled", detail=_SAYING[reason]), path, function)
        self.cancel_nodes((self._root,), reason)
        commands = self.advance()
        return self._after_root(commands) if self._root.ended else commands

    def open_calls(self) -> Iterator[Call]:
        """The issued calls whose delivery is owed, scope by scope in the order in which they were made."""
        return _open_calls(self._root, self.turn)

    def _after_root(self, commands: Sequence[Command]) -> Sequence[Command]:
        """The root fiber has ended: so has the run, unless there is something to undo."""
        if self.state == "running" and self._fails_into_undo():
            commands = [*commands, *self.advance()]
            if not self._root.ended:
                return commands
        self.state = "ended"
        return commands

    def _fails_into_undo(self) -> bool:
        error = self._root.error
        if error is None and self.failure is None:
            self.result = self._root.value
            return False
        if isinstance(error, StepFailed) and self.failure is None:
            self.failure = error.failure
        trail = self._trail
        if not trail or self._hard:
            return False
        self.state = "undoing"
        self._root = self.spawn(None, lambda fiber: self._unwind(fiber, trail))
        return True

    async def _unwind(self, fiber: Fiber, trail: Trail) -> Payload:
        """Undo what the trail holds, last first; one that fails does not keep the others from being undone."""
        for entry in reversed(trail):
            if isinstance(entry, Together):
                branches = [_branch(self, fiber, branch) for branch in reversed(entry.trails) if branch]
                await Join.of(branches, eager=False)
            else:
                await self._undo(fiber, entry)
        return EMPTY

    async def _undo(self, fiber: Fiber, entry: Done) -> None:
        undo = entry.step.undo
        assert undo is not None
        assert self.failure is not None
        leaf = self.call(fiber, undo, entry.arguments(), None)
        try:
            await leaf
        except StepFailed:
            pass  # what the function said is the host's to log
        finally:
            # By the leaf, not by how the await ended: an answer that came in spite of a hard cancel counts.
            self.failure.undo.append((undo.path, leaf.error is None))


def _branch(run: Run, fiber: Fiber, trail: Trail) -> Fiber:
    return run.spawn(fiber, lambda own: run._unwind(own, trail))  # pyright: ignore[reportPrivateUsage]


def _open_calls(fiber: Fiber, turn: int) -> Iterator[Call]:
    for node in fiber.open:
        if isinstance(node, Fiber):
            yield from _open_calls(node, turn)
        elif isinstance(node, Call) and node.turn < turn:
            yield node
