"""The one thread that writes a journal. It takes what is queued, commits it together, and never waits for more.

What is gathered in one turn of the event loop is handed over together. A write that cannot be stored is tried again
until it can: what it holds back stays held back meanwhile. Only those that nobody relies on yet are refused.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from queue import Empty, SimpleQueue
from time import monotonic, sleep, time
from typing import Any

from legato.model.journal import Event, RunRow, Write
from legato.stores.journal_file import QUERIES, JournalFile, Usurped
from legato.stores.journal_pruning import pruned
from legato.stores.sqlite_file import remedy_of

MOST = 2000  # writes in one commit: beyond it the others would wait longer than they win
PAUSES = (0.05, 0.2, 0.5, 1.0)  # seconds before a write is tried again, the last one for ever
LARGE = 64 * 1024  # bytes of a body from which on it is kept elsewhere: the log is written twice, and read at once
DROPPING = 0.02  # seconds
PRUNED = 100  # runs that are deleted at a time: so long, others wait
_ROWS = tuple(2**n for n in reversed(range(8)))  # rows of one statement

Claim = Callable[[bytes], bytes]


class JournalWriter:
    """Commits writes in the order of `append`. `trouble` says why nothing can be stored at the moment, or is empty.

    `claim` keeps a large body elsewhere: it gives what the journal holds instead. `drop` lets go of one.
    """

    def __init__(self, file: JournalFile, connection: Any, claim: Claim, drop: Callable[[bytes], None]) -> None:
        self.trouble = ""
        self.commits = 0
        self.lost = False  # whether the journal is another's
        self._file = file
        self._connection = connection
        self._claim = claim
        self._drop = drop
        self._garbage: list[bytes] = []  # large bodies that no run holds any more
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gathered: list[Write] = []
        self._queue = SimpleQueue[Sequence[Write] | None]()
        self._prune: tuple[float, Callable[[int], None]] | None = None
        self._orphans: set[bytes] = set()  # runs whose start was refused
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="legato-journal", daemon=True)

    # On the event loop.

    def append(self, write: Write) -> None:
        """Queue a write for the next commit."""
        if not self._gathered:
            self._start()
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._gathered.append(write)

    def prune(self, before: float, done: Callable[[int], None]) -> None:
        """Delete some runs that ended before a moment, between two commits; `done` is told how many.

        The thread does it, so that nobody keeps a large body again at the moment at which it is let go of.
        """
        self._prune = before, done
        self._start()
        self._queue.put(())

    def _start(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._queue.put(gathered)

    def _committed(self, writes: Sequence[Write]) -> None:
        self.trouble = ""
        for write in writes:
            try:
                write.committed()
            except Exception as error:  # the other runs have nothing to do with it
                self._report("after a commit", error)

    def _not_committed(self, why: str, refused: Sequence[Write], error: Exception, again: bool) -> None:
        is_new, lasts = why != self.trouble, again or self.lost  # a contradiction is one run's trouble
        if lasts:
            self.trouble = why
        if is_new:
            self._report(f"the journal cannot be written{', and will be tried again' if again else ''}: {why}", error)
        for write in refused:
            if write.refused is not None:
                write.refused(why)
            elif write.lost is not None and not self.lost:
                write.lost()

    def _report(self, message: str, error: Exception) -> None:
        assert self._loop is not None
        self._loop.call_exception_handler({"message": message, "exception": error})

    # In the thread.

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            self._store(batch)
            if self._prune is not None and not self.trouble:
                (before, done), self._prune = self._prune, None
                self._tell(done, self._pruned(before))
            self._drop_some()

    def _take(self) -> list[Write] | None:
        """What is queued; waits until something is. None when that is all."""
        first = self._queue.get()
        return None if first is None else self._more(list(first))

    def _more(self, batch: list[Write]) -> list[Write]:
        with suppress(Empty):
            while len(batch) < MOST:
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put(None)
                    break
                batch += more
        return batch

    def _store(self, batch: list[Write], alone: bool = False) -> None:
        """Store writes, or see them refused; comes back when there is no trouble, or none that passes.

        `alone` says that others come before what is queued.
        """
        tries = 0
        while (batch := self._without_orphans(batch)) or tries:
            try:
                self._commit(batch)
            except Exception as error:
                self._roll_back()
                if isinstance(error, sqlite3.IntegrityError) and len(batch) > 1:
                    for write in batch:  # one of them is at fault, and not the others
                        self._store([write], alone=True)
                    return
                again = not isinstance(error, Usurped | sqlite3.IntegrityError)
                refused = batch if not again else [write for write in batch if write.refused is not None]
                self.lost = self.lost or isinstance(error, Usurped)
                self._tell(self._not_committed, self._why(error), refused, error, again)
                if not again:
                    return
                if self._stopping:
                    return  # what is held back will be done by the process after this one
                sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1
                self._orphans.update(write.events[0].run for write in refused if _starts(write))
                batch = [write for write in batch if write.refused is None]
                batch = batch if alone else self._more(batch)
            else:
                self.commits += 1
                self._tell(self._committed, batch)
                return

    def _without_orphans(self, batch: list[Write]) -> list[Write]:
        """Without writes of runs whose start was refused: their deadline may have passed before they knew."""
        if not self._orphans:
            return batch
        return [write for write in batch if not write.events or write.events[0].run not in self._orphans]

    def _why(self, error: Exception) -> str:
        if isinstance(error, Usurped):
            return f"{self._file.label}: another process has taken it; this one must be stopped"
        remedy = f"; {remedy_of(error)}" if isinstance(error, sqlite3.Error) else ""
        return f"{self._file.label}: cannot be written: {error}{remedy}"

    def _commit(self, batch: Sequence[Write]) -> None:
        connection = self._connection
        events = [self._stored(event) for write in batch for event in write.events]
        connection.execute("BEGIN IMMEDIATE")
        self._file.check_owner(connection)
        if not batch:
            connection.execute(QUERIES["probe"])  # there was trouble, and whoever starts something waits for its end
        for write in batch:
            if write.definition is not None:
                connection.execute(QUERIES["define"], write.definition)
        if keys := [write.key for write in batch if write.key is not None]:
            for key in keys:
                connection.execute(QUERIES["key"], key)
            connection.execute(QUERIES["forget_keys"], (time(), 2 * len(keys)))  # more than come, so that they go
        rows = [write.row for write in batch if write.row is not None]
        _insert(connection, "INSERT INTO run VALUES ", len(RunRow._fields), rows, " " + QUERIES["change_row"])
        _insert(connection, "INSERT INTO event VALUES ", len(Event._fields) + 1, events)
        connection.execute("COMMIT")

    def _stored(self, event: Event) -> tuple[object, ...]:
        if len(event.body) < LARGE:
            return (*event, None)
        return (*event[:5], self._claim(event.body), len(event.body))

    def _pruned(self, before: float) -> int:
        """Delete some runs; gives how many. A failure is told, and changes nothing."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._file.check_owner(self._connection)
            runs, bodies = pruned(self._connection, before, PRUNED)
            self._connection.execute("COMMIT")
            self._garbage += bodies
        except Exception as error:
            self._roll_back()
            self._tell(self._report, "old runs could not be deleted", error)
            return 0
        return runs

    def _drop_some(self) -> None:
        """Let go of large bodies for a moment, then see who waits for a commit."""
        until = monotonic() + DROPPING
        try:
            while self._garbage and monotonic() < until:
                self._drop(self._garbage.pop())
        except Exception as error:
            self._tell(self._report, "a payload that nobody holds could not be deleted, and stays", error)
        if self._garbage:
            self._queue.put(())

    def _roll_back(self) -> None:
        with suppress(Exception):
            self._connection.execute("ROLLBACK")

    def _tell(self, function: Callable[..., None], *args: Any) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(partial(function, *args))

    def close(self) -> None:
        """Commit what is queued, and end the thread. Blocks."""
        self._stopping = True
        if self._thread.ident is not None:
            if self._gathered:
                self._hand_over()
            self._queue.put(None)
            self._thread.join()
        self._connection.close()


def _starts(write: Write) -> bool:
    return bool(write.events) and write.events[0].seq == 0


def _insert(connection: Any, start: str, width: int, rows: Sequence[Sequence[Any]], end: str = "") -> None:
    """Insert rows with few statements: each one lets go of the interpreter's lock, and has to get it back."""
    place, one = 0, f"({', '.join('?' * width)})"
    for count in _ROWS:
        while len(rows) - place >= count:
            part = rows[place : place + count]
            connection.execute(f"{start}{', '.join([one] * count)}{end}", tuple(chain.from_iterable(part)))
            place += count
