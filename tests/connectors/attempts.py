"""What the host would be to a connector, for one attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from legato.connectors.http import HttpConnector
from legato.model.function import Function
from legato.model.outcome import Outcome
from legato.model.payload import EMPTY, Payload
from legato.model.steps import CallStep
from legato.transport.wheel import Wheel
from tests.support.function_server import FunctionServer

PATIENCE = 8.0  # seconds


class Parts:
    """See ports.Parts."""

    def __init__(self, path: bytes = b"", query: bytes = b"", headers: bytes = b"") -> None:
        self.path = path
        self.query = query
        self.headers = headers


class Caller:
    """See ports.Caller."""

    def __init__(self, method: bytes = b"POST", rest: bytes = b"", query: bytes = b"") -> None:
        self.method = method
        self.rest = rest
        self.query = query
        self.hops = 0
        self.fields: dict[bytes, bytes] = {}


class View:
    """See ports.RunView."""

    def __init__(self, shared: Mapping[str, bytes] | None = None) -> None:
        self.id = "01a2000e-36e0-7a0a-82c5-05ffce5d8ab4"
        self.flow = "order"
        self.state = "running"
        self.shared = dict(shared or {})


class Attempt:
    """See ports.Attempt; settling twice fails the test."""

    def __init__(self, payload: Payload = EMPTY, parts: Parts | None = None, caller: Any = None) -> None:
        self.payload = payload
        self.parts = parts
        self.caller: Any = caller or Caller()
        self.view: Any = View()
        self.sent = False
        self.handle: object = None
        self.identity = b"idempotency-key: root/f\r\n"
        self.path = "f"
        self.overdue = False
        self.outcome: Outcome | None = None
        self._ended = asyncio.Event()

    def settle(self, outcome: Outcome) -> None:
        assert self.outcome is None, f"settled twice: {self.outcome!r}, {outcome!r}"
        self.outcome = outcome
        self._ended.set()

    async def end(self) -> Outcome:
        """Wait for the outcome."""
        async with asyncio.timeout(PATIENCE):
            await self._ended.wait()
        assert self.outcome is not None
        return self.outcome


def called(server: FunctionServer, attempt: Attempt, base: str = "/f", url: str = "", **step: Any) -> Outcome:
    """Call a function that listens, once."""

    async def main() -> Outcome:
        wheel = Wheel()
        connector = HttpConnector(wheel, 1024 * 1024)
        function = Function(name="f", url=url or f"http://127.0.0.1:{server.port}{base}")
        target = connector.bind(function, CallStep(function="f", **step))
        target.begin(attempt)
        outcome = await attempt.end()
        await connector.close()
        wheel.close()
        return outcome

    outcome = asyncio.run(main())
    assert attempt.sent == bool(server.requests), "`sent` is not what was sent"
    return outcome
