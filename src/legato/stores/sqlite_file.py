"""The file of SQLite that definitions are in: connections to it, its schema, and what its errors mean.

Every operation has a connection of its own: any thread may call, and at rest nothing is open. So the file can be
copied, swapped and taken away while it is watched, and no write-ahead log is left that belongs to the file before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import time
from collections.abc import Generator
from importlib.resources import files
from urllib.parse import quote

from legato.errors import StoreUnavailable

APPLICATION = 0x4C656761  # "Lega", in the header of the file
SCHEMA = 1
BUSY = 5.0  # seconds to wait for another process
BUSY_PAUSE = 0.01  # seconds

State = tuple[int, ...]

_REMEDIES = {
    sqlite3.SQLITE_BUSY: "end the process that holds it, or try again",
    sqlite3.SQLITE_LOCKED: "end the process that holds it, or try again",
    sqlite3.SQLITE_READONLY: "give this user the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "give this user the right to the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "give this user the right to the file and its folder",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_IOERR: "look after the disk",
    sqlite3.SQLITE_NOTADB: "name another file, or take this one away",
    sqlite3.SQLITE_CORRUPT: "put a backup in its place, or rescue what it holds with `sqlite3 FILE .recover`",
}


def _queries() -> dict[str, str]:
    _, *parts = files("legato.stores").joinpath("sqlite.sql").read_text("utf-8").split("-- name: ")
    return dict(part.split("\n", 1) for part in parts)


QUERIES = _queries()


class SqliteFile:
    """Opens the database at `path`; `label` is what messages call it. Every method may raise StoreUnavailable."""

    def __init__(self, path: str | os.PathLike[str], label: str) -> None:
        self.path = os.path.abspath(path)
        self.label = label

    def state(self) -> State | None:
        """What changes whenever the file does (if its times have grown meanwhile); None where there is no file.

        Ends with the times of last change, in nanoseconds: of the file, and of its log.
        """
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            folder = os.path.dirname(self.path)
            if not os.path.isdir(folder):
                raise StoreUnavailable(f"{self.label}: there is no folder for it; make the folder") from None
            return None
        except OSError as error:
            remedy = "name a folder" if error.errno == errno.ENOTDIR else "give this user the right to it"
            raise StoreUnavailable(f"{self.label}: cannot be read: {error.strerror}; {remedy}") from None
        if not stat.S_ISREG(there.st_mode):
            raise StoreUnavailable(f"{self.label}: is not a file; name a file")
        size, changed = self._log()
        return there.st_dev, there.st_ino, there.st_mode, there.st_size, size, there.st_mtime_ns, changed

    def is_blank(self) -> bool:
        """Whether nothing has been written to the file yet."""
        with contextlib.suppress(OSError):
            return os.stat(self.path).st_size == 0 and self._log() == (0, 0)
        return True

    @contextlib.contextmanager
    def reading(self, patience: float = BUSY) -> Generator[sqlite3.Connection | None]:
        """A connection that sees one moment; None where there is no database yet. Waits `patience` seconds for it."""
        if self.state() is None:
            yield None
            return
        with self._errors("read"), contextlib.ExitStack() as held:
            try:
                connection = held.enter_context(contextlib.closing(self._connect("mode=rw", patience)))
                is_ours = self._begin(connection)
            except sqlite3.OperationalError as error:
                if _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or self._log() != (0, 0):
                    raise
                # Not even the log's index can be made there. Then nobody can write, and the file is all there is.
                connection = held.enter_context(contextlib.closing(self._connect("mode=ro&immutable=1", patience)))
                is_ours = self._begin(connection)
            yield connection if is_ours else None

    @contextlib.contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """A connection in a transaction, which is stored for good at the end, unless there is an exception."""
        is_new = self.state() is None
        with self._errors("written to"), contextlib.closing(self._connect("mode=rwc", BUSY)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            is_ours = self._begin(connection)
            connection.execute("ROLLBACK")
            if not is_ours:
                _log_ahead(connection)
            connection.execute("BEGIN IMMEDIATE")
            if not self._is_ours(connection):
                for statement in QUERIES["create"].split(";"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
            yield connection
            connection.execute("COMMIT")
        if is_new:
            self._sync_folder()

    def _connect(self, how: str, patience: float) -> sqlite3.Connection:
        uri = f"file://{quote(os.fsencode(self.path))}?{how}"
        connection = sqlite3.connect(uri, patience, isolation_level=None, check_same_thread=False, uri=True)
        connection.text_factory = _text
        return connection

    def _begin(self, connection: sqlite3.Connection) -> bool:
        """Begin to see one moment; whether our tables are there. Raises StoreUnavailable when we cannot use it."""
        connection.execute("BEGIN")
        return self._is_ours(connection)

    def _is_ours(self, connection: sqlite3.Connection) -> bool:
        """Whether our tables are there; a blank database is to get them."""
        [application] = connection.execute("PRAGMA application_id").fetchone()
        [schema] = connection.execute("PRAGMA user_version").fetchone()
        [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == schema == tables == 0:
            return False
        if application != APPLICATION:
            raise StoreUnavailable(f"{self.label}: is a database of something else; name another file")
        if schema != SCHEMA:
            raise StoreUnavailable(f"{self.label}: has schema {schema}, this Legato knows {SCHEMA}; upgrade Legato")
        return True

    def _log(self) -> tuple[int, int]:
        """The size of the write-ahead log, and when it last changed; an empty one is as good as none."""
        try:
            log = os.stat(self.path + "-wal")
        except OSError:
            return 0, 0
        return (log.st_size, log.st_mtime_ns) if log.st_size else (0, 0)

    def _sync_folder(self) -> None:
        descriptor = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self.label}: cannot be {verb}: {error}; {remedy_of(error)}") from error


def remedy_of(error: sqlite3.Error) -> str:
    """What to do about an error of SQLite."""
    return _REMEDIES.get(_code(error), "see what is said of this error at sqlite.org")


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")  # another program's name that is no text harms no other definition


def _code(error: sqlite3.Error) -> int:
    """The primary code of an error; 0 for one of Python's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Have changes go to a log first, so that readers and a writer do not wait for each other."""
    until = time.monotonic() + BUSY
    while connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return  # where the file system cannot, it keeps the mode it had, which is as safe
        except sqlite3.OperationalError as error:
            # Another process does the same; SQLite does not wait for it here.
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(BUSY_PAUSE)
