"""The functions of the crash campaign: real HTTP, in a process that is not killed, with a record of every request.

What a call comes to depends on the seed and its key, so that a call made again comes to the same: some trouble first,
never more than its retries allow, then the verdict. Now and then one that is made again after a death is refused.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

HANG = 30.0  # seconds; every call that may hang has a shorter timeout
LARGE = 70_000  # bytes, more than a journal keeps itself

STATUS = {"ok": 200, "refused": 409, "broken": 500, "down": 503}


@dataclass
class Asked:
    """One request: from which life of the gateway it came, what was done, and whether that was told."""

    key: str
    function: str
    life: int
    body: bytes
    number: int  # of this key, from 1
    at: float
    effect: bool = False
    answered: int = 0

    @property
    def path(self) -> str:
        return self.key.partition("/")[2]


def behaviour(seed: int, key: str, function: str) -> list[str]:
    """What the requests of a call meet, one after another; the last one is what all others meet."""
    random = Random(f"{seed}/{key}")
    match function:
        case "undo":
            trouble = ["down", "broken", "cut", "cut-done", "hang"]
            return [*random.choices(trouble, (4, 4, 2, 2, 1), k=random.choice((0, 0, 1, 3))), "ok"]
        case "again":
            trouble = random.choices(["down", "broken", "cut", "cut-done", "hang"], (4, 4, 2, 2, 1), k=3)
            verdict = random.choices(["ok", "refused", "broken"], (90, 6, 4))[0]
            return [*trouble[: random.choice((0, 0, 0, 1, 2, 3))], verdict]
        case "sure":
            trouble = random.choices(["down", "broken", "cut", "cut-done", "hang"], (4, 4, 2, 2, 1), k=3)
            return [*trouble[: random.choice((0, 0, 1, 3))], "ok"]
        case "never":
            return random.choices(["ok", "refused", "broken", "cut-done"], (80, 8, 6, 6))
        case "firm":
            verdict = random.choices(["ok", "refused", "broken", "cut-done"], (90, 6, 2, 2))[0]
            return [*["down"] * random.choice((0, 0, 0, 1, 3)), verdict]
        case _:
            return random.choices(["ok", "refused", "broken", "down", "cut", "cut-done"], (88, 5, 2, 2, 1, 2))


def answer_of(seed: int, key: str, body: bytes) -> Any:
    """What a call that goes well answers."""
    value: dict[str, Any] = {"step": key.partition("/")[2], "got": digest(body)}
    if Random(f"{seed}/{key}/size").random() < 0.03:
        value["pad"] = "x" * LARGE
    return value


def digest(body: bytes) -> int:
    """Of a JSON text, however it is written."""
    value = json.loads(body) if body else None
    return zlib.crc32(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


class Functions:
    """Serves them all on one port; the target is `/LIFE/FUNCTION`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.asked: list[Asked] = []
        self.by_key: dict[str, list[Asked]] = {}
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._connections):
            writer.close()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        start, *lines = head.split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        _, life, function = start.split(" ")[1].split("/")
        asked = self._note(fields["idempotency-key"], function, int(life), body)
        random = Random(f"{self.seed}/{asked.key}/{asked.number}")
        steps = behaviour(self.seed, asked.key, function)
        do = steps[min(asked.number, len(steps)) - 1]
        first = self.by_key[asked.key][0]
        if function in ("once", "firm") and asked.life > first.life and random.random() < 0.2:
            do = random.choice(("down", "refused"))  # what was done before the death stays done
        await asyncio.sleep(random.choice((0.0, 0.0, 0.0, 0.005, 0.02, 0.05, 0.2)))
        asked.effect = do in ("ok", "cut-done") or (do in ("broken", "hang") and random.random() < 0.5)
        if do == "hang":
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), HANG)
            return False
        if do.startswith("cut"):
            return False
        value = answer_of(self.seed, asked.key, body) if do == "ok" else {"error": do}
        text = json.dumps(value).encode()
        status = STATUS[do]
        asked.answered = status
        line = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(text))
        writer.write(line + text)
        await writer.drain()
        return True

    def _note(self, key: str, function: str, life: int, body: bytes) -> Asked:
        before = self.by_key.setdefault(key, [])
        asked = Asked(key, function, life, body, len(before) + 1, asyncio.get_running_loop().time())
        before.append(asked)
        self.asked.append(asked)
        return asked
