"""A call in flight: attempts, one after another, until one settles it. The one owner of retries (design 1.7)."""

from __future__ import annotations

import asyncio
from random import random
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from legato.hosts.bound import BoundCall
from legato.hosts.recent import DETAIL, NOTED
from legato.hosts.view import View
from legato.kernel import Call
from legato.model.outcome import Kind, Outcome
from legato.model.payload import Payload
from legato.model.policy import worth_another_try
from legato.ports import Caller, Parts, RunView
from legato.telemetry.ids import new_span_id

if TYPE_CHECKING:
    from legato.hosts.inline import InlineRun


class Attempts(msgspec.Struct, eq=False):
    """What connectors know as `ports.Attempt`; a new attempt reuses the object."""

    run: InlineRun
    call: Call
    bound: BoundCall
    payload: Payload
    started: float
    identity: bytes
    number: int = 1
    sent: bool = False
    handle: object = None
    backoff: asyncio.TimerHandle | None = None
    maybe_done: bool = False
    why: str = ""  # what made us abort it

    @property
    def caller(self) -> Caller:
        """See ports.Attempt."""
        return self.run.caller

    @property
    def parts(self) -> Parts | None:
        """See ports.Attempt."""
        return self.call.parts

    @property
    def path(self) -> str:
        """See ports.Attempt."""
        return self.call.path

    @property
    def overdue(self) -> bool:
        """See ports.Attempt."""
        return bool(self.why)

    @property
    def view(self) -> RunView:
        """See ports.Attempt."""
        return View(self.run)

    @property
    def due(self) -> float:
        """When the attempt's time is up, or, between two attempts, the run's."""
        deadline = self.run.deadline
        return deadline if self.backoff is not None else min(self.started + self.bound.timeout, deadline)

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of the attempt: try again, or have it delivered."""
        run, bound = self.run, self.bound
        run.now = now = monotonic()
        if bound.read is not None:
            outcome = bound.read(outcome)
        if not run.unsafe and bound.unsafe is not False and self.sent:
            run.unsafe = bound.unsafe or not bound.target.idempotent(self)
        if outcome.kind == "ok":
            bound.took(now - self.started)
            run.status = outcome.status
            if len(run.noted) <= NOTED:  # a foreach may make a hundred thousand
                run.noted.append((bound, self.number, self.started, now, "ok", outcome.status, ""))
        else:
            bound.meter.count(outcome.kind, now - self.started)
            self._explain(outcome)
            if len(run.noted) <= NOTED:
                detail = outcome.detail[:DETAIL]
                run.noted.append((bound, self.number, self.started, now, outcome.kind, outcome.status, detail))
            if self._tries_again(outcome):
                return
            outcome.maybe_done = self.maybe_done
            if run.parks(self, outcome):
                return
            run.note_failure(self.call, outcome)
        self.call.handle = None
        if run.busy:
            run.postpone(self.call, outcome)
        else:
            run.carry_out(run.kernel.deliver(self.call, outcome))

    def _explain(self, outcome: Outcome) -> None:
        if self.why:
            outcome.detail = f"{self.why}: {outcome.detail}" if outcome.overloaded else self.why
            if outcome.kind == "cancelled" and not self.call.cancelled:
                outcome.kind = "retryable"  # it timed out waiting for a connection: nothing was sent
        if outcome.kind == "unknown" or outcome.maybe_done:
            self.maybe_done = True

    def _tries_again(self, outcome: Outcome) -> bool:
        bound, run = self.bound, self.run
        if self.number >= bound.attempts or self.call.cancelled:
            return False
        if not worth_another_try(outcome, bound.retry, bound.target.idempotent(self), bound.is_undo or bound.forward):
            return False
        delay = bound.retry.next_delay(self.number, random(), outcome.retry_after)
        if run.now + delay >= run.deadline and (run.undoing or not bound.is_undo):
            return False  # it could not even start
        self.wait(delay)
        run.retrying(self, outcome, delay)
        return True

    def wait(self, delay: float) -> None:
        """Begin the next attempt after so many seconds."""
        self.backoff = asyncio.get_running_loop().call_later(delay, self._again)

    def rest(self) -> None:
        """Do not begin the next attempt."""
        if self.backoff is not None:
            self.backoff.cancel()

    def _again(self) -> None:
        self.number += 1
        self.sent = False
        self.handle = self.backoff = None
        self.why = ""
        run = self.run
        span = new_span_id()[:8]  # another attempt, another span; the key is the same
        self.started = now = monotonic()
        if now >= run.tail_until:
            run.renew_tail(now)
        self.identity = b"".join((run.key_line, self.bound.key, run.trace_line, span, run.call_tail))
        if now + self.bound.timeout < run.due:  # of code, or taken up: its calls were not known when the run started
            run.lane.hurry(run, now + self.bound.timeout)
        try:
            self.bound.begin(self)
        except Exception as error:
            self.broke(error)

    def broke(self, error: Exception) -> None:
        """Settle an attempt whose connector raised: its bug must not leave a run that never ends."""
        if self.call.handle is self and self.backoff is None:
            self.settle(Outcome("unknown", detail=f"{type(error).__name__}: {error}"))
        else:  # it had settled, or what followed from that went wrong: nobody else is told
            asyncio.get_running_loop().call_exception_handler({"message": f"after {self.call!r}", "exception": error})

    def time_out(self) -> None:
        """End the attempt in flight because its time is up."""
        self.why = f"no answer within {self.bound.timeout:g} s"
        self._abort()

    def withdraw(self) -> None:
        """Cancel: abort the attempt in flight, or give up waiting for the next one."""
        if self.backoff is None:
            self._abort()
            return
        self.backoff.cancel()
        self.call.handle = None
        kind: Kind = "unknown" if self.maybe_done else "cancelled"
        self.run.postpone(self.call, Outcome(kind, detail="cancelled between two attempts"))

    def _abort(self) -> None:
        try:
            self.bound.target.abort(self)
        except Exception as error:
            self.broke(error)
