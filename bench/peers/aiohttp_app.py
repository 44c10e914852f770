"""The work of the benchmark as Python services are usually written: a bare ASGI application and aiohttp's client.

FUNCTIONS_PORT=N python -m uvicorn aiohttp_app:app --port PORT
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson

NAMES = ("a", "b", "c")
BASE = f"http://127.0.0.1:{os.environ['FUNCTIONS_PORT']}/"
HEADERS = {"content-type": "application/json"}
sessions: list[aiohttp.ClientSession] = []


def session() -> aiohttp.ClientSession:
    if not sessions:
        sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return sessions[0]


async def call(name: str, body: bytes) -> bytes:
    async with session().post(BASE + name, data=body, headers=HEADERS) as response:
        return await response.read()


async def sequence(body: bytes) -> bytes:
    for name in NAMES:
        body = await call(name, body)
    return body


async def parallel(body: bytes) -> bytes:
    answers = await asyncio.gather(*(call(name, body) for name in NAMES))
    return orjson.dumps({name: orjson.loads(answer) for name, answer in zip(NAMES, answers, strict=True)})


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    out = await (parallel(bytes(body)) if scope["path"] == "/par" else sequence(bytes(body)))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(out))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": out})
