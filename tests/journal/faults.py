"""Connections to SQLite whose disk fails when a test says so."""

from __future__ import annotations

import sqlite3
from typing import Any

FULL = sqlite3.SQLITE_FULL, "database or disk is full"
BROKEN = sqlite3.SQLITE_IOERR, "disk I/O error"
READ_ONLY = sqlite3.SQLITE_READONLY, "attempt to write a readonly database"
KINDS = (FULL, BROKEN, READ_ONLY)


class Disk:
    """Counts what the writer does; from number `fails_from` on everything fails, until that is more than what was done.

    `connect` is for JournalFile. Reading goes on: only what writes fails.
    """

    def __init__(self) -> None:
        self.done = 0
        self.fails_from: int | None = None
        self.failing = FULL
        self.failures = 0

    def connect(self, uri: str) -> Any:
        connection = sqlite3.connect(uri, 5.0, isolation_level=None, check_same_thread=False, uri=True)
        return connection if uri.endswith("mode=ro") else _Connection(connection, self)

    def take(self, text: str) -> None:
        """Count a statement, or fail it."""
        self.done += 1
        if self.fails_from is not None and self.done >= self.fails_from and text != "ROLLBACK":
            self.failures += 1
            code, message = self.failing
            error = sqlite3.OperationalError(message)
            error.sqlite_errorcode = code
            raise error


class _Connection:
    def __init__(self, connection: sqlite3.Connection, disk: Disk) -> None:
        self._connection = connection
        self._disk = disk

    def execute(self, text: str, values: Any = ()) -> Any:
        self._disk.take(text)
        return self._connection.execute(text, values)

    def close(self) -> None:
        self._connection.close()
