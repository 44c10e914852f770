"""JSON lines: the access log and the events worth a line, written together at the end of the event loop's turn.

They are written by the loop itself: a reader of the output that stalls stalls the gateway, too.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from datetime import UTC, datetime
from typing import TextIO

import msgspec

_encode = msgspec.json.encode

EVENTS = 1000  # events besides requests that are remembered for whoever looks


class Log:
    """Collects lines and writes them together at the end of the event loop's turn."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self.events = deque[dict[str, object]](maxlen=EVENTS)

    def write(self, event: str, **fields: object) -> None:
        """One line: the time, a stable word for the event, and what is known of it."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **fields}
        if event != "request":
            self.events.append(line)
        try:
            self._lines.append(_encode(line))
        except (UnicodeEncodeError, TypeError):  # no line may cost a run
            self._lines.append(_encode({"time": line["time"], "event": event, "fields": ascii(fields)}))
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Write what has been collected. A stream that cannot be written to loses its lines, never a request."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        stream = self._stream or sys.stdout
        try:
            stream.write(b"\n".join(lines).decode("utf-8") + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass
