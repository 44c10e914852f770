"""The inline host: a run lives in this process, on callbacks, and nothing is stored."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import cast

from legato.hosts.attempts import Attempts
from legato.hosts.bound import TAIL_TIME, BoundProgram, call_tail
from legato.hosts.facts import facts_of
from legato.hosts.lane import Lane
from legato.hosts.recent import Noted, RecentRuns
from legato.kernel import Call, Cancel, Command, Leaf, Respond, Run, Sleep, Wait
from legato.model.outcome import Failure, Outcome, Reason
from legato.model.payload import Payload
from legato.ports import Caller
from legato.telemetry.ids import new_run_id, trace_of
from legato.telemetry.log import Log
from legato.transport.wheel import Timer, Wheel

UNDO_TIME = 300.0  # seconds an inline run may spend on undo; nothing is stored, so it cannot be left for later

_FOLLOWING = frozenset({"undoing", "closing"})  # states in which a flow has ended and its run has not

UNDO_GRACE = 5.0  # seconds for the undo of runs that a stopping gateway cancels


class InlineRun(Timer, eq=False, kw_only=True):
    """One run: the kernel's state, and the time until which something must have happened.

    `due` is never later than the end of any attempt in flight; when it comes, the exact times are looked at.
    """

    host: InlineHost
    bound: BoundProgram
    lane: Lane[InlineRun]
    kernel: Run
    caller: Caller
    reply: Reply
    id: bytes
    trace: bytes
    trace_flags: bytes
    key_line: bytes  # the parts of every call's header lines; see Attempts.identity
    trace_line: bytes
    call_tail: bytes
    tail_until: float  # when the tail must say anew how much time is left
    started: float
    now: float
    deadline: float
    unsafe: bool = False  # whether a call was sent that must not be repeated
    status: int = 0  # of the last call that went well
    busy: bool = False
    undoing: bool = False
    inbox: deque[tuple[Leaf, Outcome]] | None = None
    answered: Respond | None = None  # what the caller was answered before the run had ended
    noted: list[Noted] = []  # attempts that have ended, see recent

    @property
    def flow(self) -> str:
        """The flow's name."""
        return self.bound.name

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return self.now - self.started

    @property
    def completed(self) -> bool:
        """Whether nothing was skipped or tolerated."""
        return self.kernel.completed

    @property
    def failure(self) -> Failure | None:
        """Why the run has failed."""
        return self.kernel.failure

    def postpone(self, leaf: Leaf, outcome: Outcome) -> None:
        """Keep an outcome that came while commands are carried out; the kernel gets it right after them."""
        if self.inbox is None:
            self.inbox = deque()
        self.inbox.append((leaf, outcome))

    def carry_out(self, commands: Sequence[Command]) -> None:
        """Carry out commands and, as long as calls settle on the spot, those that follow: a loop, not a recursion."""
        self.busy = True
        kernel, calls, now = self.kernel, self.bound.calls, self.now
        while True:
            if kernel.state in _FOLLOWING:
                self._bound_undo()
            for command in commands:
                if type(command) is Call:
                    bound = calls[command.step.index]
                    if command.own_path:
                        bound = bound.at(command.own_path)
                        if now + bound.timeout < self.due:  # of code: its calls are not known when a run starts
                            self.lane.hurry(self, now + bound.timeout)
                    if now >= self.tail_until:
                        self.renew_tail(now)
                    identity = b"".join((self.key_line, bound.key, self.trace_line, bound.span, self.call_tail))
                    command.handle = attempt = Attempts(self, command, bound, command.payload, now, identity)
                    try:
                        bound.begin(attempt)
                    except Exception as error:
                        attempt.broke(error)
                else:
                    self._carry_out(command)
            if not self.inbox:
                break
            commands = kernel.deliver(*self.inbox.popleft())
            now = self.now  # calls that settle on the spot may have taken long all the same
        self.busy = False
        if kernel.state == "ended":
            self._end()

    def _carry_out(self, command: Command) -> None:
        """Carry out a command that is no call."""
        if isinstance(command, Sleep):
            command.handle = asyncio.get_running_loop().call_later(command.seconds, self._wake, command)
        elif isinstance(command, Wait):
            self.host.wait(self, command)
        elif isinstance(command, Respond):
            self.answered = command
            self.reply(self, command.payload, command.failure)
        elif isinstance(command, Cancel):
            leaf = command.leaf
            if isinstance(leaf.handle, Attempts):
                leaf.handle.withdraw()
            elif isinstance(leaf, Sleep | Wait) and leaf.handle is not None:
                cast("asyncio.TimerHandle", leaf.handle).cancel()
                leaf.handle = None
                self.postpone(leaf, Outcome("cancelled"))

    def _wake(self, sleep: Sleep) -> None:
        """A sleep is over."""
        self.take(sleep, Outcome("ok"))

    def take(self, leaf: Sleep | Wait, outcome: Outcome) -> None:
        """Take how a pause has ended."""
        leaf.handle = None
        self.now = monotonic()
        self.carry_out(self.kernel.deliver(leaf, outcome))

    def _bound_undo(self) -> None:
        """What follows the end of a flow is not bound by its deadline, only by our patience: nobody could resume it."""
        if not self.undoing:
            self.undoing = True
            self.deadline = self.now + UNDO_TIME
            self.tail_until = 0.0

    def renew_tail(self, now: float) -> None:
        """Have the calls from now on say how much time is left."""
        left = self.deadline - now
        self.call_tail = call_tail(self.trace_flags, self.caller.hops, left)
        self.tail_until = now + TAIL_TIME if left > 1.0 + TAIL_TIME else now

    def cancel(self, reason: Reason, *, hard: bool = False) -> None:
        """Cancel the run: what is in flight is aborted, then undo runs unless the cancel is hard.

        A run that has ended is left alone.
        """
        if self.busy:  # asked for from within a call: the commands at hand come first
            asyncio.get_running_loop().call_soon(lambda: self.cancel(reason, hard=hard))
        elif self.kernel.state != "ended":
            self.now = monotonic()  # nothing may have settled for long
            self.carry_out(self.kernel.cancel(reason, hard=hard))

    def caller_left(self) -> None:
        """The caller disconnected: finish what must not be left half done, cancel what may (contract 1)."""
        policy = self.bound.on_disconnect
        if not policy:
            sent = self.unsafe or any(a.sent and not a.bound.target.idempotent(a) for a in self.in_flight())
            policy = "finish" if sent else "cancel"
        if policy == "cancel":
            self.cancel("disconnect")

    def in_flight(self) -> Iterator[Attempts]:
        """The calls that have not settled."""
        for leaf in list(self.kernel.open_leaves()):
            if isinstance(leaf.handle, Attempts):
                yield leaf.handle

    def expired(self, now: float) -> None:
        """Called when `due` has come: end the attempts whose time is up, or the run."""
        self.now = now
        if now >= self.deadline:
            self.cancel("deadline", hard=self.undoing)
            self._bound_undo()  # one that had begun before, for an `on_error`, is not bound by the deadline either
        for attempt in self.in_flight():
            if attempt.due <= now and attempt.backoff is None:
                attempt.time_out()
        if self.kernel.state != "ended":
            # An attempt that is yet to begin cannot be due before the shortest timeout has passed.
            soonest = min((attempt.due for attempt in self.in_flight()), default=self.deadline)
            self.due = min(soonest, self.deadline, now + self.bound.least_timeout)
            self.host.wheel.watch(self)

    def retrying(self, attempts: Attempts, outcome: Outcome, delay: float) -> None:
        """An attempt has failed with this outcome, and another one follows after so many seconds."""

    def parks(self, attempts: Attempts, outcome: Outcome) -> bool:
        """Whether a call that has failed for good is left to an operator instead of ending."""
        return False

    def note_failure(self, call: Call, outcome: Outcome) -> None:
        """Tell the log about an undo that could not be done: somebody has to look."""
        if call.step.is_undo:
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

    def _end(self) -> None:
        self.host.ended(self)
        failure = self.kernel.failure
        if failure is None:
            self.bound.took(self.now - self.started)
        else:
            self.bound.meter.count(failure.reason, self.now - self.started)
        if self.answered is None:
            self.reply(self, self.kernel.result, failure)
        elif failure is not None and self.answered.failure is None:
            self._tell("failed_after_answer", failure)
        for each in self.kernel.handler_failures:
            self._tell("handler_failed", each)
        for each in self.kernel.undo_failures:
            self._tell("undo_failed", each)

    def _tell(self, event: str, failure: Failure) -> None:
        """Tell the log what no caller is told."""
        self.host.log.write(
            event,
            run=self.id.decode(),
            flow=self.bound.name,
            step=failure.path,
            function=failure.function,
            reason=failure.reason,
            detail=failure.outcome.private or failure.outcome.detail,
        )


Reply = Callable[[InlineRun, Payload, Failure | None], None]


class InlineHost:
    """Starts runs and knows those that have not ended.

    `runs_with_data` are ids of those that have put large data somewhere, `clear_data` deletes that of one.
    """

    runs_with_data: AbstractSet[str] = frozenset()

    def __init__(self, wheel: Wheel, log: Log, recent_runs: int = 0) -> None:
        self.wheel = wheel
        self.log = log
        self.recent = RecentRuns(recent_runs)
        self.clear_data: Callable[[str, bool], None] = lambda run_id, recovered: None
        self._lanes: dict[BoundProgram, Lane[InlineRun]] = {}
        self._idle: asyncio.Event | None = None

    def start(
        self,
        bound: BoundProgram,
        payload: Payload,
        caller: Caller,
        reply: Reply,
        traceparent: bytes | None = None,
        key_root: bytes | None = None,
        timeout: float | None = None,
    ) -> InlineRun:
        """Start a run; `reply` is called once, when it has ended, possibly before this returns.

        `traceparent` is the caller's trace context. `key_root` replaces the run id in idempotency keys, for a caller
        that sent a key of its own (contract 1). `timeout` is the seconds that the caller gives the run, if less.
        """
        lane = self._lanes.get(bound) or self._open_lane(bound)
        now = monotonic()
        run_id = new_run_id()
        trace, flags = trace_of(traceparent, run_id)
        hops = caller.hops
        left = bound.timeout if timeout is None or timeout > bound.timeout else timeout
        program = bound.program
        run = InlineRun(
            due=now + bound.least_timeout,
            host=self,
            bound=bound,
            lane=lane,
            kernel=Run(program),
            caller=caller,
            reply=reply,
            id=run_id,
            trace=trace,
            trace_flags=flags,
            key_line=b"idempotency-key: " + (run_id if key_root is None else key_root),
            trace_line=b"\r\ntraceparent: 00-%b-%b" % (trace, run_id[-8:]),
            call_tail=bound.first_tail
            if flags == b"01" and not hops and left == bound.timeout
            else call_tail(flags, hops, left),
            tail_until=now + TAIL_TIME if left > 1.0 else now,
            started=now,
            now=now,
            deadline=now + left,
        )
        lane.enter(run)
        if left < bound.least_timeout:
            lane.hurry(run, run.deadline)
        facts = facts_of(program, run_id, caller) if program.framed else None
        run.carry_out(run.kernel.start(payload, facts))
        return run

    def ended(self, run: InlineRun) -> None:
        """Let go of a run."""
        run.lane.leave(run)
        self.recent.note(run)
        if self.runs_with_data:
            self.clear_data(run.id.decode(), False)
        if run.bound.retired:
            self.retire(run.bound)
        if self._idle is not None and not any(self.runs()):
            self._idle.set()

    def wait(self, run: InlineRun, wait: Wait) -> None:
        """Wait for a signal: none can come to an inline run, and the linker lets none wait for one."""
        run.postpone(wait, Outcome("refused", detail="a signal can only come to a durable run"))

    def retire(self, bound: BoundProgram) -> None:
        """Let go of a program that is served no more, as soon as its last run has ended."""
        bound.retired = True
        lane = self._lanes.get(bound)
        if lane is not None and lane.is_empty:
            del self._lanes[bound]
            self.wheel.forget(lane)

    def runs(self) -> Iterator[InlineRun]:
        """The runs that have not ended."""
        for lane in list(self._lanes.values()):
            yield from lane.all()

    def active(self) -> dict[str, float]:
        """How many runs have not ended, by flow."""
        counts: dict[str, float] = {}
        for bound, lane in self._lanes.items():
            counts[bound.name] = counts.get(bound.name, 0) + sum(1 for _ in lane.all())
        return counts

    async def drain(self, patience: float) -> int:
        """Wait until no run is left; after `patience` seconds cancel those that are, and give how many that were.

        Their undo gets UNDO_GRACE seconds more.
        """
        await self._until_idle(patience)
        late = list(self.runs())
        for run in late:
            run.cancel("cancelled")
        await self._until_idle(UNDO_GRACE)
        for run in list(self.runs()):
            run.cancel("cancelled", hard=True)
        return len(late)

    async def _until_idle(self, patience: float) -> None:
        if not any(self.runs()):
            return
        self._idle = asyncio.Event()
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            pass

    def _open_lane(self, bound: BoundProgram) -> Lane[InlineRun]:
        lane = self._lanes[bound] = Lane[InlineRun](wheel=self.wheel)
        return lane
