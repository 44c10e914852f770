"""Random writes for a journal, and what must be found of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from legato.model.journal import Event, RunRow, StartKey, Write

AT = 1_790_000_000.0  # some moment


class Claims:
    """Large bodies, kept in memory."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def keep(self, data: bytes) -> bytes:
        digest = hash(data).to_bytes(9, "big", signed=True)
        self.kept[digest] = data
        return digest

    def fetch(self, digest: bytes, size: int) -> bytes:
        assert len(self.kept[digest]) == size
        return self.kept[digest]

    def drop(self, digest: bytes) -> None:
        del self.kept[digest]


class Writes:
    """Writes as a host would make them: starts, outcomes, ends, of several runs at once."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.made: list[Write] = []
        self._open: dict[bytes, int] = {}  # runs, and the number of their next event
        self._runs = 0

    def next(self, committed: Callable[[], None], refused: Callable[[str], None] | None = None) -> Write:
        """The next write; `refused` is for starts alone, as in the host."""
        random = self.random
        if not self._open or random.random() < 0.3:
            write = self._start(committed, refused)
        else:
            write = self._outcome(random.choice(list(self._open)), committed)
        self.made.append(write)
        return write

    def _start(self, committed: Callable[[], None], refused: Callable[[str], None] | None) -> Write:
        self._runs += 1
        run = self._runs.to_bytes(16, "big")
        events = [self._event(run, 0, "started", "")]
        self._open[run] = 1
        key = StartKey(b"key" + run, run, b"body", AT * 2) if self.random.random() < 0.3 else None
        row = _row(run, "running")
        return Write(events, row, committed, refused, definition=(b"program", b"{}"), key=key)

    def _outcome(self, run: bytes, committed: Callable[[], None]) -> Write:
        random, seq = self.random, self._open[run]
        events = [self._event(run, seq + n, f"kind {seq + n}", f"path.{n}") for n in range(random.choice((1, 1, 2, 4)))]
        self._open[run] = seq + len(events)
        row = None
        if random.random() < 0.25:
            row = _row(run, "succeeded")
            del self._open[run]
        return Write(events, row, committed)

    def _event(self, run: bytes, seq: int, kind: str, path: str) -> Event:
        size = self.random.choice((10, 100, 1000, 5000, 20_000))
        return Event(run, seq, AT + seq, kind, path, self.random.randbytes(size))


def _row(run: bytes, state: str) -> RunRow:
    ended = AT if state == "succeeded" else None
    return RunRow(run, "flow", "version", b"program", 1, state, AT, ended, None)


def check_prefix(made: Sequence[Write], found: dict[bytes, tuple[str, list[Event]]], least: int) -> int:
    """Check that what is found is what the first of the writes make, and at least so many; gives how many."""
    states: dict[bytes, str] = {}
    events: dict[bytes, list[Event]] = {}
    for count in range(len(made) + 1):
        if count >= least and found == {run: (states[run], events[run]) for run in states}:
            return count
        if count < len(made):
            write = made[count]
            for event in write.events:
                events.setdefault(event.run, []).append(event)
            if write.row is not None:
                states[write.row.id] = write.row.state
    raise AssertionError(f"what is found are not the first {least} or more of {len(made)} writes: {sorted(found)}")
