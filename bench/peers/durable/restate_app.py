"""The work of the durable benchmark on Restate: a service handler of three `run` steps, called through its ingress.

    FUNCTIONS_PORT=N python -m hypercorn --bind 127.0.0.1:PORT restate_app:app
A service, not a workflow: as durable, and without the lock and the state that a workflow keeps for each of its keys.
"""

import os
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import restate
from restate.serde import BytesSerde

BASE = f"http://127.0.0.1:{os.environ['FUNCTIONS_PORT']}/"
HEADERS = {"content-type": "application/json"}
AS_BYTES = restate.RunOptions(serde=BytesSerde())
bench = restate.Service("bench")
sessions: list[aiohttp.ClientSession] = []


def step(name: str, body: bytes) -> Callable[[], Coroutine[Any, Any, bytes]]:
    async def call() -> bytes:
        if not sessions:
            sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        async with sessions[0].post(BASE + name, data=body, headers=HEADERS, raise_for_status=True) as response:
            return await response.read()

    return call


@bench.handler(input_serde=BytesSerde(), output_serde=BytesSerde())
async def seq(ctx: restate.Context, body: bytes) -> bytes:
    for name in ("a", "b", "c"):
        body = await ctx.run_typed(name, step(name, body), AS_BYTES)
    return body


app = restate.app([bench])
