"""The ports between layers: functions, callers, definitions; in domain verbs, with what each method guarantees.

The transport's own (`Service`, `Sink`) and the kernel's (`LinkedStep`) stand where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from legato.model.function import Function
from legato.model.journal import Event, RunQuery, RunRow, StartKey, StoredRun, Write
from legato.model.outcome import Outcome
from legato.model.payload import Payload
from legato.model.source import Gone, Language, Revision, Source
from legato.model.steps import CallStep


class Parts(Protocol):
    """What a call says beside its payload, made of expressions when it is issued."""

    @property
    def path(self) -> bytes:
        """What is appended to the function's URL; begins with a slash, or is empty."""
        ...

    @property
    def query(self) -> bytes:
        """The query without its question mark."""
        ...

    @property
    def headers(self) -> bytes:
        """Complete header lines, each with CRLF."""
        ...


class RunView(Protocol):
    """What Python code may know of the run that calls it, and the values that it shares with other steps."""

    @property
    def id(self) -> str:
        """The run's id."""
        ...

    @property
    def flow(self) -> str:
        """The flow's name."""
        ...

    @property
    def state(self) -> str:
        """`running`, or in a flow's handlers how it ended: `succeeded`, `failed`, `undone`, `cancelled`."""
        ...

    @property
    def shared(self) -> Mapping[str, bytes]:
        """The values shared so far, as JSON."""
        ...


class Attempt(Protocol):
    """One try of one call, as a connector sees it.

    - `sent` is set by the connector before the first byte leaves (or the code runs), and never unset.
    - `settle` is called exactly once for each attempt begun, aborted ones too; it may be called from within `begin`.
    - `identity` is the header lines that say which call of which run this is, each with CRLF: `Idempotency-Key:
      <root>/<path>` (contract 2), the same on every attempt; the W3C `traceparent`; the hop count.
    - `handle` is the connector's own place to keep what it needs to find the attempt again.
    """

    payload: Payload
    handle: object

    @property
    def sent(self) -> bool: ...

    @sent.setter
    def sent(self, sent: bool) -> None: ...

    @property
    def identity(self) -> bytes: ...

    @property
    def caller(self) -> Caller:
        """The request that started the run."""
        ...

    @property
    def parts(self) -> Parts | None:
        """What the step says beside the payload, where that depends on the run."""
        ...

    @property
    def path(self) -> str:
        """The call's path (contract 2)."""
        ...

    @property
    def overdue(self) -> bool:
        """Whether its own time was up when it was aborted."""
        ...

    @property
    def view(self) -> RunView:
        """The run, for Python code."""
        ...

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome."""
        ...


class Target(Protocol):
    """A function bound to one call step: everything that can be prepared is prepared."""

    @property
    def timeout(self) -> float:
        """Seconds that one attempt may take."""
        ...

    @property
    def safe(self) -> bool:
        """Whether every call may be repeated without harm, whatever the request (contract 1)."""
        ...

    def idempotent(self, attempt: Attempt) -> bool:
        """Whether this call may be repeated without harm; at least where all may."""
        ...

    def begin(self, attempt: Attempt) -> None:
        """Start the attempt; never raises because of data."""
        ...

    def abort(self, attempt: Attempt) -> None:
        """Stop the attempt. It settles at once: `unknown` if anything was sent, `cancelled` if not."""
        ...


class Connector(Protocol):
    """A way to reach functions."""

    def bind(self, function: Function, step: CallStep) -> Target:
        """Prepare calls of `function` by `step`. Raises DefinitionError when that can never work."""
        ...

    async def close(self) -> None:
        """Give back what is held: connections, threads."""
        ...


class Caller(Protocol):
    """What a run knows of the request that started it; bytes are as on the wire."""

    @property
    def method(self) -> bytes:
        """The HTTP method."""
        ...

    @property
    def rest(self) -> bytes:
        """The sub-path below the flow, empty or starting with a slash."""
        ...

    @property
    def query(self) -> bytes:
        """The query without its question mark."""
        ...

    @property
    def hops(self) -> int:
        """Through how many gateways the request has come."""
        ...

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The request's headers by lower-case name."""
        ...


class DefinitionStore(Protocol):
    """Where definitions live. Methods block: a server calls them from a thread; they may be called from any one.

    Where a store cannot be reached or used they raise StoreUnavailable, whose message names the remedy.
    """

    @property
    def label(self) -> str:
        """What messages call it (`valkey://cache:6379/0`); never holds a password."""
        ...

    def load(self) -> list[Source]:
        """Every definition, sorted by name; one that cannot be read is there with its trouble, and harms no other."""
        ...

    def put(self, name: str, language: Language, text: bytes, version: str, expected: str | None = None) -> Source:
        """Define or redefine; on return it is stored for good, and replaces a definition in the other language, too.

        `version` is the digest of its meaning, kept beside it where the store keeps revisions. `expected` is the
        digest that a text there must have, "" for none there, None for any; raises Conflict where it differs.
        """
        ...

    def delete(self, name: str, expected: str | None = None) -> bool:
        """Delete every definition of this name; whether there was one. `expected` as in `put`."""
        ...

    def revisions(self, name: str) -> list[Revision]:
        """Texts that it has had, newest first, the present one among them; none where the store keeps none."""
        ...

    def watch(self, listener: StoreListener) -> None:
        """Start telling what has changed since `load` (or since nothing was known), until `close`.

        From a thread of the store's own, and for ever: a store that is lost is sought again, and whatever changed
        meanwhile is told then. Our own `put` and `delete` are told like anybody's, in the order of the changes.
        """
        ...

    def close(self) -> None:
        """Stop watching, and give back what is held."""
        ...


class StoreListener(Protocol):
    """Who is told of changes; called from the store's thread, one call at a time."""

    def changed(self, found: Sequence[Source], gone: Sequence[Gone]) -> None:
        """Definitions are new or have changed, others are no longer there."""
        ...

    def down(self, why: str) -> None:
        """The store cannot be reached, for this reason; told once each time."""
        ...

    def up(self) -> None:
        """The store is in step after `down`, or a `load` that failed; what has changed meanwhile has been told."""
        ...


class Journal(Protocol):
    """The durable record of runs; this process is its one owner. All but `append` block and may be called from threads.

    They raise StoreUnavailable where it cannot be read.
    """

    @property
    def trouble(self) -> str:
        """Why nothing can be stored at the moment, with the remedy; empty if all is well."""
        ...

    def append(self, write: Write) -> None:
        """Have a write committed; from the event loop only. Writes are committed in the order of their coming.

        When it is on disk its `committed` is called. One that cannot be stored is tried again until it can be, for
        ever; only one that has `refused` is given up at once, and told so.
        """
        ...

    def run(self, run: bytes) -> StoredRun | None:
        """A run with all its events."""
        ...

    def events(self, run: bytes, since: int) -> list[Event]:
        """The events of a run from the number `since` on."""
        ...

    def runs(self, query: RunQuery) -> list[RunRow]:
        """Runs, newest first."""
        ...

    def live(self) -> list[bytes]:
        """The runs that are to be taken up when a process starts, oldest first."""
        ...

    def due(self, moment: float, limit: int) -> list[bytes]:
        """Runs whose time has come."""
        ...

    def next_due(self) -> float | None:
        """When the time of the next run comes."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many runs have not ended, by state."""
        ...

    def definition(self, digest: bytes) -> bytes:
        """A definition that a run started with."""
        ...

    def started(self, key: bytes) -> StartKey | None:
        """The run that was started under a key which has not expired."""
        ...

    def prune(self, before: float, done: Callable[[int], None]) -> None:
        """Delete some of the runs that ended before a moment; `done` is told how many.

        From the event loop only. What cannot be deleted stays, and is told to the loop's exception handler.
        """
        ...

    def close(self) -> None:
        """Commit what is queued, and let another process own the journal."""
        ...


class DataStore(Protocol):
    """Where large data lives, piece by piece. Methods block, and may be called from any thread, at the same time.

    A key is parts joined by `/`, each of ASCII letters, digits, `.`, `_` and `-` and no dot first (`model.data_keys`).
    A store may refuse a key that is another's folder: `a` beside `a/b`. Where it cannot be reached or used they raise
    StoreUnavailable, whose message names the remedy; a change may then have happened or not, never by half.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store data in place of what was there; on return it is stored for good.

        All or nothing: whoever reads meanwhile, or after a crash, has the whole of the old or the whole of the new.
        """
        ...

    def get(self, key: str) -> bytes:
        """The whole of what was put last. Raises KeyError (ours: NoSuchData) where there is nothing."""
        ...

    def delete(self, key: str) -> None:
        """Take it away, for good on return; nothing where there is nothing."""
        ...

    def keys(self, folder: str) -> Iterable[str]:
        """Every key below `folder/`, or all for "", in any order; what comes and goes meanwhile may be in it or not."""
        ...
