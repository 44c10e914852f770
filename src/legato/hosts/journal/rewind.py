"""Where a run that has failed can go on: which of its events count no more. Pure, of its record and its program.

It goes on at the last moment from which it need not fail again; replaying the record says which one that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from time import time

import msgspec

from legato.errors import LegatoError
from legato.hosts.bound import BoundProgram
from legato.hosts.journal.documents import void_of
from legato.hosts.journal.records import (
    Attempted,
    Cancelled,
    Decided,
    Delivered,
    Ended,
    Intent,
    Parked,
    Record,
    Responded,
    Retried,
    Started,
    Timer,
    record_of,
)
from legato.hosts.journal.replay import Replay
from legato.model.journal import Event, StoredRun

TRIES = 30  # moments that are tried; each is a replay of the whole record
GIVEN_BACK = 50  # replays of one moment, in each of which something that follows is found to be still due
_AFTER = ("/undo", "/failure.", "/finally.", "/callback")  # in paths of what follows a failure, or an end

Told = tuple[Event, Record]


class NoWayBack(LegatoError):
    """The run cannot go on from where it stopped; the message says why, and what to do instead."""


class Rewound(msgspec.Struct, frozen=True):
    """The numbers of the events that count no more, and what is still known of calls that may have been done."""

    void: list[int]
    attempts: list[tuple[str, Attempted]]


def rewound(bound: BoundProgram, stored: StoredRun) -> Rewound:
    """How a run that has failed goes on: what succeeded counts, what failed is done again. Raises NoWayBack."""
    rewind = _Rewind(bound, stored)
    rewind.check()
    for since in rewind.moments():
        kept = rewind.settled(since)
        if kept is not None:
            return rewind.result(since, *kept)
    raise NoWayBack("it failed by what the flow itself says of its results, and would again: start it anew")


class _Rewind:
    def __init__(self, bound: BoundProgram, stored: StoredRun) -> None:
        self._bound = bound
        self._stored = stored
        records = [(event, record_of(event.kind, event.body)) for event in stored.events]
        void = void_of(record for _, record in records)
        self._told: Sequence[Told] = [(event, record) for event, record in records if event.seq not in void]
        ends = [record for _, record in self._told if isinstance(record, Ended)]
        if not ends or ends[-1].failure is None:
            raise NoWayBack("it has not failed")
        self._failure = ends[-1].failure.failure()

    def check(self) -> None:
        """Raise NoWayBack where no moment can be one to go on from."""
        if any(done for _, done in self._failure.undo):
            raise NoWayBack("what it had done was undone: start it anew")
        started = self._told[0][1]
        if isinstance(started, Started) and started.deadline is not None and started.deadline <= time():
            raise NoWayBack("the time that its flow gives it (`timeout`) is over: start it anew")

    def moments(self) -> Iterator[int]:
        """Numbers of events from which on failures are not to count, the last ones first.

        First comes one after which nothing failed but code, which may have been mended since.
        """
        last = max((event.seq for event, _ in self._outcomes() if not _follows(event.path)), default=0)
        marks = {
            event.seq
            for event, record in self._told
            if isinstance(record, Cancelled) or (_fails(event, record) and not _follows(event.path))
        }
        is_own = self._failure.reason in ("mistake", "stated") and not self._bound.program.code
        yield last + 1
        yield from [] if is_own else sorted(marks, reverse=True)[: TRIES - 1]

    def settled(self, since: int) -> tuple[set[int], Replay] | None:
        """(outcomes that count no more, the replay without them) if the run has not failed then, else None.

        What is due all the same is given back: the end of a call that had been cancelled before, what a handler did.
        """
        void = {event.seq for event, record in self._outcomes(since) if _fails(event, record) or _follows(event.path)}
        places = {event.path: event.seq for event, _ in self._outcomes(since)}
        for _ in range(GIVEN_BACK):
            replay = self._replay(void | set(self._ends(since)))
            if replay is None:
                return None
            due = [places.get(path) for path, leaf in replay.open.items() if leaf.cancelled or _follows(path)]
            back = void.intersection(seq for seq in due if seq is not None)
            if not back:
                return (void, replay) if replay.kernel.failure is None else None
            void -= back
        return None

    def result(self, since: int, void: set[int], replay: Replay) -> Rewound:
        """Everything that goes with the outcomes that count no more."""
        attempts: list[tuple[str, Attempted]] = []
        paths: set[str] = set()
        for event, record in self._outcomes(since):
            if event.seq not in void:
                continue
            maybe_done = record.kind == "unknown" or record.maybe_done
            if "/undo" in event.path and (record.kind == "ok" or maybe_done):
                raise NoWayBack("some of what it had done was undone: start it anew")
            paths.add(event.path)
            if maybe_done and record.function and event.path in replay.open:
                known = record.kind, record.status, record.detail, True, record.began, time(), record.function
                attempts.append((event.path, Attempted(0, *known)))
        with_them = [
            event.seq
            for event, record in self._told
            if event.path in paths and _goes_with(event, record, event.path in replay.open)
        ]
        return Rewound(sorted({*void, *self._ends(since), *with_them}), attempts)

    def _outcomes(self, since: int = 0) -> Iterator[tuple[Event, Delivered]]:
        for event, record in self._told:
            if isinstance(record, Delivered) and event.seq >= since:
                yield event, record

    def _ends(self, since: int) -> Iterator[int]:
        for event, record in self._told:
            is_end = isinstance(record, Ended) or (isinstance(record, Responded) and record.failure is not None)
            if is_end or (isinstance(record, Cancelled) and event.seq >= since):
                yield event.seq

    def _replay(self, void: Iterable[int]) -> Replay | None:
        events = self._stored.events
        seq = events[-1].seq + 1
        retried = Event(self._stored.row.id, seq, time(), f"retried {seq}", "", Retried(sorted(void)).encoded())
        try:
            return Replay(self._bound, StoredRun(self._stored.row, [*events, retried]))
        except LegatoError:  # something that came later hangs on what would count no more
            return None


def _fails(event: Event, record: Record) -> bool:
    """Whether a step may have failed by an event: what was asked for did not come, or a timeout did."""
    if not isinstance(record, Delivered):
        return False
    return record.kind != "ok" or (not record.function and event.path.endswith("/timeout"))


def _follows(path: str) -> bool:
    return any(mark in path for mark in _AFTER)


def _goes_with(event: Event, record: Record, is_open: bool) -> bool:
    """Whether an event of a step is to go with its outcome. A pause that is not over goes on to its own end."""
    if isinstance(record, Timer):
        is_over = record.name and record.due is not None and record.due <= time()
        return not is_open or bool(is_over) or event.path.endswith("/timeout")
    return isinstance(record, Attempted | Intent | Parked | Decided)
