"""Processes under measurement: started on given cores, read from /proc, ended by their own id.

CPU time is user + system of the process and everything below it, threads and ended children included.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
STARTED = 19  # index of the start time behind the name
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Launch:
    command: Sequence[str]
    environment: Mapping[str, str]


@contextmanager
def on_cores(cores: Collection[int]) -> Generator[None, None, None]:
    """What is started inside inherits the cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _stat(pid: int) -> list[str]:
    # The second field is the command's name and may hold spaces and brackets: cut behind the last one.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _tree(root: int) -> dict[int, list[str]]:
    """The stat fields (from `state` on) of a process and its descendants."""
    everyone: dict[int, list[str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                everyone[int(entry)] = _stat(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = {root: everyone[root]} if root in everyone else {}
    grown = True
    while grown:
        below = {pid: stat for pid, stat in everyone.items() if int(stat[1]) in found and pid not in found}
        found.update(below)
        grown = bool(below)
    return found


class Running:
    """A started server."""

    def __init__(self, name: str, port: int, launch: Launch, cores: Collection[int], log: Path) -> None:
        self.name, self.port, self.log = name, port, log
        with on_cores(cores), log.open("wb") as out:
            self._process = subprocess.Popen(
                launch.command,
                cwd=ROOT,
                env={**os.environ, **launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def ended(self) -> int | None:
        return self._process.poll()

    def last_words(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])[:400]

    def cpu_seconds(self) -> float:
        """utime + stime + those of ended and awaited children."""
        return sum(sum(map(int, stat[11:15])) for stat in _tree(self._process.pid).values()) / TICK

    def resident_bytes(self) -> int:
        return sum(int(stat[21]) for stat in _tree(self._process.pid).values()) * PAGE

    def kill(self) -> None:
        """End it without a warning, as a crash does."""
        self._process.kill()
        self._process.wait(5)

    def stop(self) -> None:
        below = {} if self.ended() is not None else _tree(self._process.pid)
        below.pop(self._process.pid, None)
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        for pid, stat in below.items():  # children that outlived it, e.g. after the kill
            try:
                if _stat(pid)[STARTED] == stat[STARTED]:  # still the same process, not a new one with its number
                    os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                continue
