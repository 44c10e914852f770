"""The inline host: a run lives in this process, on callbacks, and nothing is stored.

It is the one owner of retries, per-attempt timeouts and the deadline (design 1.7). One timer serves a whole run: it is
due at the earliest end of an attempt in flight, and moves for free.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from random import random
from time import monotonic

import msgspec

from legato.errors import NotJSON
from legato.hosts.bound import BoundCall, BoundProgram
from legato.kernel import Call, Command, Run
from legato.model.outcome import Failure, Outcome, Reason
from legato.model.payload import Payload
from legato.model.policy import worth_another_try
from legato.ports import Caller
from legato.telemetry.ids import new_run_id, new_span_id, trace_of
from legato.telemetry.log import Log
from legato.transport.wheel import Timer, Wheel

UNDO_TIME = 300.0  # seconds an inline run may spend on undo; nothing is stored, so it cannot be left for later


class Attempts(msgspec.Struct, eq=False):
    """A call in flight: its attempts, one after another, until one settles it.

    This is what connectors know as `ports.Attempt`; a new attempt reuses the object.
    """

    run: InlineRun
    call: Call
    bound: BoundCall
    payload: Payload
    started: float = 0.0
    due: float = inf
    number: int = 1
    sent: bool = False
    handle: object = None
    backoff: asyncio.TimerHandle | None = None
    maybe_done: bool = False
    why: str = ""

    @property
    def identity(self) -> bytes:
        """See ports.Attempt."""
        run = self.run
        return b"idempotency-key: %b%b%b%b%b" % (
            run.root,
            self.bound.key,
            run.trace_head,
            new_span_id(),
            run.trace_tail,
        )

    @property
    def caller(self) -> Caller:
        """See ports.Attempt."""
        return self.run.caller

    def begin(self, now: float) -> None:
        """Start an attempt."""
        bound, run = self.bound, self.run
        self.started = now
        due = now + bound.timeout
        self.due = due = due if due < run.deadline else run.deadline
        if due < run.due:
            run.due = due
            run.host.wheel.watch(run)
        bound.target.begin(self)

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of the attempt: try again, or have it delivered."""
        run, bound = self.run, self.bound
        kind = outcome.kind
        if kind == "ok" and bound.inspected:
            outcome = _inspected(outcome)
            kind = outcome.kind
        run.now = now = monotonic()
        bound.meter.count(kind, now - self.started)
        if self.sent and not run.unsafe:
            run.unsafe = not bound.target.idempotent(self)
        if kind != "ok":
            if self.why:
                outcome.detail = self.why
                if kind == "cancelled" and not self.call.cancelled:
                    outcome.kind = "retryable"  # it timed out waiting for a connection: nothing was sent
            if self._tries_again(outcome):
                return
            outcome.maybe_done = self.maybe_done
        del run.in_flight[self.call]
        run.deliver(self.call, outcome)

    def _tries_again(self, outcome: Outcome) -> bool:
        bound, run = self.bound, self.run
        if outcome.kind == "unknown":
            self.maybe_done = True
        if self.number >= bound.attempts or self.call.cancelled:
            return False
        if not worth_another_try(outcome, bound.retry, bound.target.idempotent(self), bound.is_undo):
            return False
        delay = bound.retry.next_delay(self.number, random(), outcome.retry_after)
        if run.now + delay >= run.deadline:
            return False  # it could not even start
        self.due = run.deadline
        self.backoff = asyncio.get_running_loop().call_later(delay, self._again)
        return True

    def _again(self) -> None:
        self.number += 1
        self.sent = False
        self.handle = self.backoff = None
        self.why = ""
        self.begin(monotonic())

    def time_out(self) -> None:
        """End the attempt in flight because its time is up."""
        self.why = f"no answer within {self.bound.timeout:g} s"
        self.bound.target.abort(self)

    def withdraw(self) -> None:
        """Cancel: abort the attempt in flight, or give up waiting for the next one."""
        if self.backoff is None:
            self.bound.target.abort(self)
            return
        self.backoff.cancel()
        run = self.run
        del run.in_flight[self.call]
        kind = "unknown" if self.maybe_done else "cancelled"
        run.deliver(self.call, Outcome(kind, detail="cancelled between two attempts"))


class InlineRun(Timer, eq=False, kw_only=True):
    """One run: the kernel's state, the calls in flight, and the timer that bounds both."""

    host: InlineHost
    bound: BoundProgram
    kernel: Run
    caller: Caller
    reply: Reply
    id: bytes
    root: bytes  # of idempotency keys
    trace: bytes
    trace_head: bytes
    trace_tail: bytes
    started: float
    now: float
    deadline: float
    in_flight: dict[Call, Attempts] = {}
    unsafe: bool = False  # whether a call was sent that must not be repeated
    status: int = 0  # of the last call that went well
    busy: bool = False
    undoing: bool = False
    inbox: deque[tuple[Call, Outcome]] | None = None

    def begin(self, payload: Payload) -> None:
        """Start the run."""
        self._carry_out(self.kernel.start(payload))

    def deliver(self, call: Call, outcome: Outcome) -> None:
        """Give the kernel the outcome of a call, now or when the current commands have been carried out."""
        if outcome.kind == "ok":
            self.status = outcome.status
        elif call.step.is_undo:
            self._tell_failed_undo(call, outcome)
        if self.busy:
            if self.inbox is None:
                self.inbox = deque()
            self.inbox.append((call, outcome))
            return
        self._carry_out(self.kernel.deliver(call, outcome))

    def cancel(self, reason: Reason, *, hard: bool = False) -> None:
        """Cancel the run: what is in flight is aborted, then undo runs unless the cancel is hard."""
        self._carry_out(self.kernel.cancel(reason, hard=hard))

    def caller_left(self) -> None:
        """The caller disconnected: finish what must not be left half done, cancel what may (contract 1)."""
        policy = self.bound.on_disconnect
        if not policy:
            sent = self.unsafe or any(a.sent and not a.bound.target.idempotent(a) for a in self.in_flight.values())
            policy = "finish" if sent else "cancel"
        if policy == "cancel":
            self.cancel("disconnect")

    def expired(self, now: float) -> None:
        """Called by the wheel: end the attempts whose time is up, or the run."""
        self.now = now
        if now >= self.deadline:
            self.cancel("deadline", hard=self.undoing)
        for attempt in list(self.in_flight.values()):
            if attempt.due <= now and attempt.backoff is None and not attempt.call.ended:
                attempt.time_out()
        if self.in_flight:
            self.due = min(self.deadline, *(attempt.due for attempt in self.in_flight.values()))
            self.host.wheel.watch(self)

    def _carry_out(self, commands: Sequence[Command]) -> None:
        """Carry out commands and, as long as calls settle on the spot, those that follow: a loop, not a recursion."""
        self.busy = True
        calls = self.bound.calls
        while True:
            for command in commands:
                if isinstance(command, Call):
                    attempt = Attempts(self, command, calls[command.step.index], command.payload)
                    self.in_flight[command] = attempt
                    try:
                        attempt.begin(self.now)
                    except Exception as error:  # a connector's bug must not leave a run that never ends
                        attempt.settle(Outcome("unknown", detail=f"{type(error).__name__}: {error}"))
                elif (attempt := self.in_flight.get(command.call)) is not None:
                    attempt.withdraw()
            if not self.inbox:
                break
            commands = self.kernel.deliver(*self.inbox.popleft())
        self.busy = False
        if self.kernel.state != "running":
            self._end_or_undo()

    def _end_or_undo(self) -> None:
        if self.kernel.state == "ended":
            self.host.ended(self)
            failure = self.kernel.failure
            self.bound.meter.count("ok" if failure is None else failure.reason, self.now - self.started)
            self.reply(self, self.kernel.result, failure)
        elif not self.undoing:
            # Undo is not bound by the run's deadline, only by our patience with what nobody could resume.
            self.undoing = True
            self.deadline = self.now + UNDO_TIME

    def _tell_failed_undo(self, call: Call, outcome: Outcome) -> None:
        self.host.log.write(
            "undo_failed",
            run=self.id.decode(),
            flow=self.bound.name,
            step=call.path,
            function=call.step.function,
            outcome=outcome.kind,
            status=outcome.status,
            detail=outcome.detail,
        )


Reply = Callable[[InlineRun, Payload, Failure | None], None]


class InlineHost:
    """Starts runs and knows those that have not ended."""

    def __init__(self, wheel: Wheel, log: Log) -> None:
        self.wheel = wheel
        self.log = log
        self.runs: set[InlineRun] = set()
        self._idle: asyncio.Event | None = None

    def start(
        self,
        bound: BoundProgram,
        payload: Payload,
        caller: Caller,
        reply: Reply,
        traceparent: bytes | None = None,
        key_root: bytes | None = None,
    ) -> InlineRun:
        """Start a run; `reply` is called once, when it has ended, possibly before this returns.

        `traceparent` is the caller's trace context. `key_root` replaces the run id in idempotency keys, for a caller
        that sent a key of its own (contract 1).
        """
        now = monotonic()
        run_id = new_run_id()
        trace, flags = trace_of(traceparent, run_id)
        run = InlineRun(
            host=self,
            bound=bound,
            kernel=Run(bound.program),
            caller=caller,
            reply=reply,
            id=run_id,
            root=run_id if key_root is None else key_root,
            trace=trace,
            trace_head=b"\r\ntraceparent: 00-%b-" % trace,
            trace_tail=b"-%b\r\n" % flags,
            started=now,
            now=now,
            deadline=now + bound.timeout,
        )
        self.runs.add(run)
        bound.meter.active += 1
        run.begin(payload)
        return run

    def ended(self, run: InlineRun) -> None:
        """Let go of a run."""
        self.runs.discard(run)
        run.bound.meter.active -= 1
        self.wheel.forget(run)
        if self._idle is not None and not self.runs:
            self._idle.set()

    async def drain(self, patience: float) -> int:
        """Wait until no run is left, cancel those that are after `patience` seconds; give how many that were."""
        if self.runs:
            self._idle = asyncio.Event()
            try:
                async with asyncio.timeout(patience):
                    await self._idle.wait()
            except TimeoutError:
                pass
        left = list(self.runs)
        for run in left:
            run.cancel("cancelled", hard=True)
        return len(left)


def _inspected(outcome: Outcome) -> Outcome:
    """The outcome of an answer that will be looked into: one that is not what it declares is `unknown`."""
    try:
        outcome.payload.json()
    except NotJSON as error:
        return Outcome("unknown", outcome.payload, outcome.status, str(error))
    return outcome
