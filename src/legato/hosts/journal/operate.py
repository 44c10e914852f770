"""What people and programs ask of a durable run from outside: signals, cancel, retry, an operator's choices.

What is acknowledged is on disk. HTTP is not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from time import time
from typing import Literal
from uuid import uuid4
from weakref import WeakValueDictionary

import msgspec

from legato.errors import DefinitionError, LegatoError, NotJSON
from legato.hosts.journal.documents import told
from legato.hosts.journal.host import JournalHost
from legato.hosts.journal.records import (
    Decided,
    Ended,
    FailureRecord,
    PayloadRecord,
    Record,
    Retried,
    Signalled,
    record_of,
)
from legato.hosts.journal.replay import Unfit
from legato.hosts.journal.rewind import NoWayBack, rewound
from legato.hosts.journal.run import DurableRun
from legato.kernel import Wait
from legato.model.journal import ENDED, Event, RunRow, StoredRun, Write
from legato.model.outcome import Failure, Outcome
from legato.model.payload import Payload
from legato.telemetry.ids import id_text
from legato.values import Schema

BUFFERED = 1000  # signals of a run that no wait has taken: whoever sends more sends them to the wrong run
STORING = 10.0  # seconds within which what is asked for must be on disk to be acknowledged
SHOWN = 20  # names that a refusal lists

Why = Literal["unknown", "ended", "state", "no_signal", "malformed", "unfit", "other_body", "full", "not_stored"]


class NotPossible(LegatoError):
    """What was asked of a run cannot be done: `why`, in a word, and `members` are for whoever asked."""

    def __init__(self, why: Why, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.why: Why = why
        self.members = members


class Signal(msgspec.Struct, frozen=True):
    """A signal as it comes. `key` makes it the same signal however often it comes; empty for one of its own."""

    name: str
    payload: Payload
    key: str = ""


class Operator:
    """Carries out what is asked, one thing at a time for each run."""

    def __init__(self, host: JournalHost) -> None:
        self._host = host
        self._turns = WeakValueDictionary[bytes, asyncio.Lock]()
        self._late: dict[tuple[bytes, str], asyncio.Future[None]] = {}  # signals that are not on disk yet

    # What can be asked. All raise NotPossible, and StoreUnavailable where the journal cannot be read.

    async def signal(self, key: bytes, signal: Signal) -> bool:
        """Have a run take a signal, for a wait that is there or one to come; whether it had not come before."""
        async with self._turn(key):
            identity = f"{signal.name}#{signal.key or uuid4().hex}"
            if signal.key and await self._has_come(key, identity, signal.payload):
                return False
            run = await self._live(key)
            self._check_signal(run, signal)
            stored = self._late[key, identity] = _future()
            stored.add_done_callback(lambda _: self._late.pop((key, identity), None))
            run.signal(identity, signal.name, signal.payload, lambda: _done(stored))
            await self._on_disk(stored)
            return True

    async def cancel(self, key: bytes, hard: bool) -> None:
        """Cancel a run: what it has done is undone, unless the cancel is hard, which ends an undo that goes on, too."""
        async with self._turn(key):
            try:
                run = await self._live(key)
            except Unfit as error:
                if not hard:
                    detail = f"it cannot be taken up, so that nothing can be undone: {error}; a hard cancel gives it up"
                    raise NotPossible("state", detail) from None
                await self._give_up(key, str(error))
                return
            run.cancel("cancelled", hard=hard)
            await self._append([], None)  # writes are stored in order: what the cancel has written comes before

    async def retry(self, key: bytes, path: str | None = None, decided: Decided | None = None) -> None:
        """Have a run go on: the step that is parked at `path`, all that are, or one that has failed where it stopped.

        `decided` is what is to become of what is parked, if that is not to be tried again.
        """
        decided = decided or Decided("retry")
        if path is None and decided.action != "retry":
            raise NotPossible("malformed", f"`{decided.action}` is said of one step: name it in `path`")
        async with self._turn(key):
            stored = await self._stored(key)
            if stored.row.state in ENDED:
                if path is not None:
                    raise NotPossible("ended", "it has ended, and is tried again as a whole: leave out `path`")
                await self._go_on(stored)
            elif "" in told(stored.events).parked:
                if path or decided.action != "retry":
                    raise NotPossible("state", "it is parked as a whole, which can only be tried again")
                await self._take_up_again(stored)
            else:
                await self._decide(key, path, decided)

    # How it is done.

    async def _live(self, key: bytes) -> DurableRun:
        """The run in memory. Raises NotPossible, Unfit, StoreUnavailable."""
        self._check_journal()
        run = await self._host.take_up(key)
        if run is None:
            row = (await self._stored(key)).row
            raise NotPossible("ended", f"it has ended: {row.state}", state=row.state)
        if run.kernel.state == "ended":
            raise NotPossible("ended", f"it has ended: {run.row.state}", state=run.row.state)
        if run.gone:
            raise NotPossible("not_stored", "the gateway is stopping: ask again")
        return run

    def _check_journal(self) -> None:
        if self._host.stopping:
            raise NotPossible("not_stored", "the gateway is stopping: ask again")
        if trouble := self._host.journal.trouble:
            raise NotPossible("not_stored", trouble)

    async def _stored(self, key: bytes) -> StoredRun:
        stored = await self._host.beside.run(self._host.journal.run, key)
        if stored is None:
            raise NotPossible("unknown", f"there is no run {id_text(key).decode()!r}")
        return stored

    async def _has_come(self, key: bytes, identity: str, payload: Payload) -> bool:
        """Whether a signal of the same key is on disk. Raises NotPossible where that one had another payload."""
        if (late := self._late.get((key, identity))) is not None:
            await self._on_disk(late)
        events = await self._host.beside.run(self._host.journal.events, key, 0)
        for event in events:
            if event.kind == "signal" and event.path == identity:
                record = record_of(event.kind, event.body)
                if isinstance(record, Signalled) and record.payload == PayloadRecord.of(payload):
                    return True
                detail = "this Idempotency-Key was sent before with another signal; send another key with this one"
                raise NotPossible("other_body", detail)
        return False

    def _check_signal(self, run: DurableRun, signal: Signal) -> None:
        waits = run.bound.program.waits
        if waits is not None and signal.name not in waits:
            names = sorted(waits)[:SHOWN]
            known = f"it waits for {', '.join(names)}" if names else "it waits for none"
            raise NotPossible("no_signal", f"the flow knows no signal {signal.name!r}: {known}", signals=names)
        schemas = _schemas_here(run, signal.name) if waits is None else waits[signal.name]
        _check_fit(signal, schemas)
        if len(run.story.signals) >= BUFFERED:
            raise NotPossible("full", f"{BUFFERED} signals wait to be taken: send no more before the run has gone on")

    async def _decide(self, key: bytes, path: str | None, decided: Decided) -> None:
        run = await self._live(key)
        parked = list(run.story.parked)
        if not parked:
            raise NotPossible("state", f"it is {run.row.state}, and no step of it is parked", state=run.row.state)
        if path is not None and path not in parked:
            names = ", ".join(parked[:SHOWN])
            raise NotPossible("state", f"no step is parked at {path!r}: what is parked is {names}", parked=parked)
        for each in parked if path is None else [path]:
            if each in run.story.parked:  # what was decided of the others may have led to something
                stored = _future()
                run.decide(each, decided, _settling(stored))
                await self._on_disk(stored)

    async def _go_on(self, stored: StoredRun) -> None:
        """Take back the end of a run that has failed, and have it go on."""
        row = stored.row
        if row.state not in ("failed", "cancelled"):
            remedy = "what it had done was undone: start it anew" if row.state == "undone" else "it succeeded"
            raise NotPossible("ended", f"it cannot be tried again: {remedy}", state=row.state)
        self._check_journal()
        await self._until_gone(row.id)
        try:
            bound = await self._host.program(row)
            if bound.program.growth is None:
                found = await self._host.beside.run(rewound, bound, stored)  # many replays, of many events perhaps
            else:  # its program grows while it runs
                found = rewound(bound, stored)
        except (NoWayBack, Unfit, DefinitionError) as error:
            raise NotPossible("state", f"it cannot be tried again: {error}", state=row.state) from None
        records: list[tuple[str, str, Record]] = [("retried", "", Retried(found.void))]
        records += [("attempt", path, attempt) for path, attempt in found.attempts]
        await self._append(_events(stored, records), row._replace(state="running", ended=None, due=None))
        self._host.rewound.add(row.id)
        await self._taken_up(row.id)

    async def _take_up_again(self, stored: StoredRun) -> None:
        """Try again to take up a run whose record did not fit its flow."""
        self._check_journal()
        if (run := self._host.live.get(stored.row.id)) is not None:  # its flow has been mended, and it goes on already
            at = time()
            waiting = _future()
            event = run.event(f"decided {run.seq}", "", Decided("retry"), at)
            run.write([event], (), at, _settling(waiting))
            await self._on_disk(waiting)
            return
        await self._append(_events(stored, [("decided", "", Decided("retry"))]), stored.row._replace(state="running"))
        await self._taken_up(stored.row.id)

    async def _taken_up(self, key: bytes) -> None:
        try:
            await self._host.take_up(key)
        except Unfit as error:
            detail = f"it is parked again: {error}; put back the flow that it was started with, or mend this one"
            raise NotPossible("state", detail, state="parked") from None

    async def _give_up(self, key: bytes, why: str) -> None:
        """End a run that cannot be taken up, as it is."""
        stored = await self._stored(key)
        outcome = Outcome("cancelled", detail=f"given up by an operator: {why}")
        ended = Ended("cancelled", None, FailureRecord.of(Failure("cancelled", outcome)), False)
        row = stored.row._replace(state="cancelled", ended=time(), due=None)
        await self._append(_events(stored, [("ended", "", ended)]), row)

    async def _until_gone(self, key: bytes) -> None:
        """Wait until the end of a run, which is on disk, is known in memory, too."""
        until = time() + STORING
        while key in self._host.live:
            if time() > until:
                raise NotPossible("not_stored", "its end is not stored yet: ask again")
            await asyncio.sleep(0.005)

    async def _append(self, events: Sequence[Event], row: RunRow | None) -> None:
        stored = _future()

        def refused(why: str) -> None:
            if not stored.done():
                stored.set_exception(NotPossible("not_stored", why))

        self._host.journal.append(Write(events, row, _settling(stored), refused))
        await self._on_disk(stored)

    async def _on_disk(self, stored: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(STORING):
                await asyncio.shield(stored)
        except TimeoutError:
            why = self._host.journal.trouble or f"not on disk within {STORING:g} s"
            detail = f"it is not stored yet, and may be when the journal can be written again: {why}"
            raise NotPossible("not_stored", detail) from None

    def _turn(self, key: bytes) -> asyncio.Lock:
        return self._turns.setdefault(key, asyncio.Lock())


def _schemas_here(run: DurableRun, name: str) -> Sequence[Schema | None]:
    """The schemas of the waits that are open, of code, whose others nobody knows."""

    def found() -> Iterator[Schema | None]:
        for leaf in run.kernel.open_leaves():
            if isinstance(leaf, Wait) and leaf.name == name:
                yield leaf.schema

    return list(found()) or [None]


def _check_fit(signal: Signal, schemas: Sequence[Schema | None]) -> None:
    """Raise NotPossible for a payload that none of the waits takes; the problems are the last wait's."""
    errors: list[dict[str, str]] = []
    for schema in schemas:
        try:
            problems = [] if schema is None else schema.problems(signal.payload)
        except NotJSON as error:
            raise NotPossible("malformed", f"the signal {signal.name!r} is JSON: {error}") from None
        if not problems:
            return
        errors = [{"pointer": problem.pointer, "detail": problem.detail} for problem in problems]
    raise NotPossible("unfit", f"the body does not fit the schema of the wait for {signal.name!r}", errors=errors)


def _events(stored: StoredRun, records: Sequence[tuple[str, str, Record]]) -> list[Event]:
    """The next events of a run that is not in memory, by kind and path."""
    at, seq = time(), stored.events[-1].seq + 1
    return [
        Event(stored.row.id, seq + place, at, f"{kind} {seq + place}", path, record.encoded())
        for place, (kind, path, record) in enumerate(records)
    ]


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _settling(future: asyncio.Future[None]) -> Callable[[], None]:
    return lambda: _done(future)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
