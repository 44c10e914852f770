"""The callers of the crash campaign: they start runs, signal and cancel them, and note what they were promised."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.soak.crash_flows import Document, waits_of

PATIENCE = 40.0  # seconds that a caller waits for an answer
AGAIN = 0.03  # seconds until a caller that got none tries again


class Reply:
    """An answer."""

    def __init__(self, status: int, fields: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.fields = fields
        self.body = body


@dataclass
class Start:
    """A start as its caller knows it. `run` is there as soon as one was promised; `result` is what was answered."""

    number: int
    flow: str
    key: str
    run: str = ""
    status: int = 0
    result: Any = None
    tries: int = 0


@dataclass
class Promises:
    """What callers were told: runs by id, signals as (run, identity), cancels by run."""

    starts: list[Start] = field(default_factory=list)
    runs: dict[str, Start] = field(default_factory=dict)
    signals: set[tuple[str, str]] = field(default_factory=set)
    cancels: dict[str, bool] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)


class Callers:
    """Callers of one gateway. `begun` is set each time a start is sent."""

    def __init__(self, port: int, flows: Mapping[str, Document], random: Random) -> None:
        self.port = port
        self.flows = {name: flow for name, flow in flows.items() if flow.get("durable")}
        self.random = random
        self.promises = Promises()
        self.begun = asyncio.Event()
        self.is_over = False
        self.errors: list[str] = []
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, coroutine: Any) -> None:
        """Do something beside the rest."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(f"{type(error).__name__}: {error}")

    async def close(self) -> None:
        """Let callers give up."""
        self.is_over = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What they do.

    def start_some(self, count: int) -> None:
        """Start runs of any flow."""
        for _ in range(count):
            random, number = self.random, next(self._numbers)
            key = f"key-{number}" if random.random() < 0.4 else ""
            start = Start(number, random.choice(list(self.flows)), key)
            self.promises.starts.append(start)
            self.spawn(self._start(start, random.random() < 0.5))

    async def _start(self, start: Start, is_async: bool) -> None:
        fields = {"idempotency-key": start.key} if start.key else {}
        if is_async:
            fields["prefer"] = "respond-async"
        body = json.dumps({"n": start.number}).encode()
        while not self.is_over:
            start.tries += 1
            self.begun.set()
            reply = await self.ask("POST", f"/orchestrate/{start.flow}", body, fields)
            if reply is not None and (run := reply.fields.get("legato-run")):
                assert not start.run or start.run == run, f"two runs of one key: {start.run} and {run}"
                start.run, start.status = run, reply.status
                start.result = json.loads(reply.body) if reply.body else None
                self.promises.runs[run] = start
                break
            if not start.key:
                return  # it may have been started or not: nobody was promised anything
            await asyncio.sleep(AGAIN)
        if start.run:
            await self._follow(start)

    async def _follow(self, start: Start) -> None:
        """Signal what the run may wait for; cancel some."""
        random = self.random
        if random.random() < 0.1:
            self.spawn(self.cancel(start.run, random.random() * 1.5, random.random() < 0.3))
        for name in waits_of(self.flows[start.flow]):
            if random.random() < 0.85:
                self.spawn(self.signal(start.run, name, random.choice((0.0, 0.3, 1.0))))

    async def signal(self, run: str, name: str, after: float = 0.0) -> None:
        """Send a signal until it was taken, or is not wanted."""
        await asyncio.sleep(after)
        key = f"signal-{name}"
        body = json.dumps({"signal": name, "of": run}).encode()
        while not self.is_over:
            reply = await self.ask("POST", f"/api/runs/{run}/signals/{name}", body, {"idempotency-key": key})
            if reply is not None and reply.status < 500:
                assert reply.status in (200, 202, 409), f"a signal was answered {reply.status} {reply.body!r}"
                if reply.status != 409:
                    self.promises.signals.add((run, f"{name}#{key}"))
                return
            await asyncio.sleep(AGAIN)

    async def cancel(self, run: str, after: float, hard: bool) -> None:
        """Cancel a run until that was taken, or it has ended."""
        await asyncio.sleep(after)
        query = "?hard=true" if hard else ""
        while not self.is_over:
            reply = await self.ask("POST", f"/api/runs/{run}/cancel{query}", b"", {})
            if reply is not None and reply.status < 500:
                assert reply.status in (200, 202, 409), f"a cancel was answered {reply.status} {reply.body!r}"
                if reply.status != 409:
                    self.promises.cancels[run] = self.promises.cancels.get(run, False) or hard
                return
            await asyncio.sleep(AGAIN)

    async def decide(self, run: str) -> None:
        """Choose what becomes of what is parked: it is never made again."""
        document = await self.show(f"/api/runs/{run}")
        for parked in (document or {}).get("parked") or ():
            choice = {
                "path": parked["path"],
                "action": self.random.choice(("skip", "done")),
                "result": {"said": "done"},
            }
            if choice["action"] == "skip":
                del choice["result"]
            reply = await self.ask("POST", f"/api/runs/{run}/retry", json.dumps(choice).encode(), {})
            if reply is not None and reply.status < 500:
                assert reply.status in (200, 202, 409), f"a choice was answered {reply.status} {reply.body!r}"

    async def show(self, path: str) -> Any:
        """A document of the API; None if there is no answer."""
        reply = await self.ask("GET", path, b"", {})
        return None if reply is None or reply.status != 200 else json.loads(reply.body)

    async def ask(self, method: str, path: str, body: bytes, fields: Mapping[str, str]) -> Reply | None:
        """One request on a connection of its own; None if no whole answer came."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._ask(method, path, body, fields)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return None

    async def _ask(self, method: str, path: str, body: bytes, fields: Mapping[str, str]) -> Reply:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            lines = {
                "host": "127.0.0.1",
                "content-type": "application/json",
                "content-length": str(len(body)),
                **fields,
            }
            head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in lines.items())
            writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
            start, *lines_back = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            back = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines_back)}
            came = await reader.readexactly(int(back["content-length"]))
            status = int(start.split(" ")[1])
            self.promises.statuses[status] = self.promises.statuses.get(status, 0) + 1
            return Reply(status, back, came)
        finally:
            writer.close()
