"""A run: one execution of a program, as far as the kernel is concerned.

States: `running` until the root fiber ends; `undoing` while completed work of a failed run is compensated; `closing`
while the flow's handlers and its callback run; `ended`.

| event | running | undoing, closing |
|---|---|---|
| the root ends with a value | closing if the flow wants that, else ended; `result` is set | |
| the root ends with an error | undoing if the trail holds anything, then as above; `failure` is set | |
| the last of it ends | | ended |
| cancel | the root is cancelled | ignored |
| hard cancel | the root is cancelled, no undo follows | what is in flight is cancelled |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from legato.errors import LegatoError
from legato.kernel.calls import Flowing, made
from legato.kernel.frame import Frame, error_document, state_of
from legato.kernel.program import LinkedCallback, Program
from legato.kernel.scheduler import Call, Command, Fiber, Leaf, Respond, Scheduler, Sleep, StepFailed, Wait
from legato.kernel.subflow import handle
from legato.kernel.trail import DoneCall, Trail, commit, forget, settle, unwind
from legato.model.outcome import Failure, Outcome, Reason
from legato.model.payload import EMPTY, Payload, json_payload

if TYPE_CHECKING:
    from legato.kernel.modified import Maker

_SAYING: dict[Reason, str] = {
    "deadline": "the deadline of the run passed",
    "cancelled": "the run was cancelled",
    "disconnect": "the caller disconnected",
}
MAX_ERRORS = 100  # failures that were spared and are told; a foreach may tolerate very many
MAX_SHARED = 256  # values that steps share
MAX_SHARED_BYTES = 1024 * 1024


class Facts(msgspec.Struct, frozen=True):
    """What a run knows of where it comes from: its id, and the request as expressions see it."""

    id: str = ""
    request: Payload = EMPTY


NO_FACTS = Facts()


class Run(Scheduler):
    """Interprets one program once. `start`, `deliver` and `cancel` give the commands that they cause.

    `completed` is false once anything was skipped or tolerated; `errors` holds those failures by path. `shared` are
    the values that Python code shares. `handler_failures` are those of handlers, which change nothing, and
    `undo_failures` those of undo calls that were never issued.
    """

    __slots__ = ("_root", "failure", "program", "result", "state")

    facts: Facts = NO_FACTS
    completed = True
    responded = False
    errors: Mapping[str, Failure] = {}
    shared: Mapping[str, bytes] = {}
    handler_failures: Sequence[Failure] = ()
    undo_failures: Sequence[Failure] = ()
    _frame: Frame | None = None

    def __init__(self, program: Program) -> None:
        Scheduler.__init__(self)
        self.program = program
        self.state: Literal["running", "undoing", "closing", "ended"] = "running"
        self.result: Payload = EMPTY
        self.failure: Failure | None = None

    @property
    def outward_state(self) -> str:
        """How the run stands, in words of contract 5."""
        return "running" if self.state == "running" else state_of(self.failure)

    def start(self, payload: Payload, facts: Facts | None = None) -> Sequence[Command]:
        """Begin with the input; to be called once."""
        program = self.program
        if program.framed:
            self.facts = facts or self.facts
            self._frame = Frame(self, None, [] if program.root.undoable else None, payload)
        self._root = root = Fiber(None)
        root.coroutine = program.root.go(self, root, payload, self._frame)
        self.wake(root)
        commands = self.advance()
        return self._after_root(commands) if root.ended else commands

    def deliver(self, leaf: Leaf, outcome: Outcome) -> Sequence[Command]:
        """Take the outcome of an issued leaf: exactly one for each, cancelled ones too.

        Raises LegatoError for one that was not issued or has had its delivery.
        """
        if leaf.ended or leaf.turn == self.turn:
            raise LegatoError(f"{leaf.path} was delivered twice or never issued: a host's mistake")
        if leaf.frame is not None or outcome.shared is not None:
            outcome = self._noted(leaf, outcome)
        if outcome.kind == "ok":
            self.end(leaf, outcome.payload, None)
        else:
            self.fail_leaf(leaf, outcome)
        commands = self.advance()
        return self._after_root(commands) if self._root.ended else commands

    def cancel(self, reason: Reason, *, hard: bool = False) -> Sequence[Command]:
        """Withdraw what is in flight; undo follows, unless the cancel is hard."""
        if self.state == "ended" or (self.state != "running" and not hard):
            return ()
        self.hard = self.hard or hard
        if self.failure is None and self.state == "running":
            path, function = next(((leaf.path, leaf.function) for leaf in self.open_leaves()), ("", ""))
            self.failure = Failure(reason, Outcome("cancelled", detail=_SAYING[reason]), path, function)
        self.cancel_nodes((self._root,), reason)
        commands = self.advance()
        return self._after_root(commands) if self._root.ended else commands

    def open_leaves(self) -> Iterator[Leaf]:
        """The issued leaves whose delivery is owed, scope by scope in the order in which they were made."""
        return _open_leaves(self._root, self.turn)

    # What steps tell.

    def respond(self, command: Respond) -> None:
        """Have the caller answered when the advance ends."""
        self.responded = True
        super().respond(command)

    def spared(self, path: str, failure: Failure) -> None:
        """Note a failure that the flow goes on in spite of."""
        self.completed = False
        self.note_error(path, failure)

    def note_error(self, path: str, failure: Failure) -> None:
        """Keep a failure that was dealt with for who asks."""
        if len(self.errors) < MAX_ERRORS:
            self.errors = {**self.errors, path: failure}

    def handler_failed(self, failure: Failure) -> None:
        """Note that a handler failed, which changes nothing of how the flow has ended."""
        self.handler_failures = [*self.handler_failures, failure]

    def undo_failed(self, failure: Failure) -> None:
        """Note an undo that could not even be begun."""
        self.undo_failures = [*self.undo_failures, failure]

    # How it ends.

    def _noted(self, leaf: Leaf, outcome: Outcome) -> Outcome:
        """Keep what is to be undone if the flow fails, and what is shared; gives the outcome, which that may change."""
        trail = None if leaf.frame is None else leaf.frame.trail
        if trail is not None and isinstance(leaf, Call):
            if leaf.step.pivot and outcome.kind == "ok":
                commit(trail)  # by the delivery: it may come after a cancel, and was done all the same
            elif leaf.step.undo is not None and outcome.effect_possible:
                trail.append(DoneCall(leaf, outcome))
        return outcome if outcome.shared is None else self.share(outcome, outcome.shared)

    def share(self, outcome: Outcome, changes: dict[str, bytes | None]) -> Outcome:
        """Share values, None for those to delete, if the outcome is `ok`; gives it, or one that says what is wrong."""
        if outcome.kind != "ok":
            return outcome
        shared = {**self.shared, **changes}
        kept = {name: value for name, value in shared.items() if value is not None}
        if len(kept) > MAX_SHARED or sum(map(len, kept.values())) > MAX_SHARED_BYTES:
            detail = f"more than {MAX_SHARED} values or {MAX_SHARED_BYTES} bytes are shared in this run"
            return Outcome("unknown", detail=detail, status=500)
        self.shared = kept
        return outcome

    def _after_root(self, commands: Sequence[Command]) -> Sequence[Command]:
        """The root fiber has ended: so has the run, unless there is something to undo or to close."""
        if self.state == "running" and self._goes_on():
            commands = [*commands, *self.advance()]
            if not self._root.ended:
                return commands
        self.state = "ended"
        if self._frame is not None:
            forget(self._frame.trail or [])  # what it holds would keep the run alive
            self._frame = None
        return commands

    def _goes_on(self) -> bool:
        error, program = self._root.error, self.program
        if error is None and self.failure is None:
            self.result = self._root.value
            if not program.framed:
                return False
            if program.output is not None and self._frame is not None:
                self._make_output(program.output, self._frame)
        elif isinstance(error, StepFailed) and self.failure is None:
            self.failure = error.failure
        failed = self.failure is not None
        trail = None if self._frame is None else self._frame.trail
        if trail is not None:
            settle(trail)
        undoes = failed and bool(trail) and not self.hard
        handled = failed and program.handlers is not None and program.handlers.on_failure is not None
        if not (undoes or program.closes or handled) or self.hard:
            return False
        self.state = "undoing" if undoes else "closing"
        self._root = self.spawn(None, lambda fiber: self._close(fiber, trail if undoes else None))
        return True

    def _make_output(self, output: Maker, frame: Frame) -> None:
        frame.value, frame.where = self.result, ""
        try:
            self.result = made(output.payload, frame)
        except StepFailed as error:
            self.failure, self.result = error.taken(), EMPTY

    def _close(self, fiber: Fiber, trail: Trail | None) -> Flowing:
        """Undo, then let the handlers see how the run has ended, then tell who wants to be told."""
        failure, program, frame = self.failure, self.program, self._frame
        if trail is not None and failure is not None:
            yield from unwind(self, fiber, trail, failure.undo, 0, failure)
        self.state = "closing"
        if frame is not None and program.handlers is not None:
            entry = frame.input if failure is not None else self.result
            if failure is not None and program.handlers.on_failure is not None:
                said = yield from handle(self, fiber, program.handlers.on_failure, entry, frame, failure)
                failure.said = None if said is entry else said
            yield from handle(self, fiber, program.handlers.finally_, entry, frame, failure)
        if frame is not None and program.callback is not None:
            yield from self._call_back(fiber, program.callback, frame)
        return EMPTY

    def _call_back(self, fiber: Fiber, callback: LinkedCallback, frame: Frame) -> Flowing:
        failure = self.failure
        if callback.when != "always" and (callback.when == "failure") != (failure is not None):
            return EMPTY
        if not self.responded:
            self.respond(Respond(self.result, failure=failure))
        document: dict[str, object] = {
            "run": self.facts.id,
            "flow": self.program.flow.name,
            "state": self.outward_state,
        }
        if failure is None:
            document["result"] = msgspec.Raw(self.result.lenient_json() if self.result.size else b"null")
        else:
            document["error"] = error_document(failure)
        frame.value, frame.where = self.result, callback.call.path
        try:
            parts = made(callback.parts.render, frame)
            leaf = self.call(fiber, callback.call, json_payload(document), frame)
            leaf.parts = parts
            yield leaf
        except StepFailed as error:
            self.handler_failed(error.taken())
        return EMPTY


def _open_leaves(fiber: Fiber, turn: int) -> Iterator[Leaf]:
    for node in fiber.open:
        if isinstance(node, Fiber):
            yield from _open_leaves(node, turn)
        elif isinstance(node, Call | Sleep | Wait) and node.turn < turn:
            yield node
