"""Open loop: requests are due at a constant rate, whether or not earlier ones have been answered.

Latency counts from the moment a request was due, not from when a connection was free for it: a contender that stalls
is charged for everyone who would have waited.
"""

import asyncio
import os
import sys
import time
from collections import deque
from functools import partial
from typing import Any

from bench.load.alarm import alarm
from bench.load.connection import Connection

PATIENCE = 5.0  # for the answers still missing when the last request has been sent


class OpenLoop:
    def __init__(self, request: bytes, rate: float, seconds: float, warm: float) -> None:
        self.request, self.period, self.count = request, 1 / rate, round(rate * (seconds + warm))
        self.measured_from = round(rate * warm)
        self.sent = self.ended = self.wrong = 0
        self.idle: list[Connection] = []
        self.due: deque[tuple[int, float]] = deque()
        self.latencies: list[float] = []
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.start = 0.0

    def begin(self) -> None:
        self.descriptor = alarm(self.period)
        self.start = time.monotonic()
        asyncio.get_running_loop().add_reader(self.descriptor, self.tick)

    def tick(self) -> None:
        try:
            periods = int.from_bytes(os.read(self.descriptor, 8), sys.byteorder)
        except BlockingIOError:
            return
        for _ in range(min(periods, self.count - self.sent)):
            self.sent += 1
            self.due.append((self.sent, self.start + self.sent * self.period))
        self.pump()
        if self.sent == self.count:
            asyncio.get_running_loop().remove_reader(self.descriptor)

    def pump(self) -> None:
        while self.due and self.idle:
            self.idle.pop().send(self.request, partial(self.answered, *self.due.popleft()))

    def answered(self, number: int, due: float, connection: Connection, right: bool) -> None:
        self.ended += 1
        self.wrong += not right
        if number > self.measured_from:
            self.latencies.append(time.monotonic() - due)
        if not connection.transport.is_closing():
            self.idle.append(connection)
            self.pump()
        if self.ended == self.count and not self.complete.done():
            self.complete.set_result(None)

    def lost(self, connection: Connection) -> None:
        if connection in self.idle:
            self.idle.remove(connection)


async def run(
    port: int, request: bytes, expected: bytes, rate: float, seconds: float, warm: float, connections: int
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    load = OpenLoop(request, rate, seconds, warm)
    for _ in range(connections):
        _, connection = await loop.create_connection(lambda: Connection(expected, load.lost), "127.0.0.1", port)
        load.idle.append(connection)
    load.begin()
    try:
        await asyncio.wait_for(load.complete, seconds + warm + PATIENCE)
    except TimeoutError:
        load.wrong += load.count - load.ended
    finally:
        loop.remove_reader(load.descriptor)
        os.close(load.descriptor)
    ordered = sorted(load.latencies) or [0.0]
    marks = {f"p{mark:g}": ordered[int((len(ordered) - 1) * mark / 100)] for mark in (50, 90, 99, 99.9)}
    return {"requests": load.count, "wrong": load.wrong, "max": ordered[-1], **marks}
