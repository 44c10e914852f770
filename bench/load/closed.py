"""Closed loop: a fixed number of requests; each connection sends its next when it has an answer."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from bench.load.connection import Connection


async def run(port: int, request: bytes, expected: bytes, count: int, connections: int, limit: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    complete: asyncio.Future[None] = loop.create_future()
    sent = right = ended = 0

    def answered(connection: Connection, is_right: bool) -> None:
        nonlocal right, ended
        ended += 1
        right += is_right
        if ended == count and not complete.done():
            complete.set_result(None)
        elif sent < count and not connection.transport.is_closing():
            send(connection)

    def send(connection: Connection) -> None:
        nonlocal sent
        sent += 1
        connection.send(request, answered)

    def lost(connection: Connection) -> None:
        if not complete.done():  # a contender that closes is not given the missing requests again: they count as wrong
            complete.set_result(None)

    start = time.monotonic()
    opened = [
        (await loop.create_connection(lambda: Connection(expected, lost), "127.0.0.1", port))[1]
        for _ in range(min(connections, count))
    ]
    for connection in opened:
        send(connection)
    with suppress(TimeoutError):
        await asyncio.wait_for(complete, limit)
    return {"requests": count, "wrong": count - right, "seconds": time.monotonic() - start}
