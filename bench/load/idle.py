"""Idle connections: opens many, sends one checked request over each, then keeps them open without a word.

Prints a first line when all are open; ends, and closes them, when its input does or after `limit` seconds.
"""

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

from bench.load.connection import Connection

BATCH = 100  # opened and served at once: the contender shall idle with many, not be flooded by them
SOURCES = [f"127.0.0.{number}" for number in range(2, 8)]  # each address has its own ephemeral ports


async def run(port: int, request: bytes, expected: bytes, count: int, limit: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    wrong = lost = 0

    def note_loss(connection: Connection) -> None:
        nonlocal lost
        lost += 1

    async def open_one(number: int) -> bool:
        source = (SOURCES[number % len(SOURCES)], 0)
        _, connection = await loop.create_connection(
            lambda: Connection(expected, note_loss), "127.0.0.1", port, local_addr=source
        )
        connections.append(connection)
        answer: asyncio.Future[bool] = loop.create_future()
        connection.send(request, lambda _, right: answer.set_result(right))
        return await answer

    async def open_all() -> None:
        nonlocal wrong
        for first in range(0, count, BATCH):
            answers = await asyncio.gather(*(open_one(number) for number in range(first, min(first + BATCH, count))))
            wrong += answers.count(False)

    await asyncio.wait_for(open_all(), limit / 2)
    print(json.dumps({"open": len(connections) - lost, "wrong": wrong}), flush=True)
    with suppress(TimeoutError):
        await asyncio.wait_for(loop.run_in_executor(None, sys.stdin.readline), limit / 2)
    still_open = len(connections) - lost
    for connection in connections:
        connection.transport.abort()
    return {"requests": count, "wrong": wrong, "open_at_the_end": still_open}
