"""A journal host without a gateway: over a journal in memory or a file, in manual or real time, crashed at will.

In memory everything happens on the event loop, so that a run in manual time takes no time and comes out the same.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from legato.hosts.bound import BoundProgram
from legato.hosts.inline import InlineHost, InlineRun
from legato.hosts.journal.host import JournalHost
from legato.hosts.journal.run import DurableRun
from legato.model.definition import Definition
from legato.model.flow import Flow
from legato.model.journal import ENDED, LIVE, Event, RunQuery, RunRow, StartKey, StoredRun, Write
from legato.model.outcome import Failure
from legato.model.payload import EMPTY, Payload
from legato.model.settings import Settings
from legato.orchestrator import Orchestrator
from legato.ports import Connector, Journal
from legato.telemetry.log import Log
from legato.telemetry.metrics import Metrics
from legato.testing.stage import Caller
from legato.transport.wheel import Wheel


class MemoryJournal:
    """See ports.Journal. Commits on the event loop; after `most` writes nothing is stored any more: a crash."""

    label = "memory"

    def __init__(self, most: int | None = None) -> None:
        self.trouble = ""
        self.most = most
        self.writes: list[Write] = []
        self.rows: dict[bytes, RunRow] = {}
        self.stored: dict[bytes, list[Event]] = {}
        self.definitions: dict[bytes, bytes] = {}
        self._keys: dict[bytes, StartKey] = {}
        self.crashed = asyncio.Event()

    def append(self, write: Write) -> None:
        asyncio.get_running_loop().call_soon(self._commit, write)

    def _commit(self, write: Write) -> None:
        if self.most is not None and len(self.writes) >= self.most:
            self.crashed.set()
            return
        self.store(write)
        write.committed()

    def store(self, write: Write) -> None:
        """Store a write, of which nobody is told."""
        self.writes.append(write)
        if write.definition is not None:
            self.definitions.setdefault(*write.definition)
        if write.key is not None:
            self._keys[write.key.key] = write.key
        if write.row is not None:
            self.rows[write.row.id] = write.row
        for event in write.events:
            events = self.stored.setdefault(event.run, [])
            assert event.seq == len(events), f"event {event.seq} comes after {len(events)} events"
            assert (event.kind, event.path) not in {(each.kind, each.path) for each in events}, f"{event} comes twice"
            events.append(event)

    def copy(self, writes: int | None = None, most: int | None = None) -> MemoryJournal:
        """A journal in which the first of the writes are stored."""
        other = MemoryJournal(most)
        for write in self.writes[:writes]:
            other.store(write)
        return other

    def prune(self, before: float, done: Callable[[int], None]) -> None:
        done(0)

    def run(self, run: bytes) -> StoredRun | None:
        return StoredRun(self.rows[run], list(self.stored.get(run, []))) if run in self.rows else None

    def events(self, run: bytes, since: int) -> list[Event]:
        return self.stored.get(run, [])[since:]

    def runs(self, query: RunQuery) -> list[RunRow]:
        return [row for row in reversed(self.rows.values()) if query.state in (None, row.state)][: query.limit]

    def live(self) -> list[bytes]:
        return [row.id for row in self.rows.values() if row.state in LIVE]

    def due(self, moment: float, limit: int) -> list[bytes]:
        return [row.id for row in self.rows.values() if row.due is not None and row.due <= moment][:limit]

    def next_due(self) -> float | None:
        return min((row.due for row in self.rows.values() if row.due is not None), default=None)

    def counts(self) -> Mapping[str, int]:
        return {"running": sum(row.state not in ENDED for row in self.rows.values())}

    def definition(self, digest: bytes) -> bytes:
        return self.definitions[digest]

    def started(self, key: bytes) -> StartKey | None:
        return self._keys.get(key)

    def close(self) -> None:
        pass


class Here:
    """Instead of threads beside the event loop, which manual time does not wait for."""

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


class Stage:
    """Flows on a journal host. `ends` are (id, result, failure) of runs whose callers were told."""

    def __init__(
        self, connector: Connector, journal: Journal, flows: Sequence[Flow | Definition], *, in_memory: bool = True
    ) -> None:
        self.wheel = Wheel()
        self.lines = io.StringIO()
        log = Log(self.lines)
        kinds = dict.fromkeys(("http", "python", "builtin", "callback"), connector)
        settings = Settings(timeout=1e6, callback_secret="a-secret-of-the-tests")
        self.orchestrator = Orchestrator(settings, InlineHost(self.wheel, log), kinds, Metrics())
        self.host = JournalHost(self.wheel, log, journal, self.orchestrator)
        if in_memory:
            self.host.beside = Here()  # type: ignore[assignment]
        self.orchestrator.journal = self.host
        for each in flows:
            definition = each if isinstance(each, Definition) else Definition(name=each.name, origin="test", flow=each)
            deployed = self.orchestrator.deploy(definition)
            assert deployed.bound is not None or definition is not flows[-1], deployed.problems
        self.ends: list[tuple[str, Payload, Failure | None]] = []
        self.refused: list[str] = []
        self.troubles: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.troubles.append(context))

    def bound(self, name: str) -> BoundProgram:
        """A flow as it is served."""
        bound = self.orchestrator.find(name).bound
        assert bound is not None
        return bound

    def start(
        self, name: str, payload: Payload = EMPTY, stored: Callable[[DurableRun], None] = lambda _: None
    ) -> DurableRun:
        """Start a run."""
        return self.host.begin(
            self.bound(name), payload, Caller(), None, None, stored, self.refused.append, self._ended
        )

    def _ended(self, run: InlineRun, payload: Payload, failure: Failure | None) -> None:
        self.ends.append((run.id.decode(), payload, failure))

    async def until_ended(self, seconds: float = 1e7) -> None:
        """Wait until no run is left in memory."""
        async with asyncio.timeout(seconds):
            while self.host.live:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        """Let go of everything, as the end of a process does."""
        self.host.stopping = True
        for run in list(self.host.live.values()):
            run.lane.leave(run)
            run.part()
        self.host.live.clear()
        if (ticking := getattr(self.host, "_ticking")) is not None:  # noqa: B009 - not ours
            ticking.cancel()
        self.wheel.close()
