"""A run taken up again: its record is replayed, and what was open goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from time import monotonic, time
from typing import TYPE_CHECKING

import msgspec

from legato.errors import LegatoError
from legato.hosts.bound import FOREVER, BoundProgram, call_tail
from legato.hosts.facts import facts_of
from legato.hosts.journal.recorder import Recorder, recorder
from legato.hosts.journal.records import Cancelled, Decided, Delivered, Retried, Started, payload_of, record_of
from legato.hosts.journal.run import DurableRun
from legato.hosts.journal.story import Calling, Story
from legato.kernel import Call, Command, Leaf, Respond
from legato.model.journal import StoredRun
from legato.model.outcome import Outcome
from legato.telemetry.ids import id_text

if TYPE_CHECKING:
    from legato.hosts.journal.host import JournalHost

CRASHED = "it was withdrawn when the process ended, and may have been done"
MAYBE = (
    "it had been sent, or was about to be, when the process ended: it may have been done, and must not be done twice"
)


class Unfit(LegatoError):
    """What a run has recorded does not fit its definition: that of a code-first flow has changed."""


class StoredCaller:
    """The request that started a run, for `ports.Caller`."""

    def __init__(self, started: Started) -> None:
        self.method = started.method
        self.rest = started.rest
        self.query = started.query
        self.hops = started.hops
        self.fields: Mapping[bytes, bytes] = started.fields


class Replay:
    """Delivers a record to a kernel again. `open` are the leaves whose delivery is owed, by path, when it is over.

    Of a run whose end was taken back, what had been done after it still counts: it is delivered where it is asked for.
    """

    def __init__(self, bound: BoundProgram, stored: StoredRun) -> None:
        self.story = Story()
        self.open: dict[str, Leaf] = {}
        self.answered: Respond | None = None
        self._held: dict[str, Outcome] = {}
        try:
            records = [(event, record_of(event.kind, event.body)) for event in stored.events]
        except (msgspec.DecodeError, KeyError) as error:
            raise Unfit(f"an event cannot be read: {error}") from None
        void = {seq for _, record in records if isinstance(record, Retried) for seq in record.void}
        first = records[0][1] if records else None
        if not isinstance(first, Started):
            raise Unfit("its first event is not there")
        self.caller = StoredCaller(first)
        facts = facts_of(bound.program, id_text(stored.row.id), self.caller)
        self.kernel, commands = recorder(bound.program, facts, payload_of(first.input))
        self._take(commands)
        for event, record in records:
            if event.seq in void:
                continue
            self.story.apply(event.at, event.path, record)
            if isinstance(record, Delivered):
                self._deliver(event.path, record.outcome())
            elif isinstance(record, Cancelled):
                self._take(Recorder.cancel(self.kernel, record.reason, hard=record.hard))

    def _deliver(self, path: str, outcome: Outcome) -> None:
        leaf = self.open.pop(path, None)
        if leaf is not None:
            self._take(self.kernel.deliver(leaf, outcome))
        elif self.story.rounds:
            self._held[path] = outcome
        else:
            asked = ", ".join(self.open) or "nothing"
            raise Unfit(f"`{path}` was recorded here, and the flow as it is now asks for {asked}")

    def _take(self, commands: Sequence[Command]) -> None:
        waiting = deque(commands)
        while waiting:
            command = waiting.popleft()
            if isinstance(command, Respond):
                self.answered = command
            elif isinstance(command, Leaf):
                outcome = self._held.pop(command.path, None)
                if outcome is None:
                    self.open[command.path] = command
                else:
                    waiting.extend(self.kernel.deliver(command, outcome))


def taken_up(home: JournalHost, bound: BoundProgram, stored: StoredRun) -> DurableRun:
    """The run of a record, in memory, with nothing carried out yet. Raises Unfit."""
    replay = Replay(bound, stored)
    story, started = replay.story, replay.story.started
    assert started is not None
    now, run_id = monotonic(), id_text(stored.row.id)
    deadline = now + FOREVER if started.deadline is None else now + (started.deadline - time())
    calls = sum(isinstance(leaf, Call) for leaf in replay.open.values())
    run = DurableRun(
        due=min(now + bound.least_timeout, deadline),
        host=home,
        home=home,
        bound=bound,
        lane=home.lane(bound),
        kernel=replay.kernel,
        caller=replay.caller,
        reply=home.reply,
        id=run_id,
        trace=started.trace,
        trace_flags=started.trace_flags,
        key_line=b"idempotency-key: " + run_id,
        trace_line=b"\r\ntraceparent: 00-%b-%b" % (started.trace, run_id[-8:]),
        call_tail=call_tail(started.trace_flags, started.hops, deadline - now),
        tail_until=now,
        started=now - (time() - story.started_at),
        now=now,
        deadline=deadline,
        key=stored.row.id,
        row=stored.row,
        story=story,
        seq=stored.events[-1].seq + 1,
        calls=calls,
        pauses=len(replay.open) - calls,
        issued={path: time() for path, leaf in replay.open.items() if isinstance(leaf, Call)},
        answered=replay.answered,
        recovered=True,
    )
    replay.kernel.scribe = run
    run.lane.hurry(run, run.due)
    return run


def go_on(run: DurableRun, unsent: bool = False) -> None:
    """Carry out what was open when the run left memory, or the process died (contract 1).

    `unsent` says that nobody has made the calls that are open: its end has just been taken back.
    """
    if "" in run.story.parked:  # it was parked as a whole, and fits again
        at = time()
        run.write([run.event(f"decided {run.seq}", "", Decided("retry"), at)], (), at)
    issue: list[Command] = []
    fresh: list[Command] = []  # of a run whose end was taken back: what it asks for now and did not then
    for leaf in list(run.kernel.open_leaves()):
        calling = run.story.calls.get(leaf.path)
        if leaf.path in run.story.parked and not leaf.cancelled:
            continue
        if leaf.cancelled:
            run.postpone(leaf, _withdrawn(run, leaf))
        elif _is_fresh(run, leaf):
            fresh.append(leaf)
        elif isinstance(leaf, Call) and calling is not None and calling.intended and not _is_unsent(calling):
            run.park(leaf, Outcome("unknown", detail=MAYBE), MAYBE)
        elif isinstance(leaf, Call) and not (unsent and calling is None):
            run.again(leaf)
        else:
            issue.append(leaf)
    is_over = run.kernel.state == "ended" and run.story.ended is None
    if fresh or is_over or run.state() != run.row.state:  # with its end, it lost what its row says of it
        run.write([], fresh, time())
    run.carry_out(issue)


def _withdrawn(run: DurableRun, leaf: Leaf) -> Outcome:
    """How a leaf ends that was cancelled, and whose end nobody wrote down."""
    if not isinstance(leaf, Call):
        return Outcome("cancelled")
    parked = run.story.parked.get(leaf.path)
    return Outcome("unknown", detail=CRASHED) if parked is None else parked.delivered.outcome()


def _is_unsent(calling: Calling) -> bool:
    """Whether the last attempt ended without an effect, and the next one cannot have begun."""
    return bool(calling.attempts) and not calling.maybe_done and calling.due > time()


def _is_fresh(run: DurableRun, leaf: Leaf) -> bool:
    """Whether a leaf is yet to be written down; it is not counted as open then."""
    if isinstance(leaf, Call):
        calling = run.story.calls.get(leaf.path)
        if not leaf.step.definition.at_most_once or (calling is not None and calling.intended):
            return False
        run.calls -= 1
    elif leaf.path in run.story.pauses:
        return False
    else:
        run.pauses -= 1
    return True
