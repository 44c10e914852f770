"""Definitions in a file of SQLite, with their earlier texts. What they say is not looked at."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from legato.errors import Conflict, StoreUnavailable
from legato.model.problem import Problem
from legato.model.source import MAX_BYTES, Gone, Language, Revision, Source
from legato.ports import StoreListener
from legato.stores.sqlite_file import QUERIES, SqliteFile, State
from legato.stores.watching import MISSING_PATIENCE, TICK, Teller, Watches

KEPT = 100  # earlier texts of a name: a year of changes twice a week, and at most 100 MiB
SETTLED = 2.0  # seconds after which a file that is written to has another time; FAT is the coarsest
FULL = 10.0  # seconds after which the database is asked, whatever the times of its files say
WATCH_BUSY = 1.0  # seconds that a watcher waits for a lock; it comes again


class Seen(NamedTuple):
    """What is kept of a definition: the number of its last change, and its digest."""

    seq: int
    digest: str


class SqliteStore:
    """The definitions in the file at `path`, which the first `put` makes; its folder must be there."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._label = f"sqlite:{os.fsencode(path).decode('utf-8', 'replace')}"
        self._file = SqliteFile(path, self._label)
        self._seen: dict[str, Seen] = {}
        self._unread = False  # whether the last `load` failed
        self._watches = Watches("sqlite")

    @property
    def label(self) -> str:
        """`sqlite:` and the path as given."""
        return self._label

    def load(self) -> list[Source]:
        """Every definition. Where there is no file, there is none, and none is made. See DefinitionStore."""
        self._unread = True
        with self._file.reading() as connection:
            rows = [] if connection is None else connection.execute(QUERIES["load"], {"most": MAX_BYTES}).fetchall()
        sources = [_source(self._label, *row[:3]) for row in rows]
        self._seen = {source.name: Seen(row[3], source.digest) for source, row in zip(sources, rows, strict=True)}
        self._unread = False
        return sources

    def put(self, name: str, language: Language, text: bytes, version: str, expected: str | None = None) -> Source:
        """See DefinitionStore. Raises ValueError for a text that could not be read again."""
        if len(text) > MAX_BYTES:
            raise ValueError(f"a definition has {MAX_BYTES // 1024} KiB at most")
        name.encode()  # a name that no text can hold is refused before anything is made
        if expected and self._file.state() is None:
            raise self._conflict(name)
        with self._file.writing() as connection:
            self._expect(connection, name, expected)
            now = time.time_ns()
            [seq] = connection.execute(QUERIES["next"], {"now": now, "name": name}).fetchone()
            moment = datetime.fromtimestamp(now / 1e9, UTC).isoformat(timespec="milliseconds")
            row = {"name": name, "language": language, "text": text, "version": version, "seq": seq, "moment": moment}
            connection.execute(QUERIES["put"], row)
            connection.execute(QUERIES["keep"], row)
            connection.execute(QUERIES["forget"], {"name": name, "most": KEPT})
        self._watches.nudge()
        return _source(self._label, name, language, text)

    def delete(self, name: str, expected: str | None = None) -> bool:
        """Delete a definition; its earlier texts are kept. See DefinitionStore."""
        with self._file.reading() as connection:
            is_there = connection is not None and self._expect(connection, name, expected)
        if not is_there:
            if expected:
                raise self._conflict(name)
            return False
        with self._file.writing() as connection:
            self._expect(connection, name, expected)
            is_gone = connection.execute(QUERIES["delete"], {"name": name}).rowcount > 0
        self._watches.nudge()
        return is_gone

    def revisions(self, name: str) -> list[Revision]:
        """The texts of the last 100 versions, those of a deleted definition, too. See DefinitionStore."""
        with self._file.reading() as connection:
            rows = [] if connection is None else connection.execute(QUERIES["revisions"], {"name": name}).fetchall()
        return [
            Revision(version=version, language=language, text=text, created=created)
            for version, language, text, created in rows
        ]

    def watch(self, listener: StoreListener) -> None:
        """See DefinitionStore."""
        watch = _Watch(self._file, self._seen)
        self._watches.start(listener, watch.run, self._unread)

    def close(self) -> None:
        """See DefinitionStore."""
        self._watches.close()

    def _expect(self, connection: sqlite3.Connection, name: str, expected: str | None) -> bool:
        """Whether the name is there. Raises Conflict where the writer expected another text."""
        row = connection.execute(QUERIES["find"], {"name": name, "most": MAX_BYTES}).fetchone()
        if expected is not None and expected != ("" if row is None else _source(self._label, *row[:3]).digest):
            raise self._conflict(name)
        return row is not None

    def _conflict(self, name: str) -> Conflict:
        return Conflict(f"{self._label}: {name} is not what it was")


def _source(label: str, name: str, language: Language, text: bytes | None) -> Source:
    """A row as a source; a text that another program put there and that is too large is None."""
    origin, trouble = f"{label} {name}", None
    if text is None:
        message = f"cannot be read: it is larger than {MAX_BYTES // 1024} KiB"
        trouble = Problem(file=origin, message=message, remedy="define it anew, or delete it")
    return Source(name=name, language=language, text=text or b"", origin=origin, trouble=trouble)


class _Watch:
    """Looks at the times of the file, and asks the database whenever they have changed."""

    def __init__(self, file: SqliteFile, seen: Mapping[str, Seen]) -> None:
        self._file = file
        self._seen = dict(seen)
        self._state: State | None = None  # of the file, when it was last read
        self._mark: tuple[int, int | None] | None = None  # how many definitions there are, and the last change
        self._is_settled = False
        self._read = 0.0
        self._missing: float | None = None  # since when

    def run(self, teller: Teller) -> None:
        """Tell of changes until the teller stops."""
        while not teller.wait(TICK):
            try:
                self._look(teller)
            except StoreUnavailable as error:
                self._is_settled = False
                teller.down(str(error))

    def _look(self, teller: Teller) -> None:
        now, state = time.monotonic(), self._file.state()
        if state is None or self._file.is_blank():
            self._look_at_nothing(teller, now)  # one that is blank may be about to be copied to
            return
        self._missing = None
        if state == self._state and self._is_settled and now - self._read < FULL:
            return
        began = time.time()
        found, gone = self._compare()
        # Two changes within one step of a file's clock leave the same times: look until that is over.
        self._state, self._read, self._is_settled = state, now, began - max(state[-2:]) / 1e9 > SETTLED
        teller.changed(found, gone)
        teller.up()

    def _look_at_nothing(self, teller: Teller, now: float) -> None:
        self._missing = self._missing or now
        if self._seen and now - self._missing < MISSING_PATIENCE:
            return
        gone = [self._gone(name) for name in sorted(self._seen)]
        self._seen, self._mark, self._is_settled = {}, None, False
        teller.changed([], gone)
        teller.up()

    def _compare(self) -> tuple[list[Source], list[Gone]]:
        """What has changed, in the order in which it has, and what is gone."""
        with self._file.reading(WATCH_BUSY) as connection:
            mark = (0, None) if connection is None else connection.execute(QUERIES["mark"]).fetchone()
            if mark == self._mark:
                return [], []
            there: dict[str, int] = {} if connection is None else dict(connection.execute(QUERIES["marks"]).fetchall())
            changed = [name for name, seq in there.items() if name not in self._seen or self._seen[name].seq != seq]
            sources = [self._find(connection, name) for name in sorted(changed, key=there.__getitem__)]
        found = [source for source in sources if self._digest(source.name) != source.digest]
        gone = [self._gone(name) for name in sorted(self._seen.keys() - there.keys())]
        self._seen.update({source.name: Seen(there[source.name], source.digest) for source in sources})
        for each in gone:
            del self._seen[each.name]
        self._mark = mark
        return found, gone

    def _find(self, connection: sqlite3.Connection | None, name: str) -> Source:
        assert connection is not None  # or there would be no name
        row = connection.execute(QUERIES["find"], {"name": name, "most": MAX_BYTES}).fetchone()
        return _source(self._file.label, *row[:3])

    def _digest(self, name: str) -> str:
        return self._seen[name].digest if name in self._seen else ""

    def _gone(self, name: str) -> Gone:
        return Gone(name=name, origin=f"{self._file.label} {name}")
