"""Closed loop for a time: each connection sends its next request when it has an answer; latency counts from the send.

Nothing is sent once the time is up, and every answer still missing then is waited for: no run of one contender is left
to go on during another's turn.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

from bench.load.connection import Connection


class Timed:
    def __init__(self, request: bytes, seconds: float) -> None:
        self.request = request
        self.sent = self.right = self.open = 0
        self.latencies: list[float] = []
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.end = time.monotonic() + seconds

    def send(self, connection: Connection) -> None:
        self.sent += 1
        since = time.monotonic()
        connection.send(self.request, lambda _, right: self.answered(connection, since, right))

    def answered(self, connection: Connection, since: float, right: bool) -> None:
        now = time.monotonic()
        self.latencies.append(now - since)
        self.right += right
        if now < self.end and not connection.transport.is_closing():
            self.send(connection)
        else:
            self.open -= 1
            if not self.open and not self.complete.done():
                self.complete.set_result(None)


async def run(
    port: int, request: bytes, expected: bytes, seconds: float, connections: int, limit: float
) -> dict[str, Any]:
    """`limit` is for the answers that are missing when the time is up; those that never come count as wrong."""
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: Connection(expected, lambda _: None), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    load, start = Timed(request, seconds), time.monotonic()
    load.open = connections
    for connection in opened:
        load.send(connection)
    with suppress(TimeoutError):
        await asyncio.wait_for(load.complete, seconds + limit)
    taken = time.monotonic() - start
    ordered = sorted(load.latencies) or [0.0]
    marks = {f"p{mark:g}": ordered[int((len(ordered) - 1) * mark / 100)] for mark in (50, 90, 99)}
    return {"requests": load.sent, "wrong": load.sent - load.right, "seconds": taken, "max": ordered[-1], **marks}
