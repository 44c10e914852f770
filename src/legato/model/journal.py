"""What a journal holds: events of runs, a row for each run, and what is written together. Bodies are the host's own.

Times are seconds since the epoch: they must mean the same in the process that comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

# As in contract 5. `running`, `undoing` and `queued` runs are taken up when a process starts; the others are rows.
RunState = Literal["queued", "running", "waiting", "undoing", "parked", "succeeded", "failed", "undone", "cancelled"]
LIVE: tuple[RunState, ...] = ("queued", "running", "undoing")
ENDED: tuple[RunState, ...] = ("succeeded", "failed", "undone", "cancelled")
STATES: tuple[RunState, ...] = (*LIVE[:2], "waiting", "undoing", "parked", *ENDED)


class Event(NamedTuple):
    """One event: `seq` counts those of a run from 0; `kind` and `path` together are there once in a run."""

    run: bytes
    seq: int
    at: float
    kind: str
    path: str
    body: bytes


class RunRow(NamedTuple):
    """What is kept of a run beside its events, so that runs can be found. `due` is when it must be looked at."""

    id: bytes  # 16 bytes, a UUID version 7: sorted by time of creation
    flow: str
    version: str
    program: bytes  # the digest of the pinned definition
    kernel: int  # the kernel's behaviour version
    state: str
    created: float
    ended: float | None
    due: float | None


class StartKey(NamedTuple):
    """The key under which a run was started, so that the same start gives the same run (contract 5)."""

    key: bytes  # a digest of flow, credential and the caller's key
    run: bytes
    body: bytes  # a digest of the request's body
    expires: float


class Write(msgspec.Struct, eq=False):
    """What is committed together: all of it or nothing.

    `committed` is called when it is on disk, on the event loop, in the order of the writes. `refused` is there for
    those that are given up when they cannot be written, because nobody relies on them yet; any other is tried again.
    `lost` is called for one that never can be written, because it contradicts what is there.
    """

    events: Sequence[Event]
    row: RunRow | None
    committed: Callable[[], None]
    refused: Callable[[str], None] | None = None
    lost: Callable[[], None] | None = None
    definition: tuple[bytes, bytes] | None = None
    key: StartKey | None = None


class StoredRun(msgspec.Struct, frozen=True):
    """A run as it is on disk."""

    row: RunRow
    events: Sequence[Event]


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are wanted, newest first. `before` is the id of the last one seen, `since` a time of creation."""

    flow: str | None = None
    state: str | None = None
    since: float | None = None
    before: bytes | None = None
    limit: int = 50
