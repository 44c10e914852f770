"""A durable run while it is in memory: what it does is what an inline run does, after it has been written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from random import random
from time import monotonic, time
from typing import TYPE_CHECKING, cast

from legato.hosts.attempts import Attempts
from legato.hosts.bound import FOREVER
from legato.hosts.inline import InlineRun, Reply
from legato.hosts.journal.recorder import Recorder
from legato.hosts.journal.records import (
    Attempted,
    Cancelled,
    Decided,
    Delivered,
    Ended,
    FailureRecord,
    Intent,
    Parked,
    PayloadRecord,
    Record,
    Responded,
    Signalled,
    Timer,
    payload_of,
)
from legato.hosts.journal.story import Calling, Signal, Story
from legato.kernel import Call, Cancel, Command, Leaf, Respond, Sleep, Wait
from legato.kernel.wait import TIMED_OUT
from legato.model.journal import ENDED, Event, RunRow, Write
from legato.model.outcome import Outcome, Reason
from legato.model.payload import Payload

if TYPE_CHECKING:
    from legato.hosts.journal.host import JournalHost

RECORDED = 100  # attempts of a call that are written down; then each hundredth
PATIENCE = 60.0  # seconds for which a call may find our own limits reached, before that counts
ENDS_THE_PROCESS = "its code ends the process (SystemExit, or KeyboardInterrupt): mend it, then try again"
ARMED = "armed"  # the handle of a wait without a timeout


class DurableRun(InlineRun, eq=False, kw_only=True):
    """See InlineRun. `key` is the id in 16 bytes, `seq` the number of the next event.

    `pending` counts writes that are not on disk: until they are, what follows from them is held back. `calls` and
    `pauses` count open leaves, `issued` is when the calls among them were.
    """

    home: JournalHost
    key: bytes
    row: RunRow
    story: Story
    seq: int = 0
    pending: int = 0
    calls: int = 0
    pauses: int = 0
    issued: dict[str, float] = {}
    listeners: list[Reply] = []
    recovered: bool = False  # whether it has been in memory before
    ahead: tuple[Event, Callable[[], None]] | None = None  # an operator's choice, to be written with the next outcome
    gone: bool = False  # whether it has left memory

    # What is written down.

    def event(self, kind: str, path: str, record: Record, at: float) -> Event:
        """The next event, which the story takes at once."""
        seq = self.seq
        self.seq = seq + 1
        self.story.apply(at, path, record)
        return Event(self.key, seq, at, kind, path, record.encoded())

    def _kind(self, kind: str) -> str:
        """A kind of which a path has one event, and another one after each time that the end was taken back."""
        return f"{kind} {self.story.rounds}" if self.story.rounds else kind

    def delivered(self, leaf: Leaf, outcome: Outcome, commands: Sequence[Command]) -> None:
        """See Scribe."""
        at = time()
        outcome_event = self._outcome_event(leaf, outcome, at)
        if self.ahead is None:
            self.write([outcome_event], commands, at)
        else:
            (decided, stored), self.ahead = self.ahead, None
            self.write([decided, outcome_event], commands, at, stored)

    def stopped(self, leaf: Leaf, outcome: Outcome) -> None:
        """See Scribe. The run is parked as a whole: the next process would be ended, too."""
        at = time()
        events = [self._outcome_event(leaf, outcome, at)]
        parked = Parked(ENDS_THE_PROCESS, Delivered.of(Outcome("unknown", detail=ENDS_THE_PROCESS), "", 0, at))
        events.append(self.event(f"parked {self.seq}", "", parked, at))
        self.row = self.row._replace(state="parked", due=None)
        self.home.journal.append(Write(events, self.row, lambda: None))
        self.home.let_go(self)

    def _outcome_event(self, leaf: Leaf, outcome: Outcome, at: float) -> Event:
        path = leaf.path
        if isinstance(leaf, Call):
            self.calls -= 1
            calling = self.story.calls.get(path)
            attempts = 1 if calling is None else calling.attempts + 1
            record = Delivered.of(outcome, leaf.function, attempts, self.issued.pop(path, at))
        else:
            self.pauses -= 1
            signal = leaf.handle.identity if isinstance(leaf.handle, Signal) else ""
            record = Delivered.of(outcome, "", 1, self.story.pauses[path].began, signal)
        return self.event(self._kind("outcome"), path, record, at)

    def was_cancelled(self, reason: Reason, hard: bool, commands: Sequence[Command]) -> None:
        """See Scribe."""
        at = time()
        self.write([self.event(f"cancel {self.seq}", "", Cancelled(reason, hard), at)], commands, at)

    def write(
        self,
        events: list[Event],
        commands: Sequence[Command],
        at: float,
        then: Callable[[], None] | None = None,
    ) -> Write:
        """Have events written with all that goes with the commands they caused, which are carried out after `then`."""
        for command in commands:
            if isinstance(command, Call):
                self.calls += 1
                path = command.path
                self.issued[path] = at
                if command.step.definition.at_most_once and not self.home.stopping:  # else it will not be sent
                    events.append(self.event(self._kind("intent"), path, Intent(), at))
            elif isinstance(command, Sleep | Wait):
                self.pauses += 1
                due = None if command.seconds is None else at + command.seconds
                record = Timer(due, command.name if isinstance(command, Wait) else "")
                events.append(self.event(self._kind("timer"), command.path, record, at))
            elif isinstance(command, Respond):
                events.append(self.event(f"respond {self.seq}", "", _responded(command), at))
        if self.kernel.state == "ended" and self.story.ended is None:
            events.append(self.event(f"ended {self.seq}", "", self._ended(), at))
        self.pending += 1
        write = Write(events, self.changed_row(at), partial(self._committed, commands, then), lost=self._lost)
        self.home.journal.append(write)
        return write

    def _ended(self) -> Ended:
        kernel, failure = self.kernel, self.kernel.failure
        return Ended(
            self.state(),
            PayloadRecord.of(kernel.result),
            None if failure is None else FailureRecord.of(failure),
            kernel.completed,
        )

    def changed_row(self, at: float) -> RunRow | None:
        """The run's row, if anything in it has changed."""
        state, row, due = self.state(), self.row, None
        if state in ("waiting", "parked"):
            started = self.story.started
            ends = (self.story.due, None if started is None else started.deadline)
            due = min((moment for moment in ends if moment is not None), default=None)
            due = at if self.story.is_signalled else due
        if state == row.state and due == row.due:
            return None
        self.row = row._replace(state=state, due=due, ended=at if state in ENDED else None)
        return self.row

    def state(self) -> str:
        """How the run stands (contract 5)."""
        kernel = self.kernel
        if kernel.state == "ended":
            return "succeeded" if kernel.failure is None else kernel.outward_state
        if self.calls == len(self.story.parked):
            if self.calls:
                return "parked"
            if self.pauses:
                return "waiting"
        return "undoing" if kernel.state == "undoing" else "running"

    # What follows when it is on disk.

    def _committed(self, commands: Sequence[Command], then: Callable[[], None] | None) -> None:
        self.pending -= 1
        if then is not None:
            then()
        if self.gone or self.home.stopping:
            return
        self.now = monotonic()
        for command in commands:
            if isinstance(command, Call) and command.cancelled:
                commands = self._without_cancelled(commands)
                break
        self.carry_out(commands)
        self.home.rest(self)

    @property
    def is_asking(self) -> bool:
        """Whether a function has been asked and has not answered."""
        return any(attempts.backoff is None for attempts in self.in_flight())

    def abandon(self) -> None:
        """Abort what is in flight, of which nobody is to hear any more."""
        for attempts in list(self.in_flight()):
            attempts.call.cancelled = True
            attempts.withdraw()

    def rearm(self) -> None:
        """Set the timers of pauses anew: the clock by which they are due was set."""
        for leaf in list(self.kernel.open_leaves()):
            if isinstance(leaf, Sleep | Wait) and not isinstance(leaf.handle, Signal | None):
                self.disarm(leaf)
                self.pause(leaf)

    def _lost(self) -> None:
        """What happened contradicts the journal, by a mistake of ours: what is there counts, and is taken up again."""
        self.home.let_go(self)

    def _without_cancelled(self, commands: Sequence[Command]) -> Sequence[Command]:
        """Without the calls that were cancelled before they could be made: they end unsent."""
        left: list[Command] = []
        for command in commands:
            if isinstance(command, Call) and command.cancelled:
                self.postpone(command, Outcome("cancelled", detail="cancelled before it was sent"))
            else:
                left.append(command)
        return left

    def carry_out(self, commands: Sequence[Command]) -> None:
        """See InlineRun. What comes to one that has left memory changes nothing: it goes on elsewhere."""
        if not self.gone:
            try:
                super().carry_out(commands)
            finally:
                self.busy = False  # whatever went wrong, what comes from outside is not put off for ever

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Sleep | Wait):
            self.pause(command)
        elif isinstance(command, Cancel) and not isinstance(command.leaf.handle, Attempts):
            self._withdraw(command.leaf)
        else:
            super()._carry_out(command)

    def pause(self, leaf: Sleep | Wait) -> None:
        """Have a sleep end when it is due, a wait when its signal comes or its time has passed."""
        if leaf.cancelled:
            return
        if isinstance(leaf, Wait):
            leaf.handle = signal = self.story.take_signal(leaf.name) or ARMED
            if isinstance(signal, Signal):
                self.postpone(leaf, Outcome("ok", payload_of(signal.payload)))
                return
        due = self.story.pauses[leaf.path].due
        if due is not None:
            leaf.handle = asyncio.get_running_loop().call_later(max(0.0, due - time()), self._over, leaf)

    def _over(self, leaf: Sleep | Wait) -> None:
        """A pause is over."""
        outcome = Outcome("ok")
        if isinstance(leaf, Wait):
            outcome = Outcome("refused", status=TIMED_OUT, detail=f"no signal {leaf.name!r} in {leaf.seconds:g} s")
        self.take(leaf, outcome)

    def disarm(self, leaf: Sleep | Wait) -> None:
        """Stop the clock of a pause."""
        if leaf.handle is not None and leaf.handle != ARMED:
            cast("asyncio.TimerHandle", leaf.handle).cancel()
        leaf.handle = None

    def _withdraw(self, leaf: Leaf) -> None:
        """Cancel what is not being attempted: a pause, or a call that an operator was to decide about."""
        if isinstance(leaf, Call):
            if (parked := self.story.parked.get(leaf.path)) is not None:
                self.postpone(leaf, parked.delivered.outcome())
        elif not leaf.ended and not isinstance(leaf.handle, Signal):  # else it has ended, or is about to be told so
            self.disarm(leaf)
            self.postpone(leaf, Outcome("cancelled"))

    def _bound_undo(self) -> None:
        """What follows the end of a durable flow has all the time there is: if it cannot be done, it is parked."""
        if not self.undoing:
            self.undoing = True
            self.deadline = self.now + FOREVER
            self.tail_until = 0.0

    def part(self) -> None:
        """Leave memory: the run and its kernel would keep each other alive."""
        self.gone = True
        cast(Recorder, self.kernel).scribe = None

    def caller_left(self) -> None:
        """A durable run goes on."""

    def _end(self) -> None:
        if not self.pending and not self.gone:
            super()._end()

    # What attempts tell.

    def retrying(self, attempts: Attempts, outcome: Outcome, delay: float) -> None:
        """See InlineRun: the budget of attempts is kept. The next one begins when this one's failure is on disk."""
        if self.gone:
            return
        if self.home.stopping:
            attempts.rest()  # the next process goes on with it
        at, path, number = time(), attempts.call.path, attempts.number
        if number > RECORDED and number % RECORDED:
            return  # of a call that only goes forward, to a function that is down for long
        record = Attempted(
            number,
            outcome.kind,
            outcome.status,
            outcome.detail,
            attempts.maybe_done,
            self.issued.get(path, at),
            at + delay,
            attempts.call.function,
        )
        attempts.rest()

        def then() -> None:
            if not (self.gone or self.home.stopping) and attempts.call.handle is attempts:
                attempts.wait(max(0.0, at + delay - time()))

        self.write([self.event(f"attempt {self.seq}", path, record, at)], (), at, then)

    def parks(self, attempts: Attempts, outcome: Outcome) -> bool:
        """See InlineRun: what must get through and did not is an operator's to decide."""
        bound, call = attempts.bound, attempts.call
        if self.gone:
            return True
        if outcome.overloaded and not call.cancelled and time() - self.issued.get(call.path, 0.0) < PATIENCE:
            attempts.number -= 1  # it was our own limit, which many meet that wake together: no attempt
            attempts.wait(random() * min(PATIENCE, 0.2 + self.now - attempts.started))
            return True
        if call.cancelled or self.kernel.hard or not (bound.is_undo or bound.forward):
            return False
        what = "the undo" if bound.is_undo else "a step that only goes forward"
        self.park(call, outcome, f"{what} could not be done: {outcome.detail or outcome.kind}")
        return True

    def park(self, call: Call, outcome: Outcome, why: str) -> None:
        """Leave a call to an operator."""
        at, path = time(), call.path
        calling = self.story.calls.get(path)
        attempts = 1 if calling is None else calling.attempts + 1
        record = Parked(why, Delivered.of(outcome, call.function, attempts, self.issued.get(path, at)))
        call.handle = None
        self.write([self.event(f"parked {self.seq}", path, record, at)], (), at)
        fields = {"run": self.id.decode(), "flow": self.bound.name, "step": path, "function": call.function}
        self.host.log.write("parked", **fields, detail=why)

    def again(self, call: Call) -> None:
        """Go on with a call that may have been under way when the process ended; that is no attempt (contract 1).

        One between two attempts is tried again when that was due.
        """
        calling = self.story.calls.get(call.path) or Calling()
        left = calling.due - time()
        bound = self.bound.calls[call.step.index]
        bound = bound.at(call.own_path) if call.own_path else bound
        attempts = Attempts(self, call, bound, call.payload, self.now, b"", calling.attempts)
        attempts.maybe_done = calling.maybe_done or left <= 0.0  # whatever the next answer says of itself
        call.handle = attempts
        attempts.wait(max(0.0, left))

    # What comes from outside. `stored` is called when it is on disk.

    def signal(self, identity: str, name: str, payload: Payload, stored: Callable[[], None]) -> None:
        """Take a signal, for a wait that is there or one to come."""
        at = time()
        event = self.event("signal", identity, Signalled(name, PayloadRecord.of(payload)), at)

        def then() -> None:
            stored()
            for leaf in self.kernel.open_leaves():
                if isinstance(leaf, Wait) and leaf.name == name and not isinstance(leaf.handle, Signal | None):
                    self.disarm(leaf)
                    self.pause(leaf)
                    break

        self.write([event], (), at, then)

    def decide(self, path: str, decided: Decided, stored: Callable[[], None]) -> None:
        """Carry out an operator's choice about a call that is parked at `path`."""
        leaf = next(leaf for leaf in self.kernel.open_leaves() if leaf.path == path)
        outcome, at = self.story.parked[path].delivered.outcome(), time()
        event = self.event(f"decided {self.seq}", path, decided, at)
        if decided.action == "done":
            outcome = Outcome("ok", payload_of(decided.payload), status=200)
        if decided.action != "retry":  # with what follows, or a crash between the two would have it called again
            self.ahead = event, stored
            self.now = monotonic()
            self.carry_out(self.kernel.deliver(leaf, outcome))
            return

        def then() -> None:
            stored()
            if not (self.gone or self.home.stopping):
                self.now = monotonic()
                self.again(cast(Call, leaf))

        self.write([event], (), at, then)


def _responded(command: Respond) -> Responded:
    failure = None if command.failure is None else FailureRecord.of(command.failure)
    return Responded(command.status, command.headers, PayloadRecord.of(command.payload), failure)
