"""The file of a journal: who owns it, connections to it, its schema.

One process owns a journal, by an operating system's lock on a file beside it, which is freed at death whatever way
that comes; and by an epoch that each owner raises and every transaction looks at (contract 6).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Generator
from importlib.resources import files
from queue import Empty, LifoQueue
from typing import Any
from urllib.parse import quote

from legato.errors import StoreUnavailable
from legato.stores.sqlite_file import remedy_of

APPLICATION = 0x4C65676A  # "Legj", in the header of the file
SCHEMA = 1
CHECKPOINT = 4000  # pages (16 MiB) of the log that are put into the file at a time
CACHE = -64 * 1024  # KiB of pages that the writer keeps
BUSY = 5.0  # seconds to wait for a reader of another program, a backup say

Connect = Callable[[str], Any]

_HELD: set[int] = set()  # descriptors of locks


def _let_go() -> None:
    """In a process that was forked: it would hold the lock on when its parent has died, and lock out a successor."""
    while _HELD:
        os.close(_HELD.pop())


os.register_at_fork(after_in_child=_let_go)


def _queries() -> dict[str, str]:
    _, *parts = files("legato.stores").joinpath("journal.sql").read_text("utf-8").split("-- name: ")
    return {name: text.strip().rstrip(";") for name, text in (part.split("\n", 1) for part in parts)}


QUERIES = _queries()


class Usurped(Exception):
    """The epoch is another's: the journal has another owner, and nothing may be written any more."""


class JournalFile:
    """The database at `path`. Every method may raise StoreUnavailable, which says what to do.

    `connect` opens a connection for an URI; tests give one whose disk fails.
    """

    def __init__(self, path: str, connect: Connect | None = None) -> None:
        self.path = os.path.abspath(path)
        self.label = f"the journal {path}"
        self.epoch = 0
        self._connect = connect or _connect
        self._lock: int | None = None
        self._idle: LifoQueue[Any] = LifoQueue()

    def own(self) -> Any:
        """Become the owner: give the connection to write with, whose tables are there."""
        self._take_lock()
        try:
            with self.errors("opened"):
                is_new = not os.path.exists(self.path)
                connection = self._connect(self._uri("rwc"))
                try:
                    self._prepare(connection, is_new)
                    (self.epoch,) = connection.execute(QUERIES["own"]).fetchall()[0]
                except BaseException:
                    connection.close()  # with it goes a transaction that would lock out the next try
                    raise
        except BaseException:
            self.release()
            raise
        return connection

    def _take_lock(self) -> None:
        try:
            lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            folder = os.path.dirname(self.path)
            remedy = f"make the folder {folder}" if error.errno == errno.ENOENT else f"let this user write in {folder}"
            raise StoreUnavailable(f"{self.label}: cannot be opened: {error.strerror}; {remedy}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                remedy = "put the journal on a file system that has locks"
                raise StoreUnavailable(f"{self.label}: cannot be locked: {error.strerror}; {remedy}") from None
            raise StoreUnavailable(
                f"{self.label}: is in use by process {owner or 'unknown'}; a journal has one owner: stop that one, or "
                "give this one another (`journal` in legato.yaml)"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        self._lock = lock
        _HELD.add(lock)

    def _prepare(self, connection: Any, is_new: bool) -> None:
        """Set the connection up, and make the tables where there are none."""
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
        self._check_kind(connection)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()[0][0]
        if mode != "wal":
            raise StoreUnavailable(f"{self.label}: the file system has no shared memory for its log; name another")
        memory = "temp_store = MEMORY"  # a commit must not depend on the place of temporary files
        for pragma in ("synchronous = FULL", memory, f"cache_size = {CACHE}", f"wal_autocheckpoint = {CHECKPOINT}"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        if not connection.execute("PRAGMA application_id").fetchall()[0][0]:
            connection.execute("BEGIN IMMEDIATE")
            for statement in QUERIES["create"].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute("COMMIT")
        if is_new:
            _sync_folder(self.path)

    def _check_kind(self, connection: Any) -> None:
        [application] = connection.execute("PRAGMA application_id").fetchall()[0]
        [schema] = connection.execute("PRAGMA user_version").fetchall()[0]
        [tables] = connection.execute("SELECT count(*) FROM sqlite_master").fetchall()[0]
        if application == schema == tables == 0:
            return
        if application != APPLICATION:
            raise StoreUnavailable(f"{self.label}: is a database of something else; name another file")
        if schema > SCHEMA:
            raise StoreUnavailable(f"{self.label}: has schema {schema}, this Legato knows {SCHEMA}; upgrade Legato")

    def check_owner(self, connection: Any) -> None:
        """Raise Usurped if somebody else owns the journal by now; to be called in each transaction."""
        if connection.execute(QUERIES["epoch"]).fetchall()[0][0] != self.epoch:
            raise Usurped

    @contextlib.contextmanager
    def reading(self) -> Generator[Any]:
        """A connection that reads; any thread may, while the owner writes."""
        with self.errors("read"):
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = self._connect(self._uri("ro"))
                connection.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}").fetchall()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._idle.put(connection)

    @contextlib.contextmanager
    def errors(self, verb: str) -> Generator[None]:
        """Say what an error of SQLite means."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self.label}: cannot be {verb}: {error}; {remedy_of(error)}") from error

    def close_idle(self) -> None:
        """Close the connections that nobody reads with."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def release(self) -> None:
        """Close what is idle, and let another process own the journal."""
        self.close_idle()
        if self._lock is not None:
            _HELD.discard(self._lock)
            os.close(self._lock)
            self._lock = None

    def _uri(self, mode: str) -> str:
        return f"file://{quote(os.fsencode(self.path))}?mode={mode}"


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, BUSY, isolation_level=None, check_same_thread=False, uri=True, cached_statements=256)


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
