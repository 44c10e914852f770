"""The client connection of our own load generators: one request at a time, the answer to a callback."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httptools


class Connection(asyncio.Protocol):
    """`answered(connection, right)` is called for each answer, and with False if the connection ends before it."""

    transport: asyncio.Transport

    def __init__(self, expected: bytes, lost: Callable[["Connection"], None]) -> None:
        self.expected, self.lost = expected, lost
        self.parts: list[bytes] = []
        self.answered: Callable[[Connection, bool], None] | None = None
        self.parser: Any = httptools.HttpResponseParser(self)
        self.data_received = self.parser.feed_data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from asyncio's

    def send(self, request: bytes, answered: Callable[["Connection", bool], None]) -> None:
        self.answered = answered
        self.transport.write(request)

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        body, self.parts = b"".join(self.parts), []
        self._finish(self.parser.get_status_code() == 200 and body == self.expected)

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(False)
        self.lost(self)

    def _finish(self, right: bool) -> None:
        answered, self.answered = self.answered, None
        if answered is not None:
            answered(self, right)


def request_of(port: int, path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
