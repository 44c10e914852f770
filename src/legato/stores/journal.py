"""A journal on SQLite: what the journal host asks, over the file and its writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import Any, Protocol

from legato.errors import StoreUnavailable
from legato.model.journal import Event, RunQuery, RunRow, StartKey, StoredRun, Write
from legato.stores.journal_file import QUERIES, Connect, JournalFile
from legato.stores.journal_writer import JournalWriter


class Claims(Protocol):
    """Where large bodies are kept: see stores.blobs."""

    def keep(self, data: bytes) -> bytes: ...

    def fetch(self, digest: bytes, size: int) -> bytes: ...

    def drop(self, digest: bytes) -> None: ...


class SqliteJournal:
    """See ports.Journal. Opening it makes this process the owner; raises StoreUnavailable where that cannot be."""

    def __init__(self, path: str, claims: Claims, connect: Connect | None = None) -> None:
        self._file = JournalFile(path, connect)
        self._claims = claims
        self._writer = JournalWriter(self._file, self._file.own(), claims.keep, claims.drop)
        self.label = self._file.label

    @property
    def trouble(self) -> str:
        """See ports.Journal."""
        return self._writer.trouble

    def append(self, write: Write) -> None:
        """See ports.Journal."""
        self._writer.append(write)

    def prune(self, before: float, done: Callable[[int], None]) -> None:
        """See ports.Journal."""
        self._writer.prune(before, done)

    def run(self, run: bytes) -> StoredRun | None:
        """See ports.Journal."""
        with self._file.reading() as connection:
            connection.execute("BEGIN")
            row = connection.execute(QUERIES["find_run"], (run,)).fetchone()
            events: list[Any] = [] if row is None else connection.execute(QUERIES["events"], (run, 0)).fetchall()
            connection.execute("COMMIT")
        return None if row is None else StoredRun(RunRow(*row), [self._event(*event) for event in events])

    def events(self, run: bytes, since: int) -> list[Event]:
        """See ports.Journal."""
        return [self._event(*event) for event in self._all("events", (run, since))]

    def _event(self, run: bytes, seq: int, at: float, kind: str, path: str, body: bytes, size: int | None) -> Event:
        return Event(run, seq, at, kind, path, body if size is None else self._claims.fetch(body, size))

    def runs(self, query: RunQuery) -> list[RunRow]:
        """See ports.Journal."""
        wanted: dict[str, object] = {"flow = ?": query.flow, "state = ?": query.state, "created >= ?": query.since}
        wanted["id < ?"] = query.before
        if query.since is not None:
            wanted["id >= ?"] = int(query.since * 1000).to_bytes(6, "big")  # how a UUID version 7 begins
        wanted = {condition: value for condition, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(wanted)}" if wanted else ""
        fields = ", ".join(RunRow._fields)
        with self._file.reading() as connection:
            text = f"SELECT {fields} FROM run{where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - names of our own
            return [RunRow(*row) for row in connection.execute(text, (*wanted.values(), query.limit)).fetchall()]

    def live(self) -> list[bytes]:
        """See ports.Journal."""
        return [run for (run,) in self._all("live")]

    def due(self, moment: float, limit: int) -> list[bytes]:
        """See ports.Journal."""
        return [run for (run,) in self._all("due", (moment, limit))]

    def next_due(self) -> float | None:
        """See ports.Journal."""
        return self._all("next_due")[0][0]

    def counts(self) -> Mapping[str, int]:
        """See ports.Journal."""
        return dict(self._all("counts"))

    def definition(self, digest: bytes) -> bytes:
        """See ports.Journal."""
        found = self._all("find_definition", (digest,))
        if not found:
            raise StoreUnavailable(f"{self.label}: the definition {digest.hex()} is missing; put a backup in its place")
        return found[0][0]

    def started(self, key: bytes) -> StartKey | None:
        """See ports.Journal."""
        found = self._all("find_key", (key, time()))
        return StartKey(*found[0]) if found else None

    def _all(self, query: str, args: tuple[object, ...] = ()) -> list[Any]:
        with self._file.reading() as connection:
            return connection.execute(QUERIES[query], args).fetchall()

    def close(self) -> None:
        """See ports.Journal."""
        self._file.close_idle()  # the last connection to close puts the log into the file, and cannot if it only reads
        self._writer.close()
        self._file.release()
