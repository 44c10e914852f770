"""`legato serve` for what the documentation says about it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 20.0  # seconds
# Variables that would change what the examples show.
OURS = ("LEGATO_TOKEN", "LEGATO_ADMIN_TOKEN", "LEGATO_GATEWAY", "CACHE_URL")


@contextmanager
def serving(
    folder: Path,
    listen: str,
    variables: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    command: str = "serve",
) -> Iterator[Path]:
    """Serve the project in `folder`, by `legato serve` or `legato dev`; gives the file that standard output goes to."""
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | dict(variables or {})
    output = folder / "output"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "legato", command, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
        )
    try:
        _wait(process, listen)
        yield output
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _wait(process: subprocess.Popen[bytes], listen: str) -> None:
    host, _, port = listen.rpartition(":")
    until = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "the gateway ended at its start"
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            assert time.monotonic() < until, "the gateway does not listen"
            time.sleep(0.02)
