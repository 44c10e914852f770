"""Fills a journal with many runs in little time: one real run's rows, copied by SQL under fresh ids.

It knows of the journal only in which tables a run has rows, and in which column its id is.
"""

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

TABLES = {"run": "id", "event": "run"}
APART = 1  # milliseconds from one copy to the next, as their ids (UUID version 7) tell it
CHUNK = 100_000


def fill(journal: Path, template: bytes, count: int) -> bytes:
    """Copy the run `template` `count` times, as if they had come before it; the id of the last copy.

    Nobody else may have the journal open.
    """
    ids: list[tuple[bytes]] = []
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("CREATE TEMP TABLE fresh (id BLOB NOT NULL)")
        for table, column in TABLES.items():
            # A copy of its own, for a table that is read while it grows would be copied as a whole first.
            connection.execute(
                f"CREATE TEMP TABLE one_{table} AS SELECT * FROM main.{table} WHERE {column} = ?", [template]
            )
        for ids in _chunks(template, count):
            connection.execute("BEGIN")
            connection.execute("DELETE FROM fresh")
            connection.executemany("INSERT INTO fresh VALUES (?)", ids)
            for table, column in TABLES.items():
                connection.execute(_copying(connection, table, column))
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    descriptor = os.open(journal, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return ids[-1][0]


def _copying(connection: sqlite3.Connection, table: str, column: str) -> str:
    names = [name for _, name, *_ in connection.execute(f"PRAGMA main.table_info({table})")]
    values = ", ".join("fresh.id" if name == column else f"one.{name}" for name in names)
    # A cross join keeps this order of the loops, and with it the order of the ids.
    return f"INSERT INTO main.{table} SELECT {values} FROM fresh CROSS JOIN one_{table} AS one"


def _chunks(template: bytes, count: int) -> Generator[list[tuple[bytes]], None, None]:
    """Ids as the gateway makes them: milliseconds, version, variant and chance; rising."""
    first = int(time.time() * 1000) - count * APART - 60_000
    for begin in range(0, count, CHUNK):
        moments = (first + number * APART for number in range(begin, min(begin + CHUNK, count)))
        yield [
            (moment.to_bytes(6, "big") + template[6:7] + os.urandom(1) + template[8:9] + os.urandom(7),)
            for moment in moments
        ]


def census(journal: Path) -> tuple[int, int]:
    """How many runs a journal holds, and its bytes; without the log, which is used again and does not grow.

    Nobody else may have the journal open.
    """
    with closing(sqlite3.connect(journal)) as connection:
        [runs] = connection.execute("SELECT count(*) FROM run").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return runs, journal.stat().st_size
