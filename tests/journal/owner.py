"""A process that owns a journal, until it is killed: `python -m tests.journal.owner PATH [fork]`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from legato.errors import StoreUnavailable
from legato.stores.journal import SqliteJournal
from tests.journal.writes import Claims


def owner(path: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start such a process, and wait until the journal is its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.owner", str(path), *words], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said.startswith(b"owner"), said
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it, and what it has forked ends by itself."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def main() -> None:
    try:
        journal = SqliteJournal(sys.argv[1], Claims())
    except StoreUnavailable as error:
        print(f"refused: {error}", flush=True)
        sys.exit(3)
    if "fork" in sys.argv and os.fork() == 0:
        print("owner", flush=True)
        sys.stdin.read()  # until the test lets go of the pipe
        os._exit(0)
    if "fork" not in sys.argv:
        print("owner", flush=True)
    time.sleep(600)
    journal.close()


if __name__ == "__main__":
    main()
