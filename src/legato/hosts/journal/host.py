"""The journal host: starts durable runs, takes them up after a crash, lets those that only wait leave memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic, time
from typing import Protocol

from legato.errors import DefinitionError, HostStop, LegatoError
from legato.hosts.bound import FOREVER, TAIL_TIME, BoundProgram, call_tail
from legato.hosts.facts import facts_of
from legato.hosts.inline import InlineHost, InlineRun, Reply
from legato.hosts.journal.recorder import recorder
from legato.hosts.journal.records import Delivered, Parked, PayloadRecord, Started
from legato.hosts.journal.replay import StoredCaller, Unfit, go_on, taken_up
from legato.hosts.journal.run import ENDS_THE_PROCESS, DurableRun
from legato.hosts.journal.story import Story
from legato.hosts.lane import Lane
from legato.kernel import VERSION, Call
from legato.model.journal import ENDED, Event, RunRow, StartKey, StoredRun, Write
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload
from legato.ports import Caller, Journal
from legato.telemetry.ids import id_key, id_text, new_run_id, trace_of
from legato.telemetry.log import Log
from legato.transport.beside import Beside
from legato.transport.wheel import Wheel

TICK = 0.5  # seconds between two looks for runs that are due
WATCH_EVERY = 10  # ticks
PRUNE_EVERY = 120
MOST = 10_000  # runs in memory
LEAST_KEPT = 86_400.0  # seconds: as long as the key of a start is known, its run must be
AT_A_TIME = 200  # runs that are taken up in one go
REST = 2.0  # seconds: a run that is due sooner stays in memory, as reading it again would cost more
LINGER = 0.5  # seconds that a run which was taken up stays in memory, though it may only wait
STORING = 5.0  # seconds for which somebody waits for a write
CLOCK_JUMP = 2.0  # seconds by which the clock must have been set for the log to say so
PRIVATE = frozenset({b"authorization", b"proxy-authorization", b"cookie"})  # headers that are not written down


class Programs(Protocol):
    """Where the programs of stored runs come from."""

    def pinned(self, text: bytes) -> BoundProgram:
        """The program of a definition as a run has pinned it. Raises DefinitionError where it cannot be run now."""
        ...


class JournalHost(InlineHost):
    """See InlineHost. `journal` is where everything is written down; `live` are the runs in memory, by key.

    `keep` is how many seconds after their end runs are deleted, 0 for never.
    """

    def __init__(self, wheel: Wheel, log: Log, journal: Journal, programs: Programs, keep: float = 0.0) -> None:
        super().__init__(wheel, log)
        self.keep = keep
        self.most = MOST
        self.is_hurried = False
        self._away: set[bytes] = set()  # runs under way that were in nobody's memory at the last look
        self._backlog: set[bytes] = set()
        self.journal = journal
        self.live: dict[bytes, DurableRun] = {}
        self.stopping = False
        self.callers: set[Callable[[], None]] = set()  # who waits for a run, and how each is told to look later
        self.beside = Beside(4)
        self.rewound: set[bytes] = set()  # runs whose end this process has just taken back
        self._programs = programs
        self._bound: dict[bytes, BoundProgram] = {}  # by the digest of what is pinned
        self._defined: set[bytes] = set()  # digests that are on disk
        self._loading: dict[bytes, asyncio.Task[DurableRun | None]] = {}
        self._unfit: dict[bytes, float] = {}  # runs that could not be taken up, and until when they are left alone
        self._ticking: asyncio.Task[None] | None = None
        self._ahead = time() - monotonic()

    # Starting.

    def begin(
        self,
        bound: BoundProgram,
        payload: Payload,
        caller: Caller,
        traceparent: bytes | None,
        start_key: tuple[bytes, bytes, float] | None,
        stored: Callable[[DurableRun], None],
        refused: Callable[[str], None],
        listener: Reply | None = None,
    ) -> DurableRun:
        """Start a run; `stored` is called when it is on disk, `refused` if it cannot be written, with the reason.

        `start_key` is (key, digest of the body, time of expiry) of a start that must not happen twice. `listener` is
        called when the caller is to be answered, as InlineHost's reply.
        """
        assert bound.pin is not None
        digest = bound.pin[0]
        now, at, run_id = monotonic(), time(), new_run_id()
        key = id_key(run_id)
        trace, flags = trace_of(traceparent, run_id)
        limit = None if bound.timeout >= FOREVER else bound.timeout
        started = Started(
            PayloadRecord.of(payload),
            caller.method,
            caller.rest,
            caller.query,
            caller.hops,
            {name: value for name, value in caller.fields.items() if name not in PRIVATE},
            trace,
            flags,
            None if limit is None else at + limit,
        )
        known = StoredCaller(started)
        kernel, commands = recorder(bound.program, facts_of(bound.program, run_id, known), payload)
        lane = self.lane(bound)
        run = DurableRun(
            due=now + bound.least_timeout,
            host=self,
            home=self,
            bound=bound,
            lane=lane,
            kernel=kernel,
            caller=known,
            reply=self.reply,
            id=run_id,
            trace=trace,
            trace_flags=flags,
            key_line=b"idempotency-key: " + run_id,
            trace_line=b"\r\ntraceparent: 00-%b-%b" % (trace, run_id[-8:]),
            call_tail=call_tail(flags, caller.hops, bound.timeout),
            tail_until=now + TAIL_TIME if bound.timeout > 1.0 else now,
            started=now,
            now=now,
            deadline=now + bound.timeout,
            key=key,
            row=RunRow(key, bound.name, bound.version, digest, VERSION, "", at, None, None),
            story=Story(),
            listeners=[] if listener is None else [listener],
        )
        kernel.scribe = run
        self.live[key] = run
        lane.enter(run)
        write = run.write([run.event("started", "", started, at)], commands, at, partial(stored, run))
        write.refused = partial(self._refused, run, refused)
        if digest not in self._defined:
            write.definition = bound.pin
        if start_key is not None:
            write.key = StartKey(start_key[0], key, start_key[1], start_key[2])
        return run

    def _refused(self, run: DurableRun, refused: Callable[[str], None], why: str) -> None:
        self.let_go(run)
        refused(why)

    def defined(self, digest: bytes) -> None:
        """Note that a definition is on disk."""
        self._defined.add(digest)

    def reply(self, run: InlineRun, payload: Payload, failure: Failure | None) -> None:
        """Tell everybody who waits for a run's answer."""
        assert isinstance(run, DurableRun)
        listeners, run.listeners = run.listeners, []
        for listener in listeners:
            listener(run, payload, failure)

    def ended(self, run: InlineRun) -> None:
        """See InlineHost."""
        assert isinstance(run, DurableRun)
        run.lane.leave(run)
        self.live.pop(run.key, None)
        run.part()
        # One that failed, or was cancelled, may be tried again.
        if (run.recovered or self.runs_with_data) and run.row.state in ("succeeded", "undone"):
            self.clear_data(run.id.decode(), run.recovered)
        if run.bound.retired:
            self.retire(run.bound)
        if self._idle is not None and not self.live:
            self._idle.set()

    # Leaving memory, and coming back.

    def rest(self, run: DurableRun) -> None:
        """Let a run leave memory if it only waits, and not for anything soon."""
        if run.calls != len(run.story.parked) or run.pending or run.listeners or run.inbox or run.gone or run.busy:
            return
        row = run.row
        if row.state in ("parked", "waiting") and (row.due is None or row.due - time() > REST):
            for leaf in run.kernel.open_leaves():
                if not isinstance(leaf, Call):
                    run.disarm(leaf)
            self.let_go(run)

    def let_go(self, run: DurableRun) -> None:
        """Let a run leave memory as it is; what it has in flight is aborted."""
        run.lane.leave(run)
        run.part()
        self.live.pop(run.key, None)
        run.abandon()

    async def take_up(self, key: bytes) -> DurableRun | None:
        """The run in memory, read and replayed if it is not; None for one that has ended or is not there.

        Raises StoreUnavailable where it cannot be read, Unfit where its record does not fit the flow any more.
        """
        run = self.live.get(key)
        if run is not None:
            return run
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(task)

    async def _load(self, key: bytes) -> DurableRun | None:
        stored = await self.beside.run(self.journal.run, key)
        if stored is None or stored.row.state in ENDED or self.stopping:
            return None
        return await self.revive(stored)

    async def revive(self, stored: StoredRun) -> DurableRun:
        """Bring a run back into memory, and carry out what is open."""
        key = stored.row.id
        try:
            bound = await self.program(stored.row)
            run = taken_up(self, bound, stored)
        except (DefinitionError, Unfit) as error:
            await self._park_unfit(stored, str(error))
            raise Unfit(str(error)) from None
        except HostStop:
            await self._park_unfit(stored, ENDS_THE_PROCESS)
            raise Unfit(ENDS_THE_PROCESS) from None
        self._unfit.pop(key, None)
        self.live[key] = run
        go_on(run, key in self.rewound)
        self.rewound.discard(key)
        asyncio.get_running_loop().call_later(LINGER, self.rest, run)  # whoever has asked for it comes first
        return run

    async def program(self, row: RunRow) -> BoundProgram:
        """The program that a run has pinned. Raises Unfit, DefinitionError, StoreUnavailable."""
        if row.kernel != VERSION:
            raise Unfit(f"it was recorded under version {row.kernel} of the kernel, and this is {VERSION}")
        bound = self._bound.get(row.program)
        if bound is None:
            text = await self.beside.run(self.journal.definition, row.program)
            bound = self._bound[row.program] = self._programs.pinned(text)
        return bound

    def serve(self, bound: BoundProgram) -> None:
        """Use a program for the runs that have pinned the same."""
        if bound.pin is not None:
            self._bound[bound.pin[0]] = bound

    async def _park_unfit(self, stored: StoredRun, why: str) -> None:
        """A run that cannot be taken up is parked as a whole; an operator tries again when the cause is mended."""
        key, at, row = stored.row.id, time(), stored.row
        if row.state == "parked" and stored.events[-1].kind.startswith("parked"):
            return
        seq = stored.events[-1].seq + 1 if stored.events else 0
        record = Parked(why, Delivered.of(Outcome("unknown", detail=why), "", 0, at))
        event = Event(key, seq, at, f"parked {seq}", "", record.encoded())
        written = asyncio.Event()
        self.journal.append(Write([event], row._replace(state="parked", due=None), written.set))
        self.log.write("parked", run=id_text(key).decode(), flow=row.flow, detail=why)
        with suppress(TimeoutError):  # who is told that it is parked may look at once
            await asyncio.wait_for(written.wait(), STORING)

    # What goes on by itself.

    async def recover(self) -> int:
        """Take up the runs that were under way when the last process ended; gives how many. Then look after timers."""
        keys = await self.beside.run(self.journal.live)
        self._backlog = set(keys[self.most :])
        for start in range(0, min(len(keys), self.most), AT_A_TIME):
            await self._take_up_all(keys[start : start + AT_A_TIME])
        self._ticking = asyncio.create_task(self._tick())
        return len(keys)

    async def _take_up_all(self, keys: Sequence[bytes]) -> list[DurableRun]:
        results = await asyncio.gather(*map(self.take_up, keys), return_exceptions=True)
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, Exception):
                self._unfit[key] = monotonic() + 60.0
                self.log.write("not_taken_up", run=id_text(key).decode(), detail=str(result))
                if not isinstance(result, LegatoError):
                    context = {"message": "a run could not be taken up", "exception": result}
                    asyncio.get_running_loop().call_exception_handler(context)
        return [result for result in results if isinstance(result, DurableRun)]

    async def _tick(self) -> None:
        turns, trouble = 0, ""
        while True:
            await asyncio.sleep(TICK)
            turns += 1
            try:
                await self._look_around(turns)
                trouble = ""
            except Exception as error:  # whatever it was, the timers of all other runs are looked after
                if str(error) != trouble:
                    trouble = str(error)
                    self.log.write("journal_unreadable", detail=trouble)

    async def _look_around(self, turns: int) -> None:
        self._look_at_clock()
        while len(keys := await self._due()) and not self.stopping:
            await self._take_up_all(keys)
        if turns % WATCH_EVERY == 0:
            await self._watch_over()
        if turns % PRUNE_EVERY == 1:
            self._prune()

    def _prune(self, deleted: int = 1) -> None:
        """Delete runs that ended long ago, some at a time, until there are no more."""
        if self.keep and deleted and not self.stopping:
            self.journal.prune(time() - max(self.keep, LEAST_KEPT), self._prune)

    async def _due(self) -> Sequence[bytes]:
        """Runs whose time comes before the next look, and that are not in memory."""
        now = monotonic()
        self._unfit = {key: until for key, until in self._unfit.items() if until > now}
        most = min(AT_A_TIME, self.most - len(self.live))
        if most <= 0:
            return ()
        known = len(self.live) + len(self._unfit)
        keys = await self.beside.run(self.journal.due, time() + 1.2 * TICK, most + known)
        return [key for key in keys if key not in self.live and key not in self._unfit][:most]

    async def _watch_over(self) -> None:
        """Mend what breaks the invariant: no run is under way without a call in flight, a timer, a wait or a write."""
        stuck = [run.key for run in self.live.values() if self.is_stuck(run)]
        for key in stuck:
            self.let_go(self.live[key])
        live = await self.beside.run(self.journal.live)
        away = {key for key in live if not (key in self.live or key in self._loading or key in self._unfit)}
        # Those that have ended, or went to rest, since that was read are not away at the next look.
        lost = [*stuck, *sorted(away & self._away)][: max(0, self.most - len(self.live))]
        self._away = away
        for run in await self._take_up_all(lost):
            if run.key in self._backlog:  # there was no room for it when the process started
                self._backlog.discard(run.key)
                continue
            self.mended += 1
            self.log.write("mended", run=run.id.decode(), flow=run.bound.name, state=run.row.state)

    @property
    def is_watching(self) -> bool:
        """Whether runs have been taken up, and timers are looked after."""
        return self._ticking is not None

    def gauges(self) -> dict[str, float]:
        """What the metrics tell of it."""
        return {
            "in_memory": len(self.live),
            "mended": self.mended,
            "troubled": float(bool(self.journal.trouble)),
            "uncommitted": sum(run.pending for run in self.live.values()),
        }

    mended = 0  # runs that were stuck, and were taken up again

    def is_stuck(self, run: DurableRun) -> bool:
        """Whether nothing will ever happen in a run by itself, though it has not ended."""
        if run.pending or run.busy or run.inbox or run.kernel.state == "ended":
            return bool(run.kernel.state == "ended" and not run.pending)
        leaves = list(run.kernel.open_leaves())
        return not leaves or any(leaf.handle is None and leaf.path not in run.story.parked for leaf in leaves)

    def _look_at_clock(self) -> None:
        ahead = time() - monotonic()
        if abs(ahead - self._ahead) > CLOCK_JUMP:
            self.log.write("clock_set", seconds=round(ahead - self._ahead, 1))
            for run in list(self.live.values()):
                run.rearm()
        self._ahead = ahead

    # The end.

    def lane(self, bound: BoundProgram) -> Lane[InlineRun]:
        """The lane of a program."""
        return self._lanes.get(bound) or self._open_lane(bound)

    def hurry(self) -> None:
        """Tell who waits for a run to look later, and who comes from now on, too."""
        self.is_hurried = True
        for tell in list(self.callers):
            tell()

    async def drain(self, patience: float) -> int:
        """Let the calls in flight end, for so many seconds at most; what follows from them is the next process'."""
        self.stopping = True
        if self._ticking is not None:
            self._ticking.cancel()
        until = monotonic() + patience
        for run in self.live.values():
            for attempts in run.in_flight():
                attempts.rest()
        # Attempts tell their runs that they have ended, and nobody else.
        while monotonic() < until and any(run.is_asking for run in self.live.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        left = len(self.live)
        await self.beside.run(self.journal.close)
        return left
